"""A frame is written whole or not at all, on whatever path the client comes back (C3, C4)."""

from __future__ import annotations

import json

import pytest

from resumehub import Message
from resumehub.testing import TransportClosed, WebSocketClient
from tests.contract.peers import ROCK, Ledger, fill, heard_all, noise, rock, unread, until
from tests.support import PATIENCE, Stage, read, text

LARGE = {"send_buffer_bytes": 1 << 23}


def fills(ws: WebSocketClient, count: int) -> list[int]:
    """The numbers of the next ``count`` messages of ``fill``."""
    return [int(payload.split()[0]) for _, payload in (read(ws) for _ in range(count))]


@pytest.mark.contract("C3")
@pytest.mark.parametrize("tcp", [False, True], ids=["on a socketpair", "on TCP"])
def test_a_message_that_was_half_written_when_the_transport_died_is_replayed_whole(stage, tcp) -> None:
    """And what was written whole is not sent again."""
    ledger = Ledger()
    s = stage(metrics=ledger, send_buffer=400, send_buffer_bytes=1 << 25)
    frames = 300 if tcp else 20
    ws = s.open(tcp=tcp)
    fill(s, frames)  # more than the kernel takes, so that the last one it takes it takes in part
    written = len(ledger.of("message_sent"))
    assert 0 < written < frames

    s.drop(ws)
    again = s.resume(ws)

    got = fills(again, frames - written)
    assert got == list(range(written, frames))


@pytest.mark.contract("C3")
def test_a_message_that_began_on_three_transports_arrives_on_the_fourth(stage) -> None:
    """Each time from its first byte."""
    s = stage()
    ws = s.open()
    rock(s)
    for count in (1, 2, 3):
        until(lambda ws=ws: 0 < unread(ws) < ROCK)  # it has begun, and cannot end
        s.drop(ws, count=count)
        ws = s.resume(ws)

    assert read(ws) == ("rock", "r" * ROCK)


@pytest.mark.contract("C3", "C5")
def test_a_takeover_does_not_cut_or_share_the_frame_that_has_begun(stage) -> None:
    """The old transport ends it, so that its close frame can be read; the new one has it from the start."""
    s = stage(**LARGE)
    ws = s.open()
    rock(s)
    s.say("u1", 1, 2)

    again = s.resume(ws)

    assert read(again) == ("rock", "r" * ROCK)
    assert [read(again), read(again)] == [("n", 1), ("n", 2)]
    assert read(ws) == ("rock", "r" * ROCK)
    with pytest.raises(TransportClosed) as closed:
        read(ws)
    assert (closed.value.code, closed.value.reason) == (4101, "superseded")


@pytest.mark.contract("C3")
def test_the_new_transport_does_not_wait_for_a_peer_that_left_the_old_one_stuck(stage) -> None:
    """A half-open transport is stuck for ever; that must not stop its successor."""
    s = stage(**LARGE)
    ws = s.open()
    fill(s)
    stuck = unread(ws)

    again = s.resume(ws)

    heard_all(again)
    assert read(again)[0] == "fill"
    assert unread(ws) == stuck, "nobody has read from the old transport, and nothing was written to it"


@pytest.mark.contract("C3")
def test_what_was_written_to_the_old_transport_is_not_written_to_the_new_one(stage) -> None:
    """The cursor moves with each whole frame, for the present transport only."""
    ledger = Ledger()
    s = stage(metrics=ledger, **LARGE)
    ws = s.open()
    fill(s)
    first = fills(ws, 8)
    ledger.wait_for("message_sent", 9)

    again = s.resume(ws)

    # Whatever the old one's kernel took is the old one's; the rest is the new one's; none is nobody's.
    on_the_new = fills(again, 1)
    on_the_new += fills(again, 19 - on_the_new[0])
    assert first == list(range(8))
    assert on_the_new == list(range(on_the_new[0], 20))
    on_the_old = first + [int(payload.split()[0]) for _, payload in rest(ws)]
    assert on_the_old == list(range(len(on_the_old)))
    assert on_the_new[0] in (len(on_the_old) - 1, len(on_the_old)), "the begun one ends on both"


