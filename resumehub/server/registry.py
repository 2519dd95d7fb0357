"""Which sessions there are, and in which room each is.

Only the hub thread writes; any thread reads. A look-up is one dict operation. Read next: ``room.py``.
"""

from __future__ import annotations

from ..protocol.tokens import key_of
from ..runtime.base import Runtime
from ..session.session import Session
from .room import Room


class SessionRegistry:
    """Sessions by id, and rooms by name. The hub thread writes, any thread reads."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.sessions: dict[str, Session] = {}
        #: v1 sessions by the first part of their tokens, which is the same for a session's life.
        self.keys: dict[str, Session] = {}
        self.rooms: dict[str, Room] = {}
        #: The suspended ones, by epoch.
        self.suspended: set[int] = set()

    def enter(self, session: Session) -> None:
        """A session begins."""
        self.sessions[session.connection_id] = session
        if session.is_suspended:
            self.suspended.add(session.epoch)
        if key := _key(session):
            self.keys[key] = session
        room = self.rooms.get(session.room_id)
        if room is None:
            room = self.rooms[session.room_id] = Room(self._runtime, session.room_id)
        room.add(session)

    def leave(self, session: Session) -> None:
        """A session has ended; another one may have its id by now."""
        if self.sessions.get(session.connection_id) is session:
            del self.sessions[session.connection_id]
        self.keys.pop(_key(session), None)
        self.suspended.discard(session.epoch)
        room = self.rooms.get(session.room_id)
        if room is not None and room.remove(session):
            del self.rooms[session.room_id]


def _key(session: Session) -> str:
    tokens = session.credentials.tokens
    return key_of(tokens.newest) if tokens is not None else ""
