"""connection.close() at the moment at which the transport dies by itself.

The orders: the application closes a session and the peer vanishes, or leaves, or both sides' close frames
cross on the wire. A hub that tells its handlers of every death it hears of fires on_transport_drop for a
session whose on_disconnect has run; one that suspends on every death revives it. Ours has ended
the session with whichever came first, and what comes second is about a socket and nothing else.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.machine import Machine, Rules
from resumehub.core.records import TransportState
from resumehub.core.transports import TransportMachine
from resumehub.errors import TransportLost
from tests.core.fake_shell import Wrong
from tests.core.orders import play, play_all
from tests.support import PATIENCE, Call


class ReportsEveryDeath(TransportMachine):
    def _ended_while_closing(self, transport: TransportState, report: c.EndReport) -> None:
        super()._ended_while_closing(transport, report)
        if transport.epoch is not None:
            told = e.Notify(transport.epoch, "on_transport_drop", transport.generation, TransportLost())
            self._plan.add(told)


class TellsOfEveryDeath(Machine):
    """A transport died, so the handlers of its session are told."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules, transports=ReportsEveryDeath)


@pytest.mark.parametrize("death", ["drop", "leave"])
def test_telling_of_every_death_goes_on_after_the_end(death):
    with pytest.raises(Wrong, match="goes on after its end: on_connect on_disconnect on_transport_drop"):
        play(["close", death], TellsOfEveryDeath)


def test_the_first_to_come_decides_in_every_order():
    words = ("close", "drop", "leave", "kick", "writing fails", "on_message fails")
    assert play_all(permutations(words)) == 720


STORIES = {
    "a close, then a death": ([c.Close, c.PeerGone], ["connect", "disconnect"]),
    "a death, then a close": ([c.PeerGone, c.Close], ["connect", "drop", "disconnect"]),
    "a close, then a leave": ([c.Close, c.PeerClosed], ["connect", "disconnect"]),
    "a leave, then a close": ([c.PeerClosed, c.Close], ["connect", "disconnect"]),
}


@pytest.mark.parametrize(("order", "hooks"), STORIES.values(), ids=STORIES)
def test_the_session_ends_once_and_without_an_error(stepped, order, hooks):
    """Whoever comes first, close() returns, on_disconnect gets None, and no socket is left."""
    one, hub = stepped()
    ws = one.open()
    one.recorder.wait_for("connect")
    connection = one.hub.get("u1")
    hub.hold()
    closing = None
    for command in order:
        if command is c.Close:
            closing = Call(connection.close)
        elif command is c.PeerGone:
            ws.drop()
        else:
            ws.send_close(1000)
        hub.wait_until_queued(command)
    hub.let_go()

    closing.result()
    assert one.recorder.wait_for("disconnect") is None
    assert connection.wait_closed(PATIENCE)
    assert connection.closed
    assert one.recorder.hooks() == hooks


def test_close_frames_that_cross_end_the_connection_for_both(stepped):
    """Each side's Close answers the other's; nobody waits for a third."""
    one, hub = stepped()
    ws = one.open()
    one.recorder.wait_for("connect")
    hub.hold()
    closing = Call(one.hub.get("u1").close)
    hub.wait_until_queued(c.Close)
    hub.step(c.Close)
    ws.send_close(1000)
    hub.let_go()
    closing.result()

    assert ws.receive_close(PATIENCE)[0] == 1000
    assert ws.wait_for_eof(PATIENCE), "without any deadline: the clock stands still"
