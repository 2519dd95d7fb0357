"""The beginning and the end of a ``Hub``: start, ready, drain, close. A base class of it; any thread.

Without a cluster the hub begins with its first connection and ends with ``close``. With one, this process is
a member: it may hold the hub or a link to it, and its end ends no session. Read next: ``cluster/member.py``,
``server/hub_runner.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from .cluster.member import Member
from .cluster.movers import Carriage
from .cluster.readiness import Readiness
from .core.drain import Drain
from .health import Check, Health
from .runtime.foreign_code import Log
from .server.hub_runner import HubRunner
from .server.local_calls import Calls

log = Log(__name__)


@dataclass(frozen=True, slots=True)
class CloseReport:
    """The result of ``hub.close``. ``stuck``: the threads that did not end, each with its stack as text."""

    complete: bool
    stuck: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DrainReport:
    """The result of ``hub.drain``: what became of the sessions, as counts.

    ``moved``: they go on in another process; ``carried``: so many of them moved while a handler of theirs ran
    here. ``parked``: written down, for the next start. ``ended``: neither was possible. ``left``: still here.
    """

    moved: int = 0
    carried: int = 0
    parked: int = 0
    ended: int = 0
    left: int = 0


class HubLifeCycle:
    """See the module. ``member``: this process's part in the cluster; None without one."""

    runner: HubRunner
    member: Member | None

    def start(self) -> None:
        """Begin now, and not with the first connection. With a cluster: take part in it.

        Under gunicorn no call is needed: a worker takes part as soon as it serves.

        Raises: HubClosed; RuntimeError if no thread can be started; ClusterError for a folder that can't be
        used, with what to do. Threads: any. Blocks: never without a cluster; for its folder with one.
        """
        if self.member is None:
            self.runner.start()
        else:
            self.member.start()

    def ready(self) -> Readiness | bool:
        """Whether an upgrade would be served now: for the health endpoint of a load balancer.

        A bool; with a cluster a ``Readiness``, which is true or false in the same way and says more. True
        also before the first connection, which starts the hub's threads, and when ``max_sessions`` are there,
        since their clients may resume. False once the hub is closed or closing, while it is drained, and when
        a thread that all connections need has died; then the log has a CRITICAL line with the reason,
        upgrades are answered with 503, and the process should be restarted. Threads: any. Blocks: never.
        """
        if self.member is not None:
            return self.member.ready()
        return self.runner.ready() and self.runner.drain is Drain.NONE

    def health(self) -> Health:
        """What the probes of an orchestrator look at; see ``resumehub.wsgi.probes``, which shows it.

        With a cluster it is of this process: it asks no other one. Threads: any. Blocks: never.
        """
        runner = self.runner
        loop, closed = runner.loop, runner.closing
        threads = closed or loop is None or loop.is_served()
        lag = 0.0 if closed or loop is None else loop.lag()
        if self.member is None:
            return Health(threads, lag, closed, draining=runner.drain.value)
        ready, drain = self.member.ready(), self.member.drain_heard()
        stopping = ready.draining and drain is Drain.NONE
        reached = ready.serving or drain is not Drain.NONE or stopping or not threads
        return Health(threads, lag, closed, stopping, drain.value, Check(reached, ready.detail))

    def drain(self, timeout: float = 10.0, *, accept_resumes: bool | None = None) -> DrainReport:
        """Keep what is here, and take no new session; or, with a cluster and no ``accept_resumes``, leave it.

        ``accept_resumes=True``: a client whose session would begin now is refused (503 with Retry-After,
        reason ``draining``), one that comes back to its session is let in. ``False``: neither is. Nobody who
        is connected notices. It is the hub that is drained: with a cluster from whatever process, in all of
        them, and also behind a move of the hub; not behind a stop and a start. ``ready()`` is false then.
        ``undrain`` undoes it; another call of ``drain`` changes it. When this has returned no session begins
        any more, and ``left`` of the report is how many there are.

        Without ``accept_resumes``, and with a cluster: this *process* leaves it. The hub, if it is here,
        moves to another process; if there is none it is parked. Afterwards this process serves no connection,
        and ``close`` has nothing left to do. gunicorn's workers do this by themselves when they are told to
        stop. Without a cluster there is nowhere to move to, and it means ``accept_resumes=True``.

        ``timeout``: for leaving, in real seconds. Raises: ValueError, TypeError for wrong arguments;
        HubClosed; HubUnavailable, with a cluster, when the hub does not answer. Threads: any but a
        callback's. Blocks: up to ``timeout`` to leave; else until the hub thread has done it.
        """
        seconds = check_timeout(timeout)
        if accept_resumes is not None and not isinstance(accept_resumes, bool):
            raise TypeError(f"accept_resumes must be True or False, or left out, not {accept_resumes!r}")
        if self.member is not None and accept_resumes is None:
            return self._drained(self.member.drain(seconds, "the application drains the hub"))
        return DrainReport(left=self._set_drain(Drain.ALL if accept_resumes is False else Drain.NEWCOMERS))

    def undrain(self) -> int:
        """Undo ``drain(accept_resumes=…)``: the hub takes new sessions again. Return how many it has.

        A hub that is not drained stays as it is. It brings back no process that has left its cluster. Raises:
        HubClosed; HubUnavailable, with a cluster, when the hub does not answer. Threads: any but a
        callback's. Blocks: until the hub thread has done it.
        """
        return self._set_drain(Drain.NONE)

    def _set_drain(self, drain: Drain) -> int:
        if self.member is None:
            self.runner.start()  # so that there is a hub thread, which decides
        return self._calls.set_drain(drain)

    def close(self, timeout: float = 5.0) -> CloseReport:
        """End all sessions (close code 1001), run their on_disconnect, stop every thread.

        With a cluster: end this process's part. It drains, and no session ends by it; see ``end_all``. What
        is not done in time goes on, and the report is incomplete.

        ``timeout``: real seconds, 0 or more; transports whose peers have not answered by then are
        aborted. The report is complete when no thread, socket or timer of the hub is left. Otherwise
        it names the stuck threads with their stacks (most likely they are in a callback of yours).
        Called from a callback, it starts the close and returns at once with an incomplete report.
        Another call waits again.

        Raises: ValueError, TypeError for a wrong timeout. Threads: any. Blocks: up to ``timeout``.
        """
        seconds = check_timeout(timeout)
        if self.member is not None:
            stuck = self.member.close(seconds, "the application closes the hub")
        else:
            stuck = self.runner.close(seconds)
        return CloseReport(not stuck, stuck)

    def end_all(self, reason: str) -> int:
        """End every session of the hub for good, as ``close`` does, from any process; return how many.

        It is for the end of an application, not of a process. All end in one step: close code 1001, behind
        what was sent before; their on_disconnect gets HubClosed. The hub goes on: who comes afterwards begins
        a new session. ``reason``: for the log.

        Raises: HubClosed; TypeError for a reason that is no str; with a cluster HubUnavailable, also where
        sessions are parked and no process holds the hub. Threads: any. Blocks: as ``kick``.
        """
        if not isinstance(reason, str):
            raise TypeError(f"end_all(reason) must be a str for the log, not {reason!r}")
        ended = self._calls.end_all()
        log.info("%s sessions were ended: %s", ended, reason)
        return ended

    if TYPE_CHECKING:  # of ``Hub``

        @property
        def _calls(self) -> Calls: ...

    def _drained(self, done: Carriage) -> DrainReport:
        left = self.runner.stats().sessions
        return DrainReport(done.moved, done.carried, done.parked, done.ended, left)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self


def check_timeout(timeout: object) -> float:
    """``timeout`` in seconds. Raises: TypeError; ValueError."""
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout must be a number of seconds, not {timeout!r}")
    if not timeout >= 0:
        raise ValueError(f"timeout must be 0 or more seconds, not {timeout!r}")
    return float(timeout)
