"""A client of ``resumehub.v1`` for tests of handlers: it loses nothing, and has no thread.

``open_session(hub, app, "/ws/lobby")`` goes through the application's real handshake, as ``client.py``, and
speaks the lossless protocol, as the JavaScript client: messages in, messages out, requests, a drop, a resume.
It reads only inside a method that reads. Each method returns when the hub has come so far that a test can go
on without waiting. Used by test code; each client by one thread at a time. Read next: ``client.py``.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from werkzeug.test import Client

from ..clock import now
from ..codec import decode_message, encode_frame
from ..errors import RequestFailed, RequestTimeout
from ..hub import Hub
from ..message import Message, Opcode, is_reserved
from ..protocol import control_messages
from ..protocol.control_messages import HELLO, MISSED, REJECTED
from ..protocol.tokens import SUBPROTOCOL, TOKEN_PREFIX
from ..session.connection import Connection
from .callback_watch import PATIENCE, CallbackWatch, SeenCallbacks
from .client import WebSocketClient, connect, url_with
from .handshake import NothingReceived, TransportClosed

_Headers = Mapping[str, str | None] | Iterable[tuple[str, str | None]]


class SessionClient:
    """The client's end of one session. Made by ``open_session``; also a context manager, which leaves.

    ``id``: the connection id; ``closed``: code and reason with which the server has ended the connection.
    """

    def __init__(self, hub: Hub, callbacks: CallbackWatch, dial: Callable[..., WebSocketClient]) -> None:
        self._hub = hub
        self._callbacks = callbacks
        self._dial = dial
        self._attempt = 0
        self._token = ""
        self._received = 0
        self._sent = 0
        # Messages that the server may not have handled, with their numbers.
        self._unacked: deque[tuple[int, str | bytes]] = deque()
        self._inbox: deque[Message] = deque()
        self._answers: dict[str, Message] = {}
        self._asked = 0
        self._missed: list[tuple[int, int]] = []
        self._rejected: list[tuple[int, str]] = []
        self._session: Connection | None = None
        self._since = SeenCallbacks()
        self._dropped = False
        self.id = ""
        #: The WebSocket of now, for what this class has no method for: ``freeze``, ``ping``, ``send_raw``.
        self.ws = self._attach(PATIENCE)

    # -- talking ----------------------------------------------------------------------------

    def send(self, event: str = "", payload: Any = None) -> None:
        """Send a message. Its handler may not have run when this returns; an answer or a message says so."""
        self._send(Message(event, payload))

    def receive(self, timeout: float = 10.0) -> Message:
        """The next message; one with an ``id`` is a request, which ``message.reply(…)`` answers.

        Raises: NothingReceived after ``timeout`` real seconds; TransportClosed when the server has ended the
        connection; AssertionError when the server could not decode a message of ours, or says that one of its
        own was dropped (see ``missed``).
        """
        give_up = now() + timeout
        while not self._inbox:
            self._read(give_up - now())
            self._complain()
        return self._inbox.popleft()

    def request(self, event: str, payload: Any = None, timeout: float = 10.0) -> Any:
        """Ask, and give the answer's payload; messages that come meanwhile wait for ``receive``.

        Raises: RequestFailed with the code and text of a refusal; RequestTimeout after ``timeout`` real
        seconds; TransportClosed.
        """
        asked = self.send_request(event, payload)
        try:
            return self.receive_answer(asked, timeout)
        except NothingReceived:
            raise RequestTimeout(event, timeout) from None

    def send_request(self, event: str, payload: Any = None) -> str:
        """Ask, and give the request's id; ``receive_answer`` reads on, also after a drop and a resume."""
        self._asked += 1
        asked = f"test-{self._asked}"
        self._send(Message(event, payload, asked))
        return asked

    def receive_answer(self, request_id: str | None = None, timeout: float = 10.0) -> Any:
        """The payload of the answer to a request; None: to the last one.

        Raises: RequestFailed, NothingReceived, TransportClosed.
        """
        asked = request_id or f"test-{self._asked}"
        give_up = now() + timeout
        while asked not in self._answers:
            self._read(give_up - now())
        answer = self._answers.pop(asked)
        if answer.error is not None:
            raise RequestFailed(answer.error["code"], answer.error.get("message", ""))
        return answer.payload

    def received_nothing(self) -> bool:
        """Whether no message waits, when all that the server has written so far has come."""
        before = len(self.ws.pongs)
        self.ws.ping(b"?")
        if not self.ws.wait_for_pong(before + 1, PATIENCE):
            raise TransportClosed(*(self.ws.closed or (1006, "")))
        while self.ws.has_message():
            self._read(PATIENCE)
        return not self._inbox

    # -- a bad network ----------------------------------------------------------------------

    def drop(self) -> None:
        """Vanish without a close frame, as a lost network does.

        When it returns the handlers of ``on_transport_drop`` have run, or with ``resume_window`` 0 those of
        ``on_disconnect``. Raises: AssertionError when that takes ten seconds.
        """
        self.ws.drop()
        if self._session is not None and not self._dropped:
            self._callbacks.wait_end(self._session, self._since)
        self._dropped = True

    def resume(self, timeout: float = 10.0) -> None:
        """Come back to the session, and send again what the server has not handled.

        A connection that is still there is dropped first. When it returns the handlers of
        ``on_transport_restore`` have run. Raises: UpgradeRefused (410, when the session is gone);
        TransportClosed, when it ended meanwhile.
        """
        self.drop()
        self.ws = self._attach(timeout)

    # -- leaving ----------------------------------------------------------------------------

    def close(self, timeout: float = 10.0) -> None:
        """Leave properly. When it returns the handlers of ``on_disconnect`` have run."""
        self.ws.close(timeout=timeout)
        if self._session is not None and not self._session.wait_closed(timeout):
            raise AssertionError(f"on_disconnect of {self.id!r} has not returned within {timeout} seconds")

    def receive_close(self, timeout: float = 10.0) -> tuple[int, str]:
        """Read on to the end, passing over messages: the code and reason of the server's close frame."""
        return self.ws.receive_close(timeout)

    def abandon(self) -> None:
        """Close the socket and wait for nothing."""
        self.ws.sock.close()

    @property
    def connection(self) -> Connection | None:
        """The server's handle to this session; None when it has ended."""
        return self._hub.get(self.id)

    @property
    def closed(self) -> tuple[int, str] | None:
        """Code and reason with which the server ended this connection; None while it is open."""
        return self.ws.closed

    @property
    def missed(self) -> list[tuple[int, int]]:
        """First and last numbers of broadcasts that were dropped for want of room; reading empties it."""
        missed, self._missed = self._missed, []
        return missed

    def __enter__(self) -> SessionClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.abandon()

    # -- the protocol -----------------------------------------------------------------------

    def _attach(self, timeout: float) -> WebSocketClient:
        """Dial, and read the ``$hello``."""
        self._attempt += 1
        query = {"attempt": str(self._attempt)}
        if self._token:
            query |= {"resume": "true", "received": str(self._received)}
        before = self._callbacks.seen(self._session)
        ws = self._dial(query, [SUBPROTOCOL, *([TOKEN_PREFIX + self._token] if self._token else [])])
        try:
            hello = control_messages.read_hello(self._decode(ws.receive(timeout)))
            self.id, self._token = hello.connection_id, hello.token
            self._received = hello.replay_from - 1
            self.ws = ws
            self._forget(hello.received)
            self._acknowledge()
            for _, data in self._unacked:
                ws.send(data)
            self._session = self._session or self._hub.get(self.id)
            if self._session is not None:
                self._callbacks.wait_begin(self._session, before)
            # A drop after the callback that was waited for is the next one.
            self._since = replace(before)
            self._dropped = False
        except BaseException:
            ws.sock.close()
            raise
        return ws

    def _send(self, message: Message) -> None:
        frame = encode_frame(self._hub.runner.codec, message, correlated=True)
        data = frame.payload.decode() if frame.opcode is Opcode.TEXT else frame.payload
        self._sent += 1
        self._unacked.append((self._sent, data))
        try:
            self.ws.send(data)
        except OSError:
            pass  # there is no connection now: a resume sends it

    def _read(self, timeout: float) -> None:
        """Read until a message has come, whatever it is. Raises: NothingReceived, TransportClosed."""
        self._take(self._decode(self.ws.receive(timeout)))

    def _decode(self, data: str | bytes) -> Message:
        return decode_message(self._hub.runner.codec, data, allow_reserved=True)

    def _take(self, message: Message) -> None:
        if message.event == control_messages.ACK:
            self._forget(control_messages.read_ack(message))
        elif message.event == MISSED:
            first, last = control_messages.read_missed(message)
            self._missed.append((first, last))
            self._received = last
        elif message.event == REJECTED:
            rejection = control_messages.read_rejected(message)
            self._rejected.append((rejection.number, rejection.reason))
        elif message.event != HELLO and not is_reserved(message.event):
            self._received += 1
            self._deliver(message)
            self._acknowledge()

    def _deliver(self, message: Message) -> None:
        if message.re is not None:
            self._answers[message.re] = message
        elif message.id is not None:
            answering = _Answer(self._send, message)
            self._inbox.append(Message(message.event, message.payload, message.id, answering=answering))
        else:
            self._inbox.append(message)

    def _forget(self, handled: int) -> None:
        while self._unacked and self._unacked[0][0] <= handled:
            self._unacked.popleft()

    def _acknowledge(self) -> None:
        frame = encode_frame(
            self._hub.runner.codec, control_messages.ack(self._received), allow_reserved=True
        )
        try:
            self.ws.send(frame.payload.decode() if frame.opcode is Opcode.TEXT else frame.payload)
        except OSError:
            pass  # the server is gone; reading says so

    def _complain(self) -> None:
        if self._rejected:
            number, reason = self._rejected.pop(0)
            raise AssertionError(f"the server could not decode message {number} of {self.id!r}: {reason}")


