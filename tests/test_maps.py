"""The maps of the package are right: of its folders, of its rules, and of the ways through it.

``test_signposts.py`` holds that the files and names on them are there. ``test_docs_generated.py`` holds that
the parts which are drawn from the code are up to date.
"""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "resumehub"
TESTS = ROOT / "tests"

PLACE = re.compile(r"`([\w/]+\.py)`,\s`([\w.]+)`")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def section_of(page: str, heading: str) -> str:
    """What stands under a heading of the second level."""
    _, found, rest = text_of(page).partition(f"\n## {heading}\n")
    assert found, f"{page} has no section {heading!r}"
    return rest.partition("\n## ")[0]


# -- folders --------------------------------------------------------------------------


def test_every_folder_of_the_package_says_what_lives_there() -> None:
    """On top of its ``__init__.py``: what, on which threads, and where to begin reading."""
    for folder in sorted({path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE}):
        said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
        assert re.search(r"\bThreads?:", said), f"{folder.name}: on which threads?"
        assert re.search(r"\bBegin with ``\w+\.py``", said), f"{folder.name}: where to begin?"


def test_every_folder_of_the_tests_is_on_their_map() -> None:
    rows = re.findall(r"^\| `tests/(\w+)/` \| \S", text_of("tests/README.md"), re.MULTILINE)
    assert set(rows) == {
        path.name for path in TESTS.iterdir() if path.is_dir() and list(path.glob("test_*.py"))
    }


def test_every_helper_of_the_tests_has_its_line() -> None:
    rows = re.findall(r"^\| `([\w/]+\.py)` \| \S", text_of("tests/README.md"), re.MULTILINE)
    helpers = [
        path.relative_to(TESTS).as_posix()
        for path in TESTS.rglob("*.py")
        if path.name != "conftest.py" and not path.name.startswith("test_")
    ]
    assert sorted(rows) == sorted(helpers)


# -- rules ----------------------------------------------------------------------------

RULES = re.findall(
    r"^\| (?P<rule>[^|]+?) \| `(?P<word>[^`]+)` \| (?:`(?P<then>[^`]+)`)? *\| (?P<places>[^|]+) \|$",
    section_of("CONTRIBUTING.md", "Where a rule is decided"),
    re.MULTILINE,
)


def sources() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]


def code_of(file: str, name: str) -> str:
    """The source of what ``name`` is in a module of the package, with its docstring and comments."""
    source = (PACKAGE / file).read_text(encoding="utf-8")
    node: ast.AST = ast.parse(source)
    for part in name.split("."):
        found = [child for child in ast.iter_child_nodes(node) if part in names_of(child)]
        assert found, f"{file} does not define {name}"
        node = found[0]
    return ast.get_source_segment(source, node) or ""


def names_of(node: ast.AST) -> list[str]:
    """What a statement defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [ast.unparse(target) for target in targets]
        case ast.AnnAssign(target=target):
            return [ast.unparse(target)]
    return []


def test_ten_rules_are_on_the_map() -> None:
    assert len(RULES) == 10


@pytest.mark.parametrize(
    ("word", "then", "places"), [rule[1:] for rule in RULES], ids=[rule[0] for rule in RULES]
)
def test_the_obvious_word_leads_to_where_a_rule_is_decided(word: str, then: str, places: str) -> None:
    """The word is in the deciding function, or on top of its module; or a second word is, which stands in one
    line with the first."""
    if then:
        lines = [line for source in sources() for line in source.splitlines() if word.lower() in line.lower()]
        assert any(then in line for line in lines), f"no line has {word!r} and {then!r}"
    found = PLACE.findall(places)
    assert found, "the rule names a file and a function"
    for file, name in found:
        said = code_of(file, name) + (ast.get_docstring(ast.parse((PACKAGE / file).read_text("utf-8"))) or "")
        assert (then or word).lower() in said.lower(), f"{name} does not speak of it"


# -- ways -----------------------------------------------------------------------------

WAYS = "docs/explanation/the-way-of-a-message.md"


def steps_of(heading: str) -> list[str]:
    """The numbered calls of one way."""
    return re.findall(r"^\d+\. .+(?:\n   .+)*", section_of(WAYS, heading), re.MULTILINE)


@pytest.mark.parametrize("way", ["in", "out", "of a broadcast", "of an upgrade"])
def test_a_way_never_goes_back_to_a_folder_that_it_has_left(way: str) -> None:
    """Each step names the function that is called; folders follow the bytes."""
    places = [PLACE.search(step) for step in steps_of(f"The way {way}")]
    assert len(places) > 3
    assert all(places), "each step begins with a file and a function"
    folders = [Path(place[1]).parent.as_posix() for place in places if place]
    entered = [folders[0], *(after for before, after in pairwise(folders) if after != before)]
    assert len(entered) == len(set(entered)), " → ".join(entered)
