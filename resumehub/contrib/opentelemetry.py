"""OpenTelemetry: a span for each session, from its first connect to its end, for ``Hub(spans=…)``.

Install it with ``pip install 'resumehub[opentelemetry]'``, and an SDK and an exporter of your choice; nothing
else of resumehub imports opentelemetry, and this imports its API alone. The span is the current one while a
handler of the session runs, so what a handler starts or logs belongs to it. It has no message, no token and
no data of a connection, and ids only if they are asked for.

A session that moves to another process has a span in each. With ``SessionIds`` in the ``TracerProvider`` they
are one trace, whose id is the session's ``life``, and the later ones have a link to the first: nothing has to
travel for that.

Threads: any. Read next: ``../spans.py``, docs/howto/opentelemetry.md.
"""

from __future__ import annotations

import random
from contextvars import ContextVar
from typing import Any, Final

try:
    from opentelemetry import context as contexts
    from opentelemetry import trace
except ImportError as error:
    raise ImportError(
        "resumehub.contrib.opentelemetry needs opentelemetry-api: pip install 'resumehub[opentelemetry]'"
    ) from error

from ..errors import HandlerError, HeartbeatTimeout, ResumeHubError, TransportLost
from ..reasons import CloseReason
from ..runtime.system import make_lock
from ..spans import SpanStart

NAME: Final = "resumehub.session"
"""The name of every session's span."""

_first: ContextVar[tuple[int, int | None]] = ContextVar("resumehub_session_ids", default=(0, None))
# Trace id and span id of the span that is just being started; 0 and None: random ones.