def rest(ws: WebSocketClient) -> list[tuple[str, str]]:
    messages = []
    try:
        while True:
            messages.append(read(ws))
    except TransportClosed:
        return messages


# -- compression ----------------------------------------------------------------------------------


def open_deflated(s: Stage, query: str = "") -> WebSocketClient:
    ws = s.open(query=query, extensions="permessage-deflate; client_max_window_bits=15")
    assert "permessage-deflate" in dict(ws.headers)["Sec-WebSocket-Extensions"]
    return ws


@pytest.fixture
def boulder() -> str:
    """Text that stays larger than a socketpair takes at once when it is compressed."""
    return noise(ROCK)


@pytest.mark.contract("C4")
def test_a_compressed_session_speaks_and_hears(stage) -> None:
    """Both directions, and smaller than without."""
    s = stage(compression=True)
    ws = open_deflated(s)

    ws.send(text("hello", "h" * 1000))
    s.hub.send("u1", Message("hello", "h" * 1000))

    assert read(ws) == ("hello", "h" * 1000)
    assert s.recorder.wait_for("message").payload == "h" * 1000


@pytest.mark.contract("C3", "C4")
@pytest.mark.parametrize("then", ["without compression", "with compression"])
@pytest.mark.parametrize("before", ["without compression", "with compression"])
@pytest.mark.parametrize("how", ["after a drop", "by takeover"])
def test_a_half_written_message_is_replayed_whatever_was_negotiated(
    stage, boulder, before, then, how
) -> None:
    """Compressed bytes on a path without compression would end every resume."""
    s = stage(compression=True, **LARGE)
    ws = open_deflated(s) if before == "with compression" else s.open()
    s.hub.send("u1", Message("small", "s" * 1000))
    s.hub.send("u1", Message("boulder", boulder))
    s.hub.send("u1", Message("small", "s" * 1000))
    assert 0 < unread(ws) < ROCK * 3 // 4
    if how == "after a drop":
        s.drop(ws)

    again = open_deflated(s, "&resume=true") if then == "with compression" else s.open(query="&resume=true")

    assert read(again) == ("boulder", boulder)
    assert read(again) == ("small", "s" * 1000)
    s.hub.send("u1", Message("small", "s" * 1000))
    assert read(again) == ("small", "s" * 1000)
    again.send(text("hello", "h" * 1000))
    heard_all(again)
    assert s.recorder.wait_for("message").payload == "h" * 1000
    if how == "by takeover":
        assert rest(ws) == [("small", "s" * 1000), ("boulder", boulder)]
        assert ws.closed == (4101, "superseded")


@pytest.mark.contract("C4")
def test_what_was_sent_while_suspended_is_encoded_for_the_path_that_comes(stage) -> None:
    """Dropped compressed, resumed plain, and the other way round, with messages waiting each time."""
    s = stage(compression=True)
    ws = open_deflated(s)
    for count, deflated in enumerate((False, True, False, True), start=1):
        s.drop(ws, count=count)
        for number in range(10):
            s.hub.broadcast("lobby", Message("n", [number, "x" * 500]))

        ws = open_deflated(s, "&resume=true") if deflated else s.open(query="&resume=true")

        assert [read(ws)[1][0] for _ in range(10)] == list(range(10))


@pytest.mark.contract("C4")
def test_one_broadcast_reaches_peers_with_and_without_compression(stage) -> None:
    """It is encoded once, but the wire bytes are each path's own."""
    s = stage(compression=True)
    plain, deflated = s.open("u2"), open_deflated(s)

    for number in range(50):
        s.hub.broadcast("lobby", Message("n", [number, "x" * 500]))

    for ws in (plain, deflated):
        assert [json.loads(ws.receive(PATIENCE))["payload"][0] for _ in range(50)] == list(range(50))
