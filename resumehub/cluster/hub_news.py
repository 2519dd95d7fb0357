"""What the log and the metrics collector are told of a hub that comes to this process or leaves it.

One line for each event, by whoever knows most of it: the old process of a move says why and how long, the new
one that it is there. How often the hub moves is known wherever it is: the times of its last moves go along
(``Traveller``). Each method says on which thread of the member it is called; none blocks. Read next:
``errands.py``, ``member_loop.py``.
"""

from __future__ import annotations

import json
import os
from typing import Final

from ..clock import now
from ..core.cluster.stopping import MoveRate
from ..runtime.foreign_code import Log
from ..session.observers import TellCollector
from .movers import Adopted, Carriage

log = Log(__name__)

_ONCE_IN: Final = 60.0
# Seconds for which a move that fails again for the same reason is not warned of again.

_STAYED: Final = "the hub of %s stays in process %s, and was to go to %s because %s: %s (after %.3f s)"


class HubNews:
    """One process's. ``folder``: of its cluster, for the log."""

    def __init__(self, folder: str, count: TellCollector) -> None:
        self._folder = folder
        self._count = count
        self._rate = MoveRate()
        self._why = ""
        self._stayed: tuple[str, float] | None = None

    # -- it comes: the member's first thread ------------------------------------------------

    def taken(self, done: Carriage, seconds: float, last_holder: int) -> None:
        """No process held it. ``done``: what was parked; ``last_holder``: whom this process knew, or 0."""
        log.info(
            "process %s holds the hub of %s now, which no process held%s; %s parked sessions go on, and %s "
            "have ended; it took %.3f s",
            os.getpid(),
            self._folder,
            f" after process {last_holder}" if last_holder else "",
            done.parked,
            done.ended,
            seconds,
        )
        self._count("hub_taken", done.parked, done.ended, seconds)

    def moved_in(self, came: Adopted) -> None:
        """It has moved here."""
        log.info(
            "process %s holds the hub of %s now: it has come from process %s with %s sessions; adoption took "
            "%.3f s",
            os.getpid(),
            self._folder,
            came.pid,
            came.sessions,
            came.seconds,
            peer_pid=came.pid,
        )
        self._count("hub_moved_in", came.sessions, came.seconds)

    # -- it leaves: the member's second thread ----------------------------------------------

    def moves(self, why: str) -> None:
        """It is about to move."""
        self._why = why

    def moved_out(self, to: int, why: str, done: Carriage, seconds: float) -> None:
        """It has moved to process ``to``."""
        log.info(
            "the hub of %s has moved from process %s to %s in %.3f s (release %.3f s, freeze %.3f s), "
            "because %s: %s sessions, of which %s have a handler that still runs here; %s ended",
            self._folder,
            os.getpid(),
            to,
            seconds,
            done.release,
            done.freeze,
            why,
            done.moved,
            done.carried,
            done.ended,
        )
        self._count("hub_moved_out", done.moved, done.carried, done.ended, done.release, done.freeze)
        if causes := self._rate.moved(now(), why):
            log.warning(
                "the hub of %s has moved %s times within a minute: %s",
                self._folder,
                len(causes),
                "; ".join(causes),
            )

    def stayed(self, to: int, why: str, done: Carriage, seconds: float) -> None:
        """It was to move, and has stayed. The same again within a minute is no warning."""
        was, self._stayed = self._stayed, (done.why, now())
        again = was is not None and was[0] == done.why and now() - was[1] < _ONCE_IN
        if again and was is not None:
            self._stayed = was
        values = self._folder, os.getpid(), to, why, done.why, seconds
        if again:
            log.debug(_STAYED, *values)
        else:
            log.warning(_STAYED, *values)
        self._count("hub_stayed", seconds)

    def parked(self, why: str, done: Carriage, seconds: float) -> None:
        """It has stopped, with no process to take it. ``done.why``: why nothing could be written down."""
        if done.why:
            log.error(
                "the hub of %s ends in process %s, because %s, and could not be parked: %s; %s sessions end",
                self._folder,
                os.getpid(),
                why,
                done.why,
                done.ended,
            )
        else:
            log.info(
                "the hub of %s is parked by process %s in %.3f s, because %s and no process takes it: %s "
                "sessions parked, %s ended",
                self._folder,
                os.getpid(),
                seconds,
                why,
                done.parked,
                done.ended,
            )
        self._count("hub_parked", done.parked, done.ended, seconds)

    # -- Traveller --------------------------------------------------------------------------

    def export(self) -> bytes:
        """See ``Traveller``: when it has moved, and why, this move included."""
        return json.dumps([*self._rate.recent(now()), (0.0, self._why)]).encode()

    def adopt(self, data: bytes) -> None:
        """See ``Traveller``."""
        found = json.loads(data)
        if not isinstance(found, list) or not all(_is_move(one) for one in found):
            raise ValueError("they are no times and causes")
        self._rate.restore(now(), [(float(age), str(why)) for age, why in found])


def _is_move(one: object) -> bool:
    if not isinstance(one, list) or len(one) != 2:
        return False
    return isinstance(one[0], int | float) and not isinstance(one[0], bool) and isinstance(one[1], str)
