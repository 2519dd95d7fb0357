"""Puts a member's parts together: calls, dials, moves. What they have to do with each other is said here.

Made once, with the member, and kept over a fork: each part knows what a fork ends. Threads: those that the
parts name. Read next: ``member.py``, ``calls/member_calls.py``, ``dials/member_dials.py``,
``moves/hub_mover.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from ..core.cluster.passing import rules_for
from .calls.call_server import RequestsAlong
from .calls.member_calls import CallingMember, MemberCalls
from .dials.member_dials import MANY_THREADS, MemberDials
from .drain_news import DrainNews
from .gunicorn_worker import GunicornWorker
from .hub_news import HubNews
from .member_loop import MemberLoop
from .moves.hub_mover import MoveHost, WholeHubMover
from .moves.move_parts import Traveller
from .parts import Parts

CALLS: Final = "calls"
"""The name of the books of calls, among what goes along in a move beside the sessions."""

REQUESTS: Final = "requests"
"""The name of the requests to clients under way, there: behind the books."""

MOVES: Final = "moves"
"""The name of the times of the last moves, there."""


class AssembledMember(CallingMember, Protocol):
    """What the parts need of a member."""

    parts: Parts


class Assembly:
    """A member's parts. ``serve``: has the process take part; ``move_host``: who has the lock."""

    def __init__(self, member: AssembledMember, serve: Callable[[], object], move_host: MoveHost) -> None:
        runner, door, parts = member.runner, member.door, member.parts
        self._timeout = member.cluster.timeout
        self.calls = MemberCalls(member)
        self._register_calls(parts)
        self.drain_news = DrainNews(runner, parts)
        self.dials = MemberDials(
            runner,
            door,
            threads=MANY_THREADS,
            timeout=self._timeout,
            serve=serve,
            heard_drain=lambda: self.drain_news.drain(here=False),
        )
        self.dials.register(parts)
        server = self.calls.server
        self.news = HubNews(member.cluster.folder, runner.count)
        along: dict[str, Traveller] = {CALLS: server, REQUESTS: RequestsAlong(server), MOVES: self.news}
        self.mover = WholeHubMover(
            runner, door, move_host, self.calls.sessions, along, lambda: bool(server.passed_on)
        )
        parts.handle_at_hub(self.mover.hub_handlers)
        parts.handle_at_worker(self.mover.worker_handlers)
        parts.link_watchers.append(self.mover)

    def learn(self, server: GunicornWorker | None) -> None:
        """How many threads for requests there are is known now."""
        if server is not None:
            self.dials.client.set_rules(rules_for(server.threads, self._timeout))

    def _register_calls(self, parts: Parts) -> None:
        server, client = self.calls.server, self.calls.client
        parts.handle_at_hub(server.handlers)
        parts.handle_at_worker(client.handlers)
        parts.link_watchers += server, client
        parts.hub_watchers.append(client)
        parts.tickers.append(server.tick)


class LoopOfMoves:
    """The member's loop, for moves, once it runs."""

    def __init__(self, loop: Callable[[], MemberLoop | None]) -> None:
        self._loop = loop

    def may_hold(self) -> bool:
        loop = self._loop()
        return loop is not None and loop.may_hold()

    def committed(self, hub_life: str) -> None:
        loop = self._loop()
        assert loop is not None, "it holds what came"
        loop.committed(hub_life)

    def dropped(self) -> None:
        if (loop := self._loop()) is not None:
            loop.dropped()

    def release_hub(self) -> None:
        loop = self._loop()
        assert loop is not None, "it held the hub"
        loop.release_hub()
