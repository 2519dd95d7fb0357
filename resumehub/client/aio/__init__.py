"""A client for programs of asyncio; what it does is what the threaded client does, by the same code.

    async with connect("wss://example.org/ws/lobby", headers={"Authorization": …}) as session:
        await session.send("hello")
        async for message in session:
            …

All rules are in ``resumehub.client``. What is here waits otherwise: each of the client's workers is a task.
Threads: the loop's, and no other (names are resolved by the loop's executor).
Begin with ``async_client.py``, then ``shell.py``. docs/howto/python-client-asyncio.md shows how to use it.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ...clock import Clock
from ...codec import Codec
from ..arguments import ConnectArguments
from ..dialing import AddressOrder, Opener
from ..states import ClientState as State
from ..stats import ClientStats as Stats
from ..target import Headers, Strings
from .async_client import AsyncClient
from .shell import EventLoopShell, LoopOpener

__all__ = ["AsyncClient", "State", "Stats", "connect"]


def connect(
    url: str | Callable[[], str | Awaitable[str]],
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
    headers: Headers | Callable[[], Headers | Awaitable[Headers]] = (),
    cookies: Strings | Callable[[], Strings | Awaitable[Strings]] | None = None,
    params: Strings | Callable[[], Strings | Awaitable[Strings]] | None = None,
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
    _opener: Opener | None = None,
    _order: AddressOrder | None = None,
) -> AsyncClient:
    """A client for ``url``; ``async with`` begins to connect, and does not wait for the connection.

    The arguments are those of ``resumehub.client.connect``, with the same meaning (docs/reference/client.md).
    Callbacks, and the functions that make the URL, headers, cookies or parameters of each dial, may be async.
    They run in tasks of the client's, on the loop's thread, and must not block it.

    Raises: TypeError, ValueError for wrong arguments. Threads: any. Blocks: never.
    """
    shell, order = EventLoopShell(), _order or AddressOrder()
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
    opener = _opener or LoopOpener(shell.runtime, order)
    return AsyncClient(arguments.loop_maker(shell, opener, order, awaited=True), arguments.callbacks, shell)
