"""The transport in memory: what it adds to the clauses that every transport keeps.

Those are in ``tests/transport/test_conformance.py``; here are its faults, and its strictness.
"""

from __future__ import annotations

import threading

import pytest

from resumehub.core.commands import Register
from resumehub.message import Frame, Opcode
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import MemoryTransport, ScriptedPeer, WireFrame, client_frame, memory_pair
from resumehub.testing.wire import parse, server_frame
from resumehub.transport.base import CloseReceived, DataReceived, Ended, Failed, PingReceived, PongReceived
from tests.support import PATIENCE, Call, Stage, text

HELLO = Frame(Opcode.TEXT, b"hello")


# -- what the peer says ------------------------------------------------------------------------


def test_what_is_said_at_once_is_received_at_once() -> None:
    transport, peer = memory_pair()
    peer.send("a", PingReceived(b"?"), b"b")
    peer.send("c")
    assert transport.receive() == [DataReceived("a", 1), PingReceived(b"?"), DataReceived(b"b", 1)]
    assert transport.receive() == [DataReceived("c", 1)]


def test_there_is_a_word_for_everything() -> None:
    transport, peer = memory_pair()
    peer.ping(b"1")
    peer.pong()
    peer.close(4000, "enough")
    assert [transport.receive() for _ in range(3)] == [
        [PingReceived(b"1")],
        [PongReceived()],
        [CloseReceived(4000, "enough")],
    ]
    transport, peer = memory_pair()
    peer.fail(1007, "bad text")
    peer.finish()
    assert [transport.receive(), transport.receive()] == [[Failed(1007, "bad text")], [Ended(reset=False)]]


def test_a_reset_is_told_from_an_end() -> None:
    transport, peer = memory_pair()
    peer.hang_up(reset=True)
    assert transport.receive() == [Ended(reset=True)]
    with pytest.raises(OSError):
        transport.write([b"x"])


def test_a_peer_that_has_only_finished_still_reads() -> None:
    transport, peer = memory_pair()
    peer.finish()
    assert transport.write([transport.encode(HELLO)]) == 7
    assert peer.read() == [WireFrame("text", b"hello")]


# -- what the peer takes -----------------------------------------------------------------------


def test_the_window_is_how_much_is_taken() -> None:
    transport, peer = memory_pair(window=3)
    wire = transport.encode(HELLO)
    assert transport.write([wire]) == 3
    assert transport.write([wire[3:]]) == 0
    assert peer.frames == []
    assert peer.unfinished == wire[:3]
    peer.window = 100
    assert transport.write([wire[3:]]) == 4
    assert peer.window == 96
    assert [str(frame) for frame in peer.frames] == ["text hello"]


def test_a_trickle_is_how_much_is_taken_at_once() -> None:
    transport, peer = memory_pair()
    peer.trickle(2)
    wire = transport.encode(HELLO)
    taken = [transport.write([wire[at:]]) for at in range(0, 7, 2)]
    assert taken == [2, 2, 2, 1]
    peer.trickle(None)
    assert transport.write([wire]) == 7


def test_a_failure_may_come_in_the_middle_of_a_frame() -> None:
    transport, peer = memory_pair()
    peer.fail_writes(after=4)
    wire = transport.encode(HELLO)
    assert transport.write([wire]) == 4
    with pytest.raises(BrokenPipeError):
        transport.write([wire[4:]])
    transport.wait_writable()
    assert peer.wire == wire[:4]


def test_frames_can_be_read_as_they_come() -> None:
    transport, peer = memory_pair()
    transport.write([b"HTTP/1.1 101 Switching Protocols\r\n\r\n"])
    assert peer.read() == []
    transport.write([transport.encode(HELLO), transport.encode_close(1000, "bye")])
    hello, close = peer.read()
    assert (hello.kind, hello.text) == ("text", "hello")
    assert (close.kind, close.code, close.reason) == ("close", 1000, "bye")
    assert peer.read() == []
    assert peer.frames == [hello, close]


# -- waiting -----------------------------------------------------------------------------------


def test_a_test_can_wait_for_a_thread_to_wait() -> None:
    """No guessing whether the reader is already blocked."""
    transport, peer = memory_pair()
    assert peer.waiting == 0
    receiving = Call(transport.receive)
    assert peer.wait_until(lambda peer: peer.waiting == 1)
    peer.send("now")
    assert receiving.result() == [DataReceived("now", 3)]
    assert peer.waiting == 0


def test_a_wait_ends_when_it_happens_or_the_time_is_over() -> None:
    transport, peer = memory_pair()
    assert not peer.wait_until(lambda peer: bool(peer.frames), timeout=0)
    assert peer.wait_for_frames(1, timeout=0) == []
    waiting = Call(lambda: peer.wait_for_frames(2, PATIENCE))
    for _ in range(2):
        transport.write([transport.encode(HELLO)])
    assert len(waiting.result()) == 2


