"""Which ends of a transport end the session (C6)."""

from __future__ import annotations

import pytest

from resumehub import Connection, Message, TransportLost
from resumehub.testing import UpgradeRefused
from tests.contract.peers import Ledger, handled_all, rock, until
from tests.contract.test_b_slow_handlers import handler_is_stuck, nobody_reads
from tests.support import PATIENCE, Stage, text

LINE = Message("n", "x" * 1000)


@pytest.mark.contract("C6")
@pytest.mark.parametrize("code", [1000, None], ids=["with 1000", "without a code"])
@pytest.mark.parametrize("tcp", [False, True], ids=["on a socketpair", "on TCP"])
def test_a_client_that_closes_has_left(stage, code, tcp) -> None:
    """A browser's ws.close() ends the session at once: no grace window, and the id is free."""
    ledger = Ledger()
    s = stage(metrics=ledger)
    ws = s.open(tcp=tcp)

    ws.close(code)

    assert s.recorder.wait_for("disconnect") is None
    assert ws.closed == (code or 1005, ""), "the code is sent back (RFC 6455 §5.5.1)"
    assert s.hub.get("u1") is None
    assert s.recorder.hooks() == ["connect", "disconnect"]
    assert ledger.of("connection_closed") == [("lobby", "u1", 0.0, "normal")]
    with pytest.raises(UpgradeRefused) as refused:
        s.resume(ws)
    assert refused.value.status == 410


@pytest.mark.contract("C6")
@pytest.mark.parametrize("code", [1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 3000, 4000, 4999])
def test_any_other_close_suspends(stage, code) -> None:
    """A page that is reloaded says 1001, and its next page comes back."""
    s = stage()
    ws = s.open()

    ws.close(code, "why")

    error = s.recorder.wait_for("drop")
    assert type(error) is TransportLost
    assert (error.code, error.reason) == (code, "why")
    assert ws.closed == (code, "")
    assert s.hub.get("u1").suspended
    handled_all(s, s.resume(ws))
    assert s.recorder.hooks() == ["connect", "drop", "restore"]


@pytest.mark.contract("C6")
def test_the_end_of_the_stream_without_a_close_frame_suspends(stage) -> None:
    """Also a tidy one: a FIN is not a leave."""
    s = stage()
    ws = s.open(tcp=True)

    ws.sock.close()

    error = s.recorder.wait_for("drop")
    assert (error.code, error.reason) == (1006, "")
    assert s.hub.get("u1").suspended


@pytest.mark.contract("C6")
@pytest.mark.parametrize("code", [1000, None], ids=["with 1000", "without a code"])
def test_a_leave_that_is_followed_by_silence_is_a_leave(stage, code) -> None:
    """A client that sends its close frame and is gone has said what it wanted."""
    s = stage()
    ws = s.open(tcp=True)

    ws.send_close(code)
    ws.sock.close()

    assert s.recorder.wait_for("disconnect") is None
    assert s.recorder.hooks() == ["connect", "disconnect"]


@pytest.mark.contract("C6")
@pytest.mark.parametrize("tcp", [False, True], ids=["on a socketpair", "on TCP"])
def test_a_leave_that_is_hidden_behind_a_write_error_is_honoured(stage, gate, tcp) -> None:
    """Writing has failed before anybody could read the close frame that the client sent last."""
    s = stage()
    ws = handler_is_stuck(s, gate, tcp=tcp)
    connection = s.hub.get("u1")
    with nobody_reads(s, ws, count=85, size=2000):
        pass  # some of it is left in the kernel's buffer
    ws.send_close(1000)
    ws.sock.close()
    until(lambda: writing_fails(s, connection))
    assert not connection.suspended
    assert not connection.closed
    gate.open()

    assert s.recorder.wait_for("disconnect") is None
    assert connection.wait_closed(PATIENCE)
    assert s.recorder.hooks() == ["connect"] + ["message"] * 86 + ["disconnect"]


def writing_fails(s: Stage, connection: Connection) -> bool:
    """Send something; whether the transport is known to take nothing any more, and the hub knows, too."""
    s.hub.broadcast("lobby", LINE)
    s.clock.advance(0)
    return connection._session.writer is not None and connection._session.writer._broken


@pytest.mark.contract("C6")
def test_a_drop_that_is_seen_by_a_write_error_is_reported_once(stage) -> None:
    """By the reader, when it has read all there was: what came before is handled."""
    s = stage()
    ws = s.open()
    for number in range(20):
        ws.send(text("n", number))
    ws.drop()
    connection = s.hub.get("u1")
    while not connection.suspended:
        s.hub.broadcast("lobby", LINE)

    error = s.recorder.wait_for("drop")
    assert type(error) is TransportLost
    assert s.recorder.hooks().count("drop") == 1


@pytest.mark.contract("C6")
def test_a_leave_behind_a_message_that_the_peer_does_not_read_is_honoured(stage) -> None:
    """The close frame of a client that has stopped reading still counts."""
    s = stage()
    ws = s.open()
    rock(s)

    ws.send_close()

    assert s.recorder.wait_for("disconnect") is None
    assert ws.receive_close() == (1000, "")
    assert ws.wait_for_eof()


@pytest.mark.contract("C6", "C8")
@pytest.mark.parametrize(
    ("end", "code"),
    [
        pytest.param(lambda ws: ws.send_close(1000), 1000, id="left"),
        pytest.param(lambda ws: ws.send_close(1001), 1001, id="gone away"),
        pytest.param(lambda ws: ws.send("x" * 65_537), 1009, id="sent too much"),
    ],
)
def test_who_has_seen_its_close_frame_may_come_back_at_once(stage, end, code) -> None:
    """`await closed; connect()` is not refused as a duplicate of the client's own former self."""
    s = stage(on_duplicate="reject", max_sessions=1)
    ws = s.open()
    for _ in range(30):
        end(ws)
        assert ws.receive_close()[0] == code

        ws = s.open()  # 409 or 503 if the hub has not understood yet

    assert not s.hub.get("u1").suspended
