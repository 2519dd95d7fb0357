"""A room: its members, and the lock that gives its broadcasts one order. And the broadcast itself.

The hub thread adds and removes members; any thread broadcasts. A thread that broadcasts holds the order lock
until all members have the frame. With thousands of members that may take long, so the hub thread never takes
this lock. The members have a lock of their own, which is held only for a copy. Read next:
``session/session.py`` (``offer``), ``outgoing/cork.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from ..message import Frame
from ..outgoing.cork import Cork
from ..outgoing.transport_writer import TransportWriter
from ..outgoing.write_results import BARRED, PASSED
from ..runtime.base import Runtime
from ..session.observers import Observers
from ..session.session import Offered, Session


class Room:
    """The sessions of one room, in order of joining. ``order``: held by a thread that broadcasts to it."""

    __slots__ = ("_lock", "_members", "order", "room_id")

    def __init__(self, runtime: Runtime, room_id: str) -> None:
        self.room_id = room_id
        self.order = runtime.lock(f"the order of room {room_id}")
        self._lock = runtime.lock(f"the members of room {room_id}")
        self._members: dict[int, Session] = {}

    def __len__(self) -> int:
        return len(self._members)

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
    rooms: Sequence[Room],
    frame: Frame,
    excluded: frozenset[str],
    observers: Observers,
    cork: Cork | None,
    look: Callable[[], Sequence[list[Session]] | None] | None = None,
) -> bool:
    """Queue a frame for every member of ``rooms`` whose id is not ``excluded``, suspended ones included.

    ``rooms``: each once. A session that is in several of them gets it once, and counts as a recipient in the
    first of them. Where nothing waits the frame is written at once, or held back in ``cork``, the calling
    thread's. ``look``: called with the order of the rooms held, it returns the members of each; None: the
    rooms have changed. Then False is returned, and nothing has happened. Threads: any. Blocks: until earlier
    broadcasts to these rooms are done; never for the network.
    """
    delivery = _Delivery(frame, excluded, cork, observers.watched)
    if look is None and len(rooms) == 1:
        room = rooms[0]
        with room.order:
            recipients = [delivery.offer(room.members())]
    else:
        recipients, seen = [], set[int]()
        with ExitStack() as orders:
            # All of them, so that each room's order is kept; in one order, so that no two threads wait for
            # each other.
            for room in sorted(rooms, key=lambda room: room.room_id):
                orders.enter_context(room.order)
            members = look() if look is not None else [room.members() for room in rooms]
            if members is None:
                return False
            for several in members:
                fresh = [session for session in several if session.epoch not in seen]
                seen.update(session.epoch for session in fresh)
                recipients.append(delivery.offer(fresh))
    delivery.report(observers)
    if observers.watched:  # without a room's lock: the collector is the application's code
        for room, count in zip(rooms, recipients, strict=True):
            room_id, size = room.room_id, frame.size
            observers.note("app", "Broadcast", room_id=room_id, size=size, recipients=count)
            observers.count("message_broadcast", room_id, size, count)
    return True


def send_to_all(sessions: Room, frame: Frame, observers: Observers) -> int:
    """Queue a frame for every session of one user, suspended ones included; return for how many.

    Threads: any. Blocks: until earlier messages to the same user are queued; never for the network.
    """
    delivery = _Delivery(frame, frozenset(), None, observers.watched)
    with sessions.order:
        recipients = delivery.offer(sessions.members())
    delivery.report(observers)
    observers.note("app", "SendToUser", size=frame.size, recipients=recipients)
    return recipients


@dataclass(slots=True)
class _Delivery:
    """One frame on its way to many sessions."""

    frame: Frame
    excluded: frozenset[str]
    cork: Cork | None
    watched: bool
    waiting: list[Offered] = field(default_factory=list)
    passed: list[tuple[TransportWriter, int]] = field(default_factory=list)
    held: list[TransportWriter] = field(default_factory=list)

    def offer(self, members: Iterable[Session]) -> int:
        """Queue, write or hold back; return for how many. The rooms' order is held."""
        frame, excluded, cork, watched = self.frame, self.excluded, self.cork, self.watched
        size, before, passed = frame.size, len(self.held) + len(self.waiting), 0
        for session in members:
            if excluded and session.connection_id in excluded:
                continue
            writer = session.writer
            if cork is not None and writer is not None and writer.hold_back(frame):
                self.held.append(writer)
                continue
            passage = writer.pass_through(frame, size) if writer is not None else BARRED
            if passage is PASSED:
                passed += 1
                if watched and writer is not None:
                    self.passed.append((writer, session.outbox.used_frames))
            elif (offered := session.offer(frame, passage)) is not None:
                self.waiting.append(offered)
        return passed + len(self.held) + len(self.waiting) - before

    def report(self, observers: Observers) -> None:
        """Tell the writers' owners and the observers. Without a lock."""
        if self.cork is not None:
            self.cork.hold(self.held)
        for offered in self.waiting:
            offered.session.report(offered)
        for writer, used in self.passed:
            observers.wrote_at_once(writer, self.frame.size, used)
