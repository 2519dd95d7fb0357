"""What the threads that read share: a transport's task, what a turn ends with, and a thread's own state.

Values and contracts. Read next: ``leader_followers.py``, and ``reader.py`` for the real tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from ..clock import Effort
from ..outgoing.cork import Cork
from ..runtime.base import Lock, Runtime


class TurnResult(Enum):
    """What is to be done with a transport after a turn."""

    READ_ON = "wait for more of its input"
    LEFT = "nothing: another thread reads it now, or none"
    PAUSED = "read no more of it for now: it says itself when it is to be read again (``resume_later``)"


class ReadTask(Protocol):
    """One transport's work, a turn at a time. ``number``: of its socket's descriptor.

    ``give_up``: the transport cannot be read any more; report that, and close it. It raises nothing.
    """

    number: int
    #: Whether a thread works on it, or it waits in ``TurnQueue.ready``. Under the lock of
    #: ``LeaderFollowers``.
    in_hand: bool

    def take(self, me: Worker) -> TurnResult: ...
    def resume_later(self) -> None: ...
    def give_up(self, why: BaseException) -> None: ...


class LastTurn:
    """The turn of a task whose socket cannot be watched, for the reason ``why``."""

    in_hand = True

    def __init__(self, task: ReadTask, why: BaseException) -> None:
        self._task = task
        self._why = why
        self.number = task.number

    def take(self, me: Worker) -> TurnResult:
        self._task.give_up(self._why)
        return TurnResult.LEFT

    def resume_later(self) -> None:
        raise AssertionError("it reads nothing")

    def give_up(self, why: BaseException) -> None:
        """It has done so."""


class Worker:
    """What belongs to one of the threads."""

    __slots__ = ("asleep", "called_at", "changed", "computed", "cork", "done", "effort", "patience", "quiet")

    def __init__(self, runtime: Runtime, lock: Lock) -> None:
        self.changed = runtime.condition(lock)
        self.cork = Cork()
        #: Its last turn, if more input of that is to be waited for, until it is handed back.
        self.done: ReadTask | None = None
        #: When its present callback began, and the thread's ``Effort`` until then if that is measured.
        self.called_at = 0.0
        self.effort: Effort | None = None
        #: Gives the seconds that the thread has computed, for its deputy. Set by the thread itself.
        self.computed: Callable[[], float] = float
        #: As a deputy: for how many more looks the leader may compute, how often the leader had no work,
        #: and whether the deputy sleeps until it is woken.
        self.patience = self.quiet = 0
        self.asleep = False


def computed(worker: Worker | None) -> float:
    """The seconds that a worker has computed; 0.0 where there is none, or its thread has ended."""
    try:
        return worker.computed() if worker is not None else 0.0
    except OSError:  # EINVAL: the system does not know that thread any more
        return 0.0
