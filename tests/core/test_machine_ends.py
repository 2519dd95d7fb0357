"""How sessions are suspended and how they end: what the client, the handlers and the room get to know."""

from __future__ import annotations

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.resume import ResumeRequest
from resumehub.errors import HubClosed, TransportLost
from resumehub.reasons import DropReason
from tests.core.machine_driver import (
    WINDOW,
    MachineDriver,
    aborted,
    callbacks,
    closes,
    counted,
    errors,
    names,
    suspended,
)


def connected(**rules) -> MachineDriver:
    play = MachineDriver(**rules)
    play.register()
    play.effects.clear()
    return play


def ended(effects: list[e.Effect]) -> e.EndSession:
    [one] = [effect for effect in effects if isinstance(effect, e.EndSession)]
    return one


DEATHS = {
    "the connection is reset": c.PeerGone(1, reset=True),
    "the input ends": c.PeerGone(1, reset=False),
    "the peer goes away with 1001": c.PeerClosed(1, 1001, "tab closed"),
    "the peer breaks the protocol": c.PeerFailed(1, 1002, "bad opcode"),
    "we give the transport up": c.TransportAborted(1),
}


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)
class TestATransportThatDies:
    def test_suspends_its_session(self, death):
        play = connected()
        effects = play.do(death)
        assert play.state() == "SUSPENDED"
        assert callbacks(effects) == ["on_transport_drop"]
        assert play.due(DeadlineKind.GRACE) == WINDOW

    def test_takes_it_with_it_where_there_is_no_window(self, death):
        """With resume_window=0 neither drop nor restore is ever fired."""
        play = connected(resume_window=0.0)
        effects = play.do(death)
        assert play.state() == "CLOSED"
        assert callbacks(effects) == ["on_disconnect"]
        [error] = [effect.error for effect in effects if isinstance(effect, e.Notify)]
        assert isinstance(error, TransportLost)
        [(_, _, _, _, reason)] = counted(effects, "connection_closed")
        assert reason == "transport_lost"

    def test_is_told_to_the_handlers_with_its_code(self, death):
        play = connected()
        [error] = [effect.error for effect in play.do(death) if isinstance(effect, e.Notify)]
        code = getattr(death, "code", 1006)
        assert (type(error), error.code, error.reason) == (TransportLost, code, getattr(death, "reason", ""))

    def test_is_the_reason_if_nobody_comes_back(self, death):
        """on_disconnect gets the last drop's error."""
        play = connected()
        [drop] = [effect.error for effect in play.do(death) if isinstance(effect, e.Notify)]
        effects = play.wait(WINDOW)
        [last] = [effect for effect in effects if isinstance(effect, e.Notify)]
        assert (last.hook, last.error) == ("on_disconnect", drop)
        assert ended(effects).drop_reason is DropReason.EXPIRED
        [closed] = counted(effects, "connection_closed")
        assert closed == ("connection_closed", "lobby", "u1", WINDOW, "grace_expired")


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "end of input"])
def test_a_vanished_peer_is_not_spoken_to(reset):
    """The session is taken off first, then the socket goes."""
    play = connected()
    effects = play.do(c.PeerGone(1, reset=reset))
    assert names(effects) == ["DetachTransport", "Notify", "AbortTransport"]


@pytest.mark.parametrize("code", [1000, 1005], ids=["1000", "an empty close frame"])
class TestAClientThatLeaves:
    def test_ends_its_session_at_once(self, code):
        """A browser's ws.close() sends an empty close frame; both say that it is done."""
        play = connected()
        effects = play.do(c.PeerClosed(1, code, ""))
        assert play.state() == "CLOSED"
        assert callbacks(effects) == ["on_disconnect"]
        assert errors(effects) == ["NoneType"]
        assert counted(effects, "connection_closed") == [("connection_closed", "lobby", "u1", 0.0, "normal")]

    def test_has_its_last_messages_handled(self, code):
        """It left after sending them."""
        assert ended(connected().do(c.PeerClosed(1, code, ""))).deliver is True

    def test_is_answered_by_its_reader_and_not_again(self, code):
        assert closes(connected().do(c.PeerClosed(1, code, ""))) == []

    def test_keeps_its_socket_until_the_answer_is_out(self, code):
        play = connected()
        assert aborted(play.do(c.PeerClosed(1, code, ""))) == []
        assert aborted(play.do(c.CloseSent(1))) == [1]


