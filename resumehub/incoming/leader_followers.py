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

A transport with more to handle than fits into a turn goes on behind the others' input (``turn_queue.py``).

One thread at a time works for a transport, from the moment at which its task is ready until its turn is over.
(POSA 2 calls this pattern Leader/Followers.) There are as many threads as callbacks that run at the same
moment, and two more. Where sockets can't be polled (TLS inside the server, systems without epoll), each
transport has a reader thread of its own; ``reader.py`` does the work in both cases.

Whatever ends the leader, its deputy leads then. A turn that fails costs its transport only, and so does a
system call of the poller (``watched_sockets.py``). Should all of these threads have ended although there is
work, the watcher starts a new one (``look``).

It knows nothing of sessions. Read next: ``reader.py``, docs/explanation/threads.md.
"""

from __future__ import annotations

from collections.abc import Callable

from ..clock import effort, now
from ..outgoing.cork import Cork
from ..runtime.base import Poller, Runtime, Thread
from ..runtime.foreign_code import Log, passes
from ..runtime.system import make_local
from .read_tasks import ReadTask, TurnResult, Worker, computed
from .slow_callbacks import LOOK, PATIENCE, SLOW, SUSPICIOUS, time_aside, time_waited
from .turn_queue import TurnQueue
from .watched_sockets import POLLER_ERRORS

log = Log(__name__)

QUIET_LOOKS = 20
"""After so many looks at a leader that has nothing to do, the deputy sleeps until the leader wakes it."""

LINGER = 1.0
"""Seconds for which a follower stays while it is not needed."""

_READ_ON = TurnResult.READ_ON


class LeaderFollowers:
    """The threads that read, and the transports that they read. Methods: any thread; none blocks."""

    def __init__(
        self, runtime: Runtime, spawn: Callable[[str, Callable[[], None]], Thread], poller: Poller
    ) -> None:
        self._runtime = runtime
        self._spawn = spawn
        self._lock = runtime.lock("the lead")
        self._turns = TurnQueue(poller, runtime.poller, self._lose_the_leader)
        # The turns' own, which is asked for with every message.
        self._ready = self._turns.ready
        self._workers = 0
        self._leader: Worker | None = None
        self._deputy: Worker | None = None
        self._others: list[Worker] = []
        # The old leader, which is stuck in a callback: what its cork holds back must be written.
        self._stuck: Worker | None = None
        self._polling = False
        self._rung = False
        self._failed_before = False  # whether the last wait for input has failed
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

    def enter(self, turn: ReadTask, *, idle: bool = False) -> None:
        """Have a thread take ``turn`` as soon as possible; ``idle``: once its socket has input.

        Raises: RuntimeError when there is no thread and none can be started; then ``turn`` is not kept.
        """
        first = None
        with self._lock:
            if not (idle and self._workers):
                self._put(turn)
            elif self._turns.hand_back(turn):
                self._ring()
            self._short_of_threads = False
            if not self._workers:
                first = self._leader = self._new_worker()
        if first is not None:
            try:
                self._start(first)
            except BaseException:
                with self._lock:
                    self._ready.remove(turn)
                raise

    def recall(self, number: int) -> None:
        """Have one more turn of a transport taken, also without input."""
        with self._lock:
            if self._turns.recall(number):
                self._ring()

    def forget(self, number: int, *, if_idle: bool = False) -> bool:
        """Stop watching a socket. By the thread that works on it; ``if_idle``: by any, False if one does."""
        with self._lock:
            return self._turns.forget(number, if_idle)

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
            if not self._pass_the_lead():
                new = self._leader = self._new_worker()
        if new is not None:
            self._start_or_do_without(new, me)

    def close(self) -> None:
        """End the threads, each as soon as it has no work left."""
        with self._lock:
            self._closed = True
            for worker in (self._deputy, *self._others):
                if worker is not None:
                    worker.changed.notify()
            self._ring()
            if not self._workers:
                self._turns.sockets.close()

    def is_served(self) -> bool:
        """Whether there is a thread that leads or will, or nothing to do for one."""
        will = self._leader is not None or self._deputy is not None or self._others
        return bool(will) or self._closed or not self._turns.has_work()

    def look(self) -> None:
        """The watcher: start a thread if there is work and all of them have ended. Never blocks."""
        with self._lock:
            if self.is_served():
                return
            first = self._leader = self._new_worker()
        log.critical("all threads that read have ended; a new one is started")
        try:
            self._start(first)
        except RuntimeError:
            log.exception("no thread that reads could be started; the next attempt comes soon")

    def after_fork_in_child(self) -> None:
        """In a forked child: close the descriptors; the parent has the threads."""
        self._turns.sockets.close()

    # -- the threads ------------------------------------------------------------------------

    def _serve(self, me: Worker) -> None:
        try:
            self._here.cork = me.cork
            me.computed = self._runtime.stopwatch()
            self._work(me)
        except BaseException as error:
            if passes(error):
                raise
            log.critical("a thread that reads has ended; please report this", exc_info=error)
        finally:
            self._leave(me)

    def _work(self, me: Worker) -> None:
        cork = me.cork
        turn = self._next(me)
        while turn is not None:
            try:
                outcome = turn.take(me)
                if cork and (not self._ready or self._leader is not me or cork.is_due()):
                    cork.flush()
                if outcome is TurnResult.PAUSED:
                    turn.resume_later()
            except BaseException as error:
                if passes(error):
                    raise
                turn.give_up(error)
                outcome = TurnResult.LEFT
            me.done, turn = (turn if outcome is _READ_ON else None), None  # who waits keeps no session
            turn = self._next(me)

    def _next(self, me: Worker) -> ReadTask | None:
        """Hand back ``me.done``; return the next turn, waiting for one. None: the thread may end."""
        while True:
            with self._lock:
                if me.done is not None and self._turns.hand_back(me.done):
                    self._ring()  # the leader, if that is another thread
                me.done = None
                if self._leader is not me and not self._stand_by(me):
                    return None
                stuck, self._stuck = self._stuck, None
                if stuck is None and self._ready:
                    turn = self._ready.popleft()
                    self._progress += 1
                    deputy = self._appoint() if self._deputy is None else None
                    break
                if stuck is None and self._closed and not self._turns.goes_on:
                    return None
                goes_on = self._turns.goes_on
                self._polling, poller = stuck is None and not goes_on, self._turns.sockets.poller
            if stuck is not None:
                stuck.cork.pull()
                continue
            self._wait_for_input(me, poller, goes_on)
        if deputy is not None:
            self._start_or_do_without(deputy, me)
        return turn

    def _wait_for_input(self, me: Worker, poller: Poller | None, goes_on: bool) -> None:
        """Hear from the poller; ``goes_on``: a task goes on, so do not wait for input."""
        found: list[int] | None = None
        try:
            if poller is not None:
                found = poller.look() if goes_on else poller.wait()
        except POLLER_ERRORS:
            if not self._failed_before:
                log.exception("waiting for input has failed; it goes on")
        with self._lock:
            if self._leader is not me:
                return  # there is another poller since, and another thread waits by it
            self._polling = self._rung = False
            if self._deputy is not None and self._deputy.asleep:
                self._deputy.changed.notify()
            if found is not None:
                self._failed_before = False
                self._turns.have_input(found)
                return
            self._turns.renew()
            self._turns.go_on()
            if self._failed_before:
                me.changed.wait(LINGER)  # it fails again and again: not without a pause
            self._failed_before = True

    def _leave(self, me: Worker) -> None:
        with self._lock:
            self._workers -= 1
            if me in self._others:
                self._others.remove(me)
            if self._deputy is me:
                self._deputy = None
            if self._leader is me:
                self._polling = self._rung = False
                self._pass_the_lead()
            if self._closed and not self._workers:
                self._turns.sockets.close()

    # -- with the lock held -----------------------------------------------------------------

    def _put(self, task: ReadTask) -> None:
        self._turns.put(task)
        self._ring()

    def _ring(self) -> None:
        """Wake the leader, if it waits for input."""
        if self._polling and not self._rung:
            self._rung = True
            if not self._turns.sockets.wake():
                self._turns.renew()

    def _lose_the_leader(self) -> None:
        """There is another poller: a leader that waits by the old one may wait for ever."""
        if self._polling:
            self._polling = self._rung = False
            self._pass_the_lead()

    def _pass_the_lead(self) -> bool:
        """Make a follower the leader; False if there is none, and there is no leader now."""
        heir = self._others.pop() if self._others else self._deputy
        if heir is self._deputy:
            self._deputy = None
        self._leader = heir
        if heir is not None:
            heir.changed.notify()
        return heir is not None

    def _stand_by(self, me: Worker) -> bool:
        """Follow until ``me`` leads; False when this thread is no longer needed."""
        while not self._closed:
            if self._leader is None:  # it has died while every other thread was busy
                self._leader = me
                self._deputy = None if self._deputy is me else self._deputy
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
        had_computed = computed(leader)
        me.asleep = self._polling and me.quiet >= QUIET_LOOKS
        me.changed.wait(None if me.asleep else LOOK)
        me.asleep = False
        if self._leader is me or self._closed:
            return
        if self._polling or self._progress != before:
            me.quiet = me.quiet + 1 if self._progress == before else 0
            me.patience = PATIENCE
            return
        waits = leader is None or computed(leader) - had_computed < LOOK / 2
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
        except BaseException:
            self._leave(worker)
            raise

    def _start_or_do_without(self, worker: Worker, me: Worker) -> None:
        """Start ``worker``. If no thread can be started, ``me`` stays the leader, though it is busy."""
        try:
            self._start(worker)
        except Exception:
            log.exception("no thread to read beside a busy one could be started")
            with self._lock:
                self._short_of_threads = True
                if self._leader is None:
                    self._leader = me
