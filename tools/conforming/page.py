"""The generated parts of docs/reference/conformance.md, from the kept results of ``tools/conformance
--docs``.

Pure but for reading and writing that one file. Called by ``tools/_docs.py``. Read next: ``groups.py``,
``run.py``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .groups import GROUPS, group_of, numbers_of
from .run import SERVERS, in_order

ROOT = Path(__file__).resolve().parents[2]
NAME = "docs/reference/conformance.md"
RESULTS = ROOT / "docs/reference/conformance.json"

Row = dict[str, Any]
Case = Mapping[str, Any]

GOOD = frozenset({"OK", "INFORMATIONAL"})
"""What a case may show: what was expected, or, where the RFC leaves it open, anything."""


def kept() -> list[Row]:
    """The servers' rows, in the order of ``SERVERS``."""
    rows: list[Row] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    names = list(SERVERS)
    return sorted(rows, key=lambda row: names.index(row["server"]))


def keep(row: Row) -> None:
    """Put a new row in the place of the server's old one; cases that were not played again stay."""
    others, cases = [], row["cases"]
    for old in kept():
        if old["server"] != row["server"]:
            others.append(old)
        else:
            cases = old["cases"] | cases
    cases = dict(sorted(cases.items(), key=lambda one: in_order(one[0])))
    rows = [*others, row | {"cases": cases}]
    # A line for each case: a new result is a line of a diff.
    text = json.dumps(rows, ensure_ascii=False, indent=1)
    for said in {json.dumps(case, indent=4) for one in rows for case in one["cases"].values()}:
        text = text.replace(said.replace("\n}", "\n   }"), json.dumps(json.loads(said)))
    RESULTS.write_text(text + "\n", encoding="utf-8")


# -- parts of the page ----------------------------------------------------------------------


def made_with() -> str:
    lines = ["| server | played on | with | cases |", "|---|---|---|---|"]
    for row in kept():
        libraries = ", ".join(row["libraries"])
        said, suite = summary(row["cases"].values()), row["suite"].replace("|", "\\|")
        lines.append(
            f"| {row['server']} ({row['version']}) | {row['date']} | {suite}; {libraries}; "
            f"Python {row['python']} | {said} |"
        )
    return "\n".join(lines) + "\n"


def by_group() -> str:
    rows = kept()
    names = " | ".join(row["server"] for row in rows)
    lines = [f"| cases | what comes | RFC | {names} |", "|---|---|---|" + "---|" * len(rows)]
    for group in GROUPS:
        numbers = sorted(numbers_of(group, _played(rows)), key=in_order)
        cells = []
        for row in rows:
            mine = [row["cases"][number] for number in numbers if number in row["cases"]]
            left = f"; {len(numbers) - len(mine)} not played" if 0 < len(mine) < len(numbers) else ""
            cells.append(summary(mine) + left)
        which = numbers[0] if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
        lines.append(f"| {which} | {group.about} | {group.rfc} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _played(rows: Iterable[Row]) -> set[str]:
    return {number for row in rows for number in row["cases"]}


def not_plainly_ok() -> str:
    lines = ["| case | server | shows | its Close | our code |", "|---|---|---|---|---|"]
    for row in kept():
        for number, case in row["cases"].items():
            if (case["shows"], case["close"]) != ("OK", "OK"):
                shown = (number, row["server"], case["shows"], case["close"], str(case["code"] or "none"))
                lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def by_number() -> str:
    """Each case by its number. OK: the case and its closing handshake. What both servers show stands once."""
    rows = kept()
    lines = ["| cases | each shows |", "|---|---|"]
    for group in GROUPS:
        numbers = sorted(numbers_of(group, _played(rows)), key=in_order)
        for subgroup, mine in _by_beginning(numbers):
            cells = [f"{number.rpartition('.')[2]} {' / '.join(_shown(rows, number))}" for number in mine]
            lines.append(f"| {subgroup} | {', '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _by_beginning(numbers: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    together: dict[str, list[str]] = {}
    for number in numbers:
        together.setdefault(number.rpartition(".")[0], []).append(number)
    for beginning, mine in together.items():
        last = [number.rpartition(".")[2] for number in (mine[0], mine[-1])]
        yield f"{beginning}.{'–'.join(dict.fromkeys(last))}", mine


def _shown(rows: Iterable[Row], number: str) -> list[str]:
    shown = [verdict(row["cases"][number]) for row in rows if number in row["cases"]]
    return list(dict.fromkeys(shown)) or ["not played"]


def verdict(case: Case) -> str:
    """A case's own verdict, and that on its closing handshake where it is another."""
    if case["shows"] == case["close"] or case["close"] in GOOD:
        return str(case["shows"])
    return f"{case['shows']}, closing {case['close']}"


def summary(cases: Iterable[Case]) -> str:
    """As "243 OK, 3 INFORMATIONAL"."""
    counted = Counter(map(verdict, cases))
    return ", ".join(f"{number} {shown}" for shown, number in counted.most_common()) or "not played"


PARTS: Mapping[str, Callable[[], str]] = {
    "conformance made with": made_with,
    "conformance by group": by_group,
    "conformance not plainly ok": not_plainly_ok,
    "conformance by number": by_number,
}


# -- what no row may be ---------------------------------------------------------------------


def faults_of(row: Row) -> Iterator[str]:
    """What would be a fault of ours, one sentence each: a case that is neither OK nor informational."""
    known = {group.number for group in GROUPS}
    for number, case in row["cases"].items():
        if case["shows"] not in GOOD or case["close"] not in GOOD:
            yield f"{row['server']}: case {number} shows {case['shows']}, its closing {case['close']}"
        if group_of(number) not in known:
            yield f"case {number} is of no group in tools/conforming/groups.py"