class _Answer:
    """``message.reply`` and ``refuse`` of a request that the server has sent."""

    def __init__(self, send: Callable[[Message], None], request: Message) -> None:
        self._send = send
        self._request: Message | None = request

    def _answered(self) -> Message:
        request, self._request = self._request, None
        if request is None:
            raise RuntimeError("this request is answered already")
        return request

    def reply(self, payload: Any, /) -> None:
        request = self._answered()
        self._send(Message(request.event, payload, None, request.id))

    def refuse(self, code: str, text: str, /) -> None:
        request = self._answered()
        self._send(Message(request.event, None, None, request.id, {"code": code, "message": text}))

    def defer(self) -> None:
        """Nothing to do: a test answers when it likes."""


_watched: WeakKeyDictionary[Hub, CallbackWatch] = WeakKeyDictionary()
_watching = threading.Lock()


def open_session(
    hub: Hub,
    app: Any,
    url: str = "/",
    *,
    headers: _Headers = (),
    cookies: Mapping[str, str] | Client | None = None,
    timeout: float = 10.0,
) -> SessionClient:
    """Open a session of ``hub`` at a URL of ``app``, the WSGI application that it is in.

    ``headers``, ``cookies``: as in ``connect``. When it returns the handlers of ``on_connect`` have run, and
    those of ``on_join`` for its room.
    Register handlers before: those that come later are not waited for.

    Raises: UpgradeRefused, when the answer is no 101; TransportClosed, when the session was refused behind
    it. Threads: any; the client has none. Blocks: until then, at most ``timeout`` seconds for each step.
    """
    with _watching:
        callbacks = _watched.get(hub)
        if callbacks is None:
            callbacks = _watched[hub] = CallbackWatch(hub)
    kept = headers if isinstance(headers, Mapping) else list(headers)  # needed again for a resume

    def dial(query: Mapping[str, str], subprotocols: list[str]) -> WebSocketClient:
        return connect(
            app,
            url_with(url, query),
            headers=kept,
            cookies=cookies,
            subprotocols=subprotocols,
            timeout=timeout,
        )

    return SessionClient(hub, callbacks, dial)
