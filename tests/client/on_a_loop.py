"""The asyncio client with the methods of the threaded one, so that the same tests play against both.

Each has an event loop in a thread of its own, in asyncio's debug mode. What the test calls is run there, and
the test's callbacks run in a thread of the loop's executor, so that they may block. A task that is left when
the client has been closed fails the test.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

from resumehub import Message
from resumehub.client import Stats
from resumehub.client import connect as connect_threaded
from resumehub.client.aio import AsyncClient, connect
from resumehub.router import Router
from tests.support import PATIENCE


class LoopedClient:
    """Made like a threaded client, by ``connect_looped``. Any thread."""

    def __init__(self, url: Any, options: dict[str, Any]) -> None:
        for hook, callback in options.items():
            if hook.startswith("on_") and callback is not None:
                options[hook] = self._in_a_thread(callback)
        self._client: AsyncClient = connect(url, **options)
        self._running = threading.Event()
        self._left: list[str] = []
        self._thread = threading.Thread(target=self._run, name="event loop", daemon=True)
        self._thread.start()
        assert self._running.wait(PATIENCE)

    # -- as the threaded client -------------------------------------------------------------

    def send(self, message: Message) -> None:
        self._call(lambda: self._client.send_nowait(message))

    def request(self, event: str, payload: Any = None, timeout: float | None = 30.0) -> Any:
        return self._await(self._client.request(event, payload, timeout))

    def receive(self, timeout: float | None = None) -> Message:
        message: Message = self._await(self._client.receive(timeout))
        return self._answerable(message)

    def __iter__(self) -> Iterator[Message]:
        while True:
            try:
                yield self._answerable(self._await(self._client.__anext__()))
            except StopAsyncIteration:
                return

    def wait_connected(self, timeout: float | None = None) -> bool:
        return bool(self._await(self._client.wait_connected(timeout)))

    def wait_closed(self, timeout: float | None = None) -> bool:
        return bool(self._await(self._client.wait_closed(timeout)))

    def close(self, code: int = 1000, timeout: float = 5.0) -> None:
        self._leave(self._client.close(code, timeout))

    def _leave(self, leaving: Coroutine[Any, Any, None]) -> None:
        if not self._thread.is_alive():
            leaving.close()
            return
        self._await(leaving)
        self._event_loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the event loop does not end"
        assert not self._left, f"tasks are left: {self._left}"

    def stats(self) -> Stats:
        stats: Stats = self._call(self._client.stats)
        return stats

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def __repr__(self) -> str:
        return repr(self._client)

    def __enter__(self) -> LoopedClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self._leave(self._client.__aexit__(kind, error, trace))

    # -- the loop -----------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.run(self._live(), debug=True)

    async def _live(self) -> None:
        self._event_loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._event_loop.slow_callback_duration = PATIENCE
        await self._client.__aenter__()
        self._running.set()
        await self._over.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        # The client's tasks have names of its own; the others are calls of the test's threads, about to end.
        self._left = [name for task in others if not (name := task.get_name()).startswith("Task-")]
        if others:
            await asyncio.wait(others, timeout=PATIENCE if not self._left else 0.0)

    def _await(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        if not self._thread.is_alive():  # the client is closed: it waits for nothing
            return asyncio.run(coroutine)
        return asyncio.run_coroutine_threadsafe(coroutine, self._event_loop).result()

    def _call(self, function: Callable[[], Any]) -> Any:
        async def call() -> Any:
            return function()

        return self._await(call())

    def _in_a_thread(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(callback) or isinstance(callback, Router):
            return callback

        @functools.wraps(callback)
        async def call(client: AsyncClient, *arguments: Any) -> Any:
            given = [self._answerable(one) if isinstance(one, Message) else one for one in arguments]
            return await asyncio.to_thread(callback, self, *given)

        return call

    def _answerable(self, message: Message) -> Message:
        """``message``, to be answered from any thread."""
        if message.answering is None:
            return message
        return replace(message, answering=_OnTheLoop(message.answering, self._call))


class _OnTheLoop:
    def __init__(self, answering: Any, call: Callable[[Callable[[], Any]], Any]) -> None:
        self._answering = answering
        self._call = call

    def reply(self, payload: Any, /) -> None:
        self._call(lambda: self._answering.reply(payload))

    def refuse(self, code: str, text: str, /) -> None:
        self._call(lambda: self._answering.refuse(code, text))

    def defer(self) -> None:
        self._call(self._answering.defer)


def connect_looped(url: Any, **options: Any) -> LoopedClient:
    """``connect`` for the tests of the threaded client."""
    return LoopedClient(url, options)


KINDS: dict[str, Callable[..., Any]] = {"threads": connect_threaded, "asyncio": connect_looped}
"""Both kinds of clients: a test that plays against both shows that their rules are the same."""
