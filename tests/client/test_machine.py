"""What a client's machine decides, one event at a time, without a thread, socket or clock."""

from __future__ import annotations

import pytest

from resumehub import TransportLost
from resumehub.client import State
from resumehub.client import commands as c
from resumehub.client import effects as e
from resumehub.client.verdicts import DialVerdict, of_close, of_status
from resumehub.errors import HandshakeRefused, HeartbeatTimeout, RetriesExhausted, SessionExpired
from resumehub.protocol.control_messages import NO_ACK
from tests.client.client_machine_driver import Bench, hello, of

CLOSE_CODES = [
    (1000, DialVerdict.ENDED),
    (1005, DialVerdict.ENDED),
    (4101, DialVerdict.ENDED),
    (4100, DialVerdict.EXPIRED),
    (4403, DialVerdict.REFUSED),
    (4409, DialVerdict.REFUSED),
    (1002, DialVerdict.MESSAGE_REJECTED),
    (1007, DialVerdict.MESSAGE_REJECTED),
    (1008, DialVerdict.MESSAGE_REJECTED),
    (1009, DialVerdict.MESSAGE_REJECTED),
    (1001, DialVerdict.RETRY),
    (1006, DialVerdict.RETRY),
    (1011, DialVerdict.RETRY),
    (1012, DialVerdict.RETRY),
    (1013, DialVerdict.RETRY),
    (1014, DialVerdict.RETRY),
    (4503, DialVerdict.RETRY),
    (4999, DialVerdict.RETRY),
]

STATUSES = [
    (410, DialVerdict.EXPIRED),
    (400, DialVerdict.REFUSED),
    (401, DialVerdict.REFUSED),
    (403, DialVerdict.REFUSED),
    (404, DialVerdict.REFUSED),
    (409, DialVerdict.REFUSED),
    (426, DialVerdict.REFUSED),
    (501, DialVerdict.REFUSED),
    (200, DialVerdict.REFUSED),
    (302, DialVerdict.REFUSED),
    (408, DialVerdict.RETRY),
    (429, DialVerdict.RETRY),
    (500, DialVerdict.RETRY),
    (502, DialVerdict.RETRY),
    (503, DialVerdict.RETRY),
]


@pytest.mark.parametrize(("code", "verdict"), CLOSE_CODES)
def test_each_close_code_has_one_meaning(code: int, verdict: DialVerdict) -> None:
    """A client stays away, gives up or comes back exactly as the table on the wire's page says."""
    assert of_close(code, by_peer=True) is verdict
    assert of_close(code, by_peer=False) is DialVerdict.RETRY


def test_a_client_that_was_too_slow_blames_no_message() -> None:
    """The hub closes with 1008 when no $ack comes: what this end has sent has nothing to do with it."""
    assert of_close(1008, by_peer=True, reason=NO_ACK) is DialVerdict.RETRY
    assert of_close(1008, by_peer=True, reason="an $ack that cannot be") is DialVerdict.MESSAGE_REJECTED


@pytest.mark.parametrize(("status", "verdict"), STATUSES)
def test_each_status_has_one_meaning(status: int, verdict: DialVerdict) -> None:
    """ "Not now" is asked again, "not you" is not."""
    assert of_status(status) is verdict


@pytest.mark.parametrize(("code", "verdict"), CLOSE_CODES)
def test_what_becomes_of_a_connection_that_ends(code: int, verdict: DialVerdict) -> None:
    """Either it is over, and nothing will ever happen again, or the session is asked for."""
    bench = Bench()
    bench.open()
    effects = bench.lose(code)
    ends = {
        DialVerdict.ENDED: (State.CLOSED, TransportLost),
        DialVerdict.EXPIRED: (State.EXPIRED, SessionExpired),
        DialVerdict.REFUSED: (State.CLOSED, HandshakeRefused),
    }
    if verdict in ends:
        state, error = ends[verdict]
        assert bench.state is state
        assert type(bench.machine.error) is error
        assert bench.machine.next_deadline() is None  # nothing will ever happen again
        assert "on_transport_drop" not in bench.hooks()
    else:
        assert bench.state is State.WAITING
        assert bench.hooks() == ["on_transport_drop"]
        assert of(effects, e.Detach) == [e.Detach(1, replay=True)]


def test_a_lost_connection_is_resumed() -> None:
    """Detach first, then read the count, then dial: in this order, and with a higher number."""
    bench = Bench(chance=1.0)
    assert of(bench.done, e.Dial) == [e.Dial(1, resume=False, offer=True)]
    bench.open()
    bench.lose()
    assert not of(bench.wait(0.4), e.Dial)
    assert bench.wait(0.2) == [e.Dial(2, resume=True, offer=True)]
    order = [type(effect) for effect in bench.done if isinstance(effect, e.Detach | e.Dial)]
    assert order == [e.Dial, e.Detach, e.Dial]
    effects = bench.open(resumed=True, asked=7)
    # The callback is queued ahead of the first message, and the count acknowledged at once.
    assert effects[0] == e.QueueCallback("on_transport_restore")
    assert isinstance(effects[1], e.Attach)
    assert effects[2] == e.Acknowledge(2, 7)


