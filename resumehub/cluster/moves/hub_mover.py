"""Both sides of a move for one process, as its member uses them (``movers.HubMover``).

It gives the process's hub away (``move_source.py``) and takes one (``move_target.py``), and says in numbers
what became of the sessions. Made and wired by the member's assembly; threads and blocking are those of its
parts. Read next: ``move_source.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from ...runtime.foreign_code import Log
from ...server.hub_runner import HubRunner
from ...session.elsewhere import Elsewhere
from ..door import Door
from ..link_thread import Handlers
from ..movers import Adopted, Carriage
from .move_parts import HubMoved, SourceHost, TargetHost, Traveller
from .move_source import MoveSource
from .move_target import MoveTarget

log = Log(__name__)

_NAMED: Final = 20
"""So many sessions that end are named in the log."""


class MoveHost(SourceHost, TargetHost, Protocol):
    """The member's part: who has the lock."""


class WholeHubMover:
    """One process's. ``elsewhere``: reaches the hub, wherever it is, for sessions that have left here.

    ``passes_on``: whether answers that have come here are still on their way to where the hub is.
    Next: give ``hub_handlers`` and ``worker_handlers`` to the links, and tell ``on_link_end`` of their ends.
    """

    def __init__(
        self,
        runner: HubRunner,
        door: Door,
        host: MoveHost,
        elsewhere: Elsewhere,
        travellers: Mapping[str, Traveller],
        passes_on: Callable[[], bool] = lambda: False,
    ) -> None:
        self._passes_on = passes_on
        self._elsewhere = elsewhere
        self._source = MoveSource(runner, door, host, travellers)
        self._target = MoveTarget(runner, door, host, travellers, lambda: self._source.runs_callbacks)
        #: For links at which this process is the hub's end, and for those at which it is a worker's.
        self.hub_handlers: Handlers = self._source.handlers
        self.worker_handlers: Handlers = self._target.handlers

    @property
    def is_needed(self) -> bool:
        """Whether the hub has left, and a handler of before still runs, or a thread waits for a client.

        Then this process must stay a worker: what they send and answer goes over its links.
        """
        return self._source.is_needed or self._passes_on()

    def on_link(self, link: Any, at_hub: bool) -> None:
        """A link is made: nothing to do."""

    def on_link_end(self, link: Any, at_hub: bool) -> None:
        """A link has been read to its end."""
        (self._source if at_hub else self._target).on_link_end(link)

    def move(self, link: Any, hub_life: str, until: float) -> Carriage:
        """See ``movers.HubMover``."""
        outcome = self._source.move(link, hub_life, self._elsewhere, until)
        if not isinstance(outcome, HubMoved):
            return Carriage(why=outcome.because)
        for name, why in outcome.ended[:_NAMED]:
            log.warning("a session could not move, and ends: %s (%s)", name, why)
        if len(outcome.ended) > _NAMED:
            log.warning("sessions that could not move either, and end: %d more", len(outcome.ended) - _NAMED)
        return Carriage(
            moved=outcome.sessions,
            carried=outcome.carried,
            ended=len(outcome.ended),
            release=outcome.released_in,
            freeze=outcome.paused_for,
        )

    def go(self) -> Adopted:
        """See ``movers.HubMover``."""
        return self._target.go()

    def drop(self) -> None:
        """See ``movers.HubMover``."""
        self._target.drop()
