"""Pings and what their answers mean; a peer that takes nothing. All in the machine's own time."""

from __future__ import annotations

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import DeadlineKind
from tests.core.machine_driver import (
    PING,
    TIMEOUT,
    MachineDriver,
    aborted,
    callbacks,
    counted,
    errors,
    names,
    suspended,
)


def beating(**rules) -> MachineDriver:
    """A connected session that is pinged every 20 s and has 10 s to answer."""
    play = MachineDriver(ping_interval=PING, **rules)
    play.blocked = False
    play.register()
    play.effects.clear()
    return play


def pings(effects: list[e.Effect]) -> list[int]:
    return [effect.transport for effect in effects if isinstance(effect, e.SendPing)]


class TestAPing:
    def test_goes_out_every_interval(self):
        play = beating()
        play.heard = True
        assert pings(play.wait(19.9)) == []
        assert pings(play.wait(0.1)) == [1]
        assert len(pings(play.wait(60))) == 3

    def test_is_not_sent_where_there_is_no_heartbeat(self):
        play = MachineDriver(ping_interval=None)
        play.register()
        assert play.wait(10_000) == []

    def test_begins_anew_with_each_transport(self):
        """A resume at 15 s is pinged at 35 s, not at 20."""
        play = beating()
        play.heard = True
        play.wait(15)
        play.resume()
        assert pings(play.wait(19.9)) == []
        assert pings(play.wait(0.1)) == [2]

    def test_is_not_sent_to_a_suspended_session(self):
        play = suspended(ping_interval=PING)
        assert pings(play.wait(29)) == []

    def test_is_not_sent_behind_a_close_frame(self):
        play = beating()
        play.wait(19)
        play.do(c.Kick("u1"))
        assert pings(play.wait(9)) == []


class TestAPeerThatDoesNotAnswer:
    def test_loses_its_transport(self):
        play = beating()
        assert names(play.wait(PING + TIMEOUT - 0.1)) == ["Inspect", "SendPing"]
        effects = play.wait(0.1)
        assert names(effects) == ["Inspect", "DetachTransport", "Notify", "AbortTransport"]
        assert (callbacks(effects), errors(effects)) == (["on_transport_drop"], ["HeartbeatTimeout"])
        assert counted(effects) == [("heartbeat_failed", "lobby", "u1")]
        assert play.state() == "SUSPENDED"

    @pytest.mark.parametrize("last_heard", [0.0, 20.0, 20.1, 39.9])
    def test_is_found_within_an_interval_and_a_timeout(self, last_heard):
        """Half-open: whenever the peer goes in silence, at most 30 s later the session is suspended."""
        play = beating()
        play.heard = last_heard > PING  # what the look behind the first Ping finds
        play.wait(PING + TIMEOUT)
        play.heard = False
        play.wait(last_heard + PING + TIMEOUT - play.now)
        assert play.state() == "SUSPENDED"

    def test_loses_its_session_where_there_is_no_window(self):
        play = beating(resume_window=0.0)
        effects = play.wait(PING + TIMEOUT)
        assert (callbacks(effects), errors(effects)) == (["on_disconnect"], ["HeartbeatTimeout"])
        assert counted(effects)[0] == ("heartbeat_failed", "lobby", "u1")
        assert aborted(effects) == [1]

    def test_is_given_up_once(self):
        """Later reports of its reader and writer change nothing."""
        play = beating()
        play.wait(PING + TIMEOUT)
        late = play.do(c.WriteFailed(1), c.PeerGone(1, reset=True), c.Released(1))
        assert names(late) == []


class TestANewcomer:
    """A client whose network failed while it connected: its attach is the last that is known of it."""

    def silent(self, **rules) -> MachineDriver:
        play = MachineDriver(ping_interval=PING, **rules)
        play.blocked = play.spoken = False
        play.register()
        play.effects.clear()
        return play

    def test_that_has_said_nothing_is_pinged_after_write_timeout_and_then_given_up(self):
        play = self.silent()
        assert names(play.wait(TIMEOUT - 0.1)) == []
        assert pings(play.wait(0.1)) == [1]
        assert names(play.wait(TIMEOUT - 0.1)) == []
        effects = play.wait(0.1)
        assert errors(effects) == ["HeartbeatTimeout"]
        assert counted(effects) == [("heartbeat_failed", "lobby", "u1")]
        assert (play.state(), play.now) == ("SUSPENDED", 2 * TIMEOUT)

    def test_that_answers_is_pinged_an_interval_after_that(self):
        """As often as ever, from its first Ping on."""
        play = self.silent()
        play.heard = True
        assert pings(play.wait(TIMEOUT)) == [1]
        assert pings(play.wait(PING - 0.1)) == []
        assert pings(play.wait(0.1)) == [1]
        assert len(pings(play.wait(5 * PING))) == 5
        assert play.state() == "CONNECTED"

    def test_that_has_said_anything_costs_no_frame_more(self):
        play = self.silent()
        play.spoken = play.heard = True
        assert pings(play.wait(PING - 0.1)) == []
        assert pings(play.wait(0.1)) == [1]

    def test_is_one_again_with_each_attach(self):
        """A resume, too: the network that brought it may be gone by now."""
        play = self.silent()
        play.spoken = play.heard = True
        play.wait(15)
        play.spoken = play.heard = False
        play.resume()
        assert pings(play.wait(TIMEOUT)) == [2]

    def test_is_not_looked_for_where_there_is_no_heartbeat(self):
        play = MachineDriver(ping_interval=None)
        play.spoken = False
        play.register()
        assert play.wait(10_000) == []

    def test_that_is_being_closed_has_another_deadline(self):
        play = self.silent()
        play.do(c.Kick("u1"))
        assert play.due(DeadlineKind.FIRST_PING) is None
        assert pings(play.wait(TIMEOUT)) == []

    def test_that_is_refused_is_not_waited_for(self):
        play = self.silent(max_sessions=1)
        play.register("u2")
        assert play.due(DeadlineKind.FIRST_PING, 2) is None

    def test_is_given_its_time_by_a_hub_that_was_away(self):
        play = self.silent()
        play.now = 300.0
        play.do(c.Tick())
        play.wait(TIMEOUT - 0.1)
        assert play.state() == "CONNECTED"