ENDS = {
    "kick": (c.Kick("u1"), "kick", (1, 1000, "kicked", True)),
    "close": (c.Close(1), "normal", (1, 1000, "", True)),
}


@pytest.mark.parametrize(("order", "reason", "frame"), ENDS.values(), ids=ENDS)
class TestTheApplicationEndsIt:
    def test_what_was_sent_before_still_goes_out(self, order, reason, frame):
        """The id is free before the close frame can be seen, and the frame goes behind the data."""
        effects = connected().do(order)
        assert names(effects) == ["EndSession", "SendClose", "Notify"]
        assert ended(effects).flush is True
        assert closes(effects) == [frame]

    def test_is_no_error_to_on_disconnect(self, order, reason, frame):
        effects = connected().do(order)
        assert (callbacks(effects), errors(effects)) == (["on_disconnect"], ["NoneType"])
        assert counted(effects, "connection_closed") == [("connection_closed", "lobby", "u1", 0.0, reason)]

    def test_a_suspended_session_has_nobody_to_tell(self, order, reason, frame):
        play = suspended()
        effects = play.do(order)
        assert names(effects) == ["EndSession", "Notify"]
        assert (ended(effects).flush, ended(effects).drop_reason) == (False, DropReason.CLOSED)
        assert errors(effects) == ["NoneType"], "not the error of the drop before: the application wanted it"

    def test_the_window_does_not_fire_afterwards(self, order, reason, frame):
        play = suspended()
        play.do(order)
        assert play.due(DeadlineKind.GRACE) is None
        assert callbacks(play.wait(WINDOW)) == []


def test_a_kick_of_nobody_says_so():
    assert MachineDriver().do(c.Kick("nobody")) == [e.NotFound("nobody")]


def test_closing_twice_is_no_error():
    play = connected()
    play.do(c.Close(1))
    assert names(play.do(c.Close(1))) == []


def test_a_close_of_a_session_that_has_ended_spares_the_next_holder_of_its_id():
    """close() goes by session and not by id: an old connection object cannot end a stranger's session."""
    play = connected()
    play.do(c.Kick("u1"))
    play.register("u1")
    play.do(c.Close(1))
    assert play.state() == "CONNECTED"


class TestAHandlerThatRaises:
    @pytest.mark.parametrize("hook", ["on_message", "on_transport_restore"])
    def test_ends_the_transport_and_suspends_the_session(self, hook):
        play = connected()
        effects = play.do(play.failure(hook))
        assert names(effects) == ["DetachTransport", "SendClose", "Notify"]
        assert closes(effects) == [(1, 1011, "handler error", False)]
        assert (callbacks(effects), errors(effects)) == (["on_transport_drop"], ["HandlerError"])
        assert play.state() == "SUSPENDED"

    def test_ends_the_session_if_there_is_no_window(self):
        play = connected(resume_window=0.0)
        effects = play.do(play.failure())
        assert closes(effects) == [(1, 1011, "handler error", False)]
        assert (callbacks(effects), errors(effects)) == (["on_disconnect"], ["HandlerError"])
        [(*_, reason)] = counted(effects, "connection_closed")
        assert reason == "handler_error"

    def test_in_on_connect_ends_the_session_for_good(self):
        """An access check that failed must not be resumable."""
        play = connected()
        effects = play.do(play.failure("on_connect"))
        assert names(effects) == ["EndSession", "SendClose", "Notify"]
        assert (callbacks(effects), errors(effects)) == (["on_disconnect"], ["HandlerError"])
        assert ended(effects).flush is False
        assert closes(play.register(resume=True, seen="life 1")) == [(2, 4100, "session expired", False)]

    @pytest.mark.parametrize("meanwhile", ["suspended", "resumed"])
    def test_in_on_connect_ends_the_session_whatever_became_of_its_transport(self, meanwhile):
        play = connected()
        failure = play.failure("on_connect")
        play.do(c.PeerGone(1, reset=True))
        if meanwhile == "resumed":
            play.resume()
        assert callbacks(play.do(failure)) == ["on_disconnect"]
        assert play.state() == "CLOSED"


def test_the_error_of_an_earlier_drop_does_not_outlive_a_takeover():
    """A drop, a resume, a takeover, a drop by takeover, an expiry: the last drop's error counts."""
    play = connected()
    play.do(c.PeerClosed(1, 1001, "first"))
    play.resume()
    play.do(c.PeerClosed(2, 1001, "second"))
    [last] = [effect for effect in play.wait(WINDOW) if isinstance(effect, e.Notify)]
    assert last.error.reason == "second"


