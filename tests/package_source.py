"""The package as its source has it: every module's syntax tree, and what it imports.

Read with ``ast``, so that nothing is run. ``test_architecture.py`` has the rules; what a rule is about is
found here. A module is named by its path below resumehub/, with dots ("core.machine").
"""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "resumehub"


@dataclass(frozen=True)
class Import:
    """One imported name: ``of`` is a whole dotted name, ``resumehub.…`` for our own."""

    by: str
    of: str
    line: int
    for_types_only: bool

    def __str__(self) -> str:
        return f"{self.by} imports {self.of} (line {self.line})"


def name_of(path: Path) -> str:
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


@cache
def sources() -> dict[str, ast.Module]:
    """Module name → its syntax tree, for every module of the package."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {name_of(path): ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in paths}


@cache
def imports() -> tuple[Import, ...]:
    return tuple(found for name, tree in sources().items() for found in imports_in(name, tree))


def statements_in(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement in a module or a statement. A tenth of what ``ast.walk`` goes through."""
    for block in ("body", "handlers", "orelse", "finalbody", "cases"):
        for statement in getattr(node, block, ()):
            yield statement
            yield from statements_in(statement)


def own_imports() -> Iterator[tuple[Import, str]]:
    """The imports of our own modules, each with the name of the module it is of."""
    for found in imports():
        if found.of.split(".")[0] == "resumehub":
            yield found, target(found.of)


def target(dotted: str) -> str:
    """The module that ``resumehub.a.b`` is, or is a name in: the longest prefix that is a module."""
    parts = dotted.split(".")[1:]
    while parts and ".".join(parts) not in sources():
        parts.pop()
    return ".".join(parts) or "__init__"


def imports_in(by: str, node: ast.AST, for_types_only: bool = False) -> Iterator[Import]:
    """Every import below ``node``, those inside functions too: they only come later."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for statement in child.body:
                yield from imports_in(by, ast.Module([statement], []), for_types_only=True)
            for statement in child.orelse:
                yield from imports_in(by, ast.Module([statement], []), for_types_only)
            continue
        if isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            names = [f"{origin(by, child)}.{alias.name}" for alias in child.names]
        else:
            yield from imports_in(by, child, for_types_only)
            continue
        for name in names:
            yield Import(by, name, child.lineno, for_types_only)


def origin(by: str, node: ast.ImportFrom) -> str:
    """What stands after ``from``, with the dots of a relative import resolved."""
    if node.level == 0:
        return node.module or ""
    folder = [] if by == "__init__" else by.split(".")
    is_package = by == "__init__" or (PACKAGE / Path(*folder) / "__init__.py").exists()
    up = node.level - 1 if is_package else node.level
    parts = ["resumehub", *folder[: len(folder) - up], *([node.module] if node.module else [])]
    return ".".join(parts)


def file_of(module: str) -> str:
    """``resumehub/core/machine.py`` for ``core.machine``."""
    folder = PACKAGE.joinpath(*module.split("."))
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    return str(path.relative_to(PACKAGE.parent))


def folder_of(module: str) -> str:
    """The package's folder that a module is in; one that is in none is a folder of its own."""
    return module.split(".")[0]


def classes_in(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def reached_into(tree: ast.Module, allowed: Container[str] = ()) -> Iterator[ast.Attribute]:
    """Every ``x._y`` in which ``x`` is not the object itself, a class of this file, or new and of one.

    New is what a function has just made (``one = cls(…)``): the other way to make an object is as free as
    ``__init__``. ``allowed``: what may be read all the same, as it is written.
    """
    own = {"self", "cls", *(node.name for node in classes_in(tree))}
    new = {
        id(inner)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for made in [set(made_in(function, own))]
        for inner in ast.walk(function)
        if isinstance(inner, ast.Name) and inner.id in made
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not node.attr.startswith("_"):
            continue
        if node.attr.startswith("__") or ast.unparse(node) in allowed or calls(node.value, {"super"}):
            continue
        if not (isinstance(node.value, ast.Name) and (node.value.id in own or id(node.value) in new)):
            yield node


def made_in(function: ast.FunctionDef, classes: set[str]) -> Iterator[str]:
    """The names that a function gives to new objects of these classes."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and calls(node.value, classes):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def calls(node: ast.expr, names: set[str]) -> bool:
    """Whether it is a call of one of ``names``, as ``cls(…)`` or ``super()``."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def listed(problems: list[str]) -> str:
    return "\n" + "\n".join(problems)


def lines_of(path: str) -> int:
    return len((PACKAGE.parent / path).read_text(encoding="utf-8").splitlines())
