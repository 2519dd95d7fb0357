"""Which sessions there are, in which rooms each is, and whose it is.

Only the hub thread writes; any thread reads. A look-up is one dict operation. Where rooms have a history, a
session gets it here, in the same step in which it becomes a member. Read next: ``room.py``, ``history.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from weakref import WeakValueDictionary

from ..core.drain import Drain
from ..protocol.tokens import key_of
from ..runtime.base import Runtime
from ..session.session import Session
from .history import History
from .room import Room


class SessionRegistry:
    """Sessions by id, and rooms by name. The hub thread writes, any thread reads.

    ``users``: the sessions of each user that has any, kept like those of a room. ``history``: None where no
    room has one.
    """

    def __init__(self, runtime: Runtime, history: History | None = None) -> None:
        self._runtime = runtime
        self.history = history
        self.sessions: dict[str, Session] = {}
        #: v1 sessions by the first part of their tokens, which is the same for a session's life.
        self.keys: dict[str, Session] = {}
        self.rooms: dict[str, Room] = {}
        self.users: dict[str, Room] = {}
        #: By life: those that have ended, as long as a callback of theirs is still to run.
        self.ending: WeakValueDictionary[str, Session] = WeakValueDictionary()
        #: Who is refused at present.
        self.drain = Drain.NONE
        #: The suspended ones, by epoch.
        self.suspended: set[int] = set()

    def begin(self, session: Session) -> None:
        """A session begins: it gets the history of its home room; then as ``enter``."""
        with self._step():
            if self.history is not None:
                self.history.give(session, session.room_id)
            self.enter(session)

    def enter(self, session: Session) -> None:
        """A session is here: it is found by its id, and is in its rooms."""
        self.sessions[session.connection_id] = session
        if session.is_suspended:
            self.suspended.add(session.epoch)
        if key := _key(session):
            self.keys[key] = session
        for room_id in session.rooms:
            self._add(self.rooms, room_id, session)
        if (user := session.credentials.user) is not None:
            self._add(self.users, user, session)

    def leave(self, session: Session) -> None:
        """A session has ended; another one may have its id by now."""
        self.ending[session.life] = session
        if self.sessions.get(session.connection_id) is session:
            del self.sessions[session.connection_id]
        self.keys.pop(_key(session), None)
        self.suspended.discard(session.epoch)
        for room_id in session.rooms:
            self._leave(session, room_id)
        if (user := session.credentials.user) is not None:
            self._remove(self.users, user, session)

    def join(self, session: Session, room_id: str) -> None:
        """A session is in one room more, and has its history."""
        with self._step():
            if self.history is not None:
                self.history.give(session, room_id)
            self._add(self.rooms, room_id, session)
        session.rooms = (*session.rooms, room_id)

    def part(self, session: Session, room_id: str) -> None:
        """A session is in one room less."""
        self._leave(session, room_id)
        session.rooms = tuple(room for room in session.rooms if room != room_id)

    def counts(self) -> dict[str, int]:
        """How much of everything there is; the names are those of ``Stats``. Any thread."""
        sessions = list(self.sessions.values())
        return {
            "sessions": len(sessions),
            "suspended": sum(session.is_suspended for session in sessions),
            "rooms": len(self.rooms),
            "memberships": sum(len(session.rooms) for session in sessions),
            "users": len(self.users),
            "requests": sum(len(session.client_requests) + len(session.own_requests) for session in sessions),
        }

    def found(self, room_ids: Iterable[str]) -> list[Room]:
        """Those of the rooms that have members. Any thread."""
        rooms = self.rooms
        return [room for room_id in room_ids if (room := rooms.get(room_id)) is not None]

    def _step(self) -> AbstractContextManager[object]:
        return self.history.lock if self.history is not None else nullcontext()

    def _leave(self, session: Session, room_id: str) -> None:
        self._remove(self.rooms, room_id, session)
        if self.history is not None:
            with self.history.lock:
                self.history.forget(session, room_id)

    def _add(self, rooms: dict[str, Room], name: str, session: Session) -> None:
        room = rooms.get(name)
        if room is None:
            room = rooms[name] = Room(self._runtime, name)
        room.add(session)

    def _remove(self, rooms: dict[str, Room], name: str, session: Session) -> None:
        if rooms[name].remove(session):
            del rooms[name]


def _key(session: Session) -> str:
    tokens = session.credentials.tokens
    return key_of(tokens.newest) if tokens is not None else ""
