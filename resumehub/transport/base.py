"""What the rest of the package asks of a transport: one physical WebSocket that is open already.

The contract is in numbered clauses. The conformance suite in tests/transport/ runs every one of
them on the real transport (over a socketpair and over TCP) and on the in-memory one.

T1.  ``receive`` blocks until there is an event, and returns events in the order of arrival; with ``once``
     until there is input, and that may be no event yet. ``heard`` grows with all input, a part of a message
     included. Where ``pollable`` is a socket to wait for, ``receive_now`` returns what has come, perhaps
     nothing, without waiting. It may leave a part of what it has read for the next call: then ``has_more`` is
     True, and that call reads nothing.
     ``fragments`` grows with each frame that is a part of a message, and not its last one.
T2.  A data message is reported once and whole, however it was fragmented. Control frames that arrive
     inside it are reported before it.
T3.  A message of more than ``max_message_size`` bytes is a failure 1009, reported before more than
     that is held. Invalid UTF-8 is 1007, any other breach of RFC 6455 is 1002.
T4.  After a failure, a close frame or the end of input, only ``Ended`` is reported.
T5.  ``write`` never blocks. It writes what the kernel takes (0 bytes if that is nothing), and raises
     ``OSError`` once the peer can never take anything again.
T6.  ``wait_writable`` returns when ``write`` would take something or raise, and after ``abort``.
T7.  ``abort`` frees every thread that blocks in ``receive`` or ``wait_writable``. Any thread may call it,
     any number of times. It keeps the descriptor.
T8.  ``release`` gives the descriptor back. The caller makes sure that no thread uses it any more.
T9.  ``has_hung_up`` says without waiting whether the peer has gone. It loses no byte that came before.
T10. ``finish_writing`` tells the peer that nothing follows. The peer's last bytes can still be read.
T11. Encoders are pure, except with compression: where ``stateful`` is True, all wire bytes that were
     made must be written, in the order in which they were made.
T12. ``part`` frees the threads that block in ``receive`` or ``wait_writable``, as ``abort`` does, but the
     peer notices nothing. From then on ``receive`` and ``receive_now`` return ``Parted``, ``abort`` does
     nothing, and ``release`` gives back this descriptor of a connection that lives on elsewhere.
     Only where ``movable``: not with compression, whose window cannot be moved, and not with TLS.
T13. ``unread`` is the input that was not reported, as wire bytes: a fresh transport that reads them before
     its own input reports exactly what this one would have reported.
T14. ``rejoin`` undoes ``part``: the connection has stayed here.

Called by reader threads (``receive``, ``receive_now``), by the thread that writes, with the session's lock
held (``write``, the encoders), by the hub thread (``abort``, ``has_hung_up``), and by the thread that moves
a session (``part``, ``unread`` once the reader has left, ``rejoin``). Read next: ``websocket.py``.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..message import Frame


@dataclass(slots=True)
class DataReceived:
    """A whole data message: str from text frames, bytes from binary ones; ``size`` in bytes.

    A value like the others. It is not frozen, because making a frozen one takes twice as long.
    """

    data: str | bytes
    size: int


@dataclass(frozen=True, slots=True)
class PingReceived:
    """A Ping. Answer it with a Pong that has the same payload (RFC 6455 §5.5.3)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class PongReceived:
    """A Pong, solicited or not."""


@dataclass(frozen=True, slots=True)
class CloseReceived:
    """The peer's close frame; ``code`` 1005 if it carries none (RFC 6455 §7.1.5)."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The peer broke the protocol. Close with ``code`` and ``reason``; no more messages will come."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """No more input: end of file, or an error (``reset``), after which nothing can be written either."""

    reset: bool


@dataclass(frozen=True, slots=True)
class Parted:
    """``part`` was called: the reader thread must leave this transport as it is."""


Received = DataReceived | PingReceived | PongReceived | CloseReceived | Failed | Ended | Parted


class Transport(Protocol):
    """One physical WebSocket; see the clauses above."""

    @property
    def stateful(self) -> bool: ...
    @property
    def heard(self) -> int: ...
    @property
    def fragments(self) -> int: ...
    @property
    def has_more(self) -> bool: ...
    @property
    def movable(self) -> bool: ...

    @property
    def pollable(self) -> socket.socket | None: ...

    def receive(self, *, once: bool = ...) -> list[Received]: ...
    def receive_now(self) -> list[Received]: ...
    def encode(self, frame: Frame) -> bytes: ...
    def encode_ping(self) -> bytes: ...
    def encode_pong(self, payload: bytes) -> bytes: ...
    def encode_close(self, code: int, reason: str) -> bytes: ...
    def write(self, pieces: Sequence[bytes | memoryview]) -> int: ...
    def wait_writable(self) -> None: ...
    def finish_writing(self) -> None: ...
    def has_hung_up(self) -> bool: ...
    def abort(self) -> None: ...
    def part(self) -> None: ...
    def rejoin(self) -> None: ...
    def unread(self) -> bytes: ...
    def release(self) -> None: ...
    def after_fork_in_child(self) -> None: ...
