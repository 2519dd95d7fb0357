"""``RemoteConnection``: the handle to a session whose hub is in another process.

``hub.get`` and ``hub.connections`` give it in a process that does not hold the hub. It names the session by
id and life, so it never reaches a later session of the id. Any thread. Read next:
``../../session/connection.py``, ``remote_calls.py``.
"""

from __future__ import annotations

from typing import Any, Protocol

from ...errors import NotHere
from ...message import Message
from ...session.ask_counts import counted
from ...session.connection import Connection
from .call_bodies import ConnectionLook


class SessionCalls(Protocol):
    """What a handle asks of the hub, wherever that is; see ``Connection``. ``count``: of this process."""

    def count(self, method: str, *arguments: Any) -> None: ...
    def send_message(self, connection_id: str, life: str, message: Message) -> None: ...
    def request(
        self, connection_id: str, life: str, event: str, payload: Any, timeout: float | None
    ) -> Any: ...
    def join(self, connection_id: str, life: str, room_id: str) -> None: ...
    def leave(self, connection_id: str, life: str, room_id: str) -> None: ...
    def close(self, connection_id: str, life: str) -> None: ...
    def wait_closed(self, connection_id: str, life: str, timeout: float | None) -> bool: ...
    def undelivered_messages(self, connection_id: str, life: str) -> list[Message]: ...
    def look_at(self, connection_id: str, life: str) -> ConnectionLook | None: ...


class RemoteConnection(Connection):
    """A connection, as a process sees it that does not hold the hub.

    ``rooms``, ``suspended`` and ``closed`` are as of the look-up, or of the last ``refresh``. Each of the
    methods is a call of the hub: it blocks until the hub has answered, at most for the cluster's ``timeout``
    (``request`` and ``wait_closed`` as long as they are told to), and raises ``HubUnavailable`` where it
    does not. Otherwise results and errors are those of ``Connection``.
    """

    __slots__ = ("_calls", "_look")

    def __init__(self, calls: SessionCalls, look: ConnectionLook) -> None:
        # Not the constructor of Connection: there is no session here.
        self._calls = calls
        self._look = look

    # -- as of the look-up ------------------------------------------------------------------

    @property
    def id(self) -> str:
        """See ``Connection``."""
        return self._look.connection_id

    @property
    def life(self) -> str:
        """See ``Connection``."""
        return self._look.life

    @property
    def room_id(self) -> str:
        """See ``Connection``."""
        return self._look.room_id

    @property
    def rooms(self) -> tuple[str, ...]:
        """See ``Connection``."""
        return self._look.rooms

    @property
    def user(self) -> str | None:
        """See ``Connection``."""
        return self._look.user

    @property
    def id_is_generated(self) -> bool:
        """See ``Connection``."""
        return self._look.generated

    @property
    def suspended(self) -> bool:
        """See ``Connection``."""
        return self._look.suspended

    @property
    def closed(self) -> bool:
        """See ``Connection``."""
        return self._look.closed

    @property
    def data(self) -> Any:
        """Raises: NotHere, which says where handlers run."""
        raise NotHere(self.id)

    @data.setter
    def data(self, value: Any) -> None:
        raise NotHere(self.id)

    def refresh(self) -> bool:
        """Ask the hub for ``rooms``, ``suspended`` and ``closed``; False if the session has ended.

        Raises: HubUnavailable. Threads: any. Blocks: until the hub has answered.
        """
        look = self._calls.look_at(self.id, self.life)
        if look is None:
            was = self._look
            who = was.connection_id, was.life, was.room_id, was.rooms, was.user, was.generated
            look = ConnectionLook(*who, suspended=False, closed=True)
        self._look = look
        return not look.closed

    # -- calls ------------------------------------------------------------------------------

    @property
    def undelivered(self) -> list[Message]:
        """See ``Connection``. Empty once on_disconnect has returned. Blocks: until the hub has answered."""
        return self._calls.undelivered_messages(self.id, self.life)

    def send(self, message: Message) -> None:
        """See ``Connection``. Blocks: until it is in the session's buffer."""
        self._calls.send_message(self.id, self.life, message)

    def request(self, event: str, payload: Any = None, timeout: float | None = 30.0) -> Any:
        """See ``Connection``."""
        calls = self._calls
        return counted(
            calls.count,
            self.room_id,
            self.id,
            lambda: calls.request(self.id, self.life, event, payload, timeout),
        )

    def join(self, room_id: str) -> None:
        """See ``Connection``."""
        self._calls.join(self.id, self.life, room_id)

    def leave(self, room_id: str) -> None:
        """See ``Connection``."""
        if room_id == self.room_id:
            raise ValueError(
                f"{room_id!r} is the home room of the session {self.id!r}, which it has for life; to end the "
                "session, close it"
            )
        self._calls.leave(self.id, self.life, room_id)

    def close(self) -> None:
        """See ``Connection``."""
        self._calls.close(self.id, self.life)

    def wait_closed(self, timeout: float | None = None) -> bool:
        """See ``Connection``. It may be told a quarter of a second late."""
        return self._calls.wait_closed(self.id, self.life, timeout)

    def __repr__(self) -> str:
        state = "closed" if self.closed else "suspended" if self.suspended else "connected"
        return f"<RemoteConnection {self.id!r} in room {self.room_id!r}, {state} when it was looked at>"


def look_at(connection: Connection) -> ConnectionLook:
    """What a look-up says of a connection. Any thread; never blocks."""
    return ConnectionLook(
        connection.id,
        connection.life,
        connection.room_id,
        connection.rooms,
        connection.user,
        connection.id_is_generated,
        connection.suspended,
        connection.closed,
    )
