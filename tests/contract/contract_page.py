"""Reads docs/reference/contract.md, the only list of the rules, and finds the tests that hold them.

A rule that is kept is a heading or a row of a table::

    ### B3. A message counts from the start of its handler
    …
    Kept by: `session/connection.py:InboundFence.start`.

    | **A.405** | the method is not GET | 405, `Allow: GET` | `wsgi/checks.py:_Check._check_method` |

What stands below "Not kept yet" is planned. tools/docs draws the lists of tests (``DRAWN``). Used by
``test_every_rule_has_a_test.py`` and by ``tests/test_contract_page.py``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAME = "docs/reference/contract.md"
MARK = "pytest.mark.contract"

_SECTION = re.compile(r"^## (?P<letter>[A-Z])\. ", re.MULTILINE)
_HEADING = re.compile(r"^### (?P<id>[A-Z]\d+[a-z]?)\. .*\n(?P<text>(?:(?!#|<!--).*\n)*)", re.MULTILINE)
_ROW = re.compile(r"^\| \*\*(?P<id>[\w.-]+)\*\* \|.*\| (?P<last>[^|\n]*) \|$", re.MULTILINE)
_PLANNED = re.compile(r"^\| \*\*(?P<id>[\w.-]+)\*\* \|", re.MULTILINE)
_IN_PART = re.compile(r"^\| (?P<id>[A-Z][\w.-]+) \|", re.MULTILINE)
_KEPT_BY = re.compile(r"^Kept by: (?P<places>.*(?:\n.+)*)", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")
_NOT_KEPT_YET = "\n## Not kept yet\n"


@dataclass(frozen=True)
class Rule:
    """A rule that is kept. ``places``: where in the code, as ``file:name`` below resumehub/."""

    id: str
    places: tuple[str, ...]


@cache
def _page() -> tuple[str, str]:
    """The page before and behind "Not kept yet"."""
    text = (ROOT / NAME).read_text(encoding="utf-8")
    kept, found, planned = text.partition(_NOT_KEPT_YET)
    assert found, f"{NAME} has a section that says what is not kept yet"
    return kept, planned


@cache
def rules() -> tuple[Rule, ...]:
    """The rules that are kept, in the order of the page; an id that is there twice is there twice."""
    found = []
    for row in _ROW.finditer(_page()[0]):
        found.append((row.start(), Rule(row["id"], tuple(_CODE.findall(row["last"])))))
    for heading in _HEADING.finditer(_page()[0]):
        kept_by = _KEPT_BY.search(heading["text"])
        places = tuple(_CODE.findall(kept_by["places"])) if kept_by is not None else ()
        found.append((heading.start(), Rule(heading["id"], places)))
    return tuple(rule for _, rule in sorted(found, key=lambda entry: entry[0]))


@cache
def planned() -> tuple[str, ...]:
    """The ids of the rules that nothing keeps yet."""
    return tuple(row["id"] for row in _PLANNED.finditer(_page()[1]))


@cache
def kept_in_part() -> tuple[str, ...]:
    """The ids of the rules of which the page says that a part is missing."""
    return tuple(row["id"] for row in _IN_PART.finditer(_page()[1]))


def rules_marked_in(path: Path) -> Iterator[tuple[str, int]]:
    """The arguments of every ``pytest.mark.contract(...)`` in a file, wherever it stands, and its line."""
    source = path.read_text(encoding="utf-8")
    if MARK not in source:
        return  # of most of the files that are no tests: to parse all takes seconds
    for node in ast.walk(ast.parse(source)):
        # The name alone first: to write every call out takes longer than all else here.
        if not (isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "contract"):
            continue
        if ast.unparse(node.func) == MARK:
            for argument in node.args:
                assert isinstance(argument, ast.Constant), f"{path.name}:{node.lineno}: write the rules out"
                yield str(argument.value), node.lineno


@cache
def marked() -> dict[str, list[str]]:
    """Rule → the files below tests/ that have a test of it."""
    files: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for rule in dict.fromkeys(rule for rule, _ in rules_marked_in(path)):
            files.setdefault(rule, []).append(path.relative_to(ROOT / "tests").as_posix())
    return files


def _tests_of(letter: str) -> str:
    lines = ["| rule | tests |", "|---|---|"]
    for rule in rules():
        if rule.id.startswith(letter):
            files = marked().get(rule.id, [])
            links = [f"[`{file.removeprefix('contract/')}`](../../tests/{file})" for file in files]
            lines.append(f"| {rule.id} | {', '.join(links)} |")
    return "\n".join(lines) + "\n"


DRAWN: dict[str, Callable[[], str]] = {
    f"tests of {section['letter']}": partial(_tests_of, section["letter"])
    for section in _SECTION.finditer(_page()[0])
}
"""The generated parts of the page."""
