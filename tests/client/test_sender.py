"""The writer and the socket that it waits for: it must not be closed while the writer uses it."""

from __future__ import annotations

import socket
import threading

from resumehub import Message
from resumehub.client.outbox import ClientOutbox, OutgoingMessage
from resumehub.client.sender import Sender
from resumehub.message import Frame, Opcode
from resumehub.runtime.base import Bell
from resumehub.runtime.system import SystemRuntime
from resumehub.transport.sockets import PlainSocket
from tests.client.fake_server import first_frame
from tests.support import PATIENCE, Call


class OpenTransport:
    """A transport whose other end reads nothing."""

    def __init__(self, runtime: SystemRuntime) -> None:
        ours, self.theirs = socket.socketpair()
        self.dial = 1
        self.stream = PlainSocket(ours, runtime)


class Watched(SystemRuntime):
    """Says when a thread waits for a peer to read."""

    def __init__(self) -> None:
        self.waiting = threading.Event()

    def wait_writable(self, sock: socket.socket, bell: Bell | None = None) -> None:
        self.waiting.set()
        super().wait_writable(sock, bell)


def test_answers_that_wait_at_the_end_of_a_plain_session_are_not_written_to_the_next_one() -> None:
    """There the same id may be another request's; the messages go there all the same."""
    runtime = SystemRuntime()
    sender = Sender(runtime, ClientOutbox(10, 1 << 20, 2), lambda: None)
    first, second = OpenTransport(runtime), OpenTransport(runtime)
    sender.attach(first, None, None, leave_out_first=False)
    for text, is_answer in ((b"answer", True), (b"message", False), (b"another answer", True)):
        sender.put(OutgoingMessage(Frame(Opcode.TEXT, text), Message("n"), is_answer=is_answer))
    sender.detach(first)
    sender.drop_answers()
    second.dial = 2
    sender.attach(second, None, None, leave_out_first=False)
    writer = Call(sender.run)
    frame = None
    data = b""
    while (frame := first_frame(data)) is None:
        data += second.theirs.recv(1000)
    assert frame[0].payload == b"message"
    assert sender.end() == []
    writer.result()
    for transport in (first, second):
        transport.stream.abort()
        transport.stream.release()
        transport.theirs.close()


def test_a_socket_is_released_only_when_the_writer_has_left_it() -> None:
    """A descriptor that is closed too early may be the next socket's, which would get this one's bytes."""
    runtime = Watched()
    drained: list[bool] = []
    sender = Sender(runtime, ClientOutbox(10, 1 << 24), lambda: drained.append(True))
    transport = OpenTransport(runtime)
    writer = Call(sender.run)
    sender.attach(transport, None, None, leave_out_first=False)
    large = OutgoingMessage(Frame(Opcode.BINARY, bytes(1 << 23)), Message("large"))
    sender.put(large)
    assert runtime.waiting.wait(PATIENCE)
    transport.stream.abort()
    sender.detach_and_wait(transport)
    assert sender._waiting_on is None
    transport.stream.release()
    transport.theirs.close()
    assert sender.end() == [large]  # not written whole, so it is still here
    writer.result()
    assert not drained
