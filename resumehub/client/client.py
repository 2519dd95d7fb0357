"""The application's handle to one client: send, receive, wait, close.

Any thread may call everything here. The machine decides, on the driver's thread. Made by ``connect``.
Read next: ``client_view.py``, ``client_loop.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..errors import ConnectionClosed
from ..message import Message
from .client_loop import ClientLoop
from .client_view import ClientView
from .options import positive
from .outbox import OutgoingMessage


class Client(ClientView):
    """A session with a server; it outlives its transports. Close it, or use it in ``with``.

    ``make``: makes the loop, given the callbacks. Raises: RuntimeError when the system gives no thread;
    TypeError for a callback that can't be called.
    """

    def __init__(
        self, make: Callable[[Mapping[str, Callable[..., Any]]], ClientLoop], callbacks: Mapping[str, Any]
    ) -> None:
        super().__init__(make, callbacks)
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
        raise self._why_nothing_comes(timeout)

    def __iter__(self) -> Iterator[Message]:
        """Message after message, until the end. Each counts as handled when the loop asks for the next one.

        If the loop is left early (``break``, an exception), its last message does not count as handled yet:
        the next ``receive``, loop or ``close`` counts it. The loop ends when the client or the server closes
        the session on purpose (1000); any other end is raised, as by ``receive``.
        """
        while (message := self._take(None)) is not None:
            yield message
        self._raise_unless_ended_on_purpose()

    # -- how it is --------------------------------------------------------------------------

    def wait_connected(self, timeout: float | None = None) -> bool:
        """Wait until there is a connection; False if ``timeout`` real seconds passed before.

        Raises: what ``error`` is, or ConnectionClosed, if the client has ended.
        Threads: any but the callbacks' thread. Blocks: until connected, ended, or ``timeout``.
        """
        return self._wait_connected(timeout)

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
        leave = self._begin_to_close(code, timeout)
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
