"""Which rooms a session is in: its home room for life, and those that the application lets it join.

A membership outlives drops, resumes and moves to another process; it ends with the session. So it is no
state of a session's life (``states.py``), and one rule is enough: a session that is in the tables may join
and leave, suspended or not. The machine (``machine.py``) has one ``RoomTable`` and hands it ``JoinRoom`` and
``LeaveRoom`` on the hub thread. Each beginning of a membership is told to the application as ``on_join``, and
its end as ``on_leave``, once each; a move is neither. Pure. Read next: ``sessions.py``, which lets sessions
begin and end.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..reasons import CloseReason, MembershipReason
from . import commands as c
from . import effects as e
from .plan import Plan
from .records import SessionRecord


class RoomTable:
    """How many sessions are in each room. Hub thread only; never blocks.

    ``counts`` is to be looked at: only this class changes it.
    """

    def __init__(self, plan: Plan, max_rooms: int) -> None:
        self.counts: dict[str, int] = {}
        self._plan = plan
        self._max_rooms = max_rooms

    def handle(self, order: c.JoinRoom | c.LeaveRoom, session: SessionRecord | None) -> None:
        """Do what the application has ordered; ``session``: None if it has ended."""
        if isinstance(order, c.JoinRoom):
            self.join(order, session)
        else:
            self.leave(order, session)

    def join(self, join: c.JoinRoom, session: SessionRecord | None) -> None:
        """Let ``session`` into a room, unless it is in it already; None: it has ended."""
        plan, room_id = self._plan, join.room_id
        if session is None:
            plan.add(e.NotJoined(join.connection_id, room_id, 0))
        elif room_id in session.rooms:
            plan.ignore("the session is in that room already")
        elif len(session.rooms) >= self._max_rooms:
            plan.add(e.NotJoined(join.connection_id, room_id, self._max_rooms))
        else:
            session.rooms += (room_id,)
            plan.add(e.AddMember(session.epoch, room_id))
            self.add([room_id])
            self._tell(session, "on_join", room_id, MembershipReason.JOIN)

    def leave(self, leave: c.LeaveRoom, session: SessionRecord | None) -> None:
        """Let ``session`` out of a room that it has joined; None: it has ended, and is in no room."""
        room_id = leave.room_id
        if session is None or room_id not in session.rooms:
            self._plan.ignore("the session is not in that room")
            return
        assert room_id != session.room_id, "the home room is for life"
        session.rooms = tuple(room for room in session.rooms if room != room_id)
        self._plan.add(e.RemoveMember(session.epoch, room_id))
        self.remove([room_id])
        self._tell(session, "on_leave", room_id, MembershipReason.LEAVE)

    def begin(self, session: SessionRecord) -> None:
        """Tell that a session begins, in its home room. Behind its on_connect."""
        self._tell(session, "on_join", session.room_id, MembershipReason.CONNECT)

    def end(self, session: SessionRecord, reason: CloseReason) -> None:
        """Tell that a session has left all its rooms, its home room last. Before its on_disconnect."""
        for room_id in reversed(session.rooms):
            self._tell(session, "on_leave", room_id, reason)

    def add(self, rooms: Iterable[str]) -> None:
        """Count one member more in each of ``rooms``."""
        for room_id in rooms:
            self.counts[room_id] = self.counts.get(room_id, 0) + 1
            if self.counts[room_id] == 1:
                self._plan.count("room_created", room_id)

    def remove(self, rooms: Iterable[str]) -> None:
        """Count one member less in each of ``rooms``."""
        for room_id in rooms:
            self.counts[room_id] -= 1
            if not self.counts[room_id]:
                del self.counts[room_id]
                self._plan.count("room_destroyed", room_id)

    def _tell(
        self, session: SessionRecord, hook: str, room_id: str, reason: MembershipReason | CloseReason
    ) -> None:
        # Behind the effect that changes the tables: what the hook sees there is this change or a later one.
        self._plan.add(e.NotifyMembership(session.epoch, hook, session.generation, room_id, reason.value))