class TestAPeerIsAlive:
    def test_when_anything_was_heard_of_it(self):
        """Not only a Pong: a message will do."""
        play = beating()
        play.heard = True
        play.wait(1000)
        assert play.state() == "CONNECTED"

    def test_when_it_took_bytes_since_the_ping(self):
        """A slow peer behind a long queue: the Ping itself is still in it."""
        play = beating()
        play.took_at = PING + 1
        play.wait(PING + TIMEOUT)
        assert play.state() == "CONNECTED"

    def test_but_not_because_it_took_bytes_before_the_ping(self):
        play = beating()
        play.took_at = PING - 1
        play.wait(PING + TIMEOUT)
        assert play.state() == "SUSPENDED"

    def test_for_all_we_know_while_nobody_reads(self):
        """A callback holds the reader: the answer may lie in the kernel's buffer for as long as it likes."""
        play = beating()
        play.reading_since = None
        play.wait(500)
        assert play.state() == "CONNECTED"

    def test_until_it_has_had_its_time_since_somebody_reads_again(self):
        """The reader is back at 29 s; the answer is due 10 s later, not at 30."""
        play = beating()
        play.reading_since = None
        play.wait(29)
        play.reading_since = 29.0
        play.wait(9.9)
        assert play.state() == "CONNECTED"
        play.wait(0.1)
        assert play.state() == "SUSPENDED"

    def test_and_is_looked_for_again_without_another_ping(self):
        """Nobody reads when the answer is due; once somebody does, the next Ping is not waited for."""
        play = MachineDriver(ping_interval=60.0)
        play.blocked = False
        play.register()
        play.reading_since = None
        play.wait(75)
        play.reading_since = 75.0
        play.wait(9.9)
        assert play.state() == "CONNECTED"
        play.wait(0.1)
        assert play.state() == "SUSPENDED"

    def test_until_it_has_had_its_time_since_the_ping_was_really_sent(self):
        """A hub thread that was late sends the Ping late; the peer must not pay for it."""
        play = beating()
        play.now = 300.0
        play.do(c.Tick())  # the ping of 20 s, and a look for its answer, in one go
        play.wait(9.9)
        assert play.state() == "CONNECTED"
        play.wait(0.1)
        assert play.state() == "SUSPENDED"


class TestAPeerThatTakesNothing:
    """The kernel's buffer is full: it is given write_timeout from its last byte on."""

    def stalled(self) -> MachineDriver:
        play = MachineDriver()
        play.register()
        play.wait(5)
        play.do(c.WriteStalled(1))
        play.took_at = 5.0
        play.effects.clear()
        return play

    def test_loses_its_transport(self):
        play = self.stalled()
        assert play.wait(TIMEOUT - 0.1) == []
        effects = play.wait(0.1)
        assert names(effects) == ["Inspect", "DetachTransport", "Notify", "AbortTransport"]
        [drop] = [effect for effect in effects if isinstance(effect, e.Notify)]
        assert (drop.error.code, drop.error.reason) == (1006, "the peer stopped reading")

    def test_keeps_it_for_as_long_as_it_takes_a_little(self):
        """Slow is not dead."""
        play = self.stalled()
        for second in range(14, 100, 9):
            play.took_at = float(second)
            play.wait(9)
        assert play.state() == "CONNECTED"
        play.wait(TIMEOUT)
        assert play.state() == "SUSPENDED"

    def test_keeps_it_once_all_is_out(self):
        play = self.stalled()
        play.blocked = False
        play.wait(1000)
        assert play.state() == "CONNECTED"
        assert play.due(DeadlineKind.STALL) is None

    def test_is_watched_again_at_the_next_stall(self):
        play = self.stalled()
        play.blocked = False
        play.wait(100)
        play.blocked, play.took_at = True, 105.0
        play.do(c.WriteStalled(1))
        play.wait(TIMEOUT)
        assert play.state() == "SUSPENDED"

    def test_has_no_second_deadline_once_it_is_being_closed(self):
        play = self.stalled()
        play.do(c.Kick("u1"))
        assert play.due(DeadlineKind.STALL) is None
        play.do(c.WriteStalled(1))
        assert play.due(DeadlineKind.STALL) is None

    def test_a_stall_of_a_transport_that_was_superseded_does_not_harm_the_session(self):
        play = self.stalled()
        play.resume()
        play.do(c.WriteStalled(1))
        play.blocked = True
        play.do(c.CloseSent(1), c.PeerClosed(1, 4101, ""), c.Released(1))
        play.wait(1000)
        assert play.state() == "CONNECTED"


@pytest.mark.parametrize("window", [30.0, 0.0], ids=["with a window", "without one"])
def test_a_ping_and_the_end_of_its_wait_at_the_same_moment(window):
    """A reader held for long pushes the wait to the time of the next Ping: that one gets its own wait."""
    play = beating(resume_window=window)
    play.reading_since = None
    play.wait(40)
    play.reading_since = 40.0
    play.wait(9.9)
    assert play.state() == "CONNECTED"
    play.wait(0.1)
    assert play.state() == ("SUSPENDED" if window else "CLOSED")
