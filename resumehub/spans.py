"""What a hub tells of one session from its beginning to its end, for tracing: ``Hub(spans=…)``.

A metrics collector is told numbers, by id. Here each session has an object of its own, made when the session
begins in this process, so that nothing has to be looked up and nothing is left behind: ``Spans.begin`` makes
it, the hub keeps it with the session. It knows no tracing library. Whatever such an object raises is logged
and ignored; like a collector it must be quick, and must not call the hub.

Threads: as each method says. Read next: ``contrib/opentelemetry.py``, which is one; ``session/observers.py``,
which calls them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from .errors import ResumeHubError


@dataclass(frozen=True, slots=True)
class SpanStart:
    """What is known of a session when its span begins.

    ``life``: its name in all processes, 32 random hexadecimal digits, the same until its end. ``moved_in``:
    it began in another process. ``suspended``: it has no transport now. ``lossless``: its client
    acknowledges (``resumehub.v1``).
    """

    life: str
    connection_id: str
    room_id: str
    user: str | None
    moved_in: bool
    suspended: bool
    lossless: bool


class SessionSpan(Protocol):
    """One session, as long as it is in this process. All arguments are positional."""

    def dropped(self, error: ResumeHubError | None, /) -> None:
        """It has lost its transport; None: a takeover, ``restored`` follows. Threads: hub thread."""

    def restored(self, suspended: float | None, replayed: int, /) -> None:
        """Its client is back, after ``suspended`` seconds of the hub's clock.

        None: not known, since it came to this process suspended. ``replayed``: how many frames wait for the
        client now, and are sent first. Threads: hub thread.
        """

    def ended(self, reason: str, /) -> None:
        """It has ended, for one of ``REASONS_CLOSED``; its on_disconnect is still to come.

        Once, unless ``moved_out`` was called. Threads: hub thread.
        """

    def moved_out(self) -> None:
        """It goes on in another process, or is parked. Once, instead of ``ended``. Threads: hub thread."""

    def callback_began(self, hook: str, /) -> Any:
        """The handlers of ``hook`` are about to run, on this thread. What this returns goes to
        ``callback_ended``.

        Those of one session never overlap. on_disconnect comes behind ``ended``. Threads: those that run
        handlers: a reader thread, or a callbacks thread.
        """

    def callback_raised(self, hook: str, error: BaseException, /) -> None:
        """A handler has raised; a ``RequestError``, which is an answer, is not told. Threads: the same."""

    def callback_ended(self, hook: str, began: Any, /) -> None:
        """They have returned, or raised: once for each ``callback_began``, on the same thread."""


class Spans(Protocol):
    """Makes a ``SessionSpan`` for each session of a hub."""

    def begin(self, start: SpanStart, /) -> SessionSpan | None:
        """A session begins, or comes from another process; None: it is not traced. Threads: hub thread."""
