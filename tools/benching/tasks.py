"""The tasks of ``micro.py``: small pieces of the core's work, each ready to be done again and again.

A task leaves things as it found them, so that the thousandth time costs what the first did. It uses the
package's inner modules, as their callers do: when one of those changes, its task changes with it.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from resumehub import Hub, JSONCodec, Message
from resumehub.clock import SystemClock
from resumehub.codec import decode_message, encode_frame
from resumehub.core import commands as c
from resumehub.core.machine import Machine, Rules
from resumehub.message import Frame, Opcode
from resumehub.outgoing.items import Gap, Retention
from resumehub.outgoing.outbox import Outbox
from resumehub.outgoing.transport_writer import TransportWriter
from resumehub.outgoing.write_results import Flushed
from resumehub.runtime.system import SystemRuntime
from resumehub.transport.sockets import PlainSocket
from resumehub.transport.websocket import WebSocketTransport

from .dialects import TEXT, masked
from .texts import text

BATCH = 64
_RUNTIME, _CLOCK, _CODEC = SystemRuntime(), SystemClock(), JSONCodec()
_FRAME = Frame(Opcode.TEXT, text("all").encode())
_MESSAGE = Message("all", "x" * 36)
_TEXT = text("all")


@dataclass(frozen=True)
class Task:
    """``run`` does the operation so many times."""

    run: Callable[[], object]
    operations: int = 1
    close: Callable[[], object] = lambda: None


# -- commands -------------------------------------------------------------------------------


def machine_resumes(sessions: int = 1000) -> Task:
    """A session loses its transport and is resumed: three commands, among a thousand sessions."""
    machine = Machine(Rules(ping_interval=None))
    numbers = itertools.count(1)
    for number in range(sessions):
        machine.handle(c.Register(next(numbers), f"u{number}", "room"), 0.0)
    carrying = {number: number + 1 for number in range(sessions)}
    turns = itertools.cycle(range(sessions))

    def run() -> None:
        who = next(turns)
        old, new = carrying[who], next(numbers)
        machine.handle(c.PeerGone(old, reset=True), 0.0)
        machine.handle(c.Released(old), 0.0)
        machine.handle(c.Register(new, f"u{who}", "room", resume=True, seen=who + 1, seen_room="room"), 0.0)
        carrying[who] = new

    return Task(run, 3)


def machine_sessions() -> Task:
    """A session begins, is kicked, and its transport goes: five commands."""
    machine = Machine(Rules(ping_interval=None))
    numbers = itertools.count(1)

    def run() -> None:
        number = next(numbers)
        machine.handle(c.Register(number, "ada", "room"), 0.0)
        machine.handle(c.Kick("ada"), 0.0)
        machine.handle(c.CloseSent(number), 0.0)
        machine.handle(c.PeerClosed(number, 1000, ""), 0.0)
        machine.handle(c.Released(number), 0.0)

    return Task(run, 5)


def hub_round_trip() -> Task:
    """A command through the queue to the hub thread, and its answer back."""
    hub = Hub(lambda request: ("room", "ada"))
    engine = hub.runner.start()
    return Task(lambda: engine.put_and_wait(c.Tick()), close=hub.close)


# -- frames ---------------------------------------------------------------------------------


def outbox(keep: Retention) -> Callable[[], Task]:
    """A frame is put, taken and written; where the client acknowledges, that as well."""

    def make() -> Task:
        box = Outbox(_RUNTIME.lock(), 256, 1 << 20, keep)

        def run() -> None:
            for _ in range(BATCH):
                box.put(_FRAME)
                box.first(BATCH, 65536)
                box.written()
            if keep is Retention.UNTIL_ACKED:
                box.acknowledge(box.sent_to)

        return Task(run, BATCH)

    return make


def encode() -> Task:
    """A message becomes a frame, and a frame bytes."""
    near, far = socket.socketpair()
    transport = WebSocketTransport(PlainSocket(near, _RUNTIME), 65536)

    def close() -> None:
        near.close()
        far.close()

    return Task(lambda: transport.encode(encode_frame(_CODEC, _MESSAGE)), close=close)


def decode() -> Task:
    """A text becomes a message."""
    return Task(lambda: decode_message(_CODEC, _TEXT))


class _Script:
    """A byte stream that gives the same input again and again, and swallows all output."""

    sticky = False

    def __init__(self, data: bytes = b"") -> None:
        self._data = data

    def receive(self, size: int) -> bytes:
        return self._data

    def send(self, pieces: Sequence[bytes | memoryview]) -> int:
        return sum(map(len, pieces))

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a stream of this benchmark is not asked to {name}")


def parse(frames: int) -> Callable[[], Task]:
    """Input becomes messages, so many frames at a time."""

    def make() -> Task:
        transport = WebSocketTransport(_Script(masked(TEXT, _TEXT.encode()) * frames), 65536)
        return Task(transport.receive, frames)

    return make


# -- the way out ----------------------------------------------------------------------------


class _Owner:
    """Hears of what a channel did, and does nothing: with this stream nothing stalls."""

    def on_flushed(self, channel: TransportWriter, flushed: Flushed) -> None:
        pass

    def start_writer(self, channel: TransportWriter) -> None:
        raise AssertionError("the stream takes all there is")

    def word(self, channel: TransportWriter, hole: Gap) -> Frame | None:
        raise AssertionError("nothing is dropped")


def _channel(box: Outbox, stream: Any) -> TransportWriter:
    transport = WebSocketTransport(stream, 65536)
    return TransportWriter(1, transport, box, _CLOCK, _RUNTIME, _Owner())


def pass_through() -> Task:
    """A frame goes from its sender's hand straight to the kernel, which takes it (into /dev/null)."""
    box = Outbox(_RUNTIME.lock(), 256, 1 << 20, Retention.HISTORY)
    sink = open(os.devnull, "wb")  # noqa: SIM115 (closed with the task)

    class Sink(_Script):
        def send(self, pieces: Sequence[bytes | memoryview]) -> int:
            return os.writev(sink.fileno(), pieces)

    channel = _channel(box, Sink())

    def run() -> None:
        assert channel.pass_through(_FRAME, 64) == "passed"

    return Task(run, close=sink.close)


def resume_drain() -> Task:
    """A resume that sends the last 256 frames again: per frame."""
    frames = 256
    box = Outbox(_RUNTIME.lock(), frames, 1 << 20, Retention.HISTORY)
    channel = _channel(box, _Script())
    with box.lock:
        for _ in range(frames):
            box.put(_FRAME)
        channel.pump()

    def run() -> None:
        with box.lock:
            box.rewind(box.sent_to - frames)
            channel.pump()
        assert not len(box)

    return Task(run, frames)


TASKS: dict[str, Callable[[], Task]] = {
    "machine: drop and resume, per command": machine_resumes,
    "machine: connect and kick, per command": machine_sessions,
    "hub: a command and its answer": hub_round_trip,
    "outbox: put, take, written": outbox(Retention.HISTORY),
    "outbox: the same, acknowledged (v1)": outbox(Retention.UNTIL_ACKED),
    "encode a message": encode,
    "decode a message": decode,
    "parse input, one frame at a time": parse(1),
    "parse input, 64 frames at a time": parse(64),
    "send directly": pass_through,
    "resume: send 256 again, per frame": resume_drain,
}
