"""A few threads that read for all connections: one leads, the others follow.

The *leader* waits for input on all sockets at once. What comes, it reads and handles itself, connection by
connection, callbacks and all: a message costs no thread switch, and nobody contends for the interpreter's
lock. That is well while callbacks are quick. For the others there is this:

* One follower is the leader's *deputy*. It looks every 5 milliseconds, and if the leader still waits in the
  callback in which it was before (or has computed in it for ten), the deputy leads, and the other finishes
  what it has in hand as a follower.
* Once a callback has waited for a millisecond or more, for twice as long nobody waits for a callback at all:
  before each, the leader *steps aside*. That keeps what slow callbacks cost the others in proportion, and
  quick ones free of thread switches. A callback that computes for long is not slow in this sense: there is
  one interpreter, and all would wait for it anyway.

A connection is in one pair of hands at a time: whoever has it neither polls nor hands it to others before its
turn is over. (POSA 2 calls this pattern Leader/Followers.) There are as many threads as callbacks that run
at the same moment, and two more. Where nothing can be polled (TLS inside the server, systems without epoll)
each connection has a reader of its own, ``reader.py``, whose class does the work here, too.

It knows nothing of sessions. Read next: ``reader.py``, docs/explanation/threads.md.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from ..clock import Effort, effort, now
from ..outgoing.cork import Cork
from ..runtime.base import Lock, Poller, Runtime, Thread
from ..runtime.system import make_local
from .slow_callbacks import SLOW, SUSPICIOUS, time_aside, time_waited

log = logging.getLogger("resumehub")

LOOK = 0.005
"""Seconds between two looks of the deputy."""

PATIENCE = 2
"""For so many looks a leader may compute in one callback: who took the lead would compute in its place."""

QUIET_LOOKS = 20
"""After so many looks at a leader that has nothing to do, the deputy sleeps until that one wakes it."""

LINGER = 1.0
"""Seconds that a follower stays which is not needed."""


class TurnResult(Enum):
    """What became of a connection in a turn."""

    READ_ON = "wait for more of its input"
    LEFT = "it is somebody else's now, or nobody's"
    PAUSED = "no more of it until there is room for what was read (``when_room``)"


_READ_ON = TurnResult.READ_ON


class ReadTask(Protocol):
    """One connection's work, a turn at a time. ``number``: of its socket's descriptor."""

    number: int
    #: Whether somebody has it in hand, or soon will. Belongs to the readers' lock.
    in_hand: bool

    def take(self, me: Worker) -> TurnResult: ...
    def when_room(self) -> None: ...


class Worker:
    """One of the threads."""

    __slots__ = ("asleep", "called_at", "changed", "computed", "cork", "effort", "patience", "quiet")

    def __init__(self, runtime: Runtime, lock: Lock) -> None:
        self.changed = runtime.condition(lock)
        self.cork = Cork()
        #: When its present callback began, and its thread's efforts until then if those are measured.
        self.called_at = 0.0
        self.effort: Effort | None = None
        #: Seconds that it has computed; for its deputy. Set by the thread itself.
        self.computed: Callable[[], float] = float
        #: As a deputy: for how many looks yet a leader may compute, how often it has found it without work,
        #: and whether it waits to be woken.
        self.patience = self.quiet = 0
        self.asleep = False


class LeaderFollowers:
    """The threads that read, and the connections for which they do. Methods: any thread; none blocks."""

    def __init__(
        self, runtime: Runtime, spawn: Callable[[str, Callable[[], None]], Thread], poller: Poller
    ) -> None:
        self._runtime = runtime
        self._spawn = spawn
        self._poller = poller
        self._lock = runtime.lock("the lead")
        self._watched: dict[int, ReadTask] = {}
        # Those that had input while they were in somebody's hand: the poller is silent on them.
        self._muted: set[int] = set()
        # Those that are to have one more turn behind the present one, whatever comes in.
        self._recalled: set[int] = set()
        self._ready: deque[ReadTask] = deque()
        self._workers = 0
        self._leader: Worker | None = None
        self._deputy: Worker | None = None
        self._others: list[Worker] = []
        # From whom the lead was taken: what it holds back is to be written.
        self._stuck: Worker | None = None
        self._polling = False
        self._rung = False
        # Callbacks and turns so far, about. The deputy's: has the leader got on since its last look?
        self._progress = 0
        # Until then the leader steps aside before each callback, and of so many it is measured for how long
        # they compute.
        self._eager_until = float("inf") if runtime.eager else 0.0
        self._suspicious = 0
        self._short_of_threads = False
        self._closed = False
        self._here = make_local()

    def open_cork(self) -> Cork | None:
        """A broadcast's: where to hold it back, if the calling thread reads and has more in hand."""
        cork: Cork | None = getattr(self._here, "cork", None)
        return cork if cork is not None and cork.open else None

    def enter(self, turn: ReadTask) -> None:
        """Have ``turn`` taken as soon as may be.

        Raises: RuntimeError when there is no thread to take it, and none is to be had; then it is not kept.
        """
        first = None
        with self._lock:
            self._put_in_hand(turn)
            self._short_of_threads = False
            if not self._workers:
                first = self._leader = self._new_worker()
        if first is not None:
            try:
                self._start(first)
            except RuntimeError:
                with self._lock:
                    self._ready.remove(turn)
                raise

    def recall(self, number: int) -> None:
        """Have one more turn of a connection taken, though nothing may have come in."""
        with self._lock:
            task = self._watched.get(number)
            if task is None or task.in_hand:
                self._recalled.add(number)  # it comes behind the present turn
            else:
                self._put_in_hand(task)

    def forget(self, number: int) -> None:
        """Whoever has a connection in hand: watch its socket no more, which is about to be closed."""
        with self._lock:
            if self._watched.pop(number, None) is not None and number not in self._muted:
                self._poller.unwatch(number)
            self._muted.discard(number)
            self._recalled.discard(number)

    def before_callback(self, me: Worker, more: object) -> None:
        """A turn's, ahead of a callback. ``more``: whether there is more in hand than that."""
        me.called_at = now()
        if me.called_at < self._eager_until:
            me.cork.flush()
            self._step_aside(me)
        else:
            # If the next one follows at once, it may have something for the same receivers.
            me.cork.open = self._leader is me and bool(more or self._ready)
        if self._suspicious:
            self._suspicious -= 1
            me.effort = effort()

    def after_callback(self, me: Worker) -> None:
        """A turn's, behind a callback."""
        took = now() - me.called_at
        if took > SLOW:
            self._took_long(me, took)
        me.effort = None
        self._progress += 1
        cork = me.cork
        cork.open = False
        if cork and cork.is_due():
            cork.flush()

    def _took_long(self, me: Worker, seconds: float) -> None:
        # The first of its kind may have computed all the time; from the next ones it will be known.
        self._suspicious = SUSPICIOUS
        if me.effort is not None and (waited := time_waited(seconds, me.effort, effort())) is not None:
            self._be_eager(waited)

    def _be_eager(self, waited: float) -> None:
        self._eager_until = max(self._eager_until, now() + time_aside(waited))

    def _step_aside(self, me: Worker) -> None:
        """Let another lead, if ``me`` does."""
        new = None
        with self._lock:
            if self._leader is not me:
                return
            heir = self._others.pop() if self._others else self._deputy
            if heir is None:
                heir = new = self._new_worker()
            if heir is self._deputy:
                self._deputy = None
            self._leader = heir
            heir.changed.notify()
        if new is not None:
            self._start_or_do_without(new, me)

    def close(self) -> None:
        """Let the threads go, each when it has nothing in hand any more."""
        with self._lock:
            self._closed = True
            for worker in (self._deputy, *self._others):
                if worker is not None:
                    worker.changed.notify()
            if self._polling:
                self._poller.wake()
            if not self._workers:
                self._poller.close()

    def after_fork_in_child(self) -> None:
        """Close the descriptors; the threads stayed with the parent."""
        self._poller.close()

    # -- the threads ------------------------------------------------------------------------

    def _serve(self, me: Worker) -> None:
        self._here.cork = cork = me.cork
        me.computed = self._runtime.stopwatch()
        turn = self._next(me, None)
        while turn is not None:
            outcome = turn.take(me)
            if cork and (not self._ready or self._leader is not me or cork.is_due()):
                cork.flush()
            if outcome is _READ_ON:
                turn = self._next(me, turn)
                continue
            if outcome is TurnResult.PAUSED:
                turn.when_room()
            turn = self._next(me, None)
        self._leave(me)

    def _next(self, me: Worker, done: ReadTask | None) -> ReadTask | None:
        """The next turn to take, now or when it comes; None: this thread may end."""
        while True:
            with self._lock:
                if done is not None:
                    self._hand_back(done)
                    done = None
                if self._leader is not me and not self._stand_by(me):
                    return None
                stuck, self._stuck = self._stuck, None
                if stuck is None and self._ready:
                    turn = self._ready.popleft()
                    self._progress += 1
                    deputy = self._appoint() if self._deputy is None else None
                    break
                if stuck is None and self._closed:
                    return None
                self._polling = stuck is None
            if stuck is not None:
                stuck.cork.pull()
                continue
            found = self._poller.wait()
            with self._lock:
                self._polling = self._rung = False
                if self._deputy is not None and self._deputy.asleep:
                    self._deputy.changed.notify()
                for number in found:
                    self._has_input(number)
        if deputy is not None:
            self._start_or_do_without(deputy, me)
        return turn

    def _leave(self, me: Worker) -> None:
        with self._lock:
            self._workers -= 1
            if self._leader is me:
                self._leader = None
            if self._deputy is me:
                self._deputy = None
            if self._closed and not self._workers:
                self._poller.close()

    # -- with the lock held -----------------------------------------------------------------

    def _put_in_hand(self, task: ReadTask) -> None:
        task.in_hand = True
        self._ready.append(task)
        if self._polling and not self._rung:
            self._rung = True
            self._poller.wake()

    def _hand_back(self, turn: ReadTask) -> None:
        number = turn.number
        if self._recalled and number in self._recalled:
            self._recalled.remove(number)
            self._ready.append(turn)
            return
        turn.in_hand = False
        if number not in self._watched:
            self._poller.watch(number)
        elif number in self._muted:
            self._muted.remove(number)
            self._poller.watch(number)
        self._watched[number] = turn

    def _has_input(self, number: int) -> None:
        turn = self._watched.get(number)
        if turn is None:
            return  # forgotten while the leader was told of it
        if not turn.in_hand:
            turn.in_hand = True
            self._ready.append(turn)
        elif number not in self._muted:
            # Else the poller would say so again and again, until somebody has read it.
            self._muted.add(number)
            self._poller.unwatch(number)

    def _stand_by(self, me: Worker) -> bool:
        """Follow, until ``me`` leads; False when that is not needed any more."""
        while not self._closed:
            if self._leader is me:
                return True
            if self._deputy is None:
                self._deputy = me
                me.quiet = 0
            if self._deputy is me:
                self._watch_the_leader(me)
                continue
            self._others.append(me)
            me.changed.wait(LINGER)
            if me in self._others:  # nobody has called
                self._others.remove(me)
                return False
        return self._leader is me

    def _watch_the_leader(self, me: Worker) -> None:
        leader, before = self._leader, self._progress
        computed = leader.computed() if leader is not None else 0.0
        me.asleep = self._polling and me.quiet >= QUIET_LOOKS
        me.changed.wait(None if me.asleep else LOOK)
        me.asleep = False
        if self._leader is me or self._closed:
            return
        if self._polling or self._progress != before:
            me.quiet = me.quiet + 1 if self._progress == before else 0
            me.patience = PATIENCE
            return
        waits = leader is None or leader.computed() - computed < LOOK / 2
        me.patience -= 1
        if waits or me.patience <= 0:
            self._deputy, self._leader, self._stuck = None, me, leader
            if waits:
                self._be_eager(LOOK)

    def _appoint(self) -> Worker | None:
        """See to it that there is a deputy; a new one is to be started."""
        if self._others:
            self._deputy = self._others.pop()
            self._deputy.quiet = 0
            self._deputy.changed.notify()
            return None
        if self._short_of_threads or self._closed:
            return None
        self._deputy = self._new_worker()
        return self._deputy

    def _new_worker(self) -> Worker:
        self._workers += 1
        return Worker(self._runtime, self._lock)

    # -- without the lock -------------------------------------------------------------------

    def _start(self, worker: Worker) -> None:
        try:
            self._spawn("reader", lambda: self._serve(worker))
        except RuntimeError:
            self._leave(worker)
            raise

    def _start_or_do_without(self, worker: Worker, me: Worker) -> None:
        """The leader's: without a thread to step in, it goes on leading whatever it is busy with."""
        try:
            self._start(worker)
        except RuntimeError:
            log.exception("no thread to read beside a busy one could be started")
            with self._lock:
                self._short_of_threads = True
                if self._leader is None:
                    self._leader = me
