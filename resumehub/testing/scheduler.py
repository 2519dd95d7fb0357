"""Threads that run one at a time, in an order that the test decides.

A controlled thread is a real thread that runs only while it has the *turn*. It stops where it calls the
runtime (``controlled.py``): at a lock, a condition, an event, a queue, a socket, a spawn. There it
says what it is about to do and gives the turn back; a *strategy* picks the next thread among those that can
go on. So a run is a list of choices: it can be written down, repeated, and varied one choice at a
time. The thread that made the scheduler (the test) has the turn whenever no other thread runs.

It knows nothing of hubs. What does not call the runtime is not under control: code between two stops runs
as one piece, and the memory model of the machine is not explored. Read next: ``tasks.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Protocol

from ..runtime.stacks import stack_of
from .tasks import START, TEST, Abandoned, Deadlock, Livelock, OutOfControl, Step, Task

#: A run that takes more steps than this is taken for one that never ends.
MAX_STEPS = 20_000

#: How long one step may take, in real seconds: a controlled thread that blocks without a call to the runtime
#: would otherwise hang the test, and nothing would say where.
PATIENCE = 15.0


class Strategy(Protocol):
    """Which thread is next? Called with the names of those that can go on; 0 is always "no switch"."""

    def choose(self, names: list[str]) -> int: ...


class Hold:
    """A place where threads are stopped until ``let_go``. Made by ``Scheduler.hold``."""

    def __init__(self, scheduler: Scheduler, place: str, only: Task | None = None) -> None:
        self._scheduler = scheduler
        #: ``thread: where``, as in ``positions()``; ``*`` stands for anything.
        self.place = place
        self._only = only

    def catches(self, task: Task) -> bool:
        """Whether the task stands there. "reader of alice" is each of that name, "… (2)" just the second."""
        if self._only not in (None, task):
            return False
        return any(fnmatchcase(f"{name}: {task.where}", self.place) for name in {task.name, task.plain_name})

    @property
    def caught(self) -> list[Task]:
        """The threads that stand there now."""
        return [task for task in self._scheduler.tasks if not task.done and self.catches(task)]

    def let_go(self) -> None:
        """Open it for good."""
        self._scheduler.unhold(self)

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *exc: object) -> None:
        self.let_go()


class Scheduler:
    """Gives one task after another the turn. Used by the thread that made it and by its tasks."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        #: The tasks that have not ended, in order of their beginning.
        self.tasks: list[Task] = []
        #: What happened, a step for each turn of a thread.
        self.trace: list[Step] = []
        #: Called after every step with the task that made it, while no task has the turn.
        self.after_step: Callable[[Task], None] | None = None
        #: Called before the test lets the tasks run; and when a task is about to wait, with that task.
        self.before_run: Callable[[], None] = _nothing
        self.before_wait: Callable[[Task], None] | None = None
        #: Where time passes: what it is, and a function that lets it pass up to the next deadline of a wait,
        #: at most up to a point in time; False if there is none before that.
        self.time: Callable[[], float] | None = None
        self.let_time_pass: Callable[[float | None], bool] = _never_passes
        self.current: Task | None = None
        #: Whether the run is over, and every thread on its way out.
        self.abandoned = False
        self._names: dict[str, int] = {}
        self._holds: list[Hold] = []
        #: The number of the thread that made this, and drives.
        self.owner = threading.get_ident()
        self._driver = threading.Lock()
        self._driver.acquire()
        self._stop: Callable[[], bool] = _never
        self._last: Task | None = None
        self._only: Task | None = None
        self._failure: BaseException | None = None

    # -- for the test -----------------------------------------------------------------------

    def spawn(self, name: str, body: Callable[[], object]) -> Task:
        """Add a controlled thread; it starts when it is first chosen. A second of that name is "name (2)"."""
        if self.abandoned:
            raise Abandoned
        count = self._names[name] = self._names.get(name, 0) + 1
        task = Task(name if count == 1 else f"{name} ({count})", body, plain_name=name)
        task.thread = threading.Thread(target=self._live, args=(task,), name=f"lab: {task.name}", daemon=True)
        task.held = self._is_held(task)
        self.tasks.append(task)
        return task

    def run_until(self, condition: Callable[[], bool]) -> bool:
        """Let the tasks run until ``condition``; False if no task can go on before it holds.

        Raises: what a task or ``after_step`` raised; Livelock; OutOfControl.
        """
        assert self.current is None, "only the test drives; a thread of the lab waits with `pause`"
        if condition():
            return True
        self._stop = condition
        self.before_run()
        following = self._pick()
        if following is not None:
            self._hand_to(following)
            self._await_turn()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return condition()

    def run_until_idle(self) -> None:
        """Let the tasks run until none can go on."""
        self.run_until(_never)

    def step(self, task: Task | None = None) -> bool:
        """Let just this task (None: the next one) run to its next stop; False if it cannot go on."""
        if task is not None and not task.can_go_on():
            return False
        count = len(self.trace)
        self._only = task
        try:
            self.run_until(lambda: len(self.trace) > count)
        finally:
            self._only = None
        return len(self.trace) > count

    def hold(self, place: str, only: Task | None = None) -> Hold:
        """Stop tasks that come to ``place`` ("thread: where", with ``*``) or are there, until ``let_go``."""
        hold = Hold(self, place, only)
        self._holds.append(hold)
        self._look_at_holds()
        return hold

    def unhold(self, hold: Hold) -> None:
        if hold in self._holds:
            self._holds.remove(hold)
        self._look_at_holds()

    def let_all_go(self) -> None:
        """Open every hold."""
        self._holds.clear()
        self._look_at_holds()

    def expire(self, task: Task) -> None:
        """End the task's timed wait as if its time had passed."""
        assert task.timed, f"{task.name} does not wait with a timeout: it is about to {task.where}"
        task.expired = True

    def positions(self) -> str:
        """Where every thread is, a line each."""
        positions = [f"  {task.position()}" for task in self.tasks]
        return "\n".join(positions) or "  (no thread is left)"

    def abandon(self) -> None:
        """End the run: every task that has not finished is made to leave, and joined."""
        self.abandoned = True
        for task in list(self.tasks):
            if task.done or task.thread is None or task.thread.ident is None:
                continue
            task.gate.release()
            # One that blocks elsewhere cannot be made to leave; the check for leaks (``leaks.py``) finds it.
            task.thread.join(0.5 if task is self.current else PATIENCE)
        self.current = None

    # -- for the runtime --------------------------------------------------------------------

    def pause(
        self,
        where: str,
        ready: Callable[[], bool] | None = None,
        *,
        timed: bool = False,
        obstacle: Callable[[], str] | None = None,
        seconds: float | None = None,
    ) -> bool:
        """Stop here until ``ready`` and chosen; False if a timed wait was ended by ``expire``.

        ``seconds``: of a timed wait, for a lab in which time passes.
        In the test's own thread it lets the tasks run until ``ready``.
        Raises: Abandoned; Deadlock (in the test's thread); OutOfControl (in a thread that is not controlled).
        """
        if not self.is_inside():
            return self._pause_driver(where, ready, timed, obstacle, seconds)
        task = self.current
        assert task is not None, "is_inside says so"
        task.where, task.ready, task.obstacle = where, ready, obstacle
        task.timed, task.expired = timed, False
        if self.time is not None:
            task.deadline = self.time() + max(0.0, seconds) if seconds is not None else None
        if self.before_wait is not None:
            self.before_wait(task)
        if task.thread is not None:
            # A dump of all stacks (pytest-timeout) has the names, and so shows where every thread was.
            task.thread.name = f"lab: {task.name}: {where}"
        task.held = bool(self._holds) and self._is_held(task)
        self._pass_on(task)
        task.timed, task.deadline = False, None
        return not task.expired or ready is None or ready()

    def did(self, deed: str) -> None:
        """Note for the trace what the running thread has just done."""
        if self.current is None:
            self.trace.append(Step(TEST, "", [deed]))
        else:
            self.trace[-1].deeds.append(deed)

    def is_fresh(self) -> bool:
        """Whether the running thread has just begun and done nothing yet: no need to stop it again."""
        return self.trace[-1].where == START and not self.trace[-1].deeds

    def is_inside(self) -> bool:
        """Whether the caller is a controlled thread; False for the test's. Raises OutOfControl, Abandoned."""
        ident = threading.get_ident()
        task = self.current
        if task is not None and task.thread is not None and task.thread.ident == ident:
            return True
        if ident == self.owner and task is None:
            return False
        if self.abandoned:
            raise Abandoned
        name = threading.current_thread().name
        raise OutOfControl(
            f"thread {name!r} uses the hub, and the lab does not control it. Threads of the scenario "
            "are actors (@lab.actor), or are started with lab.threading.Thread"
        )

    def _pause_driver(
        self,
        where: str,
        ready: Callable[[], bool] | None,
        timed: bool,
        obstacle: Callable[[], str] | None,
        seconds: float | None,
    ) -> bool:
        if ready is None or ready():
            return True
        assert not self.abandoned, "the run is over: no task is left to wait for"
        end = self.time() + max(0.0, seconds) if self.time is not None and seconds is not None else None
        if self.run_until(ready):
            return True
        while self.let_time_pass(end):
            if self.run_until(ready):
                return True
        if timed:
            return False
        more = obstacle() if obstacle is not None else ""
        raise Deadlock(
            f"the test is about to {where}{more}, and no thread can go on. The threads:\n{self.positions()}"
        )

    def _live(self, task: Task) -> None:
        try:
            task.body()
        except Abandoned:
            pass
        except BaseException as error:
            task.error = error
            self._failure = self._failure or error
        task.done = True
        if not self.abandoned:
            self.tasks.remove(task)
            self._pass_on(task)

    def _pass_on(self, task: Task) -> None:
        """Give the turn to the next task, and wait for it to come back (unless done)."""
        if self.abandoned:
            raise Abandoned
        self.current = None
        following: Task | None = None
        try:
            if self.after_step is not None:
                self.after_step(task)
            if self._failure is None and not self._stop():
                following = self._pick()
        except BaseException as error:
            self._failure = error
        if following is task:
            self.current = task
            return
        if following is None:
            self._driver.release()
        else:
            self._hand_to(following)
        if not task.done:
            task.gate.acquire()
            if self.abandoned:
                raise Abandoned
            self.current = task

    def _hand_to(self, task: Task) -> None:
        self.current = task
        assert task.thread is not None, "spawn made it"
        if task.thread.ident is None:
            task.thread.start()
        else:
            task.gate.release()

    def _await_turn(self) -> None:
        count = -1
        while not self._driver.acquire(timeout=PATIENCE):
            if len(self.trace) == count:
                raise OutOfControl(self._stuck_text())
            count = len(self.trace)

    def _stuck_text(self) -> str:
        task = self.current
        name = task.name if task is not None else "a thread"
        ident = task.thread.ident if task is not None and task.thread is not None else None
        stack = stack_of(ident, 4) or "  (it has no stack)\n"
        return (
            f"{name} has not come to a stop for {PATIENCE:g} seconds: it waits for something that is not "
            "under the lab's control (a lock of your own: use lab.threading), or computes for very long:\n"
            f"{stack}The others:\n{self.positions()}"
        )

    def _pick(self) -> Task | None:
        if self._only is not None:
            chosen = self._only
        else:
            able = [task for task in self.tasks if task.can_go_on()]
            if not able:
                return None
            if self._last is not able[0] and self._last in able:
                # First, so that choice 0 is always "go on": a schedule of zeros has no switch.
                able.remove(self._last)
                able.insert(0, self._last)
            index = self.strategy.choose([task.name for task in able]) if len(able) > 1 else 0
            chosen = able[index]
        self._last = chosen
        self.trace.append(Step(chosen.name, chosen.where))
        if len(self.trace) > MAX_STEPS:
            recent = "\n".join(f"  {step}" for step in self.trace[-10:])
            raise Livelock(
                f"the run did not end within {MAX_STEPS} steps; the last were\n{recent}\n"
                f"and the threads are\n{self.positions()}"
            )
        return chosen

    def _is_held(self, task: Task) -> bool:
        return any(hold.catches(task) for hold in self._holds)

    def _look_at_holds(self) -> None:
        for task in self.tasks:
            task.held = self._is_held(task)


def literally(name: str) -> str:
    """``name`` for a place in which it must stand for nothing else."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _never() -> bool:
    return False


def _nothing() -> None:
    """Nothing has to be done."""


def _never_passes(until: float | None) -> bool:
    return False
