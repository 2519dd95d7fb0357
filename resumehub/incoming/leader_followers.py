"""A few threads that read for all transports: one leads, the others follow.

The *leader* waits for input on all sockets at once. It reads and handles what comes itself, transport by
transport, and runs the callbacks, too. So a message costs no thread switch, and threads do not compete for
the interpreter's lock. That is good while callbacks are quick. Against slow callbacks there are two rules:

* One follower is the leader's *deputy*. It looks every 5 milliseconds. If the leader is still in the same
  callback and waits (or has computed in it for ten milliseconds), the deputy becomes the leader; the old
  leader finishes what it is doing, and then follows.
* After a callback that has waited for a millisecond or more, the leader *steps aside* for twice that time:
  before each callback it makes another thread the leader. So slow callbacks delay the other transports only
  in proportion, and quick callbacks cost no thread switch. A callback that computes for long is not slow in
  this sense: there is one interpreter, and all threads would wait for it anyway.

One thread at a time works for a transport, from the moment at which its task is ready until its turn is over.
(POSA 2 calls this pattern Leader/Followers.) There are as many threads as callbacks that run at the same
moment, and two more. Where sockets can't be polled (TLS inside the server, systems without epoll), each
transport has a reader thread of its own; ``reader.py`` does the work in both cases.

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
"""For so many looks a leader may compute in one callback: a new leader would have to wait for it anyway."""

QUIET_LOOKS = 20
"""After so many looks at a leader that has nothing to do, the deputy sleeps until the leader wakes it."""

LINGER = 1.0
"""Seconds for which a follower stays while it is not needed."""


class TurnResult(Enum):
    """What is to be done with a transport after a turn."""

    READ_ON = "wait for more of its input"
    LEFT = "nothing: another thread reads it now, or none"
    PAUSED = "read no more of it until there is room for messages (``when_room``)"


_READ_ON = TurnResult.READ_ON


class ReadTask(Protocol):
    """One transport's work, a turn at a time. ``number``: of its socket's descriptor."""

    number: int
    #: Whether a thread works on it, or it waits in ``_ready``. Under the lock of ``LeaderFollowers``.
    in_hand: bool

    def take(self, me: Worker) -> TurnResult: ...
    def when_room(self) -> None: ...


class Worker:
    """What belongs to one of the threads."""

    __slots__ = ("asleep", "called_at", "changed", "computed", "cork", "effort", "patience", "quiet")

    def __init__(self, runtime: Runtime, lock: Lock) -> None:
        self.changed = runtime.condition(lock)
        self.cork = Cork()
        #: When its present callback began, and the thread's ``Effort`` until then if that is measured.
        self.called_at = 0.0
        self.effort: Effort | None = None
        #: Gives the seconds that the thread has computed, for its deputy. Set by the thread itself.
        self.computed: Callable[[], float] = float
        #: As a deputy: for how many more looks the leader may compute, how often the leader had no work,
        #: and whether the deputy sleeps until it is woken.
        self.patience = self.quiet = 0
        self.asleep = False


class LeaderFollowers:
    """The threads that read, and the transports that they read. Methods: any thread; none blocks."""

    def __init__(
        self, runtime: Runtime, spawn: Callable[[str, Callable[[], None]], Thread], poller: Poller
    ) -> None:
        self._runtime = runtime
        self._spawn = spawn
        self._poller = poller
        self._lock = runtime.lock("the lead")
        self._watched: dict[int, ReadTask] = {}
        # Sockets that had input while a thread worked on them: the poller does not watch them now.
        self._muted: set[int] = set()
        # Sockets that get one more turn after the present one, also without input.
        self._recalled: set[int] = set()
        self._ready: deque[ReadTask] = deque()
        self._workers = 0
        self._leader: Worker | None = None
        self._deputy: Worker | None = None
        self._others: list[Worker] = []
        # The old leader, which is stuck in a callback: what its cork holds back must be written.
        self._stuck: Worker | None = None
        self._polling = False
        self._rung = False
        # Callbacks and turns so far, roughly. From it the deputy sees whether the leader is still at work.
        self._progress = 0
        # Until ``_eager_until`` the leader steps aside before each callback. For the next ``_suspicious``
        # callbacks it is measured how long they compute.
        self._eager_until = float("inf") if runtime.eager else 0.0
        self._suspicious = 0
        self._short_of_threads = False
        self._closed = False
        self._here = make_local()

    def open_cork(self) -> Cork | None:
        """Where a broadcast may hold frames back: if the calling thread reads and more messages wait."""
        cork: Cork | None = getattr(self._here, "cork", None)
        return cork if cork is not None and cork.open else None

    def enter(self, turn: ReadTask) -> None:
        """Have a thread take ``turn`` as soon as possible.

        Raises: RuntimeError when there is no thread and none can be started; then ``turn`` is not kept.
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
        """Have one more turn of a transport taken, also without input."""
        with self._lock:
            task = self._watched.get(number)
            if task is None or task.in_hand:
                self._recalled.add(number)  # it comes after the present turn
            else:
                self._put_in_hand(task)

    def forget(self, number: int) -> None:
        """Stop watching a socket that is about to be closed. The thread that works on it calls this."""
        with self._lock:
            if self._watched.pop(number, None) is not None and number not in self._muted:
                self._poller.unwatch(number)
            self._muted.discard(number)
            self._recalled.discard(number)

    def before_callback(self, me: Worker, more: object) -> None:
        """A turn calls this before a callback. ``more``: whether it has more to handle after it."""
        me.called_at = now()
        if me.called_at < self._eager_until:
            me.cork.flush()
            self._step_aside(me)
        else:
            # The next message may cause frames for the same receivers, which are then written together.
            me.cork.open = self._leader is me and bool(more or self._ready)
        if self._suspicious:
            self._suspicious -= 1
            me.effort = effort()

    def after_callback(self, me: Worker) -> None:
        """A turn calls this after a callback."""
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
        # The first such callback was not measured and may have computed all the time; the next ones are.
        self._suspicious = SUSPICIOUS
        if me.effort is not None and (waited := time_waited(seconds, me.effort, effort())) is not None:
            self._be_eager(waited)

    def _be_eager(self, waited: float) -> None:
        self._eager_until = max(self._eager_until, now() + time_aside(waited))

    def _step_aside(self, me: Worker) -> None:
        """If ``me`` leads, make another thread the leader."""
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
        """End the threads, each as soon as it has no work left."""
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
        """In a forked child: close the descriptors; the parent has the threads."""
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
        """Hand back ``done``; return the next turn, waiting for one if need be. None: the thread may end."""
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
            self._put_in_hand(turn)  # which wakes the leader, if that is another thread
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
            return  # ``forget`` was called after the poller had found it
        if not turn.in_hand:
            turn.in_hand = True
            self._ready.append(turn)
        elif number not in self._muted:
            # Else the poller would report it again and again, until the thread at work has read it.
            self._muted.add(number)
            self._poller.unwatch(number)

    def _stand_by(self, me: Worker) -> bool:
        """Follow until ``me`` leads; False when this thread is no longer needed."""
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
            if me in self._others:  # no thread has called
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
        """Make a follower the deputy, or a new worker, which is returned and must be started."""
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
        """Start ``worker``. If no thread can be started, ``me`` stays the leader, though it is busy."""
        try:
            self._start(worker)
        except RuntimeError:
            log.exception("no thread to read beside a busy one could be started")
            with self._lock:
                self._short_of_threads = True
                if self._leader is None:
                    self._leader = me