def test_each_address_has_its_share_of_the_time() -> None:
    """A dead one leaves as much as it had to each one behind it; one that refuses leaves all to them."""
    bench = Bench(open_timeout=12.0)
    bench.do(c.Trying(1, 2))
    assert bench.wait(3.9) == []
    assert bench.wait(0.1) == [e.GiveUpAddress(1, 2)]
    bench.do(c.Trying(1, 1))
    bench.wait(2.0)
    bench.do(c.Trying(1, 0))  # the one before has refused: the last one has all that is left
    assert bench.wait(5.9) == []
    assert of(bench.wait(0.1), e.Abort) == [e.Abort(1)]


def test_a_share_ends_with_its_dial() -> None:
    """A connection that stands is not given up for an address, and neither is the next dial."""
    bench = Bench(open_timeout=12.0)
    bench.do(c.Trying(1, 1))
    bench.open()
    assert of(bench.wait(6.0), e.GiveUpAddress) == []
    bench.lose()
    bench.do(c.Trying(1, 1))  # late
    assert of(bench.wait(11.0), e.GiveUpAddress) == []


def test_pauses_double_up_to_a_bound_and_begin_anew_after_a_good_connection() -> None:
    """Full jitter: what is drawn is a part of the bound, and only the bound grows."""
    bench = Bench(initial=1.0, cap=6.0, chance=0.5)
    for _ in range(4):
        bench.do(c.DialFailed(bench.machine.dial, TransportLost()))
        bench.wait_for_retry()
    assert [pause.upto for pause in of(bench.done, e.DrawPause)] == [1.0, 2.0, 4.0, 6.0]
    bench.open()
    bench.lose()  # at once: that was no good connection
    assert of(bench.done, e.DrawPause)[-1].upto == 6.0
    bench.wait_for_retry()
    bench.open(resumed=True)
    bench.wait(5.0)
    bench.lose()
    assert of(bench.done, e.DrawPause)[-1].upto == 1.0


def test_retry_after_is_the_least_that_is_waited() -> None:
    """The server says when; the random part on top keeps its clients from coming all at once."""
    bench = Bench(chance=1.0)
    bench.do(c.DialRefused(1, 503, retry_after=7.0))
    assert bench.machine.next_deadline() == 7.5


@pytest.mark.parametrize("plain", [False, True], ids=["before $hello", "a plain dial that looked open"])
def test_the_seconds_of_a_close_frame_are_waited_too(plain: bool) -> None:
    """A server that is full says 4503, and its reason has what Retry-After would have said."""
    bench = Bench(chance=1.0, plain=plain)
    if plain:
        bench.do(c.Opened(1, None))
    bench.lose(4503, "try again later (in 7 seconds)")
    assert bench.machine.next_deadline() == 7.5


def test_a_server_that_restarts_is_given_a_moment() -> None:
    """All its clients come back to a process that has just started: each within two seconds, at random."""
    bench = Bench(chance=1.0)
    bench.open()
    bench.lose(1012, "service restart")
    assert bench.machine.next_deadline() == 2.0
    bench.wait(2.0)
    bench.do(c.DialFailed(2, TransportLost()))
    assert bench.machine.next_deadline() == 2.0 + 1.0  # the usual bound, once doubled


def test_the_pause_behind_a_restart_is_bounded_like_the_others() -> None:
    """Whoever has set a shorter bound for all pauses means this one, too."""
    bench = Bench(chance=1.0, cap=0.5)
    bench.open()
    bench.lose(1012, "service restart")
    assert bench.machine.next_deadline() == 0.5


def test_retries_run_out() -> None:
    """The last failure is the cause of the error."""
    bench = Bench(max_retries=2)
    for number in (1, 2, 3):
        bench.do(c.DialFailed(number, TransportLost(1006, f"number {number}")))
        bench.wait(0.0 if number == 3 else (bench.machine.next_deadline() or 0.0) - bench.now)
    error = bench.machine.error
    assert isinstance(error, RetriesExhausted)
    assert error.attempts == 2
    assert str(error.__cause__).endswith("number 3")
    assert len(of(bench.done, e.Dial)) == 3


def test_a_dial_that_gets_no_answer_is_given_up() -> None:
    """A server that accepts and is silent costs open_timeout; what it says later is ignored."""
    bench = Bench(open_timeout=3.0, chance=0.0)
    effects = bench.wait(3.0)
    assert of(effects, e.Abort) == [e.Abort(1)]
    assert bench.machine.dial == 2
    bench.do(c.DialFailed(1, TransportLost()))
    assert e.Abort(1) in bench.do(c.Opened(1, None))
    assert bench.state is State.CONNECTING