class OpenTelemetrySpans:
    """Makes the spans. Next: ``Hub(spans=OpenTelemetrySpans())``, which may have a ``metrics=`` as well.

    ``tracer_provider``: None for the global one, which may be set later. ``connection_ids``, ``rooms``,
    ``users``: whether a span has these as attributes; they may say who somebody is. ``handlers``: whether
    each run of handlers has a span of its own inside the session's, a span for each message; an exception
    is recorded there, with its text and its traceback.

    Threads: any. Blocks: as the span processor does where a span ends, which is the hub thread: use one that
    exports on a thread of its own.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        *,
        connection_ids: bool = False,
        rooms: bool = False,
        users: bool = False,
        handlers: bool = False,
    ) -> None:
        self._tracer = trace.get_tracer("resumehub", tracer_provider=tracer_provider)
        self._connection_ids = connection_ids
        self._rooms = rooms
        self._users = users
        self._handlers = handlers

    def begin(self, start: SpanStart, /) -> OpenTelemetrySession:
        """See ``Spans.begin``."""
        trace_id, first = _ids_of(start.life)
        chosen = _first.set((trace_id, None if start.moved_in else first))
        try:
            # The empty context: the first span of a trace, whatever the hub thread was doing.
            span = self._tracer.start_span(
                NAME, contexts.Context(), trace.SpanKind.SERVER, self._attributes(start)
            )
        finally:
            _first.reset(chosen)
        if start.moved_in:
            if trace_id and span.get_span_context().trace_id == trace_id:
                flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
                span.add_link(trace.SpanContext(trace_id, first, is_remote=True, trace_flags=flags))
            span.add_event("resumehub.moved_in", {"resumehub.suspended": start.suspended})
        return OpenTelemetrySession(self._tracer if self._handlers else None, span)

    def _attributes(self, start: SpanStart) -> dict[str, str | bool]:
        found: dict[str, str | bool] = {"session.id": start.life, "resumehub.lossless": start.lossless}
        if self._connection_ids:
            found["resumehub.connection_id"] = start.connection_id
        if self._rooms:
            found["resumehub.room_id"] = start.room_id
        if self._users and start.user is not None:
            found["user.id"] = start.user
        return found


class OpenTelemetrySession:
    """One session's span: see ``SessionSpan``, whose methods it has. ``tracer``: of spans of handlers."""

    def __init__(self, tracer: trace.Tracer | None, span: trace.Span) -> None:
        self._tracer = tracer
        self._span = span
        self._context = trace.set_span_in_context(span, contexts.Context())
        # The hub thread ends it while a callbacks thread may be about to add an event.
        self._lock = make_lock()
        self._is_over = False
        self._failed = False
        #: The span of the handlers that run; those of one session never overlap.
        self._child: trace.Span | None = None

    def dropped(self, error: ResumeHubError | None, /) -> None:
        if error is None:
            self._event("resumehub.superseded", {})
            return
        found: dict[str, str | int] = {"error.type": type(error).__name__}
        if isinstance(error, TransportLost):
            found["resumehub.close_code"] = error.code
            if error.reason and not isinstance(error, HeartbeatTimeout):
                found["resumehub.close_reason"] = error.reason
        elif isinstance(error, HandlerError):
            found["resumehub.hook"] = error.event
        self._event("resumehub.drop", found)

    def restored(self, suspended: float | None, replayed: int, /) -> None:
        found: dict[str, float] = {"resumehub.replayed": replayed}
        if suspended is not None:
            found["resumehub.suspended_seconds"] = suspended
        self._event("resumehub.restore", found)

    def ended(self, reason: str, /) -> None:
        self._end(reason, failed=reason == CloseReason.HANDLER_ERROR.value)

    def moved_out(self) -> None:
        self._event("resumehub.moved_out", {})
        self._end("moved", failed=False)

    def callback_began(self, hook: str, /) -> Any:
        context = self._context
        if self._tracer is not None:
            self._child = self._tracer.start_span(
                f"resumehub.{hook}", context, attributes={"resumehub.hook": hook}
            )
            context = trace.set_span_in_context(self._child, context)
        return contexts.attach(context)

    def callback_raised(self, hook: str, error: BaseException, /) -> None:
        what = f"{hook} raised {type(error).__name__}"
        if self._child is not None:
            self._child.record_exception(error)
            self._child.set_status(trace.StatusCode.ERROR, what)
        # Without its text, which may have what a client has sent.
        self._event(
            "resumehub.handler_error", {"resumehub.hook": hook, "exception.type": type(error).__name__}
        )
        with self._lock:
            if not (self._is_over or self._failed):
                self._failed = True
                self._span.set_status(trace.StatusCode.ERROR, what)

    def callback_ended(self, hook: str, began: Any, /) -> None:
        contexts.detach(began)
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _event(self, name: str, attributes: dict[str, Any]) -> None:
        with self._lock:
            if not self._is_over:
                self._span.add_event(name, attributes)

    def _end(self, reason: str, *, failed: bool) -> None:
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
        self._span.set_attribute("resumehub.end_reason", reason)
        if failed and not self._failed:
            self._span.set_status(trace.StatusCode.ERROR, "a handler raised")
        self._span.end()  # without the lock: an exporter may run


class SessionIds:
    """Ids for ``TracerProvider(id_generator=SessionIds())``: random, but for those of sessions.

    The spans of one session are one trace, in whatever processes they are: its id is the session's ``life``.
    Threads: any. Blocks: never.
    """

    def generate_trace_id(self) -> int:
        """The trace id of a span that has no parent: 128 bits."""
        return _first.get()[0] or random.getrandbits(128) or 1

    def generate_span_id(self) -> int:
        """The id of a span: 64 bits."""
        return _first.get()[1] or random.getrandbits(64) or 1

    def is_trace_id_random(self) -> bool:
        """They are: a session's life is."""
        return True


def _ids_of(life: str) -> tuple[int, int]:
    """The trace id of a session, and the id of its first span; zeros where its life is no number."""
    try:
        trace_id = int(life, 16)
    except ValueError:
        return 0, 0
    return trace_id, (trace_id >> 64) ^ (trace_id & (1 << 64) - 1)
