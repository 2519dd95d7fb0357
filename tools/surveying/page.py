"""The generated parts of docs/reference/servers.md, from the kept results of ``tools/servers --docs``.

Pure but for reading and writing that one file. Called by ``tools/_docs.py``. Read next: ``survey.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .servers import NOTES, SERVERS

ROOT = Path(__file__).resolve().parents[2]
NAME = "docs/reference/servers.md"
RESULTS = ROOT / "docs/reference/servers.json"

Row = dict[str, Any]

OUR_501 = "This server cannot be upgraded to WebSocket: "


def kept() -> list[Row]:
    """The rows that are kept, in the order of ``SERVERS``."""
    rows: list[Row] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    names = [server.name for server in SERVERS]
    return sorted((row for row in rows if row["server"] in names), key=lambda row: names.index(row["server"]))


def keep(rows: list[Row]) -> None:
    """Put new rows in the place of those of the same servers."""
    new = {row["server"] for row in rows}
    others = [row for row in kept() if row["server"] not in new]
    RESULTS.write_text(json.dumps([*others, *rows], ensure_ascii=False, indent=1) + "\n", "utf-8")
    RESULTS.write_text(json.dumps(kept(), ensure_ascii=False, indent=1) + "\n", "utf-8")


# -- kinds of servers -----------------------------------------------------------------------


def is_served(row: Row) -> bool:
    return row.get("session") == "resumed"


def is_refused(row: Row) -> bool:
    """Whether resumehub was asked, and has refused."""
    return str(row.get("dial", {}).get("text", "")).startswith(OUR_501)


def is_never_asked(row: Row) -> bool:
    """Whether the server answers a WebSocket by itself."""
    return "dial" in row and not is_served(row) and not is_refused(row)


# -- parts of the page ----------------------------------------------------------------------


def made_with() -> str:
    """Pythons and the system."""
    return f"{'; '.join(sorted({row['python'] for row in kept()}))}.\n"


def served() -> str:
    lines = [
        "| server | WebSocket | `?resume=true`, gone | plain GET | descriptors |",
        "|---|---|---|---|---|",
    ]
    for row in filter(is_served, kept()):
        note = NOTES.get(row["server"], "")
        cells = [named(row), f"101; dropped, and resumed{f'. {note}' if note else ''}"]
        lines.append(line([*cells, status(row["gone"]), status(row["hub_page"]), counted(row)]))
    return "\n".join(lines) + "\n"


def refused() -> str:
    lines = ["| server | WebSocket, also with `?resume=true` | why | descriptors |", "|---|---|---|---|"]
    for row in filter(is_refused, kept()):
        why = row["dial"]["text"].removeprefix(OUR_501).partition(". ")[0]
        both = sorted({row["dial"]["status"], row["gone"]["status"]})
        lines.append(line([named(row), ", ".join(map(str, both)), why, counted(row)]))
    return "\n".join(lines) + "\n"


def never_asked() -> str:
    lines = [
        "| server | WebSocket, also with `?resume=true` | plain GET of its path | a page | descriptors |",
        "|---|---|---|---|---|",
    ]
    for row in filter(is_never_asked, kept()):
        both = sorted({row["dial"]["status"], row["gone"]["status"]})
        text = row["dial"]["text"]
        answer = f"{', '.join(map(str, both))}, {f'“{text}”' if text else 'without a body'}"
        lines.append(line([named(row), answer, status(row["hub_page"]), status(row["page"]), counted(row)]))
    return "\n".join(lines) + "\n"


def not_tried() -> str:
    skipped = [f"* {named(row)}: {row['skipped']}." for row in kept() if "skipped" in row]
    return "\n".join(skipped or ["All servers of the list were tried."]) + "\n"


def named(row: Row) -> str:
    return f"{row['server']} ({row['version']})"


def status(answer: Mapping[str, Any]) -> str:
    return str(answer["status"] or answer["text"])


def counted(row: Row) -> str:
    """Descriptors before and after the refused dials, then the others."""
    return ", ".join("{} → {}".format(*row[which]["descriptors"]) for which in ("refused", "served"))


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


PARTS: Mapping[str, Callable[[], str]] = {
    "servers made with": made_with,
    "servers served": served,
    "servers refused": refused,
    "servers never asked": never_asked,
    "servers not tried": not_tried,
}


# -- what no row may be ---------------------------------------------------------------------


def faults_of(row: Row) -> Iterator[str]:
    """What would be a fault of ours, or something that the page has no words for; one sentence each."""
    if "skipped" in row:
        return
    for which in ("page", "hub_page", "dial", "gone", "page_afterwards"):
        if not row[which]["status"]:
            yield f"{row['server']}: {which} has no answer: {row[which]['text']}"
    for which in ("refused", "served"):
        before, after = row[which]["descriptors"]
        if after > before:
            yield f"{row['server']}: {after - before} descriptors are left of fifty dials ({which})"
        if len(row[which]["answers"]) != 1:
            yield f"{row['server']}: fifty equal dials, and several answers: {row[which]['answers']}"
    if row["session"] not in ("resumed", "refused"):
        yield f"{row['server']}: its session is {row['session']}"
    if is_refused(row) and not row["warned"]:
        yield f"{row['server']}: nothing in the log says why"
    if not row["ends"]:
        yield f"{row['server']}: it does not end by SIGTERM"
