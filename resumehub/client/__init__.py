"""A client for threaded Python programs: it reconnects by itself, and with resumehub.v1 it loses nothing.

    with connect("wss://example.org/ws/lobby", headers={"Authorization": …}) as client:
        client.send(Message("hello"))
        for message in client:
            …

All that only the client needs lives here. What it shares with the server (control messages, sockets, the
command loop) is in ``protocol``, ``transport`` and ``runtime``. It imports nothing that only the server has.
``connect`` checks its arguments and starts the threads. Threads: the driver, one that reads for each dial, a
writer, and one for callbacks. Begin with ``client_loop.py``, then ``machine.py``.
docs/howto/python-client.md shows how to use it, docs/reference/client.md has every name.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from random import SystemRandom
from random import random as ordinary_chance
from secrets import token_hex
from typing import Any

from ..clock import Clock, SystemClock
from ..codec import Codec, JSONCodec
from ..handlers import check_handler
from ..runtime.base import Runtime
from ..runtime.system import SystemRuntime
from .client import Client
from .client_loop import ClientLoop
from .dialing import AddressOrder, Opener, TcpOpener
from .options import Options, positive
from .states import ClientRules
from .states import ClientState as State
from .stats import ClientStats as Stats
from .target import Headers, Strings, Targets
from .threads import ThreadShell

__all__ = ["Client", "State", "Stats", "connect"]


_ARGUMENTS = {
    "on_message": ("message",),
    "on_transport_drop": ("error",),
    "on_transport_restore": (),
    "on_session_expired": ("error",),
    "on_disconnect": ("error",),
    "on_missed": ("first", "last"),
    "on_rejected": ("message", "error"),
}
"""What a callback gets behind the client."""


def connect(
    url: str | Callable[[], str],
    *,
    plain: bool = False,
    resume: bool = True,
    on_message: Callable[..., Any] | None = None,
    on_transport_drop: Callable[..., Any] | None = None,
    on_transport_restore: Callable[..., Any] | None = None,
    on_session_expired: Callable[..., Any] | None = None,
    on_disconnect: Callable[..., Any] | None = None,
    on_missed: Callable[..., Any] | None = None,
    on_rejected: Callable[..., Any] | None = None,
    headers: Headers | Callable[[], Headers] = (),
    cookies: Strings | Callable[[], Strings] | None = None,
    params: Strings | Callable[[], Strings] | None = None,
    subprotocols: Sequence[str] = (),
    origin: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
    codec: Codec | None = None,
    send_buffer: int = 256,
    send_buffer_bytes: int = 1 << 20,
    max_requests: int = 1000,
    max_message_size: int = 16 << 20,
    backoff: tuple[float, float] = (0.5, 10.0),
    max_retries: int | None = None,
    open_timeout: float = 10.0,
    heartbeat_margin: float = 10.0,
    silence_timeout: float | None = None,
    clock: Clock | None = None,
    random: Callable[[], float] | None = None,
    _runtime: Runtime | None = None,
    _opener: Opener | None = None,
    _order: AddressOrder | None = None,
) -> Client:
    """Begin to connect to ``url`` and return at once; ``wait_connected`` waits.

    The arguments are described in docs/reference/client.md. Callbacks get the client as their first argument,
    and run one at a time on a thread of the client's: ``on_message(client, message)``,
    ``on_transport_drop(client, error)``, ``on_transport_restore(client)``,
    ``on_session_expired(client, error)``, ``on_disconnect(client, error)``,
    ``on_missed(client, first, last)``, ``on_rejected(client, message, error)``.

    Raises: TypeError, ValueError for wrong arguments; RuntimeError when the system gives no thread.
    Threads: any. Blocks: never.
    """
    runtime = _runtime or SystemRuntime()
    order = _order or AddressOrder()
    targets = Targets(runtime.lock("the targets"), url, headers, cookies, params, origin, ssl_context)
    initial, cap = backoff
    positive("backoff[0]", initial)
    if positive("backoff[1]", cap) < initial:
        raise ValueError(f"backoff is (first, longest): the longest must not be the shorter: {backoff!r}")
    if max_retries is not None:
        positive("max_retries", max_retries, zero=True)
    if silence_timeout is not None:
        positive("silence_timeout", silence_timeout)
    options = Options(
        targets=targets,
        rules=ClientRules(
            plain=plain,
            resume=resume,
            initial=initial,
            cap=cap,
            max_retries=max_retries,
            open_timeout=positive("open_timeout", open_timeout),
            heartbeat_margin=positive("heartbeat_margin", heartbeat_margin),
            silence_timeout=silence_timeout,
        ),
        codec=codec if codec is not None else JSONCodec(),
        opener=_opener or TcpOpener(runtime, order),
        order=order,
        subprotocols=tuple(subprotocols),
        max_message_size=int(positive("max_message_size", max_message_size)),
        random=random or SystemRandom().random,
        phase=random or ordinary_chance,
        nonce=token_hex(8),
        request_prefix=token_hex(4),
    )
    # Can it be written at all?
    options.wire(targets.example, resume=False, offer=not plain, asked=0, attempt=1, token="")
    positive("send_buffer", send_buffer)
    positive("send_buffer_bytes", send_buffer_bytes)
    positive("max_requests", max_requests)

    def make(callbacks: Mapping[str, Callable[..., Any]]) -> ClientLoop:
        return ClientLoop(
            options,
            callbacks,
            clock or SystemClock(),
            ThreadShell(runtime),
            send_buffer,
            send_buffer_bytes,
            int(max_requests),
        )

    callbacks = {
        "on_message": on_message,
        "on_transport_drop": on_transport_drop,
        "on_transport_restore": on_transport_restore,
        "on_session_expired": on_session_expired,
        "on_disconnect": on_disconnect,
        "on_missed": on_missed,
        "on_rejected": on_rejected,
    }
    for hook, function in callbacks.items():
        if function is not None:
            check_handler(function, hook, "client", *_ARGUMENTS[hook])
    return Client(make, callbacks)
