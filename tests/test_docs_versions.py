"""docs/reference/versions.md says of Pythons, packages and the version what setup.cfg says."""

from __future__ import annotations

import configparser
import json
import re

from tests.test_docs import ROOT
from tests.test_docs_generated import text_of
from tests.test_docs_tables import in_code_marks, rows_below

PAGE = "reference/versions.md"
REQUIREMENT = re.compile(r"([\w-]+)(?:\[\w+\])?(.*)")


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def requirements(text: str) -> set[tuple[str, str]]:
    """``name>=1.0`` as its two halves, one a line."""
    found = (REQUIREMENT.fullmatch(line) for line in text.split())
    return {(one[1], one[2]) for one in found if one is not None}


def test_the_pythons_are_those_of_the_classifiers() -> None:
    metadata = setup()["metadata"]
    classified = re.findall(r"Python :: (3\.\d+)$", metadata["classifiers"], re.MULTILINE)
    supported = [row[0] for row in rows_below(PAGE, "Python") if row[1] == "supported"]
    assert supported == classified
    assert setup()["options"]["python_requires"] == f">={supported[0]}"


def test_the_ranges_are_those_that_are_installed() -> None:
    said = {(in_code_marks(row[0])[0], in_code_marks(row[1])[0]) for row in rows_below(PAGE, "package")}
    assert said == requirements(setup()["options"]["install_requires"])


def test_the_extras_are_those_that_can_be_asked_for() -> None:
    said: dict[str, set[tuple[str, str]]] = {}
    for row in rows_below(PAGE, "extra"):
        extra, package, wanted = (in_code_marks(cell)[0] for cell in row[:3])
        said.setdefault(extra, set()).add((package, wanted))
    extras = dict(setup()["options.extras_require"])
    del extras["test"], extras["docs"]  # the page speaks of them beside the table
    assert said == {name: requirements(text) for name, text in extras.items()}


def test_the_page_speaks_of_this_version() -> None:
    version = setup()["metadata"]["version"]
    major, minor, _ = map(int, version.split("."))
    assert re.findall(r"This is (\S+):", text_of(PAGE)) == [version]
    assert f"resumehub>={major}.{minor},<{major}.{minor + 1}" in text_of(PAGE)
    client = json.loads((ROOT / "resumehub" / "static" / "package.json").read_text("utf-8"))
    assert client["version"] == version


def test_gunicorns_version_is_the_one_that_tests_ask_for() -> None:
    ranges = dict(requirements(setup()["options.extras_require"]["test"]))
    assert re.findall(r"gunicorn (\d+) and later", text_of(PAGE)) == [ranges["gunicorn"].removeprefix(">=")]


def test_what_the_page_calls_private_are_folders_of_the_package() -> None:
    listed = re.search(r"no page of the reference names: (.*?)\.\n", text_of(PAGE), re.DOTALL)
    assert listed is not None
    assert all((ROOT / "resumehub" / folder).is_dir() for folder in in_code_marks(listed[1]))
