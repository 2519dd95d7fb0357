"""The application's handle to one client: send, receive, wait, close.

Any thread may call everything here. The machine decides, on the driver's thread. Made by ``connect``.
Read next: ``client_loop.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from ..clock import now
from ..errors import ConnectionClosed, ReceiveTimeout, ResumeHubError, TransportLost
from ..message import Message
from .client_loop import ClientLoop
from .options import positive
from .outbox import OutgoingMessage
from .states import ClientState
from .stats import ClientStats


class Client:
    """A session with a server; it outlives its transports. Close it, or use it in ``with``.

    ``make``: makes the loop, given the callbacks. Raises: RuntimeError when the system gives no thread;
    TypeError for a callback that can't be called.
    """

    def __init__(
        self, make: Callable[[Mapping[str, Callable[..., Any]]], ClientLoop], callbacks: Mapping[str, Any]
    ) -> None:
        bound = {hook: _bound(self, hook, callback) for hook, callback in callbacks.items() if callback}
        self._receives = "on_message" not in bound
        self._loop = make(bound)
        self._loop.start()

    # -- sending ----------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Queue ``message`` and return; while there is no connection, it waits for the next one.

        Raises: SendBufferFull, and nothing was queued; ConnectionClosed, with the reason as its
        ``__cause__``; TypeError or ValueError when ``message`` is not a Message, cannot be encoded, has a
        reserved event, or is larger than the server takes or the buffer holds.
        Threads: any. Blocks: never.
        """
        try:
            self._loop.post(OutgoingMessage(self._loop.encode(message), message))
        except ConnectionClosed as closed:
            raise closed from self.error

    def request(self, event: str, payload: Any = None, timeout: float | None = 30.0) -> Any:
        """Ask the server, wait for its answer, and give the answer's payload.

        Several threads may ask at once. A callback may ask, too: the answer does not wait for its turn.
        A request to a ``resumehub.v1`` server, and its answer, survive drops. ``timeout``: seconds of the
        client's clock, which go on while there is no connection; None: until the session is over. Behind a
        timeout the request may still be sent, and handled.

        Raises: RequestFailed when the server refuses; RequestTimeout; RequestInDoubt when the session is over
        and the server may have handled it; ConnectionClosed when it surely has not; SendBufferFull when
        ``max_requests`` wait already, or the send buffer is full; TypeError or ValueError as ``send``, or for
        a ``timeout`` that is not more than 0. Threads: any. Blocks: until the answer, the end or ``timeout``.
        """
        if timeout is not None:
            positive("timeout", timeout)
        try:
            with self._loop.requester.asking(event, payload, timeout) as asking:
                asking.wait()
            return asking.payload()
        except ConnectionClosed as closed:
            raise closed from self.error

    # -- receiving --------------------------------------------------------------------------

    def receive(self, timeout: float | None = None) -> Message:
        """The next message. It counts as handled when you ask for the next one, or at ``close``.

        If it has an ``id``, it is a request: call its ``reply``, ``refuse`` or ``defer`` before it counts as
        handled, or else it is refused.

        ``timeout``: real seconds; None: no limit.
        Raises: ReceiveTimeout; ConnectionClosed after your ``close``, once no message is left; what ``error``
        is after any other end; TypeError when messages go to ``on_message``.
        Threads: one at a time. Blocks: until there is a message, the end, or ``timeout``.
        """
        message = self._take(timeout)
        if message is not None:
            return message
        if not self._loop.inbox.ended:
            raise ReceiveTimeout(timeout or 0.0)
        raise self.error or ConnectionClosed(self.connection_id, "the client is closed; nothing more comes")

    def __iter__(self) -> Iterator[Message]:
        """Message after message, until the end. Each counts as handled when the loop asks for the next one.

        If the loop is left early (``break``, an exception), its last message does not count as handled yet:
        the next ``receive``, loop or ``close`` counts it. The loop ends when the client or the server closes
        the session on purpose (1000); any other end is raised, as by ``receive``.
        """
        while (message := self._take(None)) is not None:
            yield message
        error = self.error
        if error is not None and not (isinstance(error, TransportLost) and error.code in (1000, 1005)):
            raise error.with_traceback(None)

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

    # -- how it is --------------------------------------------------------------------------

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

    def wait_connected(self, timeout: float | None = None) -> bool:
        """Wait until there is a connection; False if ``timeout`` real seconds passed before.

        Raises: what ``error`` is, or ConnectionClosed, if the client has ended.
        Threads: any but the callbacks' thread. Blocks: until connected, ended, or ``timeout``.
        """
        give_up = None if timeout is None else now() + timeout
        while (state := self.state) is not ClientState.CONNECTED:
            if state in (ClientState.EXPIRED, ClientState.CLOSED):
                raise self.error or ConnectionClosed(self.connection_id, "the client is closed")
            left = None if give_up is None else give_up - now()
            if (left is not None and left <= 0) or not self._loop.status.wait_for_change(state, left):
                return self.state is ClientState.CONNECTED
        return True

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the client has ended and the last callback has returned.

        False if ``timeout`` real seconds passed before. Threads: any but the callbacks' thread.
        """
        return self._loop.wait_until_over(timeout)

    # -- closing ----------------------------------------------------------------------------

    def close(self, code: int = 1000, timeout: float = 5.0) -> None:
        """Send what can be sent within ``timeout`` seconds, then end the connection with ``code``.

        1000 ends the session on the server, too; with any other code the server keeps it for its grace
        window. The messages that may not have arrived are in ``in_doubt`` afterwards. The message that was
        received last counts as handled. Closing twice is no error; ``close(timeout=0)`` does not wait. In a
        callback it only begins to close, and returns.

        Raises: ValueError for a code that may not be sent (RFC 6455 §7.4.2).
        Threads: any. Blocks: up to ``timeout`` seconds and one more, and then as long again, or 1 s, for each
        thread that is busy: in a callback, for example.
        """
        loop = self._loop
        leave = loop.begin_to_close(code, timeout, receives=self._receives)
        if loop.is_own_worker():
            return
        if not loop.finished.wait(timeout):
            loop.put(replace(leave, timeout=0.0))
            loop.finished.wait(1.0)
        loop.join(max(timeout, 1.0))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        # The user who interrupts the program does not want to wait.
        interrupted = kind is not None and not issubclass(kind, Exception)
        self.close(timeout=0.0 if interrupted else 5.0)

    def __repr__(self) -> str:
        return f"<Client of {self._loop.options.targets.shown}, {self.state.value}>"


def _bound(client: Client, hook: str, callback: Callable[..., Any]) -> Callable[..., Any]:
    if not callable(callback):
        raise TypeError(f"{hook} must be callable, not {type(callback).__name__}")

    return partial(callback, client)
