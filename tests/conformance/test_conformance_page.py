"""docs/reference/conformance.md says what Autobahn's cases have shown, and no case has shown a fault.

The cases are played by ``tools/conformance``; the rows are those that it has kept.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.conforming import page
from tools.conforming.groups import GROUPS, group_of, numbers_of
from tools.conforming.run import SERVERS, NoSuite, read, suite_version

INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}
"""Cases that have no right answer; the page says what each shows."""


def test_each_server_has_a_row_and_no_case_shows_a_fault() -> None:
    rows = page.kept()
    assert [row["server"] for row in rows] == list(SERVERS)
    assert [fault for row in rows for fault in page.faults_of(row)] == []
    for row in rows:
        not_ok = {number for number, case in row["cases"].items() if case["shows"] != "OK"}
        assert not_ok == INFORMATIONAL


def test_all_groups_are_played_and_none_is_left_out_of_the_page() -> None:
    """On the first server. Of the groups 12 and 13 the page says which cases were left out."""
    played = set(page.kept()[0]["cases"])
    assert {group_of(number) for number in played} == {group.number for group in GROUPS}
    assert sum(len(numbers_of(group, played)) for group in GROUPS) == 517
    assert sum(not number.startswith(("12.", "13.")) for number in played) == 301


def test_a_case_that_fails_is_a_fault() -> None:
    """The test of the first test."""
    case = {"shows": "OK", "close": "OK", "code": 1000, "ms": 1}
    row = {"server": "one", "cases": {"1.1.1": case, "1.1.2": case | {"shows": "NON-STRICT"}, "8.1": case}}
    assert list(page.faults_of(row)) == [
        "one: case 1.1.2 shows NON-STRICT, its closing OK",
        "case 8.1 is of no group in tools/conforming/groups.py",
    ]
    assert page.verdict(case | {"close": "UNCLEAN"}) == "OK, closing UNCLEAN"


def test_the_reports_of_the_suite_are_read_by_number(tmp_path: Path) -> None:
    said = {"id": "1.10.1", "behavior": "OK", "behaviorClose": "OK", "remoteCloseCode": 1000, "duration": 3}
    (tmp_path / "resumehub_case_1_10_1.json").write_text(json.dumps(said), encoding="utf-8")
    (tmp_path / "index.json").write_text("{}", encoding="utf-8")
    assert read(tmp_path) == {"1.10.1": {"shows": "OK", "close": "OK", "code": 1000, "ms": 3}}


def test_a_suite_that_is_not_there_is_explained() -> None:
    with pytest.raises(NoSuite, match="pip install autobahntestsuite"):
        suite_version("no-such-wstest")