def test_all_waiting_is_done_by_the_runtime_it_was_given() -> None:
    """So a runtime that decides who runs when can decide it here."""
    made: list[str] = []

    class Noting(SystemRuntime):
        def lock(self):
            made.append("lock")
            return super().lock()

        def condition(self, lock):
            made.append("condition")
            return super().condition(lock)

    memory_pair(runtime=Noting())
    assert made == ["lock", "condition"]


# -- strictness --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda transport: transport.receive(),
        lambda transport: transport.write([b"x"]),
        lambda transport: transport.wait_writable(),
        lambda transport: transport.has_hung_up(),
        lambda transport: transport.abort(),
        lambda transport: transport.release(),
    ],
    ids=["receive", "write", "wait_writable", "has_hung_up", "abort", "release"],
)
def test_a_released_transport_must_not_be_used(use) -> None:
    """By then its descriptor's number may be another connection's."""
    transport, _ = memory_pair()
    transport.release()
    with pytest.raises(AssertionError, match="used after release"):
        use(transport)


def test_a_transport_in_use_must_not_be_released() -> None:
    transport, peer = memory_pair()
    receiving = Call(transport.receive)
    peer.wait_until(lambda peer: peer.waiting == 1)
    with pytest.raises(AssertionError, match="while a thread waits in it"):
        transport.release()
    transport.abort()
    receiving.result()


def test_a_stateful_stream_must_have_no_holes() -> None:
    """A frame that was encoded and not written is a gap, as with compression."""
    transport, peer = memory_pair(stateful=True)
    transport.encode(HELLO)
    transport.write([transport.encode(HELLO)])
    with pytest.raises(AssertionError, match="frame 2 comes behind 0"):
        _ = peer.frames


def test_what_a_stateful_stream_refused_must_come_first() -> None:
    """As with TLS."""
    transport, _ = memory_pair(stateful=True, window=3)
    wire = transport.encode(HELLO)
    assert transport.write([wire]) == 3
    with pytest.raises(AssertionError, match="come again"):
        transport.write([transport.encode_ping()])
    assert transport.write([wire[3:], transport.encode_ping()]) == 0


@pytest.mark.parametrize(
    "wire",
    [
        client_frame("text", b"x"),
        client_frame("text", b"x", mask=None, fin=False),
        client_frame("text", b"x", mask=None, rsv=1),
        client_frame("continuation", b"x", mask=None),
        client_frame(5, b"x", mask=None),
        server_frame("close", b"") + server_frame("ping", b""),
    ],
    ids=[
        "masked",
        "a fragment",
        "a reserved bit",
        "a continuation",
        "an unknown opcode",
        "behind a close frame",
    ],
)
def test_what_no_server_of_ours_writes_is_refused(wire: bytes) -> None:
    with pytest.raises(AssertionError):
        parse(wire)


# -- under a hub -------------------------------------------------------------------------------


def plug(s: Stage, connection_id: str) -> tuple[MemoryTransport, ScriptedPeer]:
    """Hand a transport in memory to a hub, as the end of an upgrade does."""
    transport, peer = memory_pair()
    registration = Register(transport=0, connection_id=connection_id, room_id="lobby")
    s.hub.runner.start().register(
        transport, registration, data={}, handshake_response=b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
    )
    return transport, peer


def test_a_hub_runs_on_it(stage) -> None:
    """The very threads, and no socket."""
    s = stage()
    _, peer = plug(s, "u1")
    s.recorder.wait_for("connect", "u1")
    peer.send(text("hi", 1))
    assert s.recorder.wait_for("message", "u1").payload == 1
    s.say("u1", "hello")
    s.hub.kick("u1")
    kinds = [frame.kind for frame in peer.wait_for_frames(2, PATIENCE)]
    assert kinds == ["text", "close"]
    peer.close(1000)
    assert peer.wait_until(lambda peer: peer.released, PATIENCE)
    assert peer.aborted


def test_a_write_that_fails_under_a_hub_loses_nothing(stage) -> None:
    """The message is there after the resume, and what the peer said before it left counts."""
    s = stage()
    _, peer = plug(s, "u1")
    s.recorder.wait_for("connect", "u1")
    peer.fail_writes(after=5)
    s.say("u1", "kept")
    peer.send(text("last words"))
    peer.finish()
    assert s.recorder.wait_for("message", "u1").event == "last words"
    assert s.recorder.wait_for("drop", "u1").code == 1006
    _, again = plug(s, "u1")
    (frame,) = again.wait_for_frames(1, PATIENCE)
    assert '"kept"' in frame.text
    again.hang_up()


def test_no_thread_is_made_for_it() -> None:
    before = threading.active_count()
    _, peer = memory_pair()
    peer.send("x")
    assert threading.active_count() == before
