"""What all threads may look up: which sessions there are, and who is in which room.

Written by the hub thread alone, read by any. Lookups are single dict operations; a room hands
out its members as a copy, so that nobody iterates over what the hub changes.
"""

from __future__ import annotations

from ..protocol.tokens import key_of
from ..runtime.base import Runtime
from ..session.connection import Connection


class Room:
    """The members of one room, and the lock that gives its broadcasts one order.

    ``order`` is held while a broadcast goes through the members, which may take a while with
    thousands of them; the hub never takes it. The members have a lock of their own, held for the
    time of a copy.
    """

    __slots__ = ("_lock", "_members", "order")

    def __init__(self, runtime: Runtime, name: str) -> None:
        self.order = runtime.lock(f"the order of room {name}")
        self._lock = runtime.lock(f"the members of room {name}")
        self._members: dict[int, Connection] = {}

    def members(self) -> list[Connection]:
        """A copy, in order of joining. Any thread; blocks no longer than another copy takes."""
        with self._lock:
            return list(self._members.values())

    def add(self, connection: Connection) -> None:
        with self._lock:
            self._members[connection._epoch] = connection

    def remove(self, connection: Connection) -> bool:
        """Take a member out; whether the room is empty now."""
        with self._lock:
            self._members.pop(connection._epoch, None)
            return not self._members


class SessionRegistry:
    """Sessions by id and rooms by name. The hub thread writes, any thread reads."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.sessions: dict[str, Connection] = {}
        #: v1 sessions by the first part of their tokens, which is the same for a session's life.
        self.keys: dict[str, Connection] = {}
        self.rooms: dict[str, Room] = {}

    def enter(self, connection: Connection) -> None:
        self.sessions[connection.id] = connection
        if key := _key(connection):
            self.keys[key] = connection
        room = self.rooms.get(connection.room_id)
        if room is None:
            room = self.rooms[connection.room_id] = Room(self._runtime, connection.room_id)
        room.add(connection)

    def leave(self, connection: Connection) -> None:
        if self.sessions.get(connection.id) is connection:
            del self.sessions[connection.id]
        self.keys.pop(_key(connection), None)
        room = self.rooms.get(connection.room_id)
        if room is not None and room.remove(connection):
            del self.rooms[connection.room_id]


def _key(connection: Connection) -> str:
    tokens = connection._credentials.tokens
    return key_of(tokens.newest) if tokens is not None else ""
