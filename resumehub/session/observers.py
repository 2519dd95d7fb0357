"""What a hub tells its observers: metrics collector, trace, spans, recorder. It decides nothing.

Sessions, readers and writers report through it. Without an observer nothing is called; one of them that
raises, whatever it raises, is logged and ignored. Any thread, without a lock, since a collector is the
application's code. Read next: ``metrics_methods.py``, ``trace.py``, ``spans.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..clock import Clock
from ..codec import Undecodable
from ..metrics import Metrics, NoopMetrics
from ..outgoing.transport_writer import TransportWriter
from ..outgoing.write_results import Flushed
from ..reasons import RequestOutcome
from ..runtime.base import Lock
from ..runtime.foreign_code import Log
from ..spans import SessionSpan, Spans, SpanStart
from ..trace import Trace
from .recent import What
from .recorder import SLOW, RecordedSpan, Recorder
from .telling import SPAN_RAISED, ignore, tell

if TYPE_CHECKING:
    from .session import Session

log = Log(__name__)


class TellCollector(Protocol):
    """Calls a method of the collector; what that raises is logged and ignored."""

    def __call__(self, method: str, *arguments: Any) -> None: ...


def call_collector(metrics: Metrics, method: str, arguments: tuple[Any, ...]) -> None:
    """Call a method of a collector, if it has it; what it raises is logged and ignored. Threads: any."""
    try:
        # One that was written for an earlier release lacks those of ``MoreMetrics``.
        told = getattr(metrics, method, None)
        if told is not None:
            told(*arguments)
    except BaseException as error:
        ignore("the metrics collector raised in %s; ignored", method, error)


@dataclass(frozen=True, slots=True)
class Began:
    """The handlers of a hook began to run: when, and what the session's span has said of it.

    ``span``: the one that was told; None: nobody was, or it has raised.
    """

    at: float
    span: SessionSpan | None
    told: Any


class Observers:
    """One hub's. ``capacity``: a session's ``send_buffer``, in messages. Blocks: never for long."""

    def __init__(
        self,
        metrics: Metrics,
        trace: Trace | None,
        spans: Spans | None,
        recorder: Recorder | None,
        clock: Clock,
        lock: Lock,
        capacity: int,
    ) -> None:
        self._metrics = None if type(metrics) is NoopMetrics else metrics
        self._spans = spans
        self._recorder = recorder
        #: Whether what happens to sessions is kept for an operator.
        self.records = recorder is not None
        #: Whether anybody wants to know how long things take.
        self.timed = self._metrics is not None or spans is not None or recorder is not None
        self.trace = trace
        #: Whether there is a collector or a trace, which gets every frame.
        self.watched = self._metrics is not None or trace is not None
        #: How many messages could not be decoded.
        self.undecodable = 0
        self._clock = clock
        self._lock = lock
        self._capacity = capacity

    def note(self, lane: str, what: str, **fields: Any) -> None:
        """Write a line into the trace, if there is one."""
        if self.trace is None:
            return
        try:
            self.trace.note(self._clock.monotonic(), lane, what, **fields)
        except BaseException as error:
            ignore("the trace raised in %s; ignored", "note", error)

    def note_value(self, at: float, kind: str, value: Any) -> None:
        """The same for a command or an effect."""
        if self.trace is None:
            return
        try:
            self.trace.note_value(at, kind, value)
        except BaseException as error:
            ignore("the trace raised in %s; ignored", "note_value", error)

    def count(self, method: str, *arguments: Any) -> None:
        """Call the collector; one that raises is logged and ignored."""
        if self._metrics is not None:
            call_collector(self._metrics, method, arguments)

    def wrote(self, writer: TransportWriter, flushed: Flushed) -> None:
        """Report what one round of writing did."""
        if self.trace is not None and (
            flushed.sizes or flushed.close_sent or flushed.failed or flushed.stalled
        ):
            self.note(
                "writer",
                "Wrote",
                transport=writer.number,
                frames=len(flushed.sizes),
                size=sum(flushed.sizes),
                left=flushed.left,
                close=flushed.close_sent,
                blocked=flushed.stalled,
                failed=flushed.failed,
            )
        if self._metrics is None or writer.label is None:
            return
        if (stall := writer.progress.ended_stall()) is not None:
            self.count("write_stall_ended", *writer.label, stall)
        if flushed.sizes:
            for size in flushed.sizes:
                self.count("message_sent", *writer.label, size)
            self.count("send_buffer", *writer.label, flushed.left, self._capacity)

    def wrote_at_once(self, writer: TransportWriter, size: int, used: int) -> None:
        """A frame of ``size`` bytes was written at once; ``used`` frames count against the bound."""
        self.wrote(writer, Flushed(sizes=[size], left=used))

    def began(self) -> float:
        """When something begins; 0 where nobody wants to know."""
        return self._clock.monotonic() if self.timed else 0.0

    # -- callbacks --------------------------------------------------------------------------

    def callback_began(self, session: Session, hook: str) -> Began | None:
        """The handlers of a hook are about to run, on this thread; None where nobody wants to know."""
        if not self.timed:
            return None
        span, told = session.span, None
        if span is not None:
            try:
                told = span.callback_began(hook)
            except BaseException as error:
                ignore(SPAN_RAISED, "callback_began", error)
                span = None
        return Began(self._clock.monotonic(), span, told)

    def callback_ended(self, session: Session, hook: str, began: Began | None) -> None:
        """They have returned, or raised: on the same thread."""
        if began is None:
            return
        duration = max(0.0, self._clock.monotonic() - began.at)
        self.count("callback_ended", session.room_id, session.connection_id, hook, duration)
        if duration >= SLOW:
            self.remember(session, What.SLOW, hook, duration)
        if began.span is not None:
            tell(began.span, "callback_ended", hook, began.told)

    # -- spans ------------------------------------------------------------------------------

    def begin_span(self, session: Session, *, moved_in: bool = False) -> None:
        """A session is here: make its span, if they are wanted. Hub thread."""
        if self._spans is None and self._recorder is None:
            return
        who, lossless, span = session.credentials, session.delayed_ack is not None, None
        name = session.life, session.connection_id, session.room_id, who.user
        start = SpanStart(*name, moved_in, session.is_suspended, lossless)
        if self._spans is not None:
            try:
                span = self._spans.begin(start)
            except BaseException as error:
                ignore(SPAN_RAISED, "begin", error)
        if self._recorder is not None:
            span = self._recorder.begin(start, who, session.inbound_fence, session.outbox, span)
        session.span = span

    def tell_span(self, session: Session, method: str, *arguments: Any) -> None:
        """Tell a session's span, if it has one; what it raises is logged and ignored."""
        if session.span is not None:
            tell(session.span, method, *arguments)

    def remember(self, session: Session | None, what: What, detail: str = "", seconds: float = -1.0) -> None:
        """Something has happened to a session that no span is told of; kept if sessions are recorded."""
        if session is not None and isinstance(session.span, RecordedSpan):
            session.span.note(what, detail, seconds)

    # -- sums -------------------------------------------------------------------------------

    def command_waited(self, duration: float) -> None:
        """A command was in the hub's queue for so long."""
        self.count("command_waited", duration)

    def buffer_changed(self, session: Session, used: int) -> None:
        """``used`` frames of the session count against its bound now."""
        if self._metrics is not None:
            self.count("send_buffer", session.room_id, session.connection_id, used, self._capacity)

    def requests_ended(self, session: Session, failed: int, lost: int) -> None:
        """A session has ended with requests of its client open: these were refused, and those get nothing."""
        for outcome, number in ((RequestOutcome.FAILED, failed), (RequestOutcome.LOST, lost)):
            for _ in range(number):
                self.count("client_request_settled", session.room_id, session.connection_id, outcome.value)

    def skipped(self, session: Session, why: Undecodable) -> None:
        """A message could not be decoded. Each is counted; the first of a session is logged."""
        with self._lock:
            self.undecodable += 1
        if not session.undecodable_logged:
            session.undecodable_logged = True
            log.warning(
                "skipped a message of %r that cannot be decoded: %s",
                session.connection_id,
                why,
                connection_id=session.connection_id,
            )

    def refused_no_request(self, session: Session) -> None:
        """A handler has refused a message that is no request: nobody is told. The first is logged."""
        if not session.refusal_logged:
            session.refusal_logged = True
            log.warning(
                "a handler raised RequestError for a message of %r that is no request; it is skipped",
                session.connection_id,
                connection_id=session.connection_id,
            )
