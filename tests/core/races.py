"""What everybody sees when seven things race: every order of them, played on the machine, told as outcomes.

A session u1 has a client. Then, in some order, its line drops, thirty seconds pass, it resumes, and resumes
once more, the application sends to it, closes it, kicks it. A resume is two steps, since the check before
the upgrade only looks, and the socket arrives at the hub later. ``orders`` gives the orders, ``play`` plays
one, and ``Exploration`` plays them all, but goes on from a state only once, however many orders lead to it.

The tables of docs/reference/races.md are drawn from this (``race_tables.py``), and the same orders are
played with real clients on a real hub (``tests/races/test_table_of_races.py``).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.invariants import broken
from tests.core.fake_shell import FakeShell, Wrong

CHECK, ARRIVE = "check", "arrive"
CHECK_2, ARRIVE_2 = "second check", "second arrive"
STEPS = (CHECK, ARRIVE, CHECK_2, ARRIVE_2, "drop", "expire", "send", "close", "kick")

BEHIND = {ARRIVE: CHECK, ARRIVE_2: CHECK_2, CHECK_2: CHECK}
"""Which step comes behind which: a socket behind its check; the second resume is the one checked second."""

WINDOW = 30.0


@dataclass(frozen=True)
class Outcome:
    """What each saw of an order: "" where it has no part in it."""

    first: str
    """The client that was there: stays, dropped, or the close code that it got."""
    resume: str
    """Its resume: 410 before the upgrade, or 101 and what came then."""
    second: str
    message: str
    """What became of what the application sent: read by somebody, waits, lost, refused."""
    session: str


class Scene(FakeShell):
    """A machine on which u1 is connected, and the shell around it, with what its clients were told."""

    def __init__(self) -> None:
        super().__init__(resume_window=WINDOW)
        self.clients: dict[str, int | None] = {}
        """Each client's transport; None while it is being upgraded, and when it was refused."""
        self.sent = self.message = ""
        self.refused: list[str] = []
        self.reasons: dict[int, str] = {}
        self.ended_by = ""
        self.register()
        self.clients["first"] = 1

    def step(self, name: str) -> None:
        """Let one thing happen, and check that no promise is broken by it."""
        DEEDS[name](self)
        if sentences := broken(self.machine):
            raise Wrong("; ".join(sentences))
        self.check()

    def look(self, who: str) -> None:
        """The check before the upgrade."""
        self.clients[who] = None
        if self.holders.get("u1") is None:
            self.refused.append(who)

    def arrive(self, who: str) -> None:
        """The socket arrives at the hub, if the check let it pass."""
        if who not in self.refused:
            self.register(resume=True, seen="life 1", seen_room="lobby")
            self.clients[who] = self.registrations

    def offer(self) -> None:
        self.sent = "accepted" if "u1" in self.holders else "refused"
        self.send()

    def _execute(self, effect: e.Effect) -> c.Observed | None:
        match effect:
            case e.SendClose(number, _, reason, _):
                self.reasons[number] = reason
            case e.Count("connection_closed", arguments):
                self.ended_by = str(arguments[-1])
        return super()._execute(effect)

    # -- what was seen ----------------------------------------------------------------------

    def outcome(self) -> Outcome:
        return Outcome(
            first=self._client("first"),
            resume=self._client("resume"),
            second=self._client("second"),
            message=self._message(),
            session=self._session(),
        )

    def _client(self, who: str) -> str:
        if who not in self.clients:
            return ""
        number = self.clients[who]
        if number is None:
            return "410" if who in self.refused else "on its way"
        wire = self.wires[number]
        closes = [entry[0] for entry in wire.log if isinstance(entry, tuple)]
        end = told(closes[0], self.reasons[number]) if closes else "dropped" if wire.aborted else "stays"
        return end if who == "first" else upgraded(end)

    def _message(self) -> str:
        if self.sent != "accepted":
            return self.sent
        for who, number in self.clients.items():
            if number is not None and 1 in self.wires[number].log:
                return f"read by {READERS[who]}"
        return "lost" if self.sessions[1].dropped else "waits"

    def _session(self) -> str:
        if self.ended_by:
            return ENDS[self.ended_by]
        return "lives" if self.sessions[1].transport is not None else "suspended"


DEEDS: dict[str, Callable[[Scene], Any]] = {
    CHECK: lambda scene: scene.look("resume"),
    ARRIVE: lambda scene: scene.arrive("resume"),
    CHECK_2: lambda scene: scene.look("second"),
    ARRIVE_2: lambda scene: scene.arrive("second"),
    "expire": lambda scene: scene.wait(WINDOW),
    "drop": lambda scene: scene.do(c.PeerGone(1, reset=True)),
    "send": lambda scene: scene.offer(),
    "close": lambda scene: scene.do(c.Close(1)),
    "kick": lambda scene: scene.do(c.Kick("u1")),
}

READERS = {"first": "first", "resume": "resume", "second": "second resume"}
ENDS = {"normal": "closed", "kick": "kicked", "grace_expired": "expired"}
"""The reason that the metrics give for a session's end, as a word."""


def told(code: int, reason: str) -> str:
    """A close frame as its reader sees it: 1000 kicked."""
    return f"{code} {reason}".strip()


def upgraded(end: str) -> str:
    """What a client saw that got a 101: that it stays, or which end came."""
    return "101" if end == "stays" else f"101, {end}"


def play(order: Sequence[str]) -> Outcome:
    """Play one order, and then the hub's shutdown, which must leave nothing."""
    scene = Scene()
    for step in order:
        scene.step(step)
    return _ended(scene)


def _ended(scene: Scene) -> Outcome:
    outcome = scene.outcome()
    scene.finish()
    scene.check_end()
    return outcome


def orders(left: Sequence[str], done: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every order of ``left`` in which each step comes behind what it has to come behind."""
    if not left:
        yield done
    for step in next_of(left):
        yield from orders([other for other in left if other != step], (*done, step))


def next_of(left: Sequence[str]) -> list[str]:
    return [step for step in left if BEHIND.get(step) not in left]


@dataclass
class Class:
    """The orders with one outcome: how many they are, and one of them."""

    count: int
    example: tuple[str, ...]


class Exploration:
    """The outcomes of every order of ``steps``, as if each had been played from its beginning.

    Orders that lead to the same state, with the same steps left, have the same future, and it is played
    once: the state is everything that the machine and the shell know, what was seen included.
    """

    def __init__(self, steps: Sequence[str] = STEPS) -> None:
        #: How many steps were really played.
        self.played = 0
        self._known: dict[tuple[tuple[str, ...], bytes], dict[Outcome, Class]] = {}
        self.classes = self._from(pickle.dumps(Scene()), tuple(steps))
        self.orders = sum(one.count for one in self.classes.values())

    def _from(self, state: bytes, left: tuple[str, ...]) -> dict[Outcome, Class]:
        known = self._known.get((left, state))
        if known is not None:
            return known
        found: dict[Outcome, Class] = {}
        if not left:
            found[_ended(pickle.loads(state))] = Class(1, ())
        for step in next_of(left):
            scene = pickle.loads(state)
            scene.step(step)
            self.played += 1
            rest = tuple(other for other in left if other != step)
            for outcome, one in self._from(pickle.dumps(scene), rest).items():
                mine = found.setdefault(outcome, Class(0, (step, *one.example)))
                mine.count += one.count
        self._known[left, state] = found
        return found
