"""The application's handle to one client of an event loop: send, receive, ask, wait, close.

The loop's thread only. Each method that waits may be cancelled, and leaves the client as it is. The machine
decides, in the driver's task. Made by ``connect``. Read next: ``../client_view.py``, ``shell.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from ...errors import ConnectionClosed
from ...message import Message
from ..client_loop import ClientLoop
from ..client_view import ClientView
from ..options import positive
from ..outbox import OutgoingMessage
from .loop_runtime import when_possible
from .shell import EventLoopShell

T = TypeVar("T")


class AsyncClient(ClientView):
    """A session with a server; it outlives its transports. Use it in ``async with``, once."""

    def __init__(
        self,
        make: Callable[[Mapping[str, Callable[..., Any]]], ClientLoop],
        callbacks: Mapping[str, Any],
        shell: EventLoopShell,
    ) -> None:
        super().__init__(make, callbacks)
        self._shell = shell
        self._senders = asyncio.Lock()
        self._receiving = False

    # -- sending ----------------------------------------------------------------------------

    async def send(self, event: str | Message, payload: Any = None) -> None:
        """Queue a message, once there is room; while there is no connection, it waits for the next one.

        ``event``: a whole Message, or the event of one with ``payload``. At most ``send_buffer`` messages and
        ``send_buffer_bytes`` bytes wait to be acknowledged. With more, this waits; several that wait go on in
        their order. If it is cancelled while it waits, nothing was queued.

        Raises: ConnectionClosed, with the reason as its ``__cause__``; TypeError or ValueError as ``send`` of
        the threaded client.
        """
        outgoing = self._encode(event, payload)
        try:
            async with self._senders:
                await when_possible(partial(self._loop.sender.wait_for_room, outgoing))
                self._loop.post(outgoing)
        except ConnectionClosed as closed:
            raise closed from self.error

    def send_nowait(self, event: str | Message, payload: Any = None) -> None:
        """The same without waiting. Raises also: SendBufferFull, and nothing was queued."""
        try:
            self._loop.post(self._encode(event, payload))
        except ConnectionClosed as closed:
            raise closed from self.error

    async def request(self, event: str, payload: Any = None, timeout: float | None = 30.0) -> Any:
        """Ask the server, wait for its answer, and give the answer's payload.

        Several tasks may ask at once, and a callback may. ``timeout``: seconds of the client's clock, which
        go on while there is no connection; None: until the session is over. If it is cancelled, the request
        is given up: it may still be sent, and handled, and its answer is ignored.

        Raises: as ``request`` of the threaded client.
        """
        if timeout is not None:
            positive("timeout", timeout)
        try:
            with self._loop.requester.asking(event, payload, timeout) as asking:
                await when_possible(asking.wait)
            return asking.payload()
        except ConnectionClosed as closed:
            raise closed from self.error

    def _encode(self, event: str | Message, payload: Any) -> OutgoingMessage:
        if isinstance(event, Message):
            if payload is not None:
                raise TypeError("send takes a Message, or an event and a payload; not both")
            message = event
        else:
            message = Message(event, payload)
        return OutgoingMessage(self._loop.encode(message), message)

    # -- receiving --------------------------------------------------------------------------

    async def receive(self, timeout: float | None = None) -> Message:
        """The next message. It counts as handled when you ask for the next one, or at ``close``.

        If it has an ``id``, it is a request: call its ``reply``, ``refuse`` or ``defer`` before it counts as
        handled, or else it is refused. If this is cancelled, no message was taken. While 1,024 messages wait
        for the application, the client does not read on.

        ``timeout``: real seconds; None: no limit.
        Raises: as ``receive`` of the threaded client; RuntimeError while another task receives.
        """
        message = await self._next(timeout)
        if message is None:
            raise self._why_nothing_comes(timeout)
        return message

    def __aiter__(self) -> AsyncClient:
        """Message after message, until the end; as the loop of the threaded client."""
        return self

    async def __anext__(self) -> Message:
        message = await self._next(None)
        if message is None:
            self._raise_unless_ended_on_purpose()
            raise StopAsyncIteration
        return message

    async def _next(self, timeout: float | None) -> Message | None:
        if self._receiving:
            raise RuntimeError("another task receives already; one at a time may")
        self._receiving = True
        try:
            return await self._within(timeout, partial(self._take, None))
        finally:
            self._receiving = False

    # -- how it is --------------------------------------------------------------------------

    async def wait_connected(self, timeout: float | None = None) -> bool:
        """Wait until there is a connection; False if ``timeout`` real seconds passed before.

        Raises: what ``error`` is, or ConnectionClosed, if the client has ended.
        """
        return bool(await self._within(timeout, partial(self._wait_connected, None)))

    async def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the client has ended and the last callback has returned; not in a callback.

        False if ``timeout`` real seconds passed before.
        """
        return bool(await self._within(timeout, partial(self._loop.wait_until_over, None)))

    async def _within(self, timeout: float | None, call: Callable[[], T]) -> T | None:
        self._check_entered()
        try:
            async with asyncio.timeout(timeout) as limit:
                return await when_possible(call)
        except TimeoutError:
            if limit.expired():
                return None
            raise

    def _check_entered(self) -> None:
        if self._shell.loop is None:
            raise RuntimeError("the client does not run yet: write `async with connect(...) as session`")

    # -- closing ----------------------------------------------------------------------------

    async def close(self, code: int = 1000, timeout: float = 5.0) -> None:
        """Send what can be sent within ``timeout`` seconds, then end the connection with ``code``.

        As ``close`` of the threaded client. Behind it no task and no socket of the client's is left: a
        callback that still runs ``timeout`` seconds later, 1 s at least, is cancelled. In a callback it only
        begins to close, and returns. If it is cancelled, the client ends at once, and what was not sent is
        in ``in_doubt``.

        Raises: ValueError for a code that may not be sent (RFC 6455 §7.4.2).
        """
        loop = self._loop
        leave = self._begin_to_close(code, timeout)
        if self._shell.loop is None or loop.is_own_worker():
            return
        try:
            if await self._within(timeout, loop.finished.wait):
                await self._shell.join(max(timeout, 1.0))
        finally:
            loop.put(replace(leave, timeout=0.0))
            await self._within(1.0, loop.finished.wait)
            await self._shell.dismiss()

    async def __aenter__(self) -> AsyncClient:
        self._shell.enter()
        self._loop.start()
        # A loop that ends cancels all tasks at once, whatever they wait for: also the driver's.
        self._shell.when_driver_ends(self._loop.abandon)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        # A task that is cancelled, and a user who interrupts the program, do not want to wait.
        interrupted = kind is not None and not issubclass(kind, Exception)
        await self.close(timeout=0.0 if interrupted else 5.0)