def test_a_room_ends_with_its_last_session():
    play = MachineDriver()
    play.register("u1")
    play.register("u2")
    assert counted(play.do(c.Kick("u1")), "room_destroyed") == []
    assert counted(play.do(c.Kick("u2")), "room_destroyed") == [("room_destroyed", "lobby")]
    assert play.machine.rooms == {}


def test_a_suspended_session_keeps_its_room():
    play = suspended()
    assert play.machine.rooms == {"lobby": 1}
    assert counted(play.wait(WINDOW), "room_destroyed") == [("room_destroyed", "lobby")]


def test_the_duration_of_a_session_spans_its_transports():
    play = connected()
    play.wait(5)
    play.do(c.PeerGone(1, reset=True))
    play.wait(7)
    play.resume()
    play.wait(8)
    [(_, _, _, duration, _)] = counted(play.do(c.Kick("u1")), "connection_closed")
    assert duration == 20.0


def test_a_shutdown_is_told_as_such():
    play = connected()
    effects = play.do(c.Shutdown())
    assert ended(effects).hub_closed is True
    [error] = [effect.error for effect in effects if isinstance(effect, e.Notify)]
    assert isinstance(error, HubClosed)


def test_all_sessions_end_as_at_a_shutdown_and_the_hub_goes_on():
    """Connected and suspended ones, each as at a shutdown; the next client begins a session."""

    def effects_of(order: c.Command) -> list[e.Effect]:
        play.register("u1")
        play.register("u2")
        play.do(c.PeerGone(2, reset=True))
        return play.do(order)

    play = MachineDriver()
    expected = effects_of(c.Shutdown())
    play = MachineDriver()
    assert [str(effect) for effect in effects_of(c.EndAll())] == [str(effect) for effect in expected]
    assert play.machine.sessions == {}
    play.register("u3")
    assert sorted(play.machine.sessions) == ["u3"]
    assert not play.machine.draining


def test_a_kick_of_a_user_ends_its_sessions_and_no_others():
    """Connected and suspended ones; a session that has ended is its user's no more."""
    play = MachineDriver()
    for who, user in (("u1", "ada"), ("u2", "ben"), ("u3", "ada"), ("u4", "ada"), ("u5", None)):
        play.register(who, resume_request=ResumeRequest(user=user))
    play.do(c.PeerGone(3, reset=True))
    play.do(c.Close(4))
    effects = play.do(c.KickUser("ada"))
    assert [effect.epoch for effect in effects if isinstance(effect, e.EndSession)] == [1, 3]
    assert counted(effects, "connection_closed")[0][-1] == "kick"
    assert sorted(play.machine.sessions) == ["u2", "u5"]
    assert play.do(c.KickUser("ada")) == play.do(c.KickUser("nobody")) == []


def test_a_kick_of_a_life_ends_no_later_session_of_the_id():
    """An operator looks at a session, and another one has its id by the time of the kick."""
    play = MachineDriver()
    play.register("u1", life="first")
    play.do(c.Kick("u1", "first"))
    play.register("u1", life="second")
    assert [type(effect) for effect in play.do(c.Kick("u1", "first"))] == [e.NotFound]
    assert sorted(play.machine.sessions) == ["u1"]
    assert any(isinstance(effect, e.EndSession) for effect in play.do(c.Kick("u1", "second")))


def test_an_operator_ends_the_window_of_a_suspended_session():
    """It ends as if nobody had come back in time."""
    play = MachineDriver()
    play.register("u1", life="first")
    play.do(c.PeerGone(1, reset=True))
    effects = play.do(c.Expire("u1", "first"))
    assert counted(effects, "connection_closed")[0][-1] == "grace_expired"
    assert play.machine.sessions == {}
    assert play.machine.next_deadline() is None


def test_an_operator_ends_no_window_of_a_connected_session_or_of_another_one():
    """Its client has come back meanwhile; or another session has the id."""
    play = MachineDriver()
    play.register("u1", life="first")
    assert [type(effect) for effect in play.do(c.Expire("u1", "first"))] == [e.Ignored]
    play.do(c.PeerGone(1, reset=True))
    assert [type(effect) for effect in play.do(c.Expire("u1", "another"))] == [e.Ignored]
    assert sorted(play.machine.sessions) == ["u1"]
