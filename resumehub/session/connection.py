"""``Connection``: the handle to a session that application code holds, for the session's whole life.

It keeps nothing but ``data``, which is the application's; all else is the session's, and asked of it.
Read next: ``session.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..message import Message

if TYPE_CHECKING:
    from .session import Session


class Connection:
    """A session, as your handlers see it: the same object from on_connect to on_disconnect.

    Made by the hub. Safe to use and to keep from any thread; after the session has ended it
    stays usable for ``id``, ``room_id``, ``data`` and ``closed``.
    """

    __slots__ = ("__weakref__", "_session", "data")

    def __init__(self, session: Session, data: Any) -> None:
        self._session = session
        #: What ``connect`` or ``hub.upgrade`` gave, copied when the session began; yours to change.
        self.data: Any = data

    @property
    def id(self) -> str:
        """The connection id: your own, or a random one if you gave none."""
        return self._session.connection_id

    @property
    def room_id(self) -> str:
        """The room of the session, for life."""
        return self._session.room_id

    @property
    def id_is_generated(self) -> bool:
        """Whether the hub made the id; such a session is not resumable by it."""
        return self._session.credentials.generated

    @property
    def suspended(self) -> bool:
        """Whether the session is without a transport, waiting in its grace window."""
        return self._session.is_suspended

    @property
    def closed(self) -> bool:
        """Whether the session has ended (``on_disconnect`` may still be running)."""
        return self._session.is_over

    @property
    def undelivered(self) -> list[Message]:
        """The messages of this session of which it is not known that they arrived, oldest first.

        For on_disconnect: to store them, or to send them another way. With a client that acknowledges
        (``resumehub.v1``) those that it has not acknowledged; with any other those that were not
        written. While a session that was closed or kicked still sends its last messages, they are
        in the list until they are through. Threads: any. Blocks: never (the codec decodes them).
        """
        return self._session.undelivered()

    def send(self, message: Message) -> None:
        """Queue ``message`` for this session and return; while suspended it waits for the resume.

        Written at once, by the calling thread, where the peer takes it; never waits for the peer.

        Raises: ConnectionClosed (HubClosed) when the session has ended; SendBufferFull; TypeError
        or ValueError when ``message`` is not a Message, cannot be encoded, has a reserved event
        or is larger than ``send_buffer_bytes``.
        Threads: any. Blocks: never.
        """
        self._session.send(message)

    def close(self) -> None:
        """End the session: the peer gets what was sent before, then a close frame 1000.

        No grace window: the id is free at once. Returns when the session has left the hub's
        tables; on_disconnect runs soon after, see ``wait_closed``. Closing twice is no error.
        Threads: any. Blocks: until the hub thread has handled it (it never waits for the network).
        """
        self._session.close()

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until on_disconnect has returned; False if ``timeout`` real seconds passed before.

        Threads: any but a handler of this same session, which it would wait for.
        """
        return self._session.ended.wait(timeout)

    def __repr__(self) -> str:
        return f"<Connection {self.id!r} in room {self.room_id!r}, {self._session.state.value}>"
