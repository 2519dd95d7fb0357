"""Every exception of resumehub, in one tree.

* ``ResumeHubError``

  * raised *to the caller*, because of its arguments or the time of its call:

    * ``ConnectRejected``: raised *by* your ``connect`` function to refuse a client
    * ``ConnectionNotFound``: no session has that id
    * ``ConnectionClosed``: the session has ended

      * ``HubClosed``: the whole hub has been closed (also given to ``on_disconnect``)
      * ``RequestInDoubt``: it ended before a request was answered

    * ``SendBufferFull``: the peer is slower than you send, or away
    * ``NotMovable``: a session can't go on in another process, or not now
    * ``SessionStateError``: a session that was written down can't be read
    * ``SocketUnavailable``: this WSGI server does not give access to its socket
    * ``ClusterError``: the processes of a folder can't work together as asked

      * ``ClusterRefused``: the hub's process refuses this one
      * ``NoHub``: no process of the folder holds the hub
      * ``LinkBroken``: the connection to another process of the folder has ended

      * ``HubUnavailable``: a call reached no hub, or has no answer
      * ``NotHere``: what only the hub's process has was asked for in another one

    * ``ReceiveTimeout``: a client's ``receive`` found no message in time
    * ``RequestError``: raised *by* a handler to refuse a request
    * ``RequestFailed``: the other end refused a request
    * ``RequestTimeout``: a request had no answer in time

  * *given* to handlers, as the reason why something ended:

    * ``TransportLost``: the WebSocket was lost, or closed by the peer, or the peer broke the protocol

      * ``HeartbeatTimeout``: the peer stopped answering

    * ``DuplicateConnectionId``: a newer connect took the id
    * ``HandlerError``: one of your handlers raised
    * ``MessageRejected``: the server could not decode a message of yours
    * ``SessionExpired``, ``HandshakeRefused``, ``RetriesExhausted``: why a client gave up

Plain values; any thread. Nothing of the package is imported here, except for the type checker. Ids are
attributes, so that an error handler need not parse texts. None shadows a builtin. Read next: ``hub.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .message import Message


class ResumeHubError(Exception):
    """The base class of everything that resumehub raises or gives to a handler."""


class ConnectRejected(ResumeHubError):
    """Raise it in ``connect`` to refuse a client, which then gets 401 and a generic body.

    Your text is not sent to the client, so it may say why a login failed. To choose status and
    body, raise a ``werkzeug.exceptions.HTTPException`` instead.
    """


class ConnectionNotFound(ResumeHubError):
    """No session has this id: it was never opened, has ended, or its grace window ran out."""

    def __init__(self, connection_id: str) -> None:
        super().__init__(
            f"no session has the connection id {connection_id!r}: it was never opened or has "
            "ended; hub.get(id) returns None instead of raising"
        )
        self.connection_id = connection_id


class ConnectionClosed(ResumeHubError):
    """The session has ended; nothing more can be sent on it. Drop the connection object."""

    def __init__(self, connection_id: str, message: str | None = None) -> None:
        super().__init__(message or f"the session {connection_id!r} has ended; nothing can be sent")
        self.connection_id = connection_id


class HubClosed(ConnectionClosed):
    """The hub was closed: it sends nothing and opens no session. Make a new ``Hub``.

    Also what ``on_disconnect`` gets, and a kept connection raises, behind ``hub.end_all``; then the hub goes
    on. ``connection_id`` is ``""`` where the error is about the hub and not one session.
    """

    def __init__(self, connection_id: str = "") -> None:
        super().__init__(
            connection_id,
            f"the session {connection_id!r} was ended with all others of its hub: hub.close or hub.end_all"
            if connection_id
            else "the hub has been closed; make a new Hub to go on",
        )


class SendBufferFull(ResumeHubError):
    """The session's outgoing buffer is full: the peer is away, or reads more slowly than you send.

    Or as many requests wait for their answers as may (``max_requests``); the text says which.
    The message was not queued. Send less, send later, or close the connection. With enough memory,
    raise ``send_buffer`` (messages) or ``send_buffer_bytes``.
    """

    def __init__(self, connection_id: str, frames: int, used_bytes: int, message: str | None = None) -> None:
        super().__init__(
            message
            or f"the send buffer of {connection_id!r} is full ({frames} messages, {used_bytes} bytes "
            "unsent); send later, or raise send_buffer / send_buffer_bytes"
        )
        self.connection_id = connection_id
        self.frames = frames
        self.used_bytes = used_bytes


class SessionStateError(ResumeHubError, ValueError):
    """A session that was written down can't be read: it is damaged, or of a later release.

    ``connection_id`` is ``""`` where it could not be read.
    """

    def __init__(self, message: str, connection_id: str = "") -> None:
        super().__init__(message)
        self.connection_id = connection_id


class NotMovable(ResumeHubError):
    """A session stays in its process: it has ended, or its transport can't be moved as it is now."""

    def __init__(self, connection_id: str, because: str) -> None:
        super().__init__(f"the session {connection_id!r} is not moved: {because}")
        self.connection_id = connection_id


