"""The hub as a few dictionaries: what each session, each client and each callback should be by now.

Nothing here is resumehub's, nothing is concurrent, and everything is obvious, so that it can be believed. A
method is a command; it gives the answer that the caller should get. ``view`` is compared with the real hub's
after each step (``hypothesis_machine.py``). What there is no word for (heartbeats, slow readers, close
frames that meet) is not in the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Close = tuple[int, str]

LOST = "transport lost with close code {}"


@dataclass
class Session:
    epoch: int
    connection_id: str
    room: str
    rooms: list[str]
    client: str | None = None
    """Who is connected to it; None while it is suspended."""
    waiting: list[int] = field(default_factory=list)
    expires_at: float = 0.0
    away: int = 0
    """The number of its last drop."""
    error: str = ""


@dataclass
class Client:
    read: list[int] = field(default_factory=list)
    closed: Close | None = None


@dataclass
class Model:
    """Call a command, and then ask for the ``view``."""

    resume_window: float = 30
    on_duplicate: str = "replace"
    max_sessions: int = 3
    on_full: str = "expire"
    send_buffer: int = 3
    now: float = 0.0
    epochs: int = 0
    drops: int = 0
    max_rooms: int = 3
    sessions: dict[str, Session] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    """The ids in each room, in order of joining."""
    clients: dict[str, Client] = field(default_factory=dict)
    callbacks: dict[str, list[str]] = field(default_factory=dict)

    def view(self) -> dict[str, Any]:
        """All that can be seen from outside."""
        return {
            "rooms": {room: members for room, members in self.members.items() if members},
            "joined": {connection_id: session.rooms for connection_id, session in self.sessions.items()},
            "suspended": {session.connection_id for session in self.sessions.values() if not session.client},
            "read": {name: client.read for name, client in self.clients.items()},
            "closed": {name: client.closed for name, client in self.clients.items()},
            "callbacks": self.callbacks,
        }

    # -- a client comes ---------------------------------------------------------------------

    def check(self, connection_id: str, resume: bool) -> tuple[int, int | None]:
        """The answer to the request, and which session a resume has seen."""
        holder = self.sessions.get(connection_id)
        if resume and (holder is None or not self.resume_window):
            return 410, None
        if holder is not None and holder.client and not resume and self.on_duplicate == "reject":
            return 409, None
        if holder is None and self._is_full() and self._longest_away() is None:
            return 503, None
        return 101, holder.epoch if holder is not None and resume else None

    def arrive(self, name: str, connection_id: str, room: str, resume: bool, seen: int | None) -> None:
        """Its socket arrives at the hub, which decides again."""
        client = self.clients[name] = Client()
        holder = self.sessions.get(connection_id)
        if resume and (holder is None or holder.epoch != seen):
            client.closed = (4100, "session expired")
        elif holder is None and self._is_full() and self._longest_away() is None:
            client.closed = (4503, "try again later (in 5 seconds)")
        elif holder is None:
            if self._is_full() and (away := self._longest_away()) is not None:
                self._end(away, away.error, "grace_expired")
            self._open(name, connection_id, room)
        elif not holder.client:
            self._attach(holder, name)
        elif resume:
            self.clients[holder.client].closed = (4101, "superseded")
            self._note(connection_id, "drop None")
            self._attach(holder, name)
        elif self.on_duplicate == "reject":
            client.closed = (4409, "connection id in use")
        else:
            why = f"a newer connect took the connection id {connection_id!r}"
            self._end(holder, why, "duplicate", (1000, "duplicate connection id"))
            self._open(name, connection_id, room)

    def _open(self, name: str, connection_id: str, room: str) -> None:
        self.epochs += 1
        self.sessions[connection_id] = Session(self.epochs, connection_id, room, [room], name)
        self.members.setdefault(room, []).append(connection_id)
        self._note(connection_id, "connect")
        self._note(connection_id, f"joins {room}: connect")

    def _attach(self, session: Session, name: str) -> None:
        session.client = name
        self._note(session.connection_id, "restore")
        self.clients[name].read += session.waiting
        session.waiting = []

    # -- a client goes, or talks ------------------------------------------------------------

    def drop(self, name: str) -> None:
        self._lose(name, 1006)

    def leave(self, name: str, code: int) -> None:
        """It sends a close frame, and gets the same back, unless it has been closed already."""
        session = self._session_of(name)
        if self.clients[name].closed is None:
            self.clients[name].closed = (code, "")
        if session is not None and code == 1000:
            self._end(session, "None", "normal")
        else:
            self._lose(name, code)

    def say(self, name: str, number: int) -> None:
        session = self._session_of(name)
        if session is not None:
            self._note(session.connection_id, f"message {number}")

    def _lose(self, name: str, code: int) -> None:
        session = self._session_of(name)
        if session is None:
            return  # it was not the session's any more
        session.client, session.error = None, LOST.format(code)
        if not self.resume_window:
            self._end(session, session.error, "transport_lost")
            return
        session.expires_at = self.now + self.resume_window
        self.drops += 1
        session.away = self.drops
        self._note(session.connection_id, f"drop {session.error}")

    # -- the application --------------------------------------------------------------------

    def send(self, connection_id: str, number: int) -> str:
        session = self.sessions.get(connection_id)
        if session is None:
            return "ConnectionNotFound"
        if session.client:
            self.clients[session.client].read.append(number)
        elif len(session.waiting) == self.send_buffer:
            return "SendBufferFull"
        else:
            session.waiting.append(number)
        return "sent"

    def broadcast(self, rooms: list[str], number: int, exclude: list[str]) -> None:
        for session in self.sessions.values():
            if not set(session.rooms) & set(rooms) or session.connection_id in exclude:
                continue
            if not session.client and len(session.waiting) == self.send_buffer:
                del session.waiting[0]
            self.send(session.connection_id, number)

    def join(self, connection_id: str, room: str) -> str:
        session = self.sessions.get(connection_id)
        if session is None:
            return "no session"
        if room not in session.rooms:
            if len(session.rooms) == self.max_rooms:
                return "ValueError"
            session.rooms.append(room)
            self.members.setdefault(room, []).append(connection_id)
            self._note(connection_id, f"joins {room}: join")
        return "joined"

    def leave_room(self, connection_id: str, room: str) -> str:
        session = self.sessions.get(connection_id)
        if session is None:
            return "no session"
        if room == session.room:
            return "ValueError"
        if room in session.rooms:
            session.rooms.remove(room)
            self.members[room].remove(connection_id)
            self._note(connection_id, f"leaves {room}: leave")
        return "left"

    def kick(self, connection_id: str) -> str:
        if connection_id not in self.sessions:
            return "ConnectionNotFound"
        self._end(self.sessions[connection_id], "None", "kick", (1000, "kicked"))
        return "kicked"

    def close(self, connection_id: str) -> str:
        if connection_id not in self.sessions:
            return "no session"
        self._end(self.sessions[connection_id], "None", "normal", (1000, ""))
        return "closed"

    def close_hub(self) -> None:
        for session in list(self.sessions.values()):
            who = f"the session {session.connection_id!r}"
            why = f"{who} was ended with all others of its hub: hub.close or hub.end_all"
            self._end(session, why, "hub_close", (1001, "server shutting down"))

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for session in list(self.sessions.values()):
            if not session.client and session.expires_at <= self.now:
                self._end(session, session.error, "grace_expired")

    # -- small words ------------------------------------------------------------------------

    def _is_full(self) -> bool:
        return len(self.sessions) >= self.max_sessions

    def _longest_away(self) -> Session | None:
        """Who makes room for a newcomer."""
        away = [session for session in self.sessions.values() if not session.client]
        if self.on_full == "refuse" or not away:
            return None
        return min(away, key=lambda session: session.away)

    def _end(self, session: Session, why: str, reason: str, close: Close | None = None) -> None:
        del self.sessions[session.connection_id]
        for room in session.rooms:
            self.members[room].remove(session.connection_id)
        if session.client and close is not None:
            self.clients[session.client].closed = close
        for room in reversed(session.rooms):
            self._note(session.connection_id, f"leaves {room}: {reason}")
        self._note(session.connection_id, f"disconnect {why}")

    def _session_of(self, name: str) -> Session | None:
        return next((session for session in self.sessions.values() if session.client == name), None)

    def _note(self, connection_id: str, what: str) -> None:
        self.callbacks.setdefault(connection_id, []).append(what)
