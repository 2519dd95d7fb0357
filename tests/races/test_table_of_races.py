"""The table of races is what clients see: the orders of docs/reference/races.md on the real hub.

The page is drawn from the machine alone (``tests/core/races.py``). Here the same orders are played in the
lab, with real clients, handshakes, sockets and threads, and each client says what it saw. Every pair, every
triple, every gap between a check and its arrival is compared, and one order for each outcome of all seven.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resumehub import Connection, ConnectionNotFound, Message, NoopMetrics
from resumehub.testing import Knock, Lab, Peer, UpgradeRefused
from tests.core import race_tables, races
from tests.core.races import ARRIVE, ARRIVE_2, CHECK, CHECK_2, Outcome

Order = tuple[str, ...]


class Clients:
    """A hub in the lab, the client of u1, and what becomes of it and of its two resumes."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.endings = Endings()
        self.hub = lab.open(ping_interval=None, resume_window=races.WINDOW, metrics=self.endings)
        self.peers: dict[str, Peer] = {"first": lab.dial("/?id=u1")}
        self.knocks: dict[str, Knock] = {}
        self.refused: dict[str, int] = {}
        self.read: list[str] = []
        self.dropped = False
        self.sent = ""
        lab.run_until_idle()
        connection = self.hub.get("u1")
        assert connection is not None
        self.connection: Connection = connection

    def step(self, name: str) -> None:
        DEEDS[name](self)
        self.lab.run_until_idle()
        for who, peer in self.peers.items():
            if not (who == "first" and self.dropped):
                self.read += [who for _ in peer.received()]

    def check(self, who: str) -> None:
        try:
            self.knocks[who] = self.peers["first"].knock_to_resume()
        except UpgradeRefused as refused:
            self.refused[who] = refused.status

    def arrive(self, who: str) -> None:
        if who in self.knocks:
            self.peers[who] = self.knocks[who].go_on()

    def drop(self) -> None:
        self.dropped = True
        self.peers["first"].drop()

    def send(self) -> None:
        try:
            self.hub.send("u1", Message("n", 1))
        except ConnectionNotFound:
            self.sent = "refused"
        else:
            self.sent = "waits"

    def kick(self) -> None:
        try:
            self.hub.kick("u1")
        except ConnectionNotFound:
            pass

    # -- what was seen ----------------------------------------------------------------------

    def outcome(self) -> Outcome:
        assert len(self.read) <= 1, "a message was delivered twice"
        return Outcome(
            first=self.end_of("first"),
            resume=self.seen_by("resume"),
            second=self.seen_by("second"),
            message=f"read by {races.READERS[self.read[0]]}"
            if self.read
            else "lost"
            if self.endings.lost
            else self.sent,
            session=self.session(),
        )

    def end_of(self, who: str) -> str:
        end = self.peers[who].ws.closed
        return races.told(*end) if end else "dropped" if who == "first" and self.dropped else "stays"

    def seen_by(self, who: str) -> str:
        if who in self.refused:
            return str(self.refused[who])
        if who in self.peers:
            return races.upgraded(self.end_of(who))
        return "on its way" if who in self.knocks else ""

    def session(self) -> str:
        if self.connection.closed:
            return races.ENDS[self.endings.reason]
        return "suspended" if self.connection.suspended else "lives"


class Endings(NoopMetrics):
    """Remembers why the session was closed, and whether its message was dropped."""

    reason = ""
    lost = False

    def connection_closed(self, room_id: str, connection_id: str, duration: float, reason: str, /) -> None:
        self.reason = reason

    def message_dropped(self, room_id: str, connection_id: str, reason: str, /) -> None:
        self.lost = True


DEEDS: dict[str, Callable[[Clients], Any]] = {
    CHECK: lambda clients: clients.check("resume"),
    ARRIVE: lambda clients: clients.arrive("resume"),
    CHECK_2: lambda clients: clients.check("second"),
    ARRIVE_2: lambda clients: clients.arrive("second"),
    "expire": lambda clients: clients.lab.advance(races.WINDOW),
    "drop": lambda clients: clients.drop(),
    "send": lambda clients: clients.send(),
    "close": lambda clients: clients.connection.close(),
    "kick": lambda clients: clients.kick(),
}


def live(order: Order) -> Outcome:
    """What the clients of a real hub see of an order."""
    with Lab() as lab:
        clients = Clients(lab)
        for step in order:
            clients.step(step)
        return clients.outcome()


@pytest.mark.parametrize(
    "which", [race_tables.few(2), race_tables.few(3), race_tables.gaps()], ids=["pairs", "triples", "gaps"]
)
def test_clients_see_what_the_table_says(which: list[Order]) -> None:
    """Each row of the short tables: the same statuses, close codes, and fate of message and session."""
    differ = {race_tables.words_of(order): (live(order), races.play(order)) for order in which}
    assert {order: both for order, both in differ.items() if both[0] != both[1]} == {}


def test_clients_see_each_outcome_of_the_full_table() -> None:
    """One full order of each outcome, all nine steps of it."""
    for outcome, one in race_tables.everything().classes.items():
        assert live(one.example) == outcome, race_tables.words_of(one.example)
