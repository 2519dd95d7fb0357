"""What was broadcast last in a room: what a session is given that enters it (``Hub(history=…)``).

A broadcast is entered here in the same step in which its receivers are listed (``keep``), and a session
becomes a member in the same step in which it is given the history (``give``). Both steps hold ``lock``, so a
session gets a broadcast from the history or live, never both and never neither. What it is given is in its
outbox before it is a member, so that comes first.

A room's history outlives its members. It is bounded three times: by the application's number; by half of a
session's buffer (a newcomer is given no more, so that the application can still send to it); and all of them
together by ``MOST_ROOMS`` and ``MOST_BYTES``, beyond which the one that was used least recently is forgotten.

It knows nothing of sockets. A broadcast of a hub without the option does not come here. ``keep`` is called by
the thread that broadcasts, which holds the order of the rooms; all else by the hub thread. Neither blocks for
longer than the other one takes. Read next: ``room.py``, ``registry.py``.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..codec import Codec, encode_frame
from ..config import HistoryOption, history_count
from ..message import Frame, Message
from ..outgoing.cork import Cork
from ..outgoing.outbox import Outbox
from ..outgoing.outbox_state import FrameState
from ..runtime.base import Runtime
from ..session.observers import Observers
from ..session.session import Session
from .room import Room, broadcast

MOST_ROOMS = 1_000
"""Rooms of one hub that have a history at a time."""

MOST_BYTES = 64 * 1024 * 1024
"""Payload bytes in all histories of one hub."""


@dataclass(frozen=True, slots=True, eq=False)
class KeptBroadcast:
    """One broadcast. ``frame``: with the mark of a history; ``rooms``: all to which it went.

    ``number``: counts the broadcasts that were entered. ``excluded``: the ids that must never get it.
    """

    number: int
    frame: Frame
    rooms: tuple[str, ...]
    excluded: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class ForNewcomers:
    """What rooms keep of a broadcast. ``counts``: of each room, how many messages it keeps in all.

    ``frame``: with the mark of a history; any frame where all counts are 0.
    """

    counts: Mapping[str, int]
    frame: Frame


def for_newcomers(
    option: HistoryOption, codec: Codec, room_ids: Sequence[str], message: Message, frame: Frame
) -> ForNewcomers:
    """What rooms keep of ``message``, which is ``frame`` for their members.

    Raises: what the application's function raises; TypeError or ValueError for what it returns; what the
    codec raises. Threads: the one that broadcasts, without a lock. Blocks: as that function does.
    """
    counts = {room_id: history_count(option, room_id) for room_id in room_ids}
    return ForNewcomers(counts, encode_frame(codec, message, history=True) if any(counts.values()) else frame)


@dataclass(frozen=True, slots=True)
class BroadcastState:
    """A ``KeptBroadcast`` for another process, where it gets another number."""

    frame: FrameState
    rooms: tuple[str, ...]
    excluded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoomHistoryState:
    """The history of a room, oldest first. ``places``: of its broadcasts among all."""

    room_id: str
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HistoryState:
    """The histories of all rooms. ``rooms``: the one that was used last is the last one."""

    broadcasts: tuple[BroadcastState, ...] = ()
    rooms: tuple[RoomHistoryState, ...] = ()


@dataclass(slots=True)
class _RoomHistory:
    """The history of one room, oldest first."""

    entries: deque[KeptBroadcast] = field(default_factory=deque)
    size: int = 0

    def remove_oldest(self) -> int:
        """Return how many bytes that frees."""
        freed = self.entries.popleft().frame.size
        self.size -= freed
        return freed


class History:
    """The histories of all rooms of one hub. ``max_frames``, ``max_bytes``: of a session's buffer."""

    def __init__(self, runtime: Runtime, max_frames: int, max_bytes: int) -> None:
        #: Held while a broadcast is entered, and while a session becomes a member.
        self.lock = runtime.lock("the history")
        self._max_frames = max_frames // 2
        self._max_bytes = max_bytes // 2
        # The room that was used last is the last one.
        self._rooms: OrderedDict[str, _RoomHistory] = OrderedDict()
        self._size = 0
        self._next = 1
        # Of each session, by epoch: from which number on it has got all that went to a room that it is in.
        self._since: dict[int, dict[str, int]] = {}

    # -- a hub that moves: nothing broadcasts, and the hub thread is held --------------------

    def export(self) -> HistoryState:
        """All of it, for another process. Changes nothing."""
        kept = {entry.number: entry for past in self._rooms.values() for entry in past.entries}
        places = {number: place for place, number in enumerate(sorted(kept))}
        return HistoryState(
            tuple(
                BroadcastState(FrameState.of(one.frame), one.rooms, tuple(sorted(one.excluded)))
                for _, one in sorted(kept.items())
            ),
            tuple(
                RoomHistoryState(room_id, tuple(places[entry.number] for entry in past.entries))
                for room_id, past in self._rooms.items()
            ),
        )

    def restore(self, state: HistoryState) -> None:
        """Go on from what ``export`` returned, in place of what is here. Raises: ValueError for damage."""
        entries = []
        for place, one in enumerate(state.broadcasts):
            entries.append(KeptBroadcast(place + 1, one.frame.make(), one.rooms, frozenset(one.excluded)))
        rooms = OrderedDict[str, _RoomHistory]()
        for room in state.rooms:
            if not all(0 <= place < len(entries) for place in room.places):
                raise ValueError(f"the history of the room {room.room_id!r} names no message")
            past = deque(entries[place] for place in room.places)
            rooms[room.room_id] = _RoomHistory(past, sum(entry.frame.size for entry in past))
        with self.lock:
            self._rooms, self._next = rooms, len(entries) + 1
            self._size = sum(past.size for past in rooms.values())

    def clear(self) -> None:
        """The hub is in another process, and its history with it."""
        with self.lock:
            self._rooms.clear()
            self._since.clear()
            self._size = 0

    # -- a broadcast: any thread ------------------------------------------------------------

    def wanted(self, counts: Mapping[str, int]) -> Mapping[str, int]:
        """Of the rooms of a broadcast, those that have a history, or are to lose it (0). Without a lock."""
        return {room_id: count for room_id, count in counts.items() if count or room_id in self._rooms}

    def keep(
        self, counts: Mapping[str, int], room_ids: Sequence[str], frame: Frame, excluded: frozenset[str]
    ) -> None:
        """Enter a broadcast to ``room_ids`` in those of ``counts``. ``lock`` and the rooms' order: held."""
        entry = KeptBroadcast(self._next, frame, tuple(room_ids), excluded)
        self._next += 1
        for room_id, count in counts.items():
            past = self._rooms.setdefault(room_id, _RoomHistory())
            self._rooms.move_to_end(room_id)
            if frame.size <= self._max_bytes:
                past.entries.append(entry)
                past.size += frame.size
                self._size += frame.size
            most = min(count, self._max_frames)
            while len(past.entries) > most or past.size > self._max_bytes:
                self._size -= past.remove_oldest()
            if not past.entries:
                del self._rooms[room_id]
        while len(self._rooms) > MOST_ROOMS or self._size > MOST_BYTES:
            _, past = self._rooms.popitem(last=False)
            self._size -= past.size

    # -- memberships: the hub thread --------------------------------------------------------

    def give(self, session: Session, room_id: str) -> None:
        """Put the history of a room into the outbox of a session that is about to enter it. ``lock`` is held.

        Next: make it a member, before ``lock`` is let go. What does not fit into half of the room that the
        outbox has left out are the oldest.
        """
        past = self._rooms.get(room_id)
        fresh = []
        if past is not None:
            self._rooms.move_to_end(room_id)
            fresh = [entry for entry in past.entries if not self._has(session, room_id, entry)]
        given = _put_newest(session.outbox, fresh)
        since = self._since.setdefault(session.epoch, {})
        since[room_id] = given[0].number if given else self._next

    def forget(self, session: Session, room_id: str) -> None:
        """The session has left a room: if it enters it again, it is a newcomer. ``lock`` is held."""
        since = self._since.get(session.epoch)
        if since is not None:
            since.pop(room_id, None)
            if not since:
                del self._since[session.epoch]

    def _has(self, session: Session, room_id: str, entry: KeptBroadcast) -> bool:
        """Whether the session must not get the entry: it is excluded, or has it from another of its rooms."""
        if session.connection_id in entry.excluded:
            return True
        if len(entry.rooms) == 1:
            return False
        # A room without a number is one that a session brought along from another process: all of it counts
        # as known.
        since = self._since.get(session.epoch, {})
        others = [other for other in entry.rooms if other != room_id and other in session.rooms]
        return any(entry.number >= since.get(other, 0) for other in others)


