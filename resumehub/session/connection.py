"""``Connection``: the handle to a session that application code holds, for the session's whole life.

It keeps only ``data``, which is the application's, and asks the session for everything else. Made by the
effect runner; any thread calls it. Read next: ``session.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..message import Message
from . import orders
from .ask_counts import counted

if TYPE_CHECKING:
    from .session import Session


class Connection:
    """A session, as your handlers see it: the same object from on_connect to on_disconnect.

    The hub makes it. You may keep it, and use it on any thread. After the session has ended you can
    still read ``id``, ``room_id``, ``user``, ``data`` and ``closed``.
    """

    __slots__ = ("__weakref__", "_session", "data")

    def __init__(self, session: Session, data: Any) -> None:
        self._session = session
        #: What ``connect`` or ``hub.upgrade`` gave, copied when the session began. You may change it.
        self.data: Any = data

    @property
    def id(self) -> str:
        """The connection id: the one that you gave, or a random one if you gave none."""
        return self._session.connection_id

    @property
    def room_id(self) -> str:
        """The home room of the session, for life; see ``rooms`` for all that it is in."""
        return self._session.room_id

    @property
    def rooms(self) -> tuple[str, ...]:
        """The rooms that the session is in, in order of joining, the home room first."""
        return orders.rooms(self._session)

    @property
    def user(self) -> str | None:
        """Whose session it is, for life, as ``connect`` or ``hub.upgrade`` said; None if it did not."""
        return self._session.credentials.user

    @property
    def id_is_generated(self) -> bool:
        """Whether the hub made the id; no client can resume the session by such an id."""
        return self._session.credentials.generated

    @property
    def life(self) -> str:
        """The name of the session in all processes and logs: random, and the same until its end."""
        return self._session.life

    @property
    def suspended(self) -> bool:
        """Whether the session has no transport and waits, in its grace window, for a resume."""
        return orders.is_suspended(self._session)

    @property
    def closed(self) -> bool:
        """Whether the session has ended (``on_disconnect`` may still be running)."""
        return orders.is_closed(self._session)

    @property
    def undelivered(self) -> list[Message]:
        """The messages of this session that may not have arrived, oldest first.

        Use it in on_disconnect, to store them or to send them another way. For a client that
        acknowledges (``resumehub.v1``): those that it has not acknowledged; for any other: those that
        were not written. A session that was closed or kicked may still be sending its last messages;
        they stay in the list until they are sent. Threads: any. Blocks: never (the codec decodes them).
        """
        return orders.undelivered(self._session)

    def send(self, message: Message) -> None:
        """Queue ``message`` for this session and return; while suspended it waits for the resume.

        The calling thread writes it at once if the peer takes it, and never waits for the peer.

        Raises: ConnectionClosed (HubClosed) when the session has ended; SendBufferFull; TypeError
        or ValueError when ``message`` is not a Message, cannot be encoded, has a reserved event
        or is larger than ``send_buffer_bytes``.
        Threads: any. Blocks: never.
        """
        self._session.send(message)

    def request(self, event: str, payload: Any = None, timeout: float | None = 30.0) -> Any:
        """Ask the client, and return the payload of its answer.

        ``timeout``: seconds of the hub's clock; None: as long as the session lives. They go on while the
        session is suspended. A handler may ask its own client: other messages of the session wait for the
        handler, as always, and the answer does not. With ``resumehub.v1`` request and answer survive drops
        and resumes.

        Raises: RequestFailed when the client refuses; RequestTimeout; RequestInDoubt when the session ends
        before the answer, ConnectionClosed (HubClosed) when it has ended or the request was surely never
        written; SendBufferFull, also when ``max_requests`` are open; TypeError or ValueError as ``send``, and
        for a timeout that is not positive. Threads: any. Blocks: until the answer is here.
        """
        session = self._session
        return counted(
            session.services.observers.count,
            session.room_id,
            session.connection_id,
            lambda: orders.request(session, event, payload, timeout),
        )

    def join(self, room_id: str) -> None:
        """Let the session into one room more, also while it is suspended.

        Every broadcast that is accepted after this has returned reaches it. It stays in the room through
        drops and resumes, until ``leave`` or its end. Joining a room twice is no error. on_join runs in the
        session's turn: when you join in one of its handlers, after that has returned.

        Raises: ConnectionClosed when the session has ended; TypeError or ValueError for a room id that
        is no str of 1 to 255 characters without control characters; ValueError when the session is in
        ``max_rooms`` rooms. Threads: any. Blocks: until the hub thread has handled it.
        """
        orders.join(self._session, room_id)

    def leave(self, room_id: str) -> None:
        """Let the session out of a room that it has joined.

        No broadcast to the room that is accepted after this has returned reaches it. Leaving a room that
        it is not in is no error.

        Raises: ValueError for the home room; otherwise as ``join``, but never ConnectionClosed: a session
        that has ended is in no room. Threads: any. Blocks: until the hub thread has handled it.
        """
        orders.leave(self._session, room_id)

    def close(self) -> None:
        """End the session: the peer gets what was sent before, then a close frame 1000.

        There is no grace window: when this returns, the id is free and the hub no longer finds the
        session. on_disconnect runs soon after; see ``wait_closed``. Closing twice is no error.
        Threads: any. Blocks: until the hub thread has handled it (it never waits for the network).
        """
        orders.close(self._session)

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until on_disconnect has returned; False if ``timeout`` real seconds passed before.

        Threads: any, but never call it in a handler of this session: it would wait for that handler.
        """
        return orders.wait_closed(self._session, timeout)

    def __repr__(self) -> str:
        return f"<Connection {self.id!r} in room {self.room_id!r}, {self._session.state.value}>"