class SocketUnavailable(ResumeHubError):
    """This WSGI server does not give access to the client's socket, or not to one that we can take."""


class ClusterError(ResumeHubError):
    """A cluster can't work as asked: of its folder, for example. The text says what to do.

    ``folder``: which one; ``""`` where it is not about one.
    """

    def __init__(self, message: str, folder: str = "") -> None:
        super().__init__(message)
        self.folder = folder


class ClusterRefused(ClusterError):
    """The hub's process refuses this one: it is of another application, or of a release too far away.

    ``code``: for programs: ``"application"``, ``"version"``, ``"user"`` or ``"full"``.
    """

    def __init__(self, folder: str, reason: str, code: str) -> None:
        super().__init__(f"the hub in {folder} refuses this process: {reason}", folder)
        self.reason = reason
        self.code = code


class NoHub(ClusterError):
    """No process of the folder holds the hub now, or the one that did has just ended."""

    def __init__(self, folder: str) -> None:
        super().__init__(f"no process holds the hub in {folder}", folder)


class LinkBroken(ClusterError):
    """The connection to another process of the folder has ended; nothing more can be sent on it."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the link has ended: {why}")
        self.why = why


class HubUnavailable(ClusterError):
    """A call from another process of the cluster has no result.

    ``sent``: False if nothing was sent, so nothing has happened, and it may be called again. None if the hub
    ended, or did not answer in time: whether it has done it is not known.
    """

    def __init__(self, sent: bool | None, why: str) -> None:
        then = (
            "nothing was sent, so it may be called again"
            if sent is False
            else "it may have been done or not, so look before you call it again"
        )
        super().__init__(f"the hub does not answer: {why}; {then}")
        self.sent = sent


class NotHere(ClusterError):
    """A connection was asked for what stays in the hub's process: its ``data``, and your handlers' objects.

    Handlers run in the process that holds the hub. Elsewhere ``hub.get`` returns a handle: its session can be
    sent to, asked, closed; keep what other processes need in your database.
    """

    def __init__(self, connection_id: str) -> None:
        super().__init__(
            f"the data of the connection {connection_id!r} is not in this process: it is where "
            "the hub is, and handlers run. Read it in a handler, or keep what you need in a database"
        )
        self.connection_id = connection_id


class TransportLost(ResumeHubError):
    """The transport of a session ended; ``code`` and ``reason`` say how.

    ``code`` is the peer's close code; ours if we ended it for what the peer did (1002, 1007 to 1009); 1006
    if the connection ended without a close frame (RFC 6455 §7.1.5). ``reason`` is text from the
    peer: do not trust it.
    """

    def __init__(self, code: int = 1006, reason: str = "") -> None:
        super().__init__(f"transport lost with close code {code}" + (f": {reason}" if reason else ""))
        self.code = code
        self.reason = reason


class HeartbeatTimeout(TransportLost):
    """The peer sent nothing, not even a Pong, for ``write_timeout`` after a Ping."""

    def __init__(self) -> None:
        super().__init__(1006, "no answer to a ping")


class DuplicateConnectionId(ResumeHubError):
    """A newer connect took this session's id (``on_duplicate="replace"``), so it ended."""

    def __init__(self, connection_id: str) -> None:
        super().__init__(f"a newer connect took the connection id {connection_id!r}")
        self.connection_id = connection_id


