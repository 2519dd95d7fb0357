"""Controlled threads, which a scheduler gives the turn, and the steps that they leave in a trace.

Also the exceptions with which a run ends. Made and used by ``scheduler.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ..runtime.base import ThreadMustLeave

#: What a thread that has not run yet is about to do.
START = "start"

#: The name of the thread that made the scheduler, in traces.
TEST = "the test"


class Abandoned(ThreadMustLeave):
    """Raised in controlled threads when their run is over, to have them leave."""


class Deadlock(AssertionError):
    """No thread can go on; the text says what each one waits for."""


class Livelock(AssertionError):
    """The run goes on and on."""


class OutOfControl(AssertionError):
    """A thread does something that the lab cannot see: it blocks elsewhere, or it is not under control."""


@dataclass(slots=True)
class Step:
    """One turn of one thread: where it stood, and what it did that is worth telling until its next stop."""

    thread: str
    where: str
    deeds: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.thread}: {', '.join([self.where, *self.deeds])}"


class StandsStill(Protocol):
    """A process of a cluster: why none of its threads goes on now; "" where they do."""

    @property
    def stands_still(self) -> str: ...


class Task:
    """One controlled thread."""

    __slots__ = (
        "application",
        "body",
        "deadline",
        "done",
        "error",
        "expired",
        "gate",
        "held",
        "name",
        "obstacle",
        "plain_name",
        "process",
        "ready",
        "thread",
        "timed",
        "where",
    )

    def __init__(self, name: str, body: Callable[[], object], *, plain_name: str) -> None:
        self.name = name
        #: Without the number by which threads of one name differ.
        self.plain_name = plain_name
        self.body = body
        #: What it is about to do.
        self.where = START
        self.ready: Callable[[], bool] | None = None
        #: Says more about what it waits for, as the thread that holds the lock.
        self.obstacle: Callable[[], str] | None = None
        #: Whether it waits with a timeout; such a wait ends early only when the test says so.
        self.timed = False
        self.expired = False
        #: When its wait ends, where time passes in the lab (``memory_cluster.py``); None: never by itself.
        self.deadline: float | None = None
        #: The process of a cluster in which it runs; None where there is only one process.
        self.process: StandsStill | None = None
        self.held = False
        #: Whether it runs code of the application's, or of the test's.
        self.application = False
        self.done = False
        self.error: BaseException | None = None
        self.gate = threading.Lock()
        self.gate.acquire()
        self.thread: threading.Thread | None = None

    def can_go_on(self) -> bool:
        if self.done or self.held or (self.process is not None and self.process.stands_still):
            return False
        return self.expired or self.ready is None or self.ready()

    def waits_for(self) -> str:
        """What it is about to do, and what keeps it from doing it."""
        if self.process is not None and self.process.stands_still:
            return f"{self.where} (its process is {self.process.stands_still})"
        if self.held:
            return f"{self.where} (held by the test)"
        if self.obstacle is not None and not self.can_go_on():
            return self.where + self.obstacle()
        return self.where

    def position(self) -> str:
        """``reader of alice: wait for input``."""
        return f"{self.name}: {self.waits_for()}"


def is_failure(error: BaseException) -> bool:
    """Whether it says that a test has failed: an AssertionError, or pytest's own.

    Neither a skip nor the end of pytest-timeout's patience is one.
    """
    if isinstance(error, AssertionError):
        return True
    return type(error).__name__ == "Failed" and not str(error).startswith("Timeout (>")
