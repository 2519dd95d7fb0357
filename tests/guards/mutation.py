"""Takes a check out of the code that is loaded, and puts it back.

A guard is found by its text and replaced by other text. The file is compiled as it would be then, and the
function around the place gets the code of its changed namesake for as long as ``without`` lasts; a table at
module level gets the changed entries. Nothing is imported twice, so every class is still itself, and
whoever uses the function (the machine, a hub with its threads) runs the changed one. Used by
``test_guards.py``.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from tests.guards.guard import Guard

PACKAGE = Path(__file__).parents[2] / "resumehub"


class Moved(AssertionError):
    """The text of a guard is not where it was, or not once."""


@cache
def source_of(file: str) -> str:
    return (PACKAGE / file).read_text(encoding="utf-8")


@contextmanager
def without(*guards: Guard) -> Iterator[None]:
    """Run with these guards replaced, all at once. Raises Moved."""
    with ExitStack() as undo:
        for file in {guard.file for guard in guards}:
            source = changed = source_of(file)
            places = []
            for guard in guards:
                if guard.file == file:
                    _insist_once(guard, source)
                    places.append(source[: source.index(guard.snippet)].count("\n") + 1)
                    changed = changed.replace(guard.snippet, guard.replacement)
            for line in places:
                undo.enter_context(_changed(file, ast.parse(source), ast.parse(changed), line))
        yield


def _insist_once(guard: Guard, source: str) -> None:
    if (times := source.count(guard.snippet)) != 1:
        raise Moved(
            f"the guard {guard.name!r} has moved: its text is {times} times in "
            f"resumehub/{guard.file}, not once:\n"
            f"{guard.snippet}\nIf the check is still there, write its new text into tests/guards/; "
            "if it is gone, take its entry out."
        )


def _changed(file: str, tree: ast.Module, changed: ast.Module, line: int) -> AbstractContextManager[None]:
    module = importlib.import_module("resumehub." + file.removesuffix(".py").replace("/", "."))
    if path := _path_to(tree.body, line):
        return _other_code(_function(module, path), _code(compile(changed, file, "exec"), path))
    [place] = [i for i, node in enumerate(tree.body) if node.lineno <= line <= (node.end_lineno or 0)]
    return _other_entries(vars(module), changed.body[place])


def _path_to(body: list[ast.stmt], line: int) -> tuple[str, ...]:
    """The names of the class and function around a line; empty at module level."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.lineno <= line <= (node.end_lineno or 0):
            return (node.name, *(_path_to(node.body, line) if isinstance(node, ast.ClassDef) else ()))
    return ()


def _function(owner: Any, path: tuple[str, ...]) -> FunctionType:
    for name in path:
        owner = inspect.getattr_static(owner, name)
    assert isinstance(owner, FunctionType), f"{'.'.join(path)} is no plain function"
    return owner


def _code(code: CodeType, path: tuple[str, ...]) -> CodeType:
    for name in path:
        [code] = [inner for inner in code.co_consts if isinstance(inner, CodeType) and inner.co_name == name]
    return code


@contextmanager
def _other_code(function: FunctionType, code: CodeType) -> Iterator[None]:
    before = function.__code__
    function.__code__ = code
    try:
        yield
    finally:
        function.__code__ = before


@contextmanager
def _other_entries(names: dict[str, Any], statement: ast.stmt) -> Iterator[None]:
    """Evaluate the statement that makes a table, and let the old table have the entries of the new one."""
    assert isinstance(statement, ast.AnnAssign), "a table is a dict with a type"
    assert isinstance(statement.target, ast.Name), "a table has a name"
    scratch = dict(names)
    exec(compile(ast.Module([statement], []), "a table", "exec", dont_inherit=True), scratch)
    table, before = names[statement.target.id], dict(names[statement.target.id])
    table.update(scratch[statement.target.id])
    try:
        yield
    finally:
        table.update(before)
