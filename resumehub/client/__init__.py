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
from collections.abc import Callable, Sequence
from typing import Any

from ..clock import Clock
from ..codec import Codec
from ..runtime.base import Runtime
from ..runtime.system import SystemRuntime
from .arguments import ConnectArguments
from .client import Client
from .dialing import AddressOrder, Opener, TcpOpener
from .states import ClientState as State
from .stats import ClientStats as Stats
from .target import Headers, Strings
from .threads import ThreadShell

__all__ = ["Client", "State", "Stats", "connect"]


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
    shell = ThreadShell(_runtime or SystemRuntime())
    order = _order or AddressOrder()
    arguments = ConnectArguments(
        url=url,
        callbacks={
            "on_message": on_message,
            "on_transport_drop": on_transport_drop,
            "on_transport_restore": on_transport_restore,
            "on_session_expired": on_session_expired,
            "on_disconnect": on_disconnect,
            "on_missed": on_missed,
            "on_rejected": on_rejected,
        },
        plain=plain,
        resume=resume,
        headers=headers,
        cookies=cookies,
        params=params,
        subprotocols=subprotocols,
        origin=origin,
        ssl_context=ssl_context,
        codec=codec,
        send_buffer=send_buffer,
        send_buffer_bytes=send_buffer_bytes,
        max_requests=max_requests,
        max_message_size=max_message_size,
        backoff=backoff,
        max_retries=max_retries,
        open_timeout=open_timeout,
        heartbeat_margin=heartbeat_margin,
        silence_timeout=silence_timeout,
        clock=clock,
        random=random,
    )
    opener = _opener or TcpOpener(shell.runtime, order)
    return Client(arguments.loop_maker(shell, opener, order, awaited=False), arguments.callbacks)
