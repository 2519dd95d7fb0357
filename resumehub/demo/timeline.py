"""What the demo's hub did, event by event, in bounded lists that the page polls.

``TimelineMetrics`` is a metrics collector: the hub calls it on its own threads, so it records the event,
returns at once and never calls the hub. ``EventLog`` keeps the events of each session apart: those of a
busy session do not push out those of a quiet one. (On several workers ``shared_log.py`` takes its place.)
Both know a person only by the *handle*, a digest of the connection id. The id itself stays secret, because it
is enough to resume a plain session.

Read next: ``chat.py``, whose handlers record what metrics do not tell (who dropped, and why).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final, Protocol

from resumehub import NoopMetrics, SystemClock
from resumehub.clock import Clock
from resumehub.runtime.system import make_lock

Detail = str | int | float | bool | None

PAGE_SIZE: Final = 500
"""Events in one answer. A page that lacks more asks again at once."""

MAX_SESSIONS: Final = 500
"""Sessions whose events are kept; the one without an event for longest is forgotten first."""

MAX_MILESTONES: Final = 100
MAX_TRAFFIC: Final = 500
"""Events of one session. Those that come with each message (``TRAFFIC``) have a list of their own."""

TRAFFIC: Final = frozenset({"sent", "received", "buffered", "released", "replayed", "dropped"})


def handle_of(connection_id: str) -> str:
    """Give the public name of a session, which stays the same and cannot resume it.

    Threads: any. Blocks: never. Raises: nothing.
    """
    return hashlib.sha256(connection_id.encode("utf-8", "surrogatepass")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One thing that happened, ``at`` seconds after the timeline began."""

    seq: int
    at: float
    kind: str
    room: str
    """Empty where the hub knew no session, as for a resume refused with 410."""
    who: str
    """A handle, see ``handle_of``."""
    detail: dict[str, Detail] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Give what ``/timeline`` sends. Details never shadow the fields that every event has."""
        own = {
            "seq": self.seq,
            "at": round(self.at, 4),
            "kind": self.kind,
            "room": self.room,
            "who": self.who,
        }
        return {**self.detail, **own}


@dataclass(frozen=True, slots=True)
class Page:
    """What came next: ask again with ``after=next``, at once if ``more``."""

    events: list[LoggedEvent]
    next: int
    more: bool
    lost: bool
    """Some events that should be here have been overwritten."""


class DemoTimeline(Protocol):
    """What happened, in one process or in several; see ``EventLog``."""

    def now(self) -> float: ...
    def record(self, kind: str, room: str, connection_id: str, **detail: Detail) -> None: ...
    def after(self, room: str, seq: int, who: str = "", limit: int = PAGE_SIZE) -> Page: ...


class _SessionEvents:
    """The latest events of one session."""

    def __init__(self) -> None:
        self._milestones: deque[LoggedEvent] = deque(maxlen=MAX_MILESTONES)
        self._traffic: deque[LoggedEvent] = deque(maxlen=MAX_TRAFFIC)
        self.overwritten = 0
        """Number of the newest event that was pushed out."""

    def append(self, event: LoggedEvent) -> None:
        ring = self._traffic if event.kind in TRAFFIC else self._milestones
        if len(ring) == ring.maxlen:
            self.overwritten = max(self.overwritten, ring[0].seq)
        ring.append(event)

    def after(self, seq: int) -> Iterator[LoggedEvent]:
        # From the new end: the hub's threads wait for the lock meanwhile, and most polls want only a few.
        for ring in (self._milestones, self._traffic):
            yield from takewhile(lambda event: event.seq > seq, reversed(ring))


class EventLog:
    """The latest events of each session of this process, numbered in the order of recording.

    Threads: any. Blocks: while another thread appends or copies, never for user code.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._began_at = self._clock.monotonic()
        self._sessions: OrderedDict[str, _SessionEvents] = OrderedDict()
        self._seq = 0
        self._lock = make_lock()

    def now(self) -> float:
        """Seconds since the timeline began. Threads: any. Blocks: never."""
        return self._clock.monotonic() - self._began_at

    def record(self, kind: str, room: str, connection_id: str, **detail: Detail) -> None:
        """Append one event. Threads: any. Blocks: never for long. Raises: nothing."""
        who = handle_of(connection_id)
        with self._lock:
            self._seq += 1
            self._events_of(who).append(LoggedEvent(self._seq, self.now(), kind, room, who, detail))

    def after(self, room: str, seq: int, who: str = "", limit: int = PAGE_SIZE) -> Page:
        """Copy the events of ``room`` (and only of ``who``, if given) that came after number ``seq``.

        Events without a room are for ``who`` only. Threads: any. Raises: nothing.
        """
        with self._lock:
            newest = self._seq
            sessions = [self._sessions[who]] if who in self._sessions else []
            if not who:
                sessions = list(self._sessions.values())
            lost = any(events.overwritten > seq for events in sessions)
            found = [event for events in sessions for event in events.after(seq)]
        wanted = sorted(
            (event for event in found if _concerns(event, room, who)), key=lambda event: event.seq
        )
        more = len(wanted) > limit
        return Page(wanted[:limit], wanted[limit - 1].seq if more else newest, more, lost)

    def _events_of(self, who: str) -> _SessionEvents:
        events = self._sessions.setdefault(who, _SessionEvents())
        self._sessions.move_to_end(who)
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return events


