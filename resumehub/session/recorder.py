"""Keeps what happens to each session for an operator who looks (``../inspector``); off unless one may.

It is told what spans are told, and passes that on to the application's span. For each session there is a
list of at most 32 events (``recent.py``), which goes with the session; of those that ended last, and of the
upgrades refused last, 100 are kept. It holds no payload and no token, and no session: only names and
numbers. Nothing of it moves with a hub: behind a move each session begins a new list.

Threads: those on which a hub tells its observers; any may look. Read next: ``recent.py``, ``observers.py``.
"""

from __future__ import annotations

import weakref
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from ..clock import Clock
from ..core.resume import Credentials
from ..errors import HandlerError, ResumeHubError, TransportLost
from ..outgoing.outbox import Outbox
from ..runtime.base import Lock
from ..spans import SessionSpan, SpanStart
from .inbound_fence import InboundFence
from .recent import Counts, Happened, RecentEvents, What
from .telling import SPAN_RAISED, ignore, tell

MOST_ENDED: Final = 100
"""Sessions that have ended, and refused upgrades, that are kept."""

SLOW: Final = 1.0
"""Seconds that a handler may take before it is an event."""


@dataclass(frozen=True, slots=True)
class Who:
    """A session's names, as an operator may see them.

    ``name``: its id, or the beginning of it where the id alone would open the session (``masked``).
    """

    life: str
    name: str
    masked: bool
    room_id: str
    user: str | None
    lossless: bool
    generated: bool


@dataclass(frozen=True, slots=True)
class RefusedUpgrade:
    """An upgrade that was refused. ``at``: seconds of the hub's clock; ``reason``: a ``RefusalReason``."""

    at: float
    status: int
    reason: str


def opens_by_id(credentials: Credentials) -> bool:
    """Whether a client with nothing but the id gets the session (contract A4, A4b, A7, D1)."""
    plain = credentials.tokens is None and not credentials.instance
    return plain and not credentials.generated and credentials.user is None


def shown(connection_id: str, credentials: Credentials) -> str:
    """The id for an operator's eyes: cut off where it is as good as a password."""
    if not opens_by_id(credentials):
        return connection_id
    return f"{connection_id[:2]}…" if len(connection_id) > 5 else "…"


def who_of(life: str, connection_id: str, room_id: str, credentials: Credentials, *, lossless: bool) -> Who:
    """A session's names for an operator."""
    masked = opens_by_id(credentials)
    name = shown(connection_id, credentials)
    return Who(life, name, masked, room_id, credentials.user, lossless, credentials.generated)


