"""A client's states, its deadlines, and the options that its decisions depend on. Values.

Read next: ``machine.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ClientState(Enum):
    """Where a client is; the last two are final."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"
    EXPIRED = "expired"
    CLOSED = "closed"


class ClientDeadline(Enum):
    """What a deadline is for."""

    ADDRESS = "the address that is dialled has had its share of the time"
    OPEN = "the dial should have opened a transport by now"
    SILENCE = "something should have been heard from the server"
    ACK = "what has been handled should be acknowledged"
    RETRY = "the pause before the next dial is over"
    CLOSE = "close() has no more time"
    REQUEST = "the answer to a request should be here by now"


@dataclass(frozen=True, slots=True)
class ClientRules:
    """The options that decisions depend on; durations in seconds.

    ``heartbeat_margin``: how late a server's Ping may come. ``silence_timeout``: the same for a plain
    server, which does not tell how often it pings; None: no silence is too long. ``stable_after``: behind a
    transport that was open for so long the pauses begin with ``initial`` again. ``longest_told``: how long a
    server may have the client wait (``Retry-After``, 4503) before its next pause.
    """

    plain: bool = False
    resume: bool = True
    initial: float = 0.5
    cap: float = 10.0
    max_retries: int | None = None
    open_timeout: float = 10.0
    heartbeat_margin: float = 10.0
    silence_timeout: float | None = None
    stable_after: float = 5.0
    longest_told: float = 300.0