def test_an_expired_session_ends_the_loop() -> None:
    """410, with what the server says of the gap."""
    bench = Bench()
    bench.open()
    bench.lose()
    bench.wait_for_retry()
    bench.do(c.DialRefused(2, 410, reason="gap", first_available=42))
    assert bench.state is State.EXPIRED
    error = bench.machine.error
    assert isinstance(error, SessionExpired)
    assert (error.reason, error.first_available) == ("gap", 42)
    assert bench.hooks() == ["on_transport_drop", "on_session_expired", "on_disconnect"]
    assert not bench.wait(3600.0)


def test_a_session_that_expires_during_the_upgrade_has_expired() -> None:
    """Close code 4100 right behind the 101 says the same as 410, gap and all."""
    bench = Bench()
    bench.open()
    bench.lose()
    bench.wait_for_retry()
    bench.lose(4100, '{"reason": "gap", "first_available": 9}')
    error = bench.machine.error
    assert isinstance(error, SessionExpired)
    assert (error.reason, error.first_available) == ("gap", 9)


def test_a_new_session_in_place_of_the_old_one_counts_as_expired() -> None:
    """A server that was replaced by one that speaks plain must not pass for a resume."""
    for opened in (c.Opened(2, None), c.Opened(2, hello(resumed=False))):
        bench = Bench()
        bench.open()
        bench.lose()
        bench.wait_for_retry()
        bench.do(opened)
        assert bench.state is State.EXPIRED


def test_gone_without_a_session_is_a_refusal() -> None:
    """A server that answers the very first dial with 410 has nothing to expire."""
    bench = Bench()
    bench.do(c.DialRefused(1, 410))
    assert isinstance(bench.machine.error, HandshakeRefused)


def test_our_own_lost_dial_may_hold_the_id_for_a_while() -> None:
    """The server got the first dial, its answer was lost: the 409 to the second is about ourselves."""
    bench = Bench()
    bench.do(c.DialFailed(1, TransportLost(), reached=True))
    bench.wait_for_retry()
    bench.do(c.DialRefused(2, 409))
    assert bench.state is State.WAITING
    while bench.state is State.WAITING:
        bench.wait_for_retry()
        bench.do(c.DialRefused(bench.machine.dial, 409))
    assert bench.machine.dial == 12
    assert isinstance(bench.machine.error, HandshakeRefused)  # it is somebody else after all

    stranger = Bench()
    stranger.do(c.DialFailed(1, TransportLost()))
    stranger.wait_for_retry()
    stranger.do(c.DialRefused(2, 409))
    assert isinstance(stranger.machine.error, HandshakeRefused)


def test_silence_is_a_half_open_connection() -> None:
    """The server pings every 20 seconds; 10 seconds later than that it is taken for gone."""
    bench = Bench(heartbeat_margin=10.0)
    bench.open(ping_interval=20.0)
    bench.heard_at = 20.0
    assert of(bench.wait(49.0), e.AskLastHeard) == [e.AskLastHeard(1)]
    assert bench.state is State.CONNECTED
    effects = bench.wait(1.0)
    assert of(effects, e.Abort) == [e.Abort(1)]
    assert isinstance(of(effects, e.QueueCallback)[0].error, HeartbeatTimeout)
    assert bench.state is State.WAITING


def test_a_server_without_heartbeat_may_be_silent() -> None:
    """Where no ping is due none is missed; a plain server says nothing of it, so you may."""
    bench = Bench()
    bench.open(ping_interval=None)
    assert not bench.wait(3600.0)
    plain = Bench(plain=True, silence_timeout=60.0)
    plain.do(c.Opened(1, None))
    assert of(plain.wait(60.0), e.Abort)


def test_acknowledgements_at_half_of_the_window_or_after_a_second() -> None:
    """By messages, by bytes, or one second after the first that is not acknowledged."""
    bench = Bench()
    bench.open(window_messages=8, window_bytes=1000)
    assert of(bench.done, e.Acknowledge) == [e.Acknowledge(1, 0)]
    for number in (1, 2, 3):
        assert not bench.do(c.Handled(number, 10))
    assert bench.do(c.Handled(4, 10)) == [e.Acknowledge(1, 4)]
    assert bench.do(c.Handled(5, 500)) == [e.Acknowledge(1, 5)]
    bench.do(c.Handled(6, 1))
    bench.wait(0.5)
    bench.do(c.Handled(7, 1))
    assert not bench.wait(0.4)
    assert bench.wait(0.1) == [e.Acknowledge(1, 7)]
    assert not of(bench.wait(10.0), e.Acknowledge)


