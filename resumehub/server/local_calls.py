"""What an application asks of the hub that is in this process: the calls of ``Hub``, checked and encoded.

``Hub`` checks what it is given, encodes messages, and asks an object that has the methods of ``Calls``:
``LocalCalls`` where there is no cluster. Here is what each call does to sessions and rooms. Any thread calls.
Read next: ``hub_runner.py``, ``room.py``, ``history.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Protocol

from ..core.commands import Kick, KickUser
from ..core.drain import Drain
from ..errors import ConnectionClosed, ConnectionNotFound, HubUnavailable
from ..message import Frame
from ..session.connection import Connection
from ..session.session import Session
from ..stats import Stats
from .history import ForNewcomers, broadcast_and_keep
from .hub_runner import HubRunner
from .room import Room, broadcast, send_to_all


class Calls(Protocol):
    """The calls of ``Hub`` that go to the hub, wherever it is. Any thread.

    Results, errors and blocking are those of the method of ``Hub`` with the same name. Frames are encoded,
    ids are checked, each room is named once.
    """

    def send(self, connection_id: str, frame: Frame) -> None: ...

    def broadcast(
        self,
        room_ids: Sequence[str],
        frame: Frame,
        excluded: frozenset[str],
        newcomers: Callable[[], ForNewcomers] | None = None,
    ) -> None:
        """``newcomers``: where rooms have a history, gives what they keep of it; it may raise anything."""

    def send_to_user(self, user: str, frame: Frame) -> int: ...
    def kick(self, connection_id: str) -> None: ...
    def kick_user(self, user: str) -> None: ...
    def end_all(self) -> int: ...
    def set_drain(self, drain: Drain) -> int:
        """Refuse these from now on; return how many sessions there are then."""

    def cut(self, connection_id: str) -> bool: ...
    def get(self, connection_id: str) -> Connection | None: ...
    def in_room(self, room_id: str) -> list[Connection]: ...
    def of_user(self, user: str) -> list[Connection]: ...
    def ids(self, room_id: str, limit: int) -> list[str]: ...
    def count(self, room_id: str) -> int: ...
    def rooms(self) -> list[str]: ...
    def stats(self) -> Stats: ...


class LocalCalls:
    """``Calls`` of the hub that is in this process. Before its first use there are no sessions."""

    def __init__(self, runner: HubRunner) -> None:
        self._runner = runner

    # -- what changes something -------------------------------------------------------------

    def send(self, connection_id: str, frame: Frame) -> None:
        """Raises: ConnectionNotFound; as ``Connection.send``. Blocks: never."""
        loop = self._runner.open_loop()
        session = loop.registry.sessions.get(connection_id) if loop is not None else None
        if session is None:
            raise ConnectionNotFound(connection_id)
        session.send_frame(frame)

    def broadcast(
        self,
        room_ids: Sequence[str],
        frame: Frame,
        excluded: frozenset[str],
        newcomers: Callable[[], ForNewcomers] | None = None,
    ) -> None:
        """Raises: HubClosed; what ``newcomers`` raises. Blocks: as ``room.broadcast``."""
        loop = self._runner.open_loop()
        if loop is None:
            return
        registry, observers = loop.registry, loop.observers
        history = registry.history
        if history is not None and newcomers is not None:
            kept = newcomers()
            if counts := history.wanted(kept.counts):
                to = history, counts, room_ids, registry.found
                broadcast_and_keep(*to, frame, kept.frame, excluded, observers, loop.open_cork())
                return
        if rooms := registry.found(room_ids):
            broadcast(rooms, frame, excluded, observers, loop.open_cork())

    def send_to_user(self, user: str, frame: Frame) -> int:
        """Raises: HubClosed. Blocks: as ``room.send_to_all``."""
        loop = self._runner.open_loop()
        sessions = loop.registry.users.get(user) if loop is not None else None
        return send_to_all(sessions, frame, loop.observers) if loop is not None and sessions else 0

    def kick(self, connection_id: str) -> None:
        """Raises: ConnectionNotFound; HubClosed. Blocks: until the hub thread has done it."""
        loop = self._runner.open_loop()
        if loop is None:
            raise ConnectionNotFound(connection_id)
        loop.put_and_wait(Kick(connection_id))

    def kick_user(self, user: str) -> None:
        """Raises: HubClosed. Blocks: until the hub thread has done it."""
        loop = self._runner.open_loop()
        if loop is not None:
            loop.put_and_wait(KickUser(user))

    def end_all(self) -> int:
        """Raises: HubClosed. Blocks: until the hub thread has done it."""
        loop = self._runner.open_loop()
        return loop.end_all() if loop is not None else 0

    def set_drain(self, drain: Drain) -> int:
        """Raises: HubClosed; HubUnavailable before it begins. Blocks: until the hub thread has done it."""
        loop = self._runner.open_loop()
        if loop is None:
            raise HubUnavailable(False, "it has not begun")
        return loop.set_drain(drain)

    def cut(self, connection_id: str) -> bool:
        """Blocks: never."""
        session = self._runner.registry().sessions.get(connection_id)
        writer = session.writer if session is not None else None
        return writer is not None and self._runner.abort(writer.number)

    # -- looking; never blocks --------------------------------------------------------------

    def session_of(self, connection_id: str, life: str) -> Session:
        """The session of a handle that is in another process. Raises: ConnectionClosed; HubClosed."""
        loop = self._runner.open_loop()
        session = loop.registry.sessions.get(connection_id) if loop is not None else None
        if session is None or session.life != life:
            raise ConnectionClosed(connection_id)
        return session

    def session_or_ending(self, connection_id: str, life: str) -> Session | None:
        """The same, also while callbacks of it are still to run; None behind them."""
        registry = self._runner.registry()
        session = registry.sessions.get(connection_id)
        if session is not None and session.life == life:
            return session
        return registry.ending.get(life)

    def get(self, connection_id: str) -> Connection | None:
        """See ``Hub.get``."""
        session = self._runner.registry().sessions.get(connection_id)
        return session.connection if session is not None else None

    def in_room(self, room_id: str) -> list[Connection]:
        """See ``Hub.connections``."""
        return _handles(self._runner.registry().rooms.get(room_id))

    def of_user(self, user: str) -> list[Connection]:
        """See ``Hub.connections``."""
        return _handles(self._runner.registry().users.get(user))

    def ids(self, room_id: str, limit: int) -> list[str]:
        """See ``Hub.ids``."""
        room = self._runner.registry().rooms.get(room_id)
        members = room.members() if room is not None else []
        return [session.connection_id for session in islice(members, limit)]

    def count(self, room_id: str) -> int:
        """See ``Hub.count``."""
        room = self._runner.registry().rooms.get(room_id)
        return len(room) if room is not None else 0

    def rooms(self) -> list[str]:
        """See ``Hub.rooms``."""
        return list(self._runner.registry().rooms)

    def stats(self) -> Stats:
        """Blocks: for one session's lock at a time."""
        return self._runner.stats()


def _handles(room: Room | None) -> list[Connection]:
    members = room.members() if room is not None else []
    return [connection for session in members if (connection := session.connection) is not None]