def _concerns(event: LoggedEvent, room: str, who: str) -> bool:
    return event.room == room or (not event.room and bool(who))


@dataclass(slots=True)
class _Outgoing:
    """What is known of one session's buffer, in messages."""

    used: int = 0
    to_replay: int = 0


class TimelineMetrics(NoopMetrics):
    """Record in a timeline what the hub reports.

    The hub says how full a session's buffer is and which message it wrote; that a message was
    *buffered* or *replayed* follows from both: what waited when a resume succeeded is replayed,
    and the rest is sent straight away.

    Threads: as ``Metrics`` says, that is any of the hub's, and WSGI request threads. Blocks: never.
    """

    def __init__(self, timeline: DemoTimeline) -> None:
        self._timeline = timeline
        self._outgoing: OrderedDict[str, _Outgoing] = OrderedDict()
        self._lock = make_lock()

    def connection_opened(self, room_id: str, connection_id: str) -> None:
        with self._lock:
            self._outgoing[connection_id] = _Outgoing()
            if len(self._outgoing) > MAX_SESSIONS:
                self._outgoing.popitem(last=False)
        self._timeline.record("opened", room_id, connection_id)

    def connection_closed(self, room_id: str, connection_id: str, duration: float, reason: str) -> None:
        with self._lock:
            self._outgoing.pop(connection_id, None)
        self._timeline.record("closed", room_id, connection_id, reason=reason, lived=round(duration, 3))

    def resume_attempt(self, room_id: str, connection_id: str, success: bool) -> None:
        if not success:
            # Without a room the request was refused before the upgrade (410); with one, the session
            # that the request had seen died while the upgrade was under way (4100).
            self._timeline.record("resume_refused", room_id, connection_id, status=4100 if room_id else 410)
            return
        with self._lock:
            outgoing = self._outgoing.setdefault(connection_id, _Outgoing())
            outgoing.to_replay = outgoing.used
        self._timeline.record("resumed", room_id, connection_id, buffered=outgoing.to_replay)

    def message_sent(self, room_id: str, connection_id: str, size: int) -> None:
        with self._lock:
            outgoing = self._outgoing.setdefault(connection_id, _Outgoing())
            replayed = outgoing.to_replay > 0
            outgoing.to_replay -= replayed
        self._timeline.record("replayed" if replayed else "sent", room_id, connection_id, size=size)

    def message_dropped(self, room_id: str, connection_id: str, reason: str) -> None:
        self._timeline.record("dropped", room_id, connection_id, reason=reason)

    def send_buffer(self, room_id: str, connection_id: str, used: int, capacity: int) -> None:
        with self._lock:
            outgoing = self._outgoing.setdefault(connection_id, _Outgoing())
            before, outgoing.used = outgoing.used, used
        if used != before:
            kind = "buffered" if used > before else "released"
            self._timeline.record(kind, room_id, connection_id, used=used, capacity=capacity)

    def heartbeat_failed(self, room_id: str, connection_id: str) -> None:
        self._timeline.record("heartbeat_failed", room_id, connection_id)

    def transport_superseded(self, room_id: str, connection_id: str) -> None:
        self._timeline.record("superseded", room_id, connection_id)
