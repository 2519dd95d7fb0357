"""The peer of a transport in memory: it sends what the test says, and takes as many bytes as the test says.

What was written to it, it shows as frames. Also ``MemoryWire``, what the peer and the transport share. Used
by test code on any thread, together with ``memory.py``. Read next: ``wire.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..clock import now
from ..codes import CloseCode
from ..runtime.base import Runtime
from ..transport.base import CloseReceived, DataReceived, Ended, Failed, PingReceived, PongReceived, Received
from .wire import WireFrame, parse


class MemoryWire:
    """What the two ends share. ``changed`` guards every field and is notified of each change."""

    def __init__(self, runtime: Runtime, max_message_size: int, stateful: bool, window: int | None) -> None:
        self.changed = runtime.condition(runtime.lock())
        self.max_message_size = max_message_size
        self.stateful = stateful
        #: One list for each ``ScriptedPeer.send``.
        self.inbox: deque[list[Received]] = deque()
        self.deaf = False
        self.end: Ended | None = None
        self.window = window
        self.most_per_write: int | None = None
        self.bytes_until_failure: int | None = None
        self.written = bytearray()
        self.refused = b""
        self.serial = 0
        self.waiting = 0
        self.write_finished = self.aborted = self.released = self.forgotten = False


class ScriptedPeer:
    """The client's end. Nothing blocks but the ``wait_…`` methods, which give up after real seconds."""

    def __init__(self, wire: MemoryWire) -> None:
        self._wire = wire
        self._read = 0

    # -- talking ----------------------------------------------------------------------------

    def send(self, *said: str | bytes | Received) -> None:
        """Say all this at once: str and bytes are messages, anything else is what ``receive`` gives.

        As with a real transport, a message over ``max_message_size`` becomes ``Failed(1009)``, and after
        a failure, a close frame or an end nothing is reported but that end.
        """
        wire = self._wire
        with wire.changed:
            batch: list[Received] = []
            for one in said:
                event = _as_event(one, wire.max_message_size)
                if isinstance(event, Ended):
                    wire.end = wire.end or event
                elif not wire.deaf and wire.end is None:
                    batch.append(event)
                    wire.deaf = isinstance(event, CloseReceived | Failed)
            if batch:
                wire.inbox.append(batch)
            wire.changed.notify_all()

    def ping(self, payload: bytes = b"") -> None:
        self.send(PingReceived(payload))

    def pong(self) -> None:
        self.send(PongReceived())

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame; 1005 for one without a code."""
        self.send(CloseReceived(code, reason))

    def fail(self, code: int = 1002, reason: str = "nonsense") -> None:
        """Break the protocol in the way that is answered with ``code``."""
        self.send(Failed(code, reason))

    def finish(self) -> None:
        """Say that nothing follows, and go on reading."""
        self.send(Ended(reset=False))

    def hang_up(self, *, reset: bool = False) -> None:
        """Leave without a close frame; ``reset``: the server sees an error and not the end of input."""
        self.send(Ended(reset))
        self.fail_writes()

    # -- taking -----------------------------------------------------------------------------

    @property
    def window(self) -> int | None:
        """How many more bytes the peer takes; None, as at first: any number; 0: it does not read."""
        return self._wire.window

    @window.setter
    def window(self, size: int | None) -> None:
        self._change(window=size)

    def trickle(self, most: int | None) -> None:
        """Take at most so many bytes of each write; None: any number."""
        self._change(most_per_write=most)

    def fail_writes(self, after: int = 0) -> None:
        """Raise OSError on every write, once ``after`` more bytes have been taken."""
        self._change(bytes_until_failure=after)

    def _change(self, **changed: int | None) -> None:
        with self._wire.changed:
            for name, value in changed.items():
                setattr(self._wire, name, value)
            self._wire.changed.notify_all()

    # -- what was written -------------------------------------------------------------------

    @property
    def wire(self) -> bytes:
        """All bytes that were written."""
        with self._wire.changed:
            return bytes(self._wire.written)

    @property
    def frames(self) -> list[WireFrame]:
        """All whole frames that were written. Raises AssertionError for bytes that are no frames."""
        return self._parsed()[0]

    @property
    def unfinished(self) -> bytes:
        """The beginning of a frame whose rest has not been written (yet)."""
        return self._parsed()[1]

    def read(self) -> list[WireFrame]:
        """The frames since the last ``read``."""
        fresh = self.frames[self._read :]
        self._read += len(fresh)
        return fresh

    def _parsed(self) -> tuple[list[WireFrame], bytes]:
        wire = self.wire
        if wire.startswith(b"HTTP/"):
            wire = wire.partition(b"\r\n\r\n")[2]
        return parse(wire, serials=self._wire.stateful)

    # -- what was done to the transport -----------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many threads block in ``receive`` or ``wait_writable``."""
        return self._wire.waiting

    @property
    def aborted(self) -> bool:
        return self._wire.aborted

    @property
    def released(self) -> bool:
        return self._wire.released

    @property
    def forgotten(self) -> bool:
        return self._wire.forgotten

    @property
    def write_finished(self) -> bool:
        """Whether the other side has said that nothing follows."""
        return self._wire.write_finished

    # -- waiting ----------------------------------------------------------------------------

    def wait_until(self, condition: Callable[[ScriptedPeer], bool], timeout: float = 10.0) -> bool:
        """Whether ``condition(peer)`` comes true within ``timeout`` real seconds.

        It is called after each change on the transport, without a lock.
        """
        give_up = now() + timeout
        while True:
            with self._wire.changed:
                seen = self._state()
            if condition(self):
                return True
            if not self._wait_for_change(seen, give_up - now()):
                return condition(self)

    def wait_for_frames(self, count: int, timeout: float = 10.0) -> list[WireFrame]:
        """Wait until ``count`` frames have been written in all; what has been by then."""
        self.wait_until(lambda peer: len(peer.frames) >= count, timeout)
        return self.frames

    def _wait_for_change(self, seen: object, seconds: float) -> bool:
        with self._wire.changed:
            return seen != self._state() or self._wire.changed.wait(max(0.0, seconds))

    def _state(self) -> tuple[object, ...]:
        wire = self._wire
        return (
            len(wire.written),
            len(wire.inbox),
            wire.waiting,
            wire.aborted,
            wire.released,
            wire.write_finished,
        )


def _as_event(said: str | bytes | Received, max_message_size: int) -> Received:
    if isinstance(said, str | bytes):
        said = DataReceived(said, len(said.encode() if isinstance(said, str) else said))
    if isinstance(said, DataReceived) and said.size > max_message_size:
        return Failed(CloseCode.TOO_BIG, "message too big")
    return said