class HandlerError(ResumeHubError):
    """One of the application's handlers raised; its exception is ``__cause__``.

    ``event`` is the name of the hook: ``"on_message"``, ``"on_connect"`` or ``"on_transport_restore"``.
    """

    def __init__(self, event: str) -> None:
        super().__init__(f"a handler of {event} raised; see __cause__")
        self.event = event


class SessionExpired(ResumeHubError):
    """A client's session is gone, and messages may be missing: begin a new session.

    ``in_doubt``: the client's messages that the server may or may not have handled. They are not sent
    again. ``reason`` is ``"gap"`` if the server still had the session but had dropped messages;
    ``first_available`` is then the number of the first message that it could still have sent.
    """

    def __init__(self, reason: str = "", first_available: int | None = None) -> None:
        super().__init__("the session has expired" + (f" ({reason})" if reason else ""))
        self.reason = reason
        self.first_available = first_available
        self.in_doubt: list[Message] = []


class HandshakeRefused(ResumeHubError):
    """The server refuses a client, and would refuse the same request again.

    ``status`` is the HTTP status (403 and 409 may have come as close codes 4403 and 4409); 0 when there
    was none: no TLS, no WebSocket. ``detail`` is text from the server: do not trust it.
    """

    def __init__(self, status: int, detail: str = "") -> None:
        what = f"with status {status}" if status else "without a status"
        super().__init__(f"the handshake was refused {what}" + (f": {detail}" if detail else ""))
        self.status = status
        self.detail = detail


class MessageRejected(ResumeHubError):
    """The server could not decode this message, and its application has not seen it.

    ``number``: which message of the session it was, from 1 on. ``reason``: the server's, without the content.
    """

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(
            f"the server could not decode message {number}: {reason}; give client and server the same codec"
        )
        self.number = number
        self.reason = reason


class RetriesExhausted(ResumeHubError):
    """A client dialled ``attempts`` more times and gave up; ``__cause__``: why the last dial failed."""

    def __init__(self, attempts: int, cause: ResumeHubError | None = None) -> None:
        super().__init__(f"no connection after {attempts} retries; raise max_retries to try longer")
        self.attempts = attempts
        self.__cause__ = cause


class ReceiveTimeout(ResumeHubError, TimeoutError):
    """``Client.receive`` found no message in time; the client goes on as before."""

    def __init__(self, timeout: float) -> None:
        super().__init__(f"no message within {timeout:g} seconds")


class RequestError(ResumeHubError):
    """Raise it, or a subclass of it, in a handler to refuse a request (contract E3).

    ``code``: for programs, 1 to 64 characters, such as ``"no_such_room"``. ``message``: for people. The asker
    is told both, so write nothing secret into them. ``internal_error``, ``unknown_event`` and
    ``invalid_payload`` are resumehub's own codes; you may use them too.

    Raises: TypeError or ValueError for a code that is no str of 1 to 64 characters; TypeError for a message
    that is no str.
    """

    def __init__(self, code: str, message: str = "") -> None:
        for value in (code, message):
            if not isinstance(value, str):
                raise TypeError(
                    f"{type(self).__name__} takes (code, message), both str, not {type(value).__name__}"
                )
        if not 1 <= len(code) <= 64:
            raise ValueError(f"the code of a {type(self).__name__} has 1 to 64 characters, not {len(code)}")
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


class RequestFailed(ResumeHubError):
    """The other end refused a request; ``code`` and ``message`` say why. Do not trust the message.

    It is no ``RequestError``: if a handler asks one client for another, the other one is not told what the
    first one says.
    """

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message


class RequestTimeout(ResumeHubError, TimeoutError):
    """A request had no answer within ``timeout`` seconds. Its handler may have run, or may still run."""

    def __init__(self, event: str, timeout: float) -> None:
        super().__init__(f"no answer to the request {event!r} within {timeout:g} seconds")
        self.event = event
        self.timeout = timeout


class RequestInDoubt(ConnectionClosed):
    """The session ended before the request was answered: its handler may have run, or not.

    ``event``: the request's.
    """

    def __init__(self, connection_id: str, event: str) -> None:
        super().__init__(
            connection_id,
            f"the session {connection_id!r} ended before the request {event!r} was answered; it may have "
            "been handled, so ask in a new session before you send it again",
        )
        self.event = event
