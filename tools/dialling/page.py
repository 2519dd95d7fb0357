"""The generated part of docs/reference/clients.md, from the kept results of ``tools/clients --docs``.

Pure but for reading and writing that one file. Called by ``tools/_docs.py``. Read next: ``story.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .examples import EXAMPLES
from .story import STEPS

ROOT = Path(__file__).resolve().parents[2]
NAME = "docs/reference/clients.md"
RESULTS = ROOT / "docs/reference/clients.json"

Row = dict[str, Any]


def kept() -> list[Row]:
    """The rows that are kept, in the order of ``EXAMPLES``."""
    rows: list[Row] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    names = [example.name for example in EXAMPLES]
    return sorted((row for row in rows if row["client"] in names), key=lambda row: names.index(row["client"]))


def keep(rows: list[Row]) -> None:
    """Put new rows in the place of those of the same libraries."""
    new = {row["client"] for row in rows}
    others = [row for row in kept() if row["client"] not in new]
    RESULTS.write_text(json.dumps([*others, *rows], ensure_ascii=False, indent=1) + "\n", "utf-8")
    RESULTS.write_text(json.dumps(kept(), ensure_ascii=False, indent=1) + "\n", "utf-8")


def played() -> str:
    lines = ["| library | example | connects, talks | waits | resumes, misses nothing | verdict | stops |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in kept():
        done = [step in row["steps"] for step in STEPS]
        said = ["yes" if all(part) else "no" for part in (done[0:2], done[2:3], done[3:5])]
        name = f"{row['client']} ({row['version']})"
        cells = [name, f"[`{row['file']}`](../clients/{row['file']})", *said, row["verdict"] or "none"]
        lines.append(f"| {' | '.join(cells)} | {'yes' if done[6] else 'no'} |")
    return "\n".join(lines) + "\n"


PARTS: Mapping[str, Callable[[], str]] = {"clients played": played}


def faults_of(row: Row) -> Iterator[str]:
    """What is wrong with an example or its library; one sentence each."""
    expected = {example.name: example.verdict for example in EXAMPLES}[row["client"]]
    if row["wrong"]:
        yield f"{row['client']}: {row['wrong']}"
    elif row["verdict"] != expected:
        yield f"{row['client']}: its verdict is {row['verdict']}, not {expected}"
    elif row["steps"] != list(STEPS):
        yield f"{row['client']}: it has only {row['steps']}"
