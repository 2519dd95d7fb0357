"""Runs a target on many inputs, and keeps what it finds: at random, or guided by the coverage.

Both ways are bounded by a number of runs and by seconds, and begin with a seed. At random: the same seed
gives the same inputs, on any Python, with nothing installed; the tests do a little of it. Guided: libFuzzer,
by the package ``atheris``, counts which branches of the package and of wsproto an input reaches, and builds
on those that reach new ones. Its process ends with it, so each guided target has one of its own. Read next:
``guided.py``.
"""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic

from .findings import fault_of, save
from .targets import Target, load

ROOT = Path(__file__).resolve().parents[2]
MOST_FINDINGS = 10
"""Of one target; each is raised at another place. Then it ends."""
LONGEST = 400
"""Bytes of an input."""


@dataclass
class Outcome:
    """What became of one target. ``covered``: branches, where a guided run has counted them; ``corpus``:
    inputs."""

    target: str
    runs: int = 0
    seconds: float = 0.0
    covered: int = 0
    at_first: int = 0
    """Branches that the first inputs covered."""
    corpus: int = 0
    found: list[str] = field(default_factory=list)
    """A line for each finding: the file, and what is wrong."""

    def __str__(self) -> str:
        speed = f"{self.runs / self.seconds:,.0f} a second" if self.seconds else "none"
        grown = f", {self.at_first} branches at first and {self.covered} at last" if self.covered else ""
        kept = f", {self.corpus} inputs in the corpus" if self.corpus else ""
        return "\n".join([f"{self.target}: {self.runs:,} inputs ({speed}){grown}{kept}", *self.found])


class Collector:
    """Tells findings apart by where they are raised, and saves each once."""

    def __init__(self, target: Target, folder: Path) -> None:
        self._target, self._folder = target, folder
        self._places: set[str] = set()
        self.outcome = Outcome(target.name)

    def run(self, data: bytes) -> None:
        self.outcome.runs += 1
        fault = fault_of(self._target, data)
        if fault is None or fault[0] in self._places:
            return
        self._places.add(fault[0])
        path = save(self._folder, self._target, data)
        self.outcome.found.append(f"  {path}: {fault[1][:300]}")

    @property
    def full(self) -> bool:
        return len(self._places) >= MOST_FINDINGS


def at_random(name: str, runs: int, seconds: float, seed: int, folder: Path) -> Outcome:
    """Inputs from a seed: rows of random bytes, and changed ones of those that came before."""
    target = load(name)
    collector = Collector(target, folder)
    dice = random.Random(f"{name} {seed}")
    corpus = list(target.seeds)
    began = monotonic()
    for number in range(runs):
        if collector.full or monotonic() - began > seconds:
            break
        data = corpus[number] if number < len(target.seeds) else _next(dice, corpus)
        collector.run(data)
        if len(corpus) < 200:
            corpus.append(data)
    collector.outcome.seconds = monotonic() - began
    return collector.outcome


def _next(dice: random.Random, corpus: list[bytes]) -> bytes:
    if dice.random() < 0.5:
        return dice.randbytes(dice.choice((3, 10, 30, 60, 120, LONGEST)))
    data = bytearray(dice.choice(corpus) + dice.randbytes(dice.choice((0, 0, 5, 20))))
    for _ in range(dice.choice((1, 1, 2, 5))):
        if data:
            data[dice.randrange(len(data))] = dice.randrange(256)
    return bytes(data[:LONGEST])


# -- guided by the coverage ---------------------------------------------------------------


def can_be_guided() -> bool:
    return importlib.util.find_spec("atheris") is not None


def guided(name: str, runs: int, seconds: float, seed: int, folder: Path) -> Outcome:
    """The same, guided. Raises: RuntimeError with what its process said, if that has told nothing."""
    how = {"name": name, "runs": runs, "seconds": int(seconds), "seed": seed, "folder": str(folder)}
    with tempfile.TemporaryDirectory(prefix="resumehub-fuzz-") as scratch:
        done = subprocess.run(
            [sys.executable, "-m", "tools.fuzzing.guided", json.dumps(how | {"scratch": scratch})],
            cwd=ROOT,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=2 * seconds + 300,
            check=False,
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"the guided run of {name} has told nothing:\n{done.stderr[-3000:]}")
    outcome = Outcome(**json.loads(lines[-1]))
    _read_coverage(outcome, done.stderr)
    return outcome


def _read_coverage(outcome: Outcome, text: str) -> None:
    """What libFuzzer says of the branches: ``#123 NEW cov: 45 ft: 67 corp: 8/90b …``."""
    told = [line.split() for line in text.splitlines() if line.startswith("#") and " cov: " in line]
    counts = [int(words[words.index("cov:") + 1]) for words in told]
    initial = [count for words, count in zip(told, counts, strict=True) if "INITED" in words]
    if counts:
        outcome.at_first, outcome.covered = (initial or counts)[0], counts[-1]
    sizes = [words[words.index("corp:") + 1] for words in told if "corp:" in words]
    if sizes:
        outcome.corpus = int(sizes[-1].partition("/")[0])


def told(outcome: Outcome) -> str:
    """One line of JSON, for the process that has started this one."""
    return json.dumps(asdict(outcome))
