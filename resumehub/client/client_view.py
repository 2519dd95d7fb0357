"""What both kinds of clients show of themselves, and what their waits have in common.

A method that blocks may be a step (``steps.py``): nothing has changed when it waits. Any thread, for the
threaded client; the loop's thread for the other. Used by ``client.py`` and ``aio/async_client.py``.
Read next: ``client_loop.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from ..clock import now
from ..errors import ConnectionClosed, ReceiveTimeout, ResumeHubError, TransportLost
from ..message import Message
from . import commands as c
from .client_loop import ClientLoop
from .options import positive
from .states import ClientState
from .stats import ClientStats


class ClientView:
    """A client as its application sees it, but for what waits.

    ``make``: makes the loop, given the callbacks. Raises: TypeError for a callback that can't be called.
    """

    def __init__(
        self, make: Callable[[Mapping[str, Callable[..., Any]]], ClientLoop], callbacks: Mapping[str, Any]
    ) -> None:
        bound = {hook: _bound(self, hook, callback) for hook, callback in callbacks.items() if callback}
        self._receives = "on_message" not in bound
        self._loop = make(bound)

    @property
    def state(self) -> ClientState:
        """CONNECTING, CONNECTED, WAITING (to dial again), EXPIRED or CLOSED."""
        return self._loop.status.look()[0]

    @property
    def error(self) -> ResumeHubError | None:
        """Why the client has ended; None before that, and when you closed it."""
        return self._loop.status.look()[1]

    @property
    def lossless(self) -> bool | None:
        """Whether the server speaks ``resumehub.v1``; None until the first connection was open."""
        return self._loop.status.look()[2]

    @property
    def connection_id(self) -> str:
        """The session's id; "" until the server has told it, which a plain server never does."""
        return self._loop.connection_id

    @property
    def in_doubt(self) -> list[Message]:
        """After the end: the messages that ``send`` accepted and the server may not have handled, in order.

        Requests are not among them: their callers are told.
        With a plain server: those that were not written. The client sends none of them again.
        """
        return list(self._loop.in_doubt)

    def stats(self) -> ClientStats:
        """The counters, as they are now."""
        loop = self._loop
        waiting, acknowledged = loop.sender.waiting()
        return ClientStats(
            sent=loop.sender.written,
            acknowledged=acknowledged,
            waiting=waiting,
            received=loop.inbox.received,
            answers_ignored=loop.requester.ignored,
            **asdict(loop.counters),
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._loop.options.targets.shown}, {self.state.value}>"

    # -- what waits ---------------------------------------------------------------------------

    def _take(self, timeout: float | None) -> Message | None:
        if not self._receives:
            raise TypeError("messages go to on_message; receive and the loop are for clients without it")
        loop = self._loop
        loop.responder.settle_received()
        give_up = None if timeout is None else now() + timeout
        while True:
            message = loop.inbox.take(None if give_up is None else max(0.0, give_up - now()))
            if message is None:
                return None
            given = loop.responder.received(message)
            if given is not None:
                return given

    def _why_nothing_comes(self, timeout: float | None) -> ResumeHubError:
        """What ``receive`` raises when there was no message."""
        if not self._loop.inbox.ended:
            return ReceiveTimeout(timeout or 0.0)
        return self.error or ConnectionClosed(self.connection_id, "the client is closed; nothing more comes")

    def _raise_unless_ended_on_purpose(self) -> None:
        """Behind the last message, for a loop over them: an end with 1000 is the end of the loop."""
        error = self.error
        if error is not None and not (isinstance(error, TransportLost) and error.code in (1000, 1005)):
            raise error.with_traceback(None)

    def _begin_to_close(self, code: int, timeout: float) -> c.Leave:
        """See ``Client.close``. Gives what the driver was told. Raises: ValueError. Never blocks."""
        positive("timeout", timeout, zero=True)
        if code != 1000 and code != 1001 and not 3000 <= code <= 4999:
            raise ValueError(f"code must be 1000, 1001 or from 3000 to 4999, not {code!r}")
        loop = self._loop
        loop.responder.leave()
        leave = c.Leave(code, timeout, loop.sender.stop_accepting())
        if self._receives:
            loop.inbox.handled()
        loop.put(leave)
        return leave

    def _wait_connected(self, timeout: float | None) -> bool:
        give_up = None if timeout is None else now() + timeout
        while (state := self.state) is not ClientState.CONNECTED:
            if state in (ClientState.EXPIRED, ClientState.CLOSED):
                raise self.error or ConnectionClosed(self.connection_id, "the client is closed")
            left = None if give_up is None else give_up - now()
            if (left is not None and left <= 0) or not self._loop.status.wait_for_change(state, left):
                return self.state is ClientState.CONNECTED
        return True


def _bound(client: ClientView, hook: str, callback: Callable[..., Any]) -> Callable[..., Any]:
    if not callable(callback):
        raise TypeError(f"{hook} must be callable, not {type(callback).__name__}")

    return partial(callback, client)