def test_what_was_handled_before_the_resume_is_not_acknowledged_again() -> None:
    """An acknowledgement must never go back: the one in hand at the dial is in its count already."""
    bench = Bench()
    bench.open()
    bench.lose()
    bench.wait_for_retry()
    bench.do(c.Handled(4, 10))
    bench.open(resumed=True, asked=5)
    assert of(bench.done, e.Acknowledge)[-1] == e.Acknowledge(2, 5)
    assert not bench.do(c.Handled(5, 10))
    assert not of(bench.wait(5.0), e.Acknowledge)


def test_the_message_that_the_server_cannot_take_is_left_out_of_the_resume() -> None:
    """1009 is about a message: sending it again would only end the next transport, too."""
    bench = Bench()
    bench.open()
    bench.lose(1009, "message too big")
    bench.wait_for_retry()
    bench.do(c.DialFailed(2, TransportLost()))  # the knowledge outlives a dial that fails
    bench.wait_for_retry()
    assert of(bench.open(resumed=True), e.Attach)[0].rejected_with == 1009
    bench.lose()
    bench.wait_for_retry()
    assert of(bench.open(resumed=True), e.Attach)[0].rejected_with is None


def test_a_plain_server_of_our_kind_is_asked_for_the_session() -> None:
    """``plain=True`` is for a resumehub unless you say otherwise."""
    bench = Bench(plain=True)
    assert of(bench.done, e.Dial) == [e.Dial(1, resume=False, offer=False)]
    bench.do(c.Opened(1, None))
    bench.lose()
    assert bench.wait_for_retry() == [e.Dial(2, resume=True, offer=False)]


def test_a_session_that_a_full_server_never_made_is_not_asked_for() -> None:
    """A plain dial looks open before 4503 comes. A resume would be told: gone."""
    bench = Bench(plain=True)
    bench.do(c.Opened(1, None))
    bench.lose(4503, "try again later (in 5 seconds)")
    assert bench.wait_for_retry() == [e.Dial(2, resume=False, offer=False)]
    bench.do(c.Opened(2, None))
    bench.lose()
    bench.wait_for_retry()
    bench.do(c.Opened(3, None))
    bench.lose(4503)
    assert bench.wait_for_retry() == [e.Dial(4, resume=True, offer=False)]


def test_a_server_that_does_not_know_the_protocol_is_never_asked_to_resume() -> None:
    """A plain server sends nothing again, so the messages that wait are kept."""
    bench = Bench()
    bench.do(c.Opened(1, None))
    assert bench.machine.lossless is False
    effects = bench.lose()
    assert of(effects, e.Detach) == [e.Detach(1, replay=False)]
    assert bench.wait_for_retry() == [e.Dial(2, resume=False, offer=False)]


def test_closing_waits_until_all_is_sent() -> None:
    """The close frame goes out when nothing is left to prove, and the server's answer ends it."""
    bench = Bench()
    bench.open()
    assert not of(bench.do(c.Leave(1000, 5.0, drained=False)), e.SendCloseFrame)
    assert of(bench.do(c.Drained()), e.SendCloseFrame) == [e.SendCloseFrame(1, 1000)]
    bench.lose(1000)
    assert bench.state is State.CLOSED
    assert bench.machine.error is None
    assert bench.hooks() == ["on_disconnect"]


def test_closing_takes_no_longer_than_it_may() -> None:
    """A server that acknowledges nothing does not hold the program up."""
    bench = Bench()
    bench.open()
    bench.do(c.Leave(1000, 5.0, drained=False))
    effects = bench.wait(5.0)
    assert of(effects, e.Abort) == [e.Abort(1)]
    assert bench.state is State.CLOSED


def test_closing_again_with_less_patience() -> None:
    """The second ``close`` may hurry the first."""
    bench = Bench()
    bench.open()
    bench.do(c.Leave(1000, 60.0, drained=False))
    bench.do(c.Leave(1000, 0.0, drained=False))
    bench.wait(0.0)
    assert bench.state is State.CLOSED


def test_what_was_sent_just_before_the_first_connection_is_still_sent() -> None:
    """``with connect(url) as client: client.send(…)`` must not lose the message to the race."""
    bench = Bench()
    bench.do(c.Leave(1000, 5.0, drained=False))
    assert bench.state is State.CONNECTING
    bench.open()
    assert of(bench.do(c.Drained()), e.SendCloseFrame)


def test_closing_without_a_connection_and_with_nothing_to_send_is_immediate() -> None:
    """The client does not dial only to send a close frame."""
    bench = Bench()
    bench.do(c.DialFailed(1, TransportLost()))
    bench.do(c.Leave(1000, 5.0, drained=True))
    assert bench.state is State.CLOSED
