"""Finds every call of a logger in the package's source, for ``test_logging.py``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.package_source import PACKAGE

LEVELS = ("debug", "info", "warning", "error", "exception", "critical")

WANTED = {"connection_id": "connection_id", "hook": "hook", "pid": "peer_pid"}
"""What an argument ends with → what the call must give by name as well."""

TRANSPORTS = ("io.number", "writer.number")
"""The same for ``transport``."""


@dataclass(frozen=True)
class LogCall:
    """``where``: file and line. ``needs``: names → the expressions that the call must give for them."""

    where: str
    call: ast.Call

    @property
    def text(self) -> ast.expr:
        return self.call.args[0]

    @property
    def names(self) -> set[str]:
        """Of its keywords."""
        return {keyword.arg or "**" for keyword in self.call.keywords} - {"exc_info"}

    def needs(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for argument in self.call.args[1:]:
            said = ast.unparse(argument)
            if said.endswith(TRANSPORTS):
                found["transport"] = said
            elif isinstance(argument, ast.Attribute | ast.Name):
                leaf = leaf_of(argument)
                if leaf in WANTED:
                    found[WANTED[leaf]] = said
        return found

    def mentioned(self) -> set[str]:
        """The last names of all that the line shows; not of what it only measures."""
        return {leaf for argument in self.call.args[1:] for leaf in _leaves(argument)}


def leaf_of(node: ast.Attribute | ast.Name) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id


def _leaves(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Attribute | ast.Name):
        yield leaf_of(node)
        return
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("len", "type"):
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield from _leaves(child)


@cache
def log_calls() -> list[LogCall]:
    """All of the package, but for the commands, which write for a terminal."""
    return [found for path in sorted(PACKAGE.rglob("*.py")) for found in calls_in(path)]


def calls_in(path: Path) -> Iterator[LogCall]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "log"
        ):
            yield LogCall(f"{path.relative_to(PACKAGE.parent)}:{node.lineno}", node)
