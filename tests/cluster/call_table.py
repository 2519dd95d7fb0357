"""What becomes of each kind of call at each event: the table of F4, and the play that shows its cells.

``expected`` is what docs/reference/calls-and-events.md is drawn from (tools/docs), and what
``tests/contract/test_f_calls_and_events.py`` compares with what ``play`` sees. A cell has
three times: a call that was answered before the event, one that was done and whose answer was on its way,
and one that was not done yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial

from resumehub import HubUnavailable
from tests.cluster.cluster_calls import (
    EARLY,
    LOST,
    ROWS,
    Client,
    ClientMessage,
    ClientRequest,
    Close,
    Handled,
    Kick,
    Look,
    Row,
    WaitClosed,
)
from tests.cluster.whole_cluster import WholeCluster
from tests.support import Call


class When(Enum):
    """How far a call has come at the event."""

    ANSWERED = "answered before"
    DONE = "done, the answer on its way"
    ASKED = "not done yet"


class Event(Enum):
    """What happens."""

    MOVE = "The hub moves"
    PARK = "The hub is parked, and adopted by the next start"
    CALLER = "The process that calls is killed"
    HUB = "The hub's process is killed"
    OTHER = "Another worker is killed"


@dataclass(frozen=True)
class Outcome:
    """What the caller is told, and what becomes of the call; "" where it changes nothing."""

    told: str
    becomes: str

    def __str__(self) -> str:
        return f"{self.told}; {self.becomes}" if self.becomes else self.told


RESULT = "its result"
DOUBT = "`HubUnavailable(sent=None)`"
GONE = "410"
NOBODY = "nobody is told"
ONCE = "done, once"
NEVER = "not done"
WORDS: dict[object, str] = {1: ONCE, 0: NEVER, LOST: LOST, EARLY: EARLY, None: ""}

_BY_CLIENTS = {row: Outcome(RESULT, ONCE) for row in (ClientMessage, ClientRequest)}
_HANDED_BACK = {row: Outcome(GONE, LOST) for row in (ClientMessage, ClientRequest)}
_ENDS = (Kick, Close)
_LOOKS = (Look, WaitClosed)

_USUAL: dict[tuple[Event, When], tuple[Outcome, dict[type[Row], Outcome]]] = {
    **{(event, when): (Outcome(RESULT, ONCE), {}) for event in Event for when in When},
    (Event.PARK, When.DONE): (Outcome(DOUBT, ONCE), _BY_CLIENTS),
    (Event.PARK, When.ASKED): (Outcome(DOUBT, NEVER), _BY_CLIENTS),
    (Event.CALLER, When.DONE): (Outcome(NOBODY, ONCE), _BY_CLIENTS),
    (Event.CALLER, When.ASKED): (Outcome(NOBODY, ONCE), _BY_CLIENTS),
    (Event.HUB, When.ANSWERED): (
        Outcome(RESULT, LOST),
        _HANDED_BACK | dict.fromkeys(_ENDS, Outcome(RESULT, ONCE)),
    ),
    (Event.HUB, When.DONE): (
        Outcome(DOUBT, LOST),
        _HANDED_BACK | dict.fromkeys(_ENDS, Outcome(DOUBT, ONCE)),
    ),
    (Event.HUB, When.ASKED): (Outcome(DOUBT, LOST), _HANDED_BACK),
}


def expected(event: Event, when: When, row: type[Row]) -> Outcome:
    """What the page says."""
    usual, others = _USUAL[event, when]
    outcome = others.get(row, usual)
    return Outcome(outcome.told, "") if row in _LOOKS else outcome


def is_played(row: type[Row], when: When) -> bool:
    """One that waits is never answered before, and has no answer to be lost."""
    return when is When.DONE or not row.waits


def play(event: Event, when: When, folder: str) -> dict[type[Row], Outcome]:
    """All rows at once: what each caller was told, and what is seen at the end."""
    cluster = WholeCluster(folder, Handled())
    try:
        return _Play(cluster, when).run(event)
    finally:
        cluster.close()


def _section(event: Event) -> str:
    """The table of one event, for the page."""
    lines = ["| call | " + " | ".join(when.value for when in When) + " |", "|---|---|---|---|"]
    for row in ROWS:
        cells = [str(expected(event, when, row)) if is_played(row, when) else "–" for when in When]
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


NAME = "docs/reference/calls-and-events.md"
DRAWN = {f"calls: {event.name.lower()}": partial(_section, event) for event in Event}
"""The generated parts of the page."""


class _Play:
    def __init__(self, cluster: WholeCluster, when: When) -> None:
        self.cluster = cluster
        self.when = when
        self.rows = [row(cluster) for row in ROWS if is_played(row, when)]
        self.calls: dict[Row, Call] = {}

    def run(self, event: Event) -> dict[type[Row], Outcome]:
        cluster = self.cluster
        happens: dict[Event, Callable[[], object]] = {
            Event.MOVE: cluster.move,
            Event.PARK: lambda: cluster.park(self.read_to_the_end),
            Event.CALLER: cluster.kill_caller,
            Event.HUB: cluster.kill_hub,
            Event.OTHER: cluster.kill_other_worker,
        }
        door = cluster.linked.processes[0].door
        if self.when is not When.ASKED:
            cluster.holds_answers = self.when is When.DONE
            self.begin()
            happens[event]()
        elif event in (Event.MOVE, Event.PARK):
            cluster.before_commit = self.begin
            happens[event]()
        else:
            door.freeze()
            self.begin()
            happens[event]()
            if event is not Event.HUB:
                door.thaw()
                while cluster.waits():  # who has called may be dead, and waits for nothing any more
                    assert not door.is_shut
        if event is Event.OTHER:
            cluster.deliver()
        if event is Event.PARK:
            cluster.adopt()
        if event in (Event.PARK, Event.HUB):
            for client in self.clients:
                client.come_back()
        return self.outcomes(dead=event is Event.CALLER)

    @property
    def clients(self) -> list[Client]:
        return [client for row in self.rows for client in row.clients]

    def read_to_the_end(self) -> None:
        for client in self.clients:
            client.read_to_the_end()

    def begin(self) -> None:
        """Everybody calls; until all have come so far as they should."""
        calling = [row for row in self.rows if not row.by_client and not row.waits]
        for row in self.rows:
            if row.by_client:
                row.do()
            else:
                self.calls[row] = Call(row.do)
        if self.when is When.ASKED:
            while self.cluster.waits() < len(calling):
                assert self.calls[calling[0]].is_under_way()
            return
        for row in self.rows:
            row.help()
        if self.when is When.ANSWERED:
            for row in self.rows:
                if row.by_client:
                    assert row.is_told()
                else:
                    self.calls[row].result()
        while self.when is When.DONE and len(self.cluster.held) < len(calling):
            assert self.calls[calling[0]].is_under_way()

    def outcomes(self, *, dead: bool) -> dict[type[Row], Outcome]:
        found = {}
        for row in self.rows:
            if row.asks and self.when is When.ASKED and self.calls[row].is_under_way() and not dead:
                row.help()
            if row.waits and not dead and self.calls[row].is_under_way() and not row.client.over:
                row.finish()
        for row in self.rows:
            told = self.told(row, dead=dead)
            found[type(row)] = Outcome(told, WORDS[row.effect()])
        return found

    def told(self, row: Row, *, dead: bool) -> str:
        if row.by_client:
            return GONE if row.client.over else RESULT if row.is_told() else "nothing"
        if dead and self.when is not When.ANSWERED:
            return NOBODY
        try:
            self.calls[row].result()
        except HubUnavailable as error:
            return DOUBT if error.sent is None else repr(error)
        except Exception as error:
            return repr(error)
        return RESULT
