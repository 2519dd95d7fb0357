"""From an incident to a test: play the commands of a recorded trace on a fresh machine.

A trace has every command that the hub handled, with its time, and all that its machine decides
depends on nothing else. So a trace plays again, in any process, as often as you like: with today's
machine, whose decisions are compared with the recorded ones, or with one that you have changed.
``script`` writes the same as a test that stands alone. Pure; used by tests and by ``tools/race``.
Read next: ``traces.py`` (reading and checking), ``core/machine.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from ..core import commands as c
from ..core import effects as e
from ..core.deadlines import DeadlineKind
from ..core.drain import Drain
from ..core.invariants import broken
from ..core.machine import Machine, Rules
from ..core.resume import ResumeRequest
from ..errors import HandlerError
from ..trace import plain_fields
from .traces import Record

_COMMANDS: dict[str, type[c.Command]] = {command.__name__: command for command in c.Command.__args__}


class NotReplayable(ValueError):
    """The trace has too little to be played again; the text says what is missing."""


@dataclass
class Replayed:
    """What ``replay`` gives. ``differences`` and ``broken`` are sentences.

    Both are empty when the machine decided as recorded and kept its invariants. ``machine`` is as the last
    command left it; ``steps``: how many commands it handled.
    """

    machine: Machine
    steps: int = 0
    differences: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def replay(records: Iterable[Record], machine: type[Machine] = Machine) -> Replayed:
    """Play the commands of a trace on a new ``machine``, each at its time, and compare what it decides.

    The trace must go back to the start of its hub (``Trace.forgotten == 0``). After each step the
    machine's invariants are checked.

    Raises: NotReplayable. Threads: any. Blocks: never.
    """
    recorded = list(records)
    started = next((record for record in recorded if record["what"] == "Started"), None)
    if started is None:
        raise NotReplayable(
            "the trace does not go back to the start of its hub; give Trace a larger limit, and write it "
            "before it forgets"
        )
    rules = {rule.name: started[rule.name] for rule in fields(Rules) if rule.name in started}
    player = _Player(machine(Rules(**rules)), [r for r in recorded if "kind" in r])
    player.play()
    return player.done


def script(records: Sequence[Record], name: str = "incident") -> str:
    """A pytest module with the trace in it, whose one test plays it again. Yours to cut and to sharpen."""
    kept = [record for record in records if "kind" in record or record["what"] == "Started"]
    lines = "\n".join(f"    {record!r}," for record in kept)
    return f'''"""A recorded incident, played again: what the hub decided, it must decide once more."""

from resumehub.testing.replay import replay

RECORDS = [
{lines}
]


def test_{name}() -> None:
    played = replay(RECORDS)
    assert played.broken == []
    assert played.differences == []
'''


class _Player:
    """A machine, and the records of commands and effects that are still to come."""

    def __init__(self, machine: Machine, records: Sequence[Record]) -> None:
        self.done = Replayed(machine)
        self._machine = machine
        self._records = list(reversed(records))

    def play(self) -> None:
        try:
            self._play()
        except Exception as error:
            # Behind a difference the rest of the record may make no sense to the machine.
            if not self.done.differences:
                raise
            self.done.differences.append(f"and then {type(error).__name__}: {error}")

    def _play(self) -> None:
        while self._records and len(self.done.differences) < 10:
            record = self._records[-1]
            if record["kind"] == "effect":
                if not self._deadline(record["at"]):
                    self.done.differences.append(_says(record, "recorded, but not decided this time"))
                    self._records.pop()
            elif not self._deadline(record["at"]):
                self._records.pop()
                self._handle(_command(record), record["at"])

    def _deadline(self, until: float) -> bool:
        """Let the next deadline fire, if it is due by then."""
        at = self._machine.next_deadline()
        if at is None or at > until:
            return False
        self._handle(c.Tick(), at)
        return True

    def _handle(self, command: c.Command, at: float) -> None:
        self._decide(command, at)
        # Not between the answers to two looks of one moment: the second one's deadline has fired already.
        self.done.broken += [f"after {type(command).__name__} at {at}: {s}" for s in broken(self._machine)]

    def _decide(self, command: c.Command, at: float) -> None:
        self.done.steps += 1
        for effect in self._machine.handle(command, at):
            if not isinstance(effect, e.Count):
                self._compare(effect)
            if isinstance(effect, e.Inspect) and self._records and self._records[-1]["what"] == "Observed":
                answer = self._records.pop()
                self._decide(_command(answer), answer["at"])

    def _compare(self, effect: e.Effect) -> None:
        now = {"what": type(effect).__name__, **plain_fields(effect)}
        expected = self._records[-1] if self._records else None
        if expected is None or expected["kind"] != "effect":
            self.done.differences.append(f"{now} is decided this time, and was not recorded")
            return
        self._records.pop()
        if now != {key: expected[key] for key in expected if key not in ("n", "at", "lane", "kind")}:
            self.done.differences.append(_says(expected, f"this time {now}"))


def _says(record: Record, what: str) -> str:
    fields_ = {key: value for key, value in record.items() if key not in ("n", "lane", "kind")}
    return f"record {record['n']}, {fields_}: {what}"


def _command(record: Record) -> c.Command:
    kind = _COMMANDS.get(record["what"])
    if kind is None:
        raise NotReplayable(f"record {record['n']} is no command of this version: {record['what']!r}")
    known: dict[str, Any] = {f.name: record[f.name] for f in fields(kind) if f.name in record}
    try:
        if kind is c.Observed:
            known["kind"] = DeadlineKind[record["about"]]
            for name in ("took_at", "pinged_at"):
                known[name] = float("-inf") if known[name] is None else known[name]
        if kind is c.Register:
            known["resume_request"] = ResumeRequest(**known["resume_request"])
            known["refusal"] = tuple(known["refusal"]) if known["refusal"] else None
        if kind is c.SetDrain:
            known["drain"] = Drain[record["drain"]]
        if kind is c.HandlerFailed:
            known["error"] = HandlerError(record["hook"])
        return kind(**known)
    except (KeyError, TypeError) as error:
        raise NotReplayable(
            f"record {record['n']}, {record['what']}, has not the fields that this release writes: {error}. "
            "A trace of another release can be read and drawn, and not be played again"
        ) from error
