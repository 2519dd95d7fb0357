"""The hub's options, checked once, so that no other module has to check them.

``Config.build`` makes every Config: all values have the right type, are in range and normalised. It knows
names and the grammar of origins and subprotocols, but not what they are for. Also here, because
names from outside are checked in the same way: ``validate_identifier`` for ids of rooms, connections and
users, and ``normalize_origin`` for Origin headers.

Called by ``Hub(...)`` on the thread that builds it, and by ``wsgi/checks.py`` on request threads.
Everything here is pure. Read next: ``hub.py``, ``wsgi/checks.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from .handlers import check_handler
from .limits import USUAL_RATE, ConnectRate, RateLimit, check_connect_rate, check_rate
from .option_checks import (
    count,
    duration,
    flag,
    messages,
    one_of,
    start_of,
    strings,
    wrong_type,
    wrong_value,
)
from .protocol.control_messages import ACK_DELAY

MAX_IDENTIFIER_LENGTH: Final = 255
"""In characters, for room and connection ids and users."""

RESERVED_SUBPROTOCOL_PREFIX: Final = "resumehub."
"""Subprotocols that begin with this are negotiated by the hub itself (contract D2, D3)."""

_USUAL_STALL_TIMEOUT: Final = 30.0
"""Where ``resume_window`` says nothing of how long a client may be silent: its default."""

OnDuplicate = Literal["replace", "reject"]
OnFull = Literal["expire", "refuse"]
DataCodec = Literal["json"]

# These characters break logs, headers or terminals, or can't be encoded: Unicode's category Cc, and
# surrogates, which are always lone ones in a str.
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

# RFC 7230 §3.2.6, which RFC 6455 §4.1 asks of a subprotocol.
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# RFC 6454 §6.2 as browsers write it. The rules of DNS names and IPv6 addresses are not checked.
_ORIGIN: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.\-]*)://(?P<host>[a-z0-9._\-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


HistoryOption = Mapping[str, int] | Callable[[str], int]
"""How many broadcasts of a room are kept for those who enter it, by room id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A hub's options, validated and normalised. Make one with ``Config.build``.

    Durations are seconds, sizes bytes unless the comment says otherwise.

    Threads: any; immutable.
    """

    resume_window: float
    ping_interval: float | None
    write_timeout: float
    stall_timeout: float
    send_buffer: int  # messages
    send_buffer_bytes: int
    max_message_size: int
    max_sessions: int
    max_rooms: int
    max_requests: int
    history: HistoryOption | None
    refusal_delay: float
    problem_details: bool
    callback_threads: int
    allowed_origins: Literal["*"] | tuple[str, ...] | None
    on_full: OnFull
    on_duplicate: OnDuplicate
    subprotocols: tuple[str, ...]
    compression: bool
    rate: RateLimit | None
    connect_rate: ConnectRate | None
    buffer_budget: int | None
    data_codec: DataCodec | None

    @classmethod
    def build(
        cls,
        *,
        resume_window: float = 30.0,
        ping_interval: float | None = 20.0,
        write_timeout: float = 10.0,
        stall_timeout: float | None = None,
        send_buffer: int = 256,
        send_buffer_bytes: int = 1 << 20,
        max_message_size: int = 64 * 1024,
        max_sessions: int = 10_000,
        max_rooms: int = 64,
        max_requests: int = 1000,
        history: HistoryOption | None = None,
        refusal_delay: float = 0.25,
        problem_details: bool = True,
        callback_threads: int = 32,
        allowed_origins: str | Iterable[str] | None = None,
        on_full: str = "expire",
        on_duplicate: str = "replace",
        subprotocols: Iterable[str] = (),
        compression: bool = False,
        rate: RateLimit | None = USUAL_RATE,
        connect_rate: ConnectRate | None = None,
        buffer_budget: int | None = None,
        data_codec: str | None = "json",
    ) -> Config:
        """Check and normalise a hub's options.

        * ``resume_window``: seconds from 0 (no resumption) to ten years. 30 is longer than a ride in
          a lift, a change of network or a page reload, and suspended sessions use little memory.
        * ``ping_interval``: seconds, more than ``write_timeout`` (a Ping must be answered before the
          next one is sent), or None for no heartbeat. 20 is below the 30 to 60 after which common
          proxies and mobile networks forget an idle connection.
        * ``write_timeout``: seconds, more than 0: how long a peer may take no byte, or not answer.
        * ``stall_timeout``: seconds, at least 1, since a client may take one second for its ``$ack``: how
          long the window of a v1 client may stay full. None for ``resume_window``: as long as the hub would
          wait for a client that is away; and for 30 where that is less than 1.
        * ``send_buffer`` (messages) and ``send_buffer_bytes``: at least 1 each; both limits hold.
        * ``max_message_size``: at least 1, for what a client sends.
        * ``max_sessions``, ``max_rooms``, ``callback_threads``: at least 1.
        * ``max_requests``: at least 1: how many requests of one session may be open, in each direction; also
          how many answers the hub keeps beyond ``send_buffer`` for a client that asks and does not read.
        * ``history``: None, a dict from room ids to numbers of messages, 0 or more, or a function of a room
          id that returns the number: how many broadcasts of a room a session gets that enters it.
        * ``refusal_delay``: seconds from 0, half more or less: how long a close frame waits behind the 101 of
          ``reject=close``. 0.25 slows down a client that dials again at once, and no user notices it.
        * ``problem_details``: a bool: whether an answer that refuses has a body. False for clients that take
          the body of a refusal for WebSocket frames.
        * ``allowed_origins``: None for the same origin only; ``"*"`` for any; or an iterable of
          ``scheme://host[:port]`` or ``"null"``, which is then all that is allowed. Normalised by
          ``normalize_origin``.
        * ``on_full``: ``"expire"`` (the longest suspended session ends for a new one) or ``"refuse"``.
        * ``on_duplicate``: ``"replace"`` or ``"reject"``.
        * ``subprotocols``: those that a client may use (it gets the first of *its* list that is here);
          tokens (RFC 7230 §3.2.6), each once, none beginning with ``resumehub.``.
        * ``compression``: a bool.
        * ``rate``: a ``RateLimit`` for what each session's client sends, or None for no limit.
        * ``connect_rate``: a ``ConnectRate`` for each address, or None for no limit: behind a proxy all
          clients have one address, until the application is told of the real one.
        * ``buffer_budget``: at least 1, or None for no limit: bytes that the buffers of all sessions may hold
          together.
        * ``data_codec``: ``"json"``, or None: sessions stay in the process in which they began.

        Raises: TypeError for a wrong type (a bool is no number, a str is no list); ValueError for
        a wrong value. The text names the argument, its value and what is allowed.
        Threads: any. Blocks: never.
        """
        checked_resume_window = duration("resume_window", resume_window, zero=True)
        checked_write_timeout = duration("write_timeout", write_timeout, zero=False)
        return cls(
            resume_window=checked_resume_window,
            ping_interval=_ping_interval(ping_interval, checked_write_timeout),
            write_timeout=checked_write_timeout,
            stall_timeout=_stall_timeout(stall_timeout, checked_resume_window),
            send_buffer=count("send_buffer", send_buffer, "messages"),
            send_buffer_bytes=count("send_buffer_bytes", send_buffer_bytes, "bytes"),
            max_message_size=count("max_message_size", max_message_size, "bytes"),
            max_sessions=count("max_sessions", max_sessions, "sessions"),
            max_rooms=count("max_rooms", max_rooms, "rooms"),
            max_requests=count("max_requests", max_requests, "requests"),
            history=_history(history),
            refusal_delay=duration("refusal_delay", refusal_delay, zero=True),
            problem_details=flag("problem_details", problem_details),
            callback_threads=count("callback_threads", callback_threads, "threads"),
            allowed_origins=_origins(allowed_origins),
            on_full=cast(OnFull, one_of("on_full", on_full, "expire", "refuse")),
            on_duplicate=cast(OnDuplicate, one_of("on_duplicate", on_duplicate, "replace", "reject")),
            subprotocols=_subprotocols(subprotocols),
            compression=flag("compression", compression),
            rate=check_rate(rate),
            connect_rate=check_connect_rate(connect_rate),
            buffer_budget=None if buffer_budget is None else count("buffer_budget", buffer_budget, "bytes"),
            data_codec=None
            if data_codec is None
            else cast(DataCodec, one_of("data_codec", data_codec, "json")),
        )


def validate_identifier(name: str, value: object) -> None:
    """Make sure that ``value`` can be a room id, a connection id or a user; ``name``: how the error calls it.

    Allowed are 1 to 255 characters without control characters (Unicode's Cc) and lone surrogates.
    An empty connection id means "generate one"; the caller handles that.

    Raises: TypeError if it is no ``str`` (the application's mistake: 500); ValueError otherwise
    (perhaps the client's: 400), with at most the first 40 characters of the value, as a repr.
    Threads: any. Blocks: never.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{name} is empty: it must have 1 to {MAX_IDENTIFIER_LENGTH} characters")
    if len(value) > MAX_IDENTIFIER_LENGTH:
        raise ValueError(
            f"{name} {start_of(value)} has {len(value)} characters: at most {MAX_IDENTIFIER_LENGTH} are "
            "allowed"
        )
    unfit = _UNFIT.search(value)
    if unfit is not None:
        raise ValueError(
            f"{name} {start_of(value)} has U+{ord(unfit.group()):04X} at position {unfit.start()}: control "
            "characters and lone surrogates are not allowed"
        )


def normalize_origin(origin: str) -> str:
    """Return ``origin`` the way browsers write it: lower case, without the scheme's default port.

    Next: use it on the configured origins and on a request's Origin header, and compare the results.

    Raises: ValueError if it is neither ``scheme://host[:port]`` nor ``null``: if it has a path, a trailing
    slash, a user name, a wildcard or a character beyond ASCII (browsers send ``xn--…``).
    Threads: any. Blocks: never. Source: RFC 6454 §6.2.
    """
    lowered = origin.lower() if origin.isascii() else ""
    if lowered == "null":
        return lowered
    match = _ORIGIN.fullmatch(lowered)
    port = int(match["port"]) if match and match["port"] else None
    if match is None or (port is not None and not 1 <= port <= 65535):
        raise ValueError(
            f'{start_of(origin)} is no origin: it must be scheme://host or scheme://host:port, or "null", '
            "with no path, no trailing slash, no wildcard, and international names as xn--…"
        )
    base = f"{match['scheme']}://{match['host']}"
    return base if port in (None, _DEFAULT_PORTS.get(match["scheme"])) else f"{base}:{port}"


def history_count(history: HistoryOption, room_id: str) -> int:
    """How many broadcasts of a room are kept. Raises: what the application's function raises; TypeError or
    ValueError, which name the room, for what it returns. Threads: any. Blocks: as that function does.
    """
    if isinstance(history, Mapping):
        return history.get(room_id, 0)
    return messages(f"history({start_of(room_id)})", history(room_id))


def _history(value: object) -> HistoryOption | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        for room_id, number in value.items():
            validate_identifier("a room id in history", room_id)
            messages(f"history[{start_of(room_id)}]", number)
        return dict(value)
    if not callable(value):
        allowed = 'None, a dict such as {"lobby": 50}, or a function of the room id that returns the number'
        raise wrong_type("history", value, allowed)
    check_handler(value, "history", "room_id")
    return cast(Callable[[str], int], value)


def _ping_interval(value: object, write_timeout: float) -> float | None:
    if value is None:
        return None
    interval = duration("ping_interval", value, zero=False)
    if interval <= write_timeout:
        raise wrong_value(
            "ping_interval",
            value,
            f"more than write_timeout ({write_timeout} seconds), or None for no heartbeat",
        )
    return interval


def _stall_timeout(value: object, resume_window: float) -> float:
    if value is None:
        return resume_window if resume_window >= ACK_DELAY else _USUAL_STALL_TIMEOUT
    timeout = duration("stall_timeout", value, zero=False)
    if timeout < ACK_DELAY:
        raise wrong_value(
            "stall_timeout", value, f"at least {ACK_DELAY} seconds: a client may take that for its $ack"
        )
    return timeout


def _origins(value: object) -> Literal["*"] | tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str) and value == "*":
        return "*"
    allowed = 'None (same origin), "*" (any), or a list of origins such as ["https://example.com"]'
    origins = []
    for origin in strings("allowed_origins", value, allowed):
        if origin == "*":
            raise wrong_value(
                "allowed_origins", value, 'the string "*" itself, not in a list, for any origin'
            )
        try:
            origins.append(normalize_origin(origin))
        except ValueError as error:
            raise ValueError(f"allowed_origins: {error}") from None
    return tuple(dict.fromkeys(origins))


def _subprotocols(value: object) -> tuple[str, ...]:
    allowed = 'a list of names such as ["chat.v2"], each once'
    names = strings("subprotocols", value, allowed)
    for name in names:
        if not _TOKEN.fullmatch(name):
            raise wrong_value(
                "subprotocols", name, "one or more ASCII letters, digits and !#$%&'*+-.^_`|~ (RFC 7230 token)"
            )
        if name.lower().startswith(RESERVED_SUBPROTOCOL_PREFIX):
            raise wrong_value(
                "subprotocols",
                name,
                f"without the prefix {RESERVED_SUBPROTOCOL_PREFIX!r}: the hub negotiates those by itself",
            )
    if len(set(names)) != len(names):
        raise wrong_value("subprotocols", value, allowed)
    return names
