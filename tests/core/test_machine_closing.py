"""The close handshake: who has said what, for how long the other is waited for, and when the socket goes."""

from __future__ import annotations

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.records import Phase
from tests.core.machine_driver import TIMEOUT, MachineDriver, aborted, callbacks, closes, ignored, names

ANSWER = c.PeerClosed(1, 1000, "")


def closing(order: c.Command | None = None) -> MachineDriver:
    """u1's transport 1 is to be closed: a kick at 0 s, if nothing else is said."""
    play = MachineDriver()
    play.register()
    play.do(order or c.Kick("u1"))
    play.effects.clear()
    return play


class TestTheHandshake:
    def test_ends_with_the_answer(self):
        play = closing()
        assert aborted(play.do(c.CloseSent(1))) == []
        assert aborted(play.do(ANSWER)) == [1]

    def test_ends_as_well_when_the_two_reports_cross(self):
        """The reader reports the peer's close frame before the writer reports ours."""
        play = closing()
        assert aborted(play.do(ANSWER)) == []
        assert aborted(play.do(c.CloseSent(1))) == [1]

    @pytest.mark.parametrize(
        "answer", [ANSWER, c.PeerGone(1, reset=False)], ids=["close frame", "end of input"]
    )
    def test_waits_for_our_close_frame_to_be_out(self, answer):
        """A peer that has hung up its side can still read what we send."""
        play = closing()
        play.do(answer)
        assert play.transport(1).phase is Phase.CLOSING
        assert aborted(play.do(c.CloseSent(1))) == [1]

    def test_needs_no_answer_from_a_peer_that_began_it(self):
        play = MachineDriver()
        play.register()
        play.do(c.PeerClosed(1, 1001, ""))
        assert aborted(play.do(c.CloseSent(1))) == [1]

    def test_ends_at_once_when_the_connection_is_reset(self):
        assert aborted(closing().do(c.PeerGone(1, reset=True))) == [1]

    def test_gives_a_silent_peer_one_timeout(self):
        play = closing()
        play.wait(3)
        play.do(c.CloseSent(1))
        assert aborted(play.wait(TIMEOUT - 0.1)) == []
        assert aborted(play.wait(0.1)) == [1]

    def test_decides_nothing_about_the_session(self):
        """A Close that answers ours: what became of the session was decided before."""
        play = MachineDriver()
        play.register()
        play.do(play.failure("on_message"), c.CloseSent(1))
        effects = play.do(c.PeerClosed(1, 1000, ""))
        assert play.state() == "SUSPENDED"
        assert callbacks(effects) == []
        assert ignored(effects) == ["the transport is closing: its end decides nothing any more"]

    def test_says_good_bye_once(self):
        """A kick, and then a takeover's or a shutdown's close frame: the first one counts."""
        play = closing()
        assert closes(play.do(c.Shutdown())) == []


class TestACloseFrameThatDoesNotGetOut:
    """The peer does not read: C5's deadline counts from its last byte."""

    def test_the_waiting_frames_go_first(self):
        """Rather the data than the close frame; the peer gets a second timeout to take that."""
        play = closing()
        assert names(play.wait(TIMEOUT)) == ["Inspect", "DiscardUnsent"]
        assert aborted(play.wait(TIMEOUT - 0.1)) == []
        assert aborted(play.wait(0.1)) == [1]

    def test_a_peer_that_reads_slowly_is_waited_for(self):
        play = closing()
        for second in range(0, 100, 8):
            play.took_at = float(second)
            play.wait(8)
        assert play.transport(1).phase is Phase.CLOSING
        assert not play.transport(1).discarded

    def test_bytes_that_it_took_before_the_close_do_not_count(self):
        play = MachineDriver()
        play.register()
        play.took_at = 0.0
        play.wait(5)
        play.do(c.Kick("u1"))
        assert names(play.wait(TIMEOUT - 0.1)) == []
        assert names(play.wait(0.1)) == ["Inspect", "DiscardUnsent"]

    def test_gets_its_answer_awaited_if_it_gets_out_in_the_end(self):
        play = closing()
        play.wait(TIMEOUT + 3)
        play.do(c.CloseSent(1))
        assert play.due(DeadlineKind.CLOSE) is None
        assert aborted(play.wait(TIMEOUT - 0.1)) == []
        assert aborted(play.wait(0.1)) == [1]

    def test_can_never_get_out_once_writing_has_failed(self):
        """Only the answer is awaited then: there may still be one in the kernel's buffer."""
        play = closing()
        play.do(c.WriteFailed(1))
        assert play.due(DeadlineKind.CLOSE) is None
        assert aborted(play.wait(TIMEOUT)) == [1]

    @pytest.mark.parametrize("end", [c.PeerGone(1, reset=False), ANSWER], ids=["end of input", "close frame"])
    def test_is_not_waited_for_once_writing_has_failed_and_the_peer_has_gone(self, end):
        play = closing()
        play.do(c.WriteFailed(1))
        assert aborted(play.do(end)) == [1]


