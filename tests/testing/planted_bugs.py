"""Bugs to be found: one of each kind, planted in the hub, with the scenario that trips over it.

Each is what a reasonable person might have written. ``PLANTED`` is used by ``test_explore.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from resumehub import ConnectionClosed, ConnectionNotFound, Hub, Message
from resumehub.core.commands import Command, PeerGone
from resumehub.core.machine import Machine
from resumehub.errors import TransportLost
from resumehub.outgoing.outbox import Outbox
from resumehub.outgoing.transport_writer import TransportWriter
from resumehub.outgoing.wire_queue import WireQueue
from resumehub.session.serial_queue import Callback, CallbackPool, SerialQueue
from resumehub.session.session import Session
from resumehub.testing import PCT, Deepening, Explored, Lab, Peer, explore
from resumehub.testing.strategies import Exploration


def seen(peer: Peer) -> list[Any]:
    return [json.loads(message).get("payload") for message in peer.received()]


def opened(lab: Lab, **options: Any) -> tuple[Hub, Peer]:
    hub = lab.open(ping_interval=None)
    alice = lab.dial("/?id=alice", **options)
    lab.run_until_idle()
    return hub, alice


# -- a lost wake-up ----------------------------------------------------------------------------


def take_looking_first(self: CallbackPool) -> SerialQueue | None:
    """Looks whether there is work, and only then takes the lock to wait for some."""
    while not self._waiting:
        with self._lock:
            if self._closed:
                self._threads -= 1
                return None
            self._idle += 1
            self._work.wait()
            self._idle -= 1
    with self._lock:
        return self._waiting.popleft() if self._waiting else None


def two_sessions_drop(lab: Lab) -> None:
    """One thread for callbacks and two sessions that have something to say."""
    hub = lab.open(callback_threads=1)
    peers = [lab.dial(f"/?id={name}") for name in ("alice", "bob")]
    hub.on_transport_drop(lambda connection, error: lab.note(connection.id))
    lab.run_until_idle()

    @lab.actor
    def network() -> None:
        for peer in peers:
            peer.drop()

    @lab.at_end
    def both_were_told() -> None:
        assert sorted(lab.notes) == ["alice", "bob"], f"only {lab.notes} were told"


# -- a double disconnect -----------------------------------------------------------------------


def never_claim(self: SerialQueue, call: Callback | None = None) -> bool:
    """Everything goes by way of the queue."""
    return False


def run_without_asking(self: SerialQueue, turn: int | None = None) -> None:
    """Looks whether another thread is at it without the lock, and drops a callback when it has run."""
    if self._running:
        return
    with self._lock:
        self._running = True
    while True:
        with self._lock:
            if not self._calls:
                self._running = False
                return
            job = self._calls[0]
        job.run()
        with self._lock:
            if self._calls and self._calls[0] is job:
                self._calls.popleft()


def message_and_kick(lab: Lab) -> None:
    """A message is about to be handled when its session is kicked: two threads come to the same callbacks."""
    hub, alice = opened(lab)
    hub.on_disconnect(lambda connection, error: lab.note("disconnect"))

    @lab.actor
    def client() -> None:
        alice.send('{"payload":1}')

    @lab.actor
    def application() -> None:
        hub.kick("alice")

    @lab.at_end
    def once() -> None:
        assert lab.notes == ["disconnect"]


# -- a late drop -------------------------------------------------------------------------------


dispatch = Machine._dispatch


def believe_any_transport(self: Machine, command: Command) -> None:
    """Asks whose transport it was, and not whether it still is."""
    if isinstance(command, PeerGone) and command.transport in self.transports:
        session = self.epochs.get(self.transports[command.transport].epoch or 0)
        if session is not None and session.transport not in (None, command.transport):
            self.transport_lost(session.transport, TransportLost())
    dispatch(self, command)


def resume_while_the_old_line_dies(lab: Lab) -> None:
    hub, alice = opened(lab)

    @lab.actor
    def network() -> None:
        alice.drop()

    @lab.actor
    def client() -> None:
        alice.resume()

    @lab.at_end
    def is_connected() -> None:
        assert not hub.get("alice").suspended, "alice has resumed, and is suspended"


# -- a reordered replay ------------------------------------------------------------------------


def answer_first(self: TransportWriter) -> None:
    """Gives the client its 101 at once, and then what waited for it."""
    with self._lock:
        self.transport.write(self._wire.pieces)
        self._wire.pieces.clear()
    with self._lock:
        flushed = self.pump()
    self.report(flushed)


def send_past_the_queue(self: Session, frame: Any) -> None:
    """What can be written at once need not be queued."""
    with self.outbox.lock:
        writer = self.writer
        if writer is not None and not writer._wire.pieces and not writer._writer_running:
            writer.transport.write([writer.transport.encode(frame)])
        else:
            self.outbox.put(frame)


def send_while_resuming(lab: Lab) -> None:
    hub, alice = opened(lab)
    alice.drop()
    lab.run_until_idle()
    for number in (1, 2):
        hub.send("alice", Message("n", number))
    resumed: list[Peer] = []

    @lab.actor
    def client() -> None:
        resumed.append(alice.resume())

    @lab.actor
    def application() -> None:
        hub.send("alice", Message("n", 3))

    @lab.at_end
    def in_order() -> None:
        came = seen(resumed[0])
        assert came == [1, 2, 3], f"{came} came"


# -- a close frame that overtakes data ---------------------------------------------------------


def choose_the_close_first(self: WireQueue, outbox: Outbox | None) -> bool:
    """A close frame is a control frame, and control frames go first."""
    if self.close is not None:
        self._take_close(self.close)
    elif self.lane:
        self.pieces.extend(self.lane)
        self.lane.clear()
    elif outbox:
        batch = outbox.first(1, 1)
        self.pieces.extend(map(self._transport.encode, batch))
        self.frames_in_pieces = len(batch)
    return bool(self.pieces)


def send_and_kick(lab: Lab) -> None:
    """The line of the client is full after one message; the kick comes before, between or behind."""
    hub, alice = opened(lab, buffer=4096)
    accepted: list[str] = []

    @lab.actor
    def admin() -> None:
        hub.kick("alice")

    @lab.actor
    def application() -> None:
        for number in range(3):
            try:
                hub.send("alice", Message("n", f"{number} {'x' * 3000}"))
            except (ConnectionClosed, ConnectionNotFound):
                return
            accepted.append(str(number))

    @lab.at_end
    def all_that_was_accepted_came() -> None:
        came = []
        while alice.ws.closed is None:
            came += [payload[0] for payload in seen(alice)]
            lab.run_until_idle()
        assert came == accepted, f"{accepted} were accepted, and {came} came"


# -- the table ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Planted:
    """A bug: what is put in whose place, the scenario that meets it, and how the failure reads."""

    scenario: Callable[[Lab], None]
    changes: list[tuple[type, str, Any]]
    says: str
    strategy: Exploration = field(default_factory=Deepening)
    stop_at_locks: bool = True

    def plant(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for owner, name, value in self.changes:
            monkeypatch.setattr(owner, name, value)

    def explore(self, strategy: Exploration | None = None, **how: Any) -> Explored:
        return explore(self.scenario, strategy or self.strategy, stop_at_locks=self.stop_at_locks, **how)


PLANTED = {
    "a lost wake-up": Planted(
        two_sessions_drop,
        [(CallbackPool, "_take", take_looking_first)],
        r"only \['alice'\] were told",
    ),
    "a double disconnect": Planted(
        message_and_kick,
        [(SerialQueue, "run", run_without_asking), (SerialQueue, "take_turn", never_claim)],
        "on_disconnect of 'alice' behind on_disconnect",
        PCT(2, 1000),
    ),
    "a late drop": Planted(
        resume_while_the_old_line_dies,
        [(Machine, "_dispatch", believe_any_transport)],
        "transport 2 is LIVE but carries no session",
        stop_at_locks=False,
    ),
    "a reordered replay": Planted(
        send_while_resuming,
        [(TransportWriter, "flush", answer_first), (Session, "send_frame", send_past_the_queue)],
        r"\[3, 1, 2\] came",
    ),
    "a close frame that overtakes data": Planted(
        send_and_kick,
        [(WireQueue, "choose", choose_the_close_first)],
        r"\['0', '1', '2'\] were accepted, and",
        stop_at_locks=False,
    ),
}
