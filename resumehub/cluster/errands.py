"""The member's second thread: it adopts, moves and parks, which may take long.

The first thread goes on meanwhile: it keeps gunicorn from killing the worker, and looks at the lock. Each
errand ends with one line in the log (``hub_news.py``). Read next: ``movers.py``, ``member_loop.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..clock import now
from ..core.cluster.membership import MemberEvent
from ..runtime.base import Runtime
from ..runtime.foreign_code import Log, passes
from .folder import Folder
from .hub_news import HubNews
from .link import Link
from .movers import Carriage, HubMover, HubParker

log = Log(__name__)


@dataclass(frozen=True, slots=True)
class AdoptErrand:
    """Start the hub with what is parked."""


@dataclass(frozen=True, slots=True)
class MoveErrand:
    """Move the hub to the process at the other end of ``link``, until a time of ``now``."""

    link: Link
    hub_life: str
    until: float
    why: str


@dataclass(frozen=True, slots=True)
class ParkErrand:
    """Park the hub, until a time of ``now``."""

    until: float
    why: str


Errand = AdoptErrand | MoveErrand | ParkErrand

_PAUSE: Final = 1.0
# Seconds until a hub that could not start is started again.

_FAILED: Final = {
    AdoptErrand: MemberEvent.ADOPTED,
    MoveErrand: MemberEvent.STAYED,
    ParkErrand: MemberEvent.PARKED,
}


class Errands:
    """``post``: told of each errand's end, on the second thread. ``may_try_again``: whether a hub that could
    not start, without threads for example, may still be started."""

    def __init__(
        self,
        mover: HubMover,
        parker: HubParker,
        folder: Folder,
        runtime: Runtime,
        news: HubNews,
        post: Callable[[MemberEvent], None],
        may_try_again: Callable[[], bool] = lambda: False,
    ) -> None:
        self._mover = mover
        self._parker = parker
        self._folder = folder
        self._news = news
        self._post = post
        self._may_try_again = may_try_again
        self._pause = runtime.event("to adopt again")
        self._waiting = runtime.mailbox()
        #: What became of the sessions at the last move or parking; None before one.
        self.report: Carriage | None = None
        #: What was parked when the hub was taken here.
        self.adopted = Carriage()

    def run(self) -> None:
        """What the thread does; it returns behind ``end``."""
        while (errand := self._waiting.get()) is not None:
            try:
                self._post(self._do(errand))
            except BaseException as error:
                if passes(error):
                    raise
                log.error("%s has failed; please report this", type(errand).__name__, exc_info=error)
                self._failed(errand)

    def send_on(self, errand: Errand) -> None:
        """Do this next. Any thread; never blocks."""
        self._waiting.put(errand)

    def end(self) -> None:
        """Let the thread end. Any thread; never blocks."""
        self._waiting.put(None)

    def _failed(self, errand: Errand) -> None:
        if isinstance(errand, AdoptErrand) and self._may_try_again():
            self._pause.wait(_PAUSE)
            self._waiting.put(errand)
        else:
            self._post(_FAILED[type(errand)])

    def _do(self, errand: Errand) -> MemberEvent:
        match errand:
            case AdoptErrand():
                return self._adopt()
            case MoveErrand():
                return self._move(errand)
            case ParkErrand():
                return self._park(errand)

    def _adopt(self) -> MemberEvent:
        self.adopted = Carriage()
        self.adopted = self._parker.adopt(self._folder)
        return MemberEvent.ADOPTED

    def _move(self, errand: MoveErrand) -> MemberEvent:
        begun, to = now(), errand.link.peer.pid
        self._news.moves(errand.why)
        done = self._mover.move(errand.link, errand.hub_life, errand.until)
        if done.why:
            self._news.stayed(to, errand.why, done, now() - begun)
            return MemberEvent.STAYED
        self.report = done
        self._news.moved_out(to, errand.why, done, now() - begun)
        return MemberEvent.MOVED

    def _park(self, errand: ParkErrand) -> MemberEvent:
        begun = now()
        done = self.report = self._parker.park(self._folder, errand.until)
        self._news.parked(errand.why, done, now() - begun)
        return MemberEvent.PARKED