class TestAWriteError:
    def test_decides_nothing_by_itself(self):
        """A leave may lie in the kernel's buffer: the reader has the last word."""
        play = MachineDriver()
        play.register()
        effects = play.do(c.WriteFailed(1))
        assert ignored(effects) == ["a write error only stops writing: the reader has the last word"]
        assert play.wait(100) == []
        assert play.state() == "CONNECTED"

    @pytest.mark.parametrize(
        ("last_word", "state"),
        [
            (ANSWER, "CLOSED"),
            (c.PeerClosed(1, 1001, ""), "SUSPENDED"),
            (c.PeerGone(1, reset=True), "SUSPENDED"),
        ],
        ids=["a leave", "going away", "a reset"],
    )
    def test_then_the_readers_report_does(self, last_word, state):
        play = MachineDriver()
        play.register()
        play.do(c.WriteFailed(1))
        effects = play.do(last_word)
        assert play.state() == state
        assert aborted(effects) == [1], "there is nothing to wait for: no answer can be written"

    def test_before_a_kick_leaves_the_peer_one_timeout_to_hang_up(self):
        """The close frame cannot be sent; the transport must end all the same."""
        play = MachineDriver()
        play.register()
        play.do(c.WriteFailed(1), c.Kick("u1"))
        assert play.due(DeadlineKind.ANSWER) == TIMEOUT
        assert aborted(play.wait(TIMEOUT)) == [1]

    def test_before_a_breach_of_protocol_ends_with_a_timeout_too(self):
        play = MachineDriver()
        play.register()
        play.do(c.WriteFailed(1), c.PeerFailed(1, 1002, "bad"))
        assert aborted(play.wait(TIMEOUT)) == [1]


class TestABreachOfProtocol:
    def test_is_answered_by_the_reader_and_the_peer_awaited(self):
        play = MachineDriver()
        play.register()
        assert names(play.do(c.PeerFailed(1, 1009, "message too big"))) == ["DetachTransport", "Notify"]
        play.do(c.CloseSent(1))
        assert aborted(play.do(c.PeerGone(1, reset=False))) == [1]

    def test_while_we_close_changes_nothing(self):
        play = closing()
        effects = play.do(c.PeerFailed(1, 1002, "bad"))
        assert (names(effects), callbacks(effects)) == ([], [])
        play.do(c.CloseSent(1))
        assert aborted(play.wait(TIMEOUT)) == [1]


def test_a_transport_is_aborted_once_and_remembered_until_it_is_released():
    play = closing(c.TransportAborted(1))
    assert play.transport(1).phase is Phase.ABORTED
    late = play.do(c.TransportAborted(1), c.PeerGone(1, reset=True), c.CloseSent(1), c.WriteFailed(1), ANSWER)
    assert aborted(late) == []
    play.do(c.Released(1))
    assert play.machine.transports == {}
    assert play.machine.next_deadline() == 30.0, "only the grace window of its session is left"


def test_a_superseded_transport_is_closed_by_the_same_rules():
    play = MachineDriver()
    play.register()
    play.resume()
    assert aborted(play.wait(TIMEOUT)) == []
    assert aborted(play.wait(TIMEOUT)) == [1]
    assert play.state() == "CONNECTED"
    assert [type(effect) for effect in play.effects].count(e.DetachTransport) == 1