def _put_newest(outbox: Outbox, entries: Sequence[KeptBroadcast]) -> list[KeptBroadcast]:
    """Queue the newest of ``entries``, oldest first, in at most half of the free room; return them."""
    with outbox.lock:
        if outbox.refusal is not None:
            return []
        frames = (outbox.max_frames - outbox.used_frames) // 2
        size = (outbox.max_bytes - outbox.used_bytes) // 2
        given: deque[KeptBroadcast] = deque()
        for entry in reversed(entries):
            size -= entry.frame.size
            if len(given) >= frames or size < 0:
                break
            given.appendleft(entry)
        for entry in given:
            accepted = outbox.put(entry.frame)
            assert accepted, "half of what is free was looked at under the same lock"
        return list(given)


def broadcast_and_keep(
    history: History,
    counts: Mapping[str, int],
    room_ids: Sequence[str],
    found: Callable[[Sequence[str]], list[Room]],
    frame: Frame,
    marked: Frame,
    excluded: frozenset[str],
    observers: Observers,
    cork: Cork | None,
) -> None:
    """``broadcast`` to those of the rooms that are ``found``, and enter it in the histories of ``counts``.

    ``marked``: the frame as newcomers will get it. Threads: any. Blocks: as ``broadcast``.
    """
    done = False
    while not done:
        rooms = found(room_ids)

        def look(rooms: list[Room] = rooms) -> list[list[Session]] | None:
            with history.lock:
                # A room that has come into being meanwhile has members that are not in this history yet.
                if found(room_ids) != rooms:
                    return None
                history.keep(counts, room_ids, marked, excluded)
                return [room.members() for room in rooms]

        done = broadcast(rooms, frame, excluded, observers, cork, look)
