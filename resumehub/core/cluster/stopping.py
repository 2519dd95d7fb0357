"""Where a hub goes, and what a process does that is told to stop: values in, a plan out.

* **Preference**: a process for the hub alone, then workers with threads, then workers without; then the one
  whose server was started last, then the one that was started last itself. Age decides only where a target
  must be chosen: nothing moves for youth alone.
* **At a stop**, if a target is ready: move. If nobody comes: park. If somebody is coming: wait, until only
  the time to park is left; then park, even if a target is ready at last. With nothing to keep: leave at once,
  since the server waits for this process.

Pure. Called by ``cluster/member.py``, on its thread. Read next: ``membership.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final


class Kind(IntEnum):
    """What serves in a process; a smaller number is preferred as the place of the hub."""

    HUB_ALONE = 0
    THREADS = 1
    SYNC = 2


@dataclass(frozen=True, slots=True)
class Candidate:
    """A process that could take the hub.

    ``number``: names it for the caller. ``master``: its server's process, 0 where there is none.
    ``master_started``, ``started``: on one clock. ``room``: for so many sockets.
    """

    number: int
    kind: Kind
    master: int
    master_started: float
    started: float
    room: int
    ready: bool = True


def choose_target(
    candidates: Iterable[Candidate], sockets: int, stopping_master: int = 0
) -> Candidate | None:
    """The process that takes the hub; None: nobody can. ``sockets``: the target has room for all, or is none.

    ``stopping_master``: whose processes all stop, and are no targets.
    """
    fit = [
        one
        for one in candidates
        if one.ready and one.room >= sockets and not (stopping_master and one.master == stopping_master)
    ]
    return min(fit, key=lambda one: (one.kind, -one.master_started, -one.started), default=None)


def better_kind(mine: Kind, candidates: Iterable[Candidate], sockets: int) -> Candidate | None:
    """The process to which a hub moves for its kind's sake, though nobody stops; None: it stays."""
    return choose_target([one for one in candidates if one.kind < mine], sockets)


class StopPlan(Enum):
    """What a process that is told to stop does with its hub."""

    MOVE = "move the hub"
    WAIT = "wait for somebody who is coming"
    PARK = "park the sessions"
    LEAVE = "leave: there is nothing to keep"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is seen of the server. ``full_stop``: it ends, too; None: that can't be seen. ``coming``: how many
    processes of it have been started that are not here yet; None: that can't be seen."""

    full_stop: bool | None = None
    coming: int | None = None


NOBODY_FOR: Final = 1.0
"""Who is alone waits so many seconds for a new process: a server starts it after it has told the old one."""

UNSEEN_SHARE: Final = 0.25
"""So much of the time is waited for somebody where the server can't be seen."""


def plan_stop(
    *,
    since: float,
    until: float,
    time_to_park: float,
    sessions: int,
    target: bool,
    around: Surroundings,
    leaving: int = 0,
    alone_for: float = 0.0,
    here_for: float = NOBODY_FOR,
) -> StopPlan:
    """What to do now. ``since``: seconds since the process was told; ``until``: seconds until it is killed.

    ``target``: whether a process is ready to take the hub. ``leaving``: so many workers of the server are
    linked and are no targets, since they stop, too, or hang: the server replaces them. ``alone_for``: seconds
    since this process was told, or since somebody was coming or leaving last. ``here_for``: seconds since the
    hub came to this process: workers that were linked to it elsewhere are linked again in a moment.
    """
    if target and until > time_to_park:
        return StopPlan.MOVE
    if not sessions:
        return StopPlan.LEAVE
    if until <= time_to_park:
        return StopPlan.PARK
    if around.coming or here_for < NOBODY_FOR:
        return StopPlan.WAIT
    if around.full_stop:
        return StopPlan.PARK
    if leaving and around.full_stop is False:
        return StopPlan.WAIT
    if around.coming is None:
        return StopPlan.WAIT if since < (since + until) * UNSEEN_SHARE else StopPlan.PARK
    return StopPlan.WAIT if alone_for < NOBODY_FOR else StopPlan.PARK


class MoveRate:
    """Notices a hub that moves too often: something is wrong then, such as two servers that take turns."""

    _MOST: Final = 1
    _WITHIN: Final = 60.0

    def __init__(self) -> None:
        self._moves: deque[tuple[float, str]] = deque(maxlen=8)

    def moved(self, now: float, why: str) -> Sequence[str]:
        """Note a move and its cause; return the causes of the last minute, if they are too many."""
        self._moves.append((now, why))
        recent = [cause for _, cause in self.recent(now)]
        return recent if len(recent) > self._MOST else ()

    def recent(self, now: float) -> list[tuple[float, str]]:
        """The moves of the last minute, the oldest first: how many seconds ago, and the cause."""
        return [(now - at, cause) for at, cause in self._moves if now - at < self._WITHIN]

    def restore(self, now: float, moves: Iterable[tuple[float, str]]) -> None:
        """Go on with the moves of a hub that comes from another process, as ``recent`` gives them."""
        self._moves.clear()
        self._moves.extend((now - age, cause) for age, cause in moves)
