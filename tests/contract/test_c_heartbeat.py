"""When a peer is asked whether it is still there, and what counts as an answer (C7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resumehub import HeartbeatTimeout, TransportLost
from resumehub.testing import WebSocketClient, client_frame
from tests.contract.peers import Ledger, fill, heard_all, rock, sip, unread
from tests.contract.v1_client import dial
from tests.support import PATIENCE, Stage, read, text


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def s(stage, ledger) -> Stage:
    """A Ping every 20 seconds, and 10 seconds for an answer."""
    return stage(metrics=ledger, max_message_size=10_000_000, send_buffer_bytes=1 << 22)


def here(s: Stage) -> WebSocketClient:
    """A client that has said something after its attach, so it is no newcomer whose network may be gone."""
    ws = s.open()
    heard_all(ws)
    return ws


def alive(s: Stage) -> bool:
    return not s.hub.get("u1").suspended


@pytest.mark.contract("C7")
def test_a_ping_comes_every_ping_interval(s) -> None:
    """Not before, and not more of them."""
    ws = here(s)

    s.clock.advance(19.5)
    heard_all(ws)
    assert ws.pings == []
    s.clock.advance(0.5)
    assert ws.wait_for_ping(1, PATIENCE)
    heard_all(ws)
    s.clock.advance(19.5)
    heard_all(ws)
    assert len(ws.pings) == 1
    for count in range(2, 10):
        s.clock.advance(0.5)
        assert ws.wait_for_ping(count, PATIENCE)
        heard_all(ws)
        s.clock.advance(19.5)

    assert alive(s)
    assert len(ws.pings) == 9


@pytest.mark.contract("C7")
def test_the_first_ping_of_a_new_transport_comes_a_whole_interval_after_it(s) -> None:
    """A resume starts anew."""
    ws = here(s)
    s.clock.advance(15)
    again = s.resume(ws)
    heard_all(again)

    s.clock.advance(19.5)
    heard_all(again)
    assert again.pings == []
    s.clock.advance(0.5)

    assert again.wait_for_ping(1, PATIENCE)


@pytest.mark.contract("C7")
@pytest.mark.parametrize("how", ["connects", "resumes"])
def test_a_newcomer_whose_network_fails_is_found_after_twice_write_timeout(s, ledger, how: str) -> None:
    """Its attach is all that is known of it: its first Ping does not wait for a whole interval."""
    ws = s.open()
    if how == "resumes":
        heard_all(ws)
        ws = s.resume(ws)
    s.clock.advance(19.5)
    assert alive(s)
    s.clock.advance(0.5)
    assert not alive(s)
    assert ledger.of("heartbeat_failed") == [("lobby", "u1")]
    assert ws.wait_for_eof()


@pytest.mark.contract("C7")
def test_a_newcomer_that_listens_answers_and_is_pinged_every_interval_from_then_on(s) -> None:
    """A client that has nothing to say is not given up, and costs one Ping more in its first interval."""
    ws = s.open()
    s.clock.advance(9.5)
    assert not ws.has_message()
    for count, seconds in enumerate([0.5, 20, 20, 20], 1):
        s.clock.advance(seconds)
        assert ws.wait_for_ping(count, PATIENCE)
        heard_all(ws)
        assert len(ws.pings) == count
    assert alive(s)


@pytest.mark.contract("C7", "D2")
def test_a_v1_client_that_lives_costs_no_frame_more(s) -> None:
    """It acknowledges its $hello at once, as the protocol asks: that is all that the hub wants to hear."""
    peer = dial(s)
    peer.ack_for_sure()
    s.clock.advance(19.5)
    assert peer.nothing_came()
    assert peer.ws.pings == []


@pytest.mark.contract("C7")
def test_without_an_interval_there_are_no_pings(stage) -> None:
    """ping_interval=None: silence is fine, for ever."""
    s = stage(ping_interval=None)
    ws = s.open()

    s.clock.advance(1_000_000)

    heard_all(ws)
    assert ws.pings == []
    assert alive(s)


@pytest.mark.contract("C7", "B6")
def test_a_peer_that_says_nothing_is_given_up_write_timeout_after_the_ping(s, ledger) -> None:
    """It can be resumed from then on; the old socket is shut."""
    ws = here(s)

    s.clock.advance(29.5)
    assert alive(s)
    s.clock.advance(0.5)

    assert not alive(s)
    assert type(s.recorder.wait_for("drop")) is HeartbeatTimeout
    assert ledger.of("heartbeat_failed") == [("lobby", "u1")]
    assert ws.wait_for_eof()
    assert ws.closed == (1006, "")
    s.resume(ws)
    s.recorder.wait_for("restore")


def raw(data: bytes) -> Callable[[WebSocketClient], object]:
    return lambda ws: ws.send_raw(data)


SIGNS_OF_LIFE: list[Any] = [
    pytest.param(lambda ws: ws.wait_for_ping(1, PATIENCE), id="the Pong"),
    pytest.param(raw(b"\x8a\x80\0\0\0\0"), id="a Pong that was not asked for"),
    pytest.param(lambda ws: ws.ping(), id="a Ping"),
    pytest.param(lambda ws: ws.send(text("hello")), id="a message"),
    pytest.param(lambda ws: ws.send("no JSON"), id="something that cannot be decoded"),
]


@pytest.mark.contract("C7")
@pytest.mark.parametrize("sign", SIGNS_OF_LIFE)
def test_whatever_a_peer_says_after_the_ping_is_a_sign_of_life(s, sign) -> None:
    """For this Ping; the next one wants another."""
    ws = here(s)
    s.clock.advance(25)
    sign(ws)
    heard_all(ws)

    s.clock.advance(24.5)
    assert alive(s)
    s.clock.advance(0.5)

    assert not alive(s)
    assert type(s.recorder.wait_for("drop")) is HeartbeatTimeout


@pytest.mark.contract("C7")
def test_what_a_peer_said_before_the_ping_is_no_answer_to_it(s) -> None:
    """It may have gone since."""
    ws = here(s)
    s.clock.advance(19.5)
    heard_all(ws)
    assert alive(s)

    s.clock.advance(10.5)

    assert not alive(s)


@pytest.mark.contract("C7")
def test_a_part_of_a_message_is_a_sign_of_life(s) -> None:
    """A large upload on a thin line: its Pong can only come behind the frame that has begun."""
    ws = here(s)
    s.clock.advance(20)
    frame = client_frame("text", b"x" * 5_000_000)

    # Far more than the kernel holds, so the server must have read some of it; no message ends in it.
    ws.send_raw(frame[:4_000_000])

    s.clock.advance(10)
    assert alive(s)
    ws.send_raw(frame[4_000_000:])
    heard_all(ws)
    assert alive(s)


@pytest.mark.contract("C7")
def test_a_ping_goes_ahead_of_unsent_messages(s) -> None:
    """Behind the frame that has begun, and no other: else a full outbox would look like a dead server."""
    ws = here(s)
    s.clock.advance(19.5)
    rock(s)
    fill(s)
    s.clock.advance(0.5)

    assert read(ws)[0] == "rock"
    assert read(ws)[0] == "fill"

    assert len(ws.pings) == 1, "the Ping came behind messages that had not begun"


@pytest.mark.contract("C7")
def test_a_peer_that_takes_bytes_is_alive_though_it_says_nothing(s, ledger) -> None:
    """The Ping lies behind what it is still reading, so it cannot have answered."""
    ws = here(s)
    s.clock.advance(19.5)
    fill(s)
    s.clock.advance(0.5)
    s.clock.advance(5)
    sent = len(ledger.of("message_sent"))
    sip(ws, unread(ws))
    ws.pings.clear()
    ledger.wait_for("message_sent", sent + 1)

    s.clock.advance(9.5)  # beyond write_timeout after the Ping, not after the last byte taken
    assert alive(s)
    s.clock.advance(0.5)

    assert not alive(s)
    assert type(s.recorder.wait_for("drop")) is TransportLost


@pytest.mark.contract("C7")
def test_many_pings_that_nobody_reads_do_not_pile_up(stage) -> None:
    """A peer that talks and never listens gets a few Pongs, and no memory of ours."""
    s = stage(ping_interval=None, write_timeout=1000)
    ws = s.open()
    rock(s)
    for _ in range(10_000):
        ws.ping(b"ping")
    s.hub.kick("u1")

    assert ws.receive_close() == (1000, "kicked")
    assert 1 <= len(ws.pongs) < 100