class RecordedSpan:
    """One session's span, while it is recorded. ``other``: the application's, which is told the same."""

    __slots__ = (
        "__weakref__",
        "_fence",
        "_outbox",
        "_recorder",
        "connection_id",
        "events",
        "last",
        "other",
        "who",
    )

    def __init__(
        self,
        recorder: Recorder,
        connection_id: str,
        who: Who,
        fence: InboundFence,
        outbox: Outbox,
        other: SessionSpan | None,
    ) -> None:
        self._recorder = recorder
        self._fence: InboundFence | None = fence
        self._outbox: Outbox | None = outbox
        self.connection_id = connection_id
        self.who = who
        self.other = other
        self.events = RecentEvents(recorder.lock)
        #: What was counted when the last event happened.
        self.last = Counts()

    def note(self, what: What, detail: str = "", seconds: float = -1.0) -> None:
        """Something has happened. Any thread; never blocks for long."""
        self.events.add(Happened(self._recorder.now(), what, detail, seconds, 1, self.counts()))

    def counts(self) -> Counts:
        """As they are now; without a lock, since they may be old in any case."""
        fence, outbox = self._fence, self._outbox
        if fence is not None and outbox is not None:
            ledger = outbox.ledger
            self.last = Counts(fence.handled, ledger.accepted, ledger.dropped)
        return self.last

    # -- SessionSpan ------------------------------------------------------------------------

    def dropped(self, error: ResumeHubError | None, /) -> None:
        """See ``SessionSpan``."""
        if error is None:
            self.note(What.TAKEN_OVER)
        else:
            self.note(What.LOST, _why(error))
        self._pass_on("dropped", error)

    def restored(self, suspended: float | None, replayed: int, /) -> None:
        """See ``SessionSpan``."""
        self.note(What.RESUMED, str(replayed), -1.0 if suspended is None else suspended)
        self._pass_on("restored", suspended, replayed)

    def ended(self, reason: str, /) -> None:
        """See ``SessionSpan``."""
        self._over(What.ENDED, reason)
        self._pass_on("ended", reason)

    def moved_out(self) -> None:
        """See ``SessionSpan``."""
        self._over(What.MOVED_OUT)
        self._pass_on("moved_out")

    def callback_began(self, hook: str, /) -> Any:
        """See ``SessionSpan``. Gives what the other one gave, in a tuple; None if nobody is told the end."""
        if self.other is None:
            return None
        try:
            return (self.other.callback_began(hook),)
        except BaseException as error:
            ignore(SPAN_RAISED, "callback_began", error)
            return None

    def callback_raised(self, hook: str, error: BaseException, /) -> None:
        """See ``SessionSpan``. Only the class is kept: the text may be a client's."""
        self.note(What.RAISED, f"{hook}: {type(error).__name__}")
        self._pass_on("callback_raised", hook, error)

    def callback_ended(self, hook: str, began: Any, /) -> None:
        """See ``SessionSpan``."""
        if began is not None:
            self._pass_on("callback_ended", hook, began[0])

    def _pass_on(self, method: str, *arguments: Any) -> None:
        if self.other is not None:
            tell(self.other, method, *arguments)

    def _over(self, what: What, detail: str = "") -> None:
        self.note(what, detail)
        self._fence = self._outbox = None  # of the session, which is not kept alive
        self._recorder.over(self)


class Recorder:
    """One hub's. ``lock``: guards all lists, for a moment each."""

    def __init__(self, clock: Clock, lock: Lock) -> None:
        self._clock = clock
        self.lock = lock
        self.forget()

    def forget(self) -> None:
        """This is a forked child, or the beginning."""
        self._living: weakref.WeakValueDictionary[str, RecordedSpan] = weakref.WeakValueDictionary()
        self._ended: deque[tuple[Who, RecentEvents]] = deque(maxlen=MOST_ENDED)
        self._refused: deque[RefusedUpgrade] = deque(maxlen=MOST_ENDED)

    def now(self) -> float:
        """The time of the hub's clock."""
        return self._clock.monotonic()

    def begin(
        self,
        start: SpanStart,
        credentials: Credentials,
        fence: InboundFence,
        outbox: Outbox,
        other: SessionSpan | None,
    ) -> RecordedSpan:
        """A session is here. Hub thread."""
        names = start.life, start.connection_id, start.room_id
        who = who_of(*names, credentials, lossless=start.lossless)
        span = RecordedSpan(self, start.connection_id, who, fence, outbox, other)
        span.note(What.MOVED_IN if start.moved_in else What.BEGAN)
        self._living[start.life] = span
        return span

    def over(self, span: RecordedSpan) -> None:
        """A session has ended, or left."""
        self._living.pop(span.who.life, None)
        with self.lock:
            self._ended.append((span.who, span.events))

    def refused(self, status: int, reason: str) -> None:
        """An upgrade was refused."""
        with self.lock:
            self._refused.append(RefusedUpgrade(self.now(), status, reason))

    # -- looking ----------------------------------------------------------------------------

    def living(self, life: str) -> RecordedSpan | None:
        """The record of a session that is here."""
        return self._living.get(life)

    def ended(self) -> list[tuple[Who, RecentEvents]]:
        """Those that ended or left last, the last one first."""
        with self.lock:
            return list(reversed(self._ended))

    def refusals(self) -> tuple[RefusedUpgrade, ...]:
        """The upgrades that were refused last, the last one first."""
        with self.lock:
            return tuple(reversed(self._refused))


def _why(error: ResumeHubError) -> str:
    # Not the text: a close frame's reason is the client's.
    if isinstance(error, HandlerError):
        return f"HandlerError in {error.event}"
    if type(error) is TransportLost:
        return str(int(error.code))
    return type(error).__name__
