"""A session as a value: everything that another process needs to go on with it exactly.

``SessionState`` is a value; ``encode`` and ``decode`` turn it into bytes and back. The bytes have a
version: a newer one, or damage, is a ``SessionStateError`` that says so, and names the session where it can.
Durations are time left or time since, in seconds; there is no clock value, no pickle, and no number that
means something in one process only. It is a secret: it holds the session's tokens and messages. It is a value
that nobody changes; but to make a frozen one of so many fields takes four times as long, and a hub that moves
makes thousands of them while its clients wait.

It holds no transport that compresses or uses TLS, and none that is closing or half-closed: such a session is
not moved. Made and read by ``moving_state.py`` (hub thread). Read next: ``server/moving.py``,
``plain_values.py``.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Final

from ..core.moving import DecisionState, ErrorState
from ..errors import SessionStateError
from ..outgoing.outbox_state import OutboxState
from ..outgoing.wire_queue import WireState
from ..protocol.control_messages import Rejection
from .plain_values import PlainValueError, dump, load
from .session_data import check_data

VERSION: Final = 2
"""Of the body. The head, which names the session, has the same form for ever."""

_MAGIC: Final = b"RHSS"


@dataclass(frozen=True, slots=True)
class Limits:
    """What ``$hello`` told the client. It holds for this session, also where another process allows less."""

    resume_window: float
    ping_interval: float | None
    max_message_size: int


@dataclass(frozen=True, slots=True)
class AckState:
    """What was handled and not acknowledged, and whether a deadline for that is set."""

    messages: int
    size: int
    timed: bool


@dataclass(frozen=True, slots=True)
class HookState:
    """A callback that has not started. ``room_id``, ``reason``: of an on_join or on_leave, else empty."""

    hook: str
    generation: int
    error: ErrorState | None
    room_id: str
    reason: str


@dataclass(slots=True)  # not frozen: see the module
class LiveTransport:
    """The transport of a connected session, which goes on at the exact byte in both directions.

    ``subprotocol``: the one that was negotiated, "" for none. ``input``: what came and was not handled,
    oldest first, as wire bytes: messages whose handler has not started, events that were read, the message
    that is half read, bytes behind it. ``wire``: what is half written. ``acked``: the last of the client's
    messages that we acknowledged. ``acknowledged``: whether the client has acknowledged any on this
    transport. In seconds: ``took_ago`` since the peer took bytes that it had refused before and
    ``pinged_ago`` since the last Ping (None for never), ``reading_ago`` since a thread reads. ``heard``:
    whether anything came since that Ping. ``blocked``: whether bytes wait for the peer. ``full_ago``: since
    the client's window was seen to be full, with nothing acknowledged after that; None: it is not.
    """

    subprotocol: str
    input: bytes
    wire: WireState
    acked: int
    acknowledged: bool
    took_ago: float | None
    pinged_ago: float | None
    heard: bool
    reading_ago: float
    blocked: bool
    full_ago: float | None


@dataclass(frozen=True, slots=True)
class OpenRequestState:
    """A request of the client whose handler has deferred the answer. Nobody can give it after a move."""

    id: str
    event: str


@dataclass(frozen=True, slots=True)
class RequestsState:
    """``last``: the number of the last request to the client. ``open``: those of the client, oldest first.

    ``asked``: those to the client that wait for its answer; the threads are in the process that it leaves.
    """

    last: int = 0
    open: tuple[OpenRequestState, ...] = ()
    asked: tuple[str, ...] = ()


@dataclass(slots=True)  # not frozen: see the module
class SessionState:
    """See the module.

    ``decisions``: what the machine knows. ``data``: ``connection.data``, which must be JSON. ``handled``:
    messages whose handler has started. ``fenced``: the last generation whose messages may not start.
    ``rejected``: messages of a v1 client that were not decoded, and of which it may not know.
    ``transport``: None while the session is suspended.
    """

    decisions: DecisionState
    limits: Limits
    data: Any
    handled: int
    fenced: float
    rejected: tuple[Rejection, ...]
    undecodable_logged: bool
    delayed_ack: AckState | None
    outbox: OutboxState
    hooks: tuple[HookState, ...]
    transport: LiveTransport | None
    requests: RequestsState = RequestsState()

    def __repr__(self) -> str:
        return f"<SessionState of {self.decisions.connection_id!r}>"


@dataclass(frozen=True, slots=True)
class _Head:
    """The names of the session, for a log line about a body that can't be read."""

    life: str
    id: str
    room: str
    user: str | None


def encode(state: SessionState) -> bytes:
    """The one encoding of ``state``.

    Raises: TypeError, which names the place, when JSON would not give ``data`` back unchanged.
    """
    check_data(state.data)
    decisions = state.decisions
    head = dump(_Head(decisions.life, decisions.connection_id, decisions.room_id, decisions.credentials.user))
    rest = b"".join([VERSION.to_bytes(2), len(head).to_bytes(4), head, dump(state)])
    return _MAGIC + zlib.crc32(rest).to_bytes(4) + rest


def decode(data: bytes) -> SessionState:
    """The state in ``data``. Raises: SessionStateError for damage, or a version of a later release."""
    if data[:4] != _MAGIC:
        raise SessionStateError("these bytes are not a session: they do not begin as one")
    rest = data[8:]
    if len(data) < 14 or zlib.crc32(rest) != int.from_bytes(data[4:8]):
        raise SessionStateError("a session state is damaged: its checksum is wrong")
    version, size = int.from_bytes(rest[:2]), int.from_bytes(rest[2:6])
    try:
        head = load(_Head, rest[6 : 6 + size])
        if version > VERSION:
            raise SessionStateError(
                f"the session {head.id!r} was written by a later release (version {version}, this one reads "
                f"up to {VERSION}): give it to that release",
                head.id,
            )
        if version < VERSION:
            raise SessionStateError(
                f"the session {head.id!r} was written by an earlier release (version {version}, this one "
                f"reads {VERSION}): give it to that release",
                head.id,
            )
        state = load(SessionState, rest[6 + size :])
    except PlainValueError as error:
        raise SessionStateError(f"a session state is damaged: {error}") from None
    check(state)
    return state


def check(state: SessionState) -> None:
    """Check that the parts of ``state`` agree. Raises: SessionStateError, with the id."""
    decisions, problem = state.decisions, None
    try:
        state.outbox.check()
    except ValueError as error:
        problem = str(error)
    if (state.transport is not None) != decisions.connected:
        problem = "it is connected and has no transport, or the reverse"
    if decisions.room_id not in decisions.rooms[:1] or len(set(decisions.rooms)) < len(decisions.rooms):
        problem = f"its home room is not the first of its rooms, or a room is there twice: {decisions.rooms}"
    if not (decisions.connected or decisions.time_left):
        problem = "it is suspended, and its grace window has no end"
    if problem is not None:
        name = decisions.connection_id
        raise SessionStateError(f"the session {name!r} is damaged: {problem}", name)
