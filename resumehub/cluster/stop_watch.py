"""Whether a member is told to stop, what it does then with its hub, and whether a better process waits.

It puts together what is seen of the server (``gunicorn_worker.py``, ``surroundings.py``) and what the workers
have said, and asks ``core/cluster/stopping.py``. It changes nothing. Called on the member's thread. Read
next: ``../core/cluster/stopping.py``.
"""

from __future__ import annotations

from typing import Final

from ..clock import now
from ..core.cluster.stopping import (
    Candidate,
    StopPlan,
    Surroundings,
    better_kind,
    choose_target,
    plan_stop,
)
from .member_links import MemberLinks
from .member_setting import MemberSetting, StopOrder
from .surroundings import look_around

_TIME_TO_PARK: Final = 3.0
# Seconds before the end that are kept for parking, at most.

_PARKED_A_SECOND: Final = 5000
# Sessions; far fewer than a disk takes.

_MARGIN: Final = 2.0
# Seconds before the kill at which all is done.

_SETTLED: Final = 0.4
# So long after the order to stop a process of the same server may still say that it has one, too.


class StopWatch:
    """One member's."""

    def __init__(self, setting: MemberSetting, links: MemberLinks) -> None:
        self._set = setting
        self._links = links
        self._here_since = 0.0
        # When somebody was seen last who comes, or is going to be replaced.
        self._last_seen = 0.0
        setting.parts.hub_watchers.append(self)

    def on_hub_here(self, hub_life: str) -> None:
        """See ``HubWatcher``."""
        self._here_since = now()

    def on_hub_gone(self) -> None:
        """See ``HubWatcher``."""

    def order(self) -> StopOrder | None:
        """The order to stop, if the server has been told, or the program ends."""
        setting, at = self._set, now()
        if (told := self.order_of_server()) is not None:
            return told
        if setting.runtime.main_thread_returned():
            drains = setting.cluster.drain_on_exit
            seconds = setting.runner.config.write_timeout
            why = "the program that held it ends"
            return StopOrder(at, at + seconds, why, as_without_a_cluster=not drains)
        return None

    def order_of_server(self) -> StopOrder | None:
        """The same, of a server only: with the time that it gives."""
        server, at = self._set.server, now()
        if server is None or not server.told_to_stop:
            return None
        seconds = max(0.5, server.graceful_timeout - _MARGIN)
        quits = server.told_to_quit and not self._set.cluster.drain_on_exit
        why = "the worker that held it is told to stop"
        return StopOrder(at, at + seconds, why, as_without_a_cluster=quits)

    @property
    def server_is_done(self) -> bool:
        """Whether no request is under way that may still need the hub."""
        return self._set.server is None or self._set.runtime.main_thread_returned()

    def better(self) -> tuple[Candidate, str] | None:
        """A process to which the hub should move though nobody stops, and why."""
        setting, server = self._set, self._set.server
        candidates, sockets = self._links.candidates(), self._sockets()
        target = better_kind(setting.kind, candidates, sockets)
        if target is not None:
            return target, "a better kind of process is ready"
        if server is not None and server.is_stuck:
            target = choose_target(candidates, sockets)
        return (target, "a request holds the worker that held it") if target is not None else None

    def plan(self, stop: StopOrder, at: float) -> tuple[StopPlan, Candidate | None]:
        """What to do with the hub now, and where to move it."""
        around, server = self._look_around(), self._set.server
        stopping = 0
        # At a reload all workers are told, one after the other: a move to one of them would be the first of
        # two.
        if server is not None and (around.full_stop or at - stop.since < _SETTLED):
            stopping = server.master
        candidates = self._links.candidates()
        target = choose_target(candidates, self._sockets(), stopping)
        leaving = sum(one.master == server.master and not one.ready for one in candidates) if server else 0
        if leaving or around.coming:
            self._last_seen = at
        plan = plan_stop(
            since=at - stop.since,
            until=stop.until - at,
            time_to_park=self.time_to_park(stop),
            sessions=self._set.runner.stats().sessions,
            target=target is not None,
            around=around,
            leaving=leaving,
            alone_for=at - max(stop.since, self._last_seen),
            here_for=at - self._here_since,
        )
        return plan, target

    def time_to_park(self, stop: StopOrder) -> float:
        """So many seconds before the end of a stop its sessions are parked, if no process has taken them."""
        needed = 1.0 + self._set.runner.stats().sessions / _PARKED_A_SECOND
        return min(_TIME_TO_PARK, needed, (stop.until - stop.since) / 2)

    def _sockets(self) -> int:
        stats = self._set.runner.stats()
        return stats.sessions - stats.suspended

    def _look_around(self) -> Surroundings:
        server = self._set.server
        if server is None:
            return Surroundings(full_stop=True, coming=0)
        links = self._links
        return look_around(
            server.master,
            server.listeners,
            lambda: links.seen,
            workers=server.workers,
            members=lambda: {links.pid, *(link.peer.pid for link in links.workers())},
        )
