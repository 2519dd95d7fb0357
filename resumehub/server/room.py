"""A room: its members, and the lock that gives its broadcasts one order.

The hub thread adds and removes members; any thread broadcasts. A thread that broadcasts holds the order lock
until all members have the frame. With thousands of members that may take long, so the hub thread never takes
this lock. The members have a lock of their own, which is held only for a copy. Read next:
``session/session.py`` (``offer``), ``outgoing/cork.py``.
"""

from __future__ import annotations

from ..message import Frame
from ..outgoing.cork import Cork
from ..outgoing.transport_writer import TransportWriter
from ..outgoing.write_results import BARRED, PASSED
from ..runtime.base import Runtime
from ..session.observers import Observers
from ..session.session import Offered, Session


class Room:
    """The sessions of one room, in order of joining."""

    __slots__ = ("_lock", "_members", "_order", "room_id")

    def __init__(self, runtime: Runtime, room_id: str) -> None:
        self.room_id = room_id
        self._order = runtime.lock(f"the order of room {room_id}")
        self._lock = runtime.lock(f"the members of room {room_id}")
        self._members: dict[int, Session] = {}

    def members(self) -> list[Session]:
        """A copy. Any thread; blocks no longer than another copy takes."""
        with self._lock:
            return list(self._members.values())

    def add(self, session: Session) -> None:
        """Hub thread: the session belongs to the room from now on."""
        with self._lock:
            self._members[session.epoch] = session

    def remove(self, session: Session) -> bool:
        """Hub thread: remove a member; return whether the room is empty now."""
        with self._lock:
            self._members.pop(session.epoch, None)
            return not self._members

    def broadcast(
        self, frame: Frame, excluded: frozenset[str], observers: Observers, cork: Cork | None
    ) -> None:
        """Queue a frame for every member whose id is not ``excluded``, suspended ones included.

        Where nothing waits it is written at once, or held back in ``cork``, the calling thread's.
        Threads: any. Blocks: until earlier broadcasts of the room are done; never for the network.
        """
        size, recipients, watched = frame.size, 0, observers.watched
        waiting, passed, held = list[Offered](), list[tuple[TransportWriter, int]](), list[TransportWriter]()
        with self._order:
            for session in self.members():
                if excluded and session.connection_id in excluded:
                    continue
                writer = session.writer
                if cork is not None and writer is not None and writer.hold_back(frame):
                    held.append(writer)
                    continue
                passage = writer.pass_through(frame, size) if writer is not None else BARRED
                if passage is PASSED:
                    recipients += 1
                    if watched and writer is not None:
                        passed.append((writer, session.outbox.used_frames))
                elif (offered := session.offer(frame, passage)) is not None:
                    waiting.append(offered)
        if cork is not None:
            cork.hold(held)
            recipients += len(held)
        for offered in waiting:
            offered.session.report(offered)
        if watched:  # without the room's lock: the collector is the application's code
            for writer, used in passed:
                observers.wrote_at_once(writer, size, used)
            recipients += len(waiting)
            observers.note("app", "Broadcast", room_id=self.room_id, size=size, recipients=recipients)
            observers.count("message_broadcast", self.room_id, size, recipients)
