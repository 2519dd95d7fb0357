"""A client that sends too much pauses at the moment at which something becomes of its connection.

The reader tells the hub thread that it pauses, and waits to be told to go on. Meanwhile the hub thread kicks
the session, or gives it to the client's next connection, or the client's line is cut, or its time has come. A
reader that is told before it waits would wait for ever: its socket is never closed, and a hub that is closed
never ends. In every order that is tried nothing waits in the end, and what was handled came in order.

And a session moves to another process meanwhile, where it has no new burst.

The naive variant: a hub thread that ignores a pause which is reported too late.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from functools import partial

import pytest

from resumehub import Connection, ConnectionNotFound, Hub, Message, RateLimit
from resumehub.core import commands as c
from resumehub.core.records import Phase
from resumehub.core.transports import TransportMachine
from resumehub.server.moving import adopt_session, export_session
from resumehub.testing import Lab, NothingReceived, TransportClosed, UpgradeRefused, explore
from resumehub.testing.explorer import ScheduleFailed
from resumehub.testing.strategies import PCT, Deepening
from resumehub.testing.wire import client_frame
from resumehub.transport.websocket import WebSocketTransport
from tests.moving.world import Wire, WireEnd

SHARE = pytest.mark.parametrize("share", [False, True], ids=["a reader each", "shared readers"])
LOST = (TransportClosed, UpgradeRefused, NothingReceived, OSError)
SENT = 4


def flooded(ends: str) -> Callable[[Lab], None]:
    """Alice may send two messages at once; she sends more, and then her connection ``ends``."""

    def scenario(lab: Lab) -> None:
        rate = RateLimit(messages_per_second=1, burst=1.5)
        hub = lab.open(resume_window=10, ping_interval=None, rate=rate)
        handled: list[int] = []

        @hub.on_message
        def note(connection: Connection, message: Message) -> None:
            handled.append(message.payload)

        alice = lab.dial("/?id=alice")
        lab.run_until_idle()

        @lab.actor
        def client() -> None:
            with contextlib.suppress(*LOST):
                for number in range(SENT):
                    alice.send(json.dumps({"payload": number}))

        @lab.actor
        def end() -> None:
            with contextlib.suppress(ConnectionNotFound, *LOST):
                if ends == "kick":
                    hub.kick("alice")
                elif ends == "takeover":
                    lab.hang_up_at_end(alice.resume())
                elif ends == "cut":
                    alice.drop()
                elif ends == "leave":
                    alice.close()
                else:
                    lab.advance(100)

        @lab.at_end
        def nothing_waits() -> None:
            loop = hub.runner.loop
            assert loop is not None
            alive = [n for n, transport in loop.machine.transports.items() if transport.phase is Phase.LIVE]
            held = [io.number for io in loop.transports if io._read_on is not None and io.number not in alive]
            assert not held, f"transports {held} end, and are not read"
            for _ in range(SENT):
                lab.advance(10)
                lab.run_until_idle()
            assert handled == list(range(len(handled)))
            if ends == "time":
                assert len(handled) == SENT
            assert not [io for io in loop.transports if io._read_on is not None]

    return scenario


ENDS = ["kick", "takeover", "cut", "leave", "time"]


@SHARE
@pytest.mark.parametrize("ends", ENDS)
def test_a_pause_ends_in_every_order_that_is_tried(ends: str, share: bool) -> None:
    play = flooded(ends)
    explore(play, Deepening(), max_schedules=6, share=share)
    explore(play, PCT(seed=7, count=5), share=share, stop_at_locks=True)


def test_a_hub_that_ignores_a_pause_which_is_reported_too_late_is_caught(monkeypatch) -> None:
    right = TransportMachine.needs_deadline

    def decides(self: TransportMachine, report: c.NeedsDeadline) -> None:
        transport = self.by_number.get(report.transport)
        if transport is not None and transport.phase is Phase.LIVE:
            right(self, report)

    monkeypatch.setattr(TransportMachine, "needs_deadline", decides)
    with pytest.raises(ScheduleFailed, match="not read"):
        explore(flooded("kick"), PCT(seed=7, count=40), share=True, stop_at_locks=True)


class Line(WireEnd):
    """One process's end of the wire, which a run that has failed abandons."""

    def after_fork_in_child(self) -> None:
        """There is no descriptor."""


def moved(lab: Lab) -> None:
    """Alice sends too much, and her session is moved to another hub and back meanwhile."""
    rate = RateLimit(messages_per_second=1, burst=1.5)
    hubs = [lab.open(ping_interval=None, rate=rate)]
    hubs.append(Hub(_runtime=lab.runtime, clock=lab.clock, ping_interval=None, rate=rate))
    wire, handled, moves = Wire(lab.runtime, None), list[int](), list[Hub]()
    for hub in hubs:
        hub.on_message(lambda connection, message: handled.append(message.payload))
        hub.runner.start()
    hubs[0].runner.register(
        WebSocketTransport(Line(wire), 1000),
        c.Register(0, "alice", "lobby", life="a life", seen_room="lobby"),
        data=None,
        handshake_response=b"",
    )
    lab.run_until_idle()

    @lab.actor
    def client() -> None:
        for number in range(SENT):
            frame = client_frame("text", b'{"payload":%d}' % number)
            wire.change(partial(wire.said.extend, frame))

    @lab.actor
    def mover() -> None:
        for old, new in (hubs, reversed(hubs)):
            assert old.runner.loop is not None
            assert new.runner.loop is not None
            departure = export_session(old.runner.loop, lab.runtime, "alice")
            assert departure.transport is not None
            departure.transport.release()
            adopt_session(new.runner.loop, lab.runtime, departure.state, Line(wire))
            moves.append(new)

    @lab.at_end
    def no_burst_is_new() -> None:
        assert len(moves) == 2, "a move waits for a client that sends too much"
        # Two are in the first burst; behind each of the two moves one more may come, and be paid for.
        most = len(handled)
        for _ in range(SENT):
            lab.advance(10)
            lab.run_until_idle()
        assert hubs[1].close(60.0).complete
        assert most <= 4, handled
        assert handled == list(range(SENT))


def test_a_move_ends_a_pause_and_gives_no_new_burst() -> None:
    explore(moved, Deepening(), max_schedules=8)
    explore(moved, PCT(seed=7, count=6), stop_at_locks=True)
