"""docs/reference/contract.md is true: its places in the code exist, and every rule that is cited is on it.

That each rule has a test is held by ``tests/contract/test_every_rule_has_a_test.py``, that the lists of tests
are up to date by ``tests/test_docs_generated.py``.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.contract_page import DRAWN, kept_in_part, planned, rules
from tests.package_source import statements_in

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "resumehub"

# -- the page -------------------------------------------------------------------------


def test_an_id_is_given_once() -> None:
    ids = [*(rule.id for rule in rules()), *planned()]
    assert len(ids) == len(set(ids))


def test_every_rule_is_in_the_list_of_tests_of_its_section() -> None:
    drawn = "".join(draw() for draw in DRAWN.values())
    listed = re.findall(r"^\| ([A-Z][\w.-]*) \|", drawn, re.MULTILINE)

    assert listed == sorted(listed, key=lambda rule: rule[0]), "a section lists its own rules"
    assert sorted(listed) == sorted(rule.id for rule in rules())


def test_a_rule_of_which_a_part_is_missing_is_kept_otherwise() -> None:
    assert set(kept_in_part()) <= {rule.id for rule in rules()}


# -- the places -----------------------------------------------------------------------


def is_there(place: str) -> bool:
    """Whether ``file:name`` or ``file:Class.name`` is defined below resumehub/."""
    file, _, names = place.partition(":")
    if not (PACKAGE / file).is_file():
        return False
    body = ast.parse((PACKAGE / file).read_text(encoding="utf-8")).body
    for name in names.split("."):
        found = next((node for node in body if name in names_of(node)), None)
        if found is None:
            return False
        body = found.body if isinstance(found, ast.ClassDef) else []
    return True


def names_of(node: ast.stmt) -> list[str]:
    """What a statement defines: a class, a function, constants."""
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_the_code_that_keeps_a_rule_is_where_the_page_says(rule) -> None:
    assert rule.places, "the page says who keeps it"
    assert [place for place in rule.places if not is_there(place)] == []


@pytest.mark.parametrize(
    "place",
    [
        "core/no_such_file.py:judge",
        "core/resume.py",
        "core/resume.py:no_such_function",
        "core/resume.py:Tokens.no_such_method",
        "core/resume.py:judge.credentials",
    ],
)
def test_a_place_that_is_gone_is_noticed(place: str) -> None:
    assert not is_there(place)


# -- who cites the rules --------------------------------------------------------------

ID = re.compile(r"(?<![\w.%#/-])[A-F](?:\d{1,2}[a-z]?|\.(?:\d{3}|[a-z]+)(?:-[a-z]+)*)(?![\w%])")
CITED = re.compile(r"\b(?:[Cc]ontract|[Rr]ules?) ([A-Z](?:\d+[a-z]?|\.[\w-]+)?)(?!\w)")
CITING = [
    *(path for folder in ("resumehub", "tests", "tools") for path in sorted((ROOT / folder).rglob("*.py"))),
    *sorted((ROOT / "resumehub").rglob("*.js")),
    *sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]),
]


def cited_in(prose: str) -> set[str]:
    """What looks like the id of a rule, and what stands behind the word "contract" or "rule"."""
    return {*ID.findall(prose), *CITED.findall(prose)}


def prose_of(path: Path) -> str:
    """Of a program its comments and docstrings, of a page everything."""
    source = path.read_text(encoding="utf-8")
    match path.suffix:
        case ".py":
            return "\n".join([*comments_in(source), *docstrings_in(source)])
        case ".js":
            return "\n".join(re.findall(r"(?:^|\s)//.*|/\*(?s:.*?)\*/", source, re.MULTILINE))
    return source


def comments_in(source: str) -> Iterator[str]:
    """The comments of a program, if a line with one cites a rule: to take all apart takes seconds."""
    if not any(cited_in(line) for line in source.splitlines() if "#" in line):
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def docstrings_in(source: str) -> Iterator[str]:
    """Those of attributes, too: every string that is a statement."""
    for node in statements_in(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield text


def test_a_rule_that_is_cited_is_on_the_page() -> None:
    known = {*(rule.id for rule in rules()), *planned()}
    unknown = {path.relative_to(ROOT).as_posix(): cited_in(prose_of(path)) - known for path in CITING}
    assert {path: ids for path, ids in unknown.items() if ids} == {}


@pytest.mark.parametrize(
    ("prose", "ids"),
    [
        ("Skipped (contract C10, C11).", {"C10", "C11"}),
        ("Rules B1 and B2 hold.", {"B1", "B2"}),
        ("what the client has received (contract D)", {"D"}),
        ("See contract G7.", {"G7"}),
        ("The answer is A.410-gap.", {"A.410-gap"}),
        ("C5's deadline", {"C5"}),
        ("room=r&name=%C3%A9 in #B3 or 1.A4", set()),
        ("A contract is a contract. Rules are rules.", set()),
    ],
)
def test_what_a_citation_looks_like(prose: str, ids: set[str]) -> None:
    assert cited_in(prose) == ids
