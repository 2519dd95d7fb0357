"""One thread that handles the commands of all others, one by one, in the order in which they were put.

The hub and the client both have such a thread. Any thread puts a command, which is stamped with the time. The
loop's thread takes it, first fires the deadlines before it, each at its own time, and performs it. A pure
machine decides; the owner of the loop carries out. The loop waits for its mailbox and for the next deadline,
and for nothing else. It knows neither commands nor effects. Used by ``server/hub_loop.py`` and
``client/client_loop.py``. Read next: ``base.py``, ``../clock.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ..clock import Clock
from .base import Event, Runtime
from .foreign_code import Log, passes

CommandT = TypeVar("CommandT")


class TimedMachine(Protocol):
    """What the loop asks of a machine. Only the loop's thread asks; neither may block."""

    @property
    def finished(self) -> bool:
        """Whether no further command can change anything."""

    def next_deadline(self) -> float | None:
        """The time of the next deadline; None: there is none until a command sets one."""


@dataclass(slots=True)
class Reply:
    """The loop's answer to a caller that waits; it may be read once ``done`` is set.

    ``error``: what the caller must raise. ``count``: of what was done, where ``perform`` counts.
    ``next_deadline``: the machine's, after the command and all that
    was due; None also once the loop has finished.
    """

    done: Event
    error: Exception | None = None
    count: int = 0
    next_deadline: float | None = None


@dataclass(frozen=True, slots=True)
class _Hold:
    """Put what comes aside."""


@dataclass(frozen=True, slots=True)
class _LetGo(Generic[CommandT]):
    """Go on. ``first``: performed before everything else, as if at the time of the hold."""

    first: CommandT | None


class CommandLoop(Generic[CommandT]):
    """A mailbox of commands and the loop that empties it. Methods: any thread, unless said otherwise.

    ``name``: "the hub", "the client". Logs show it, and so do the names of the lock and the events ("the
    hub's mailbox", "the hub's answer"). ``tick``: the command that says that time has passed.
    ``perform(command, at, reply)`` has the machine decide and carries that out, on the loop's thread; it may
    set ``reply.error``. What it raises is our bug: the loop logs it, gives it to the caller that waits, and
    goes on. ``waited(seconds)`` is called before each, on the same thread: so long the command was in the
    queue; None for nobody who wants to know. ``refuse(command, reply)`` is called instead for a command that
    was put in time but comes after the one that finished the machine. If anything else fails, the loop has
    *died*: it refuses like one that has finished, and ``run`` says so to its owner.

    The loop is a ``Timeline``: its owner calls ``clock.follow`` with it before the thread starts, and
    ``clock.unfollow`` once ``run`` has returned.
    """

    def __init__(
        self,
        name: str,
        machine: TimedMachine,
        runtime: Runtime,
        clock: Clock,
        *,
        tick: CommandT,
        perform: Callable[[CommandT, float, Reply | None], None],
        refuse: Callable[[CommandT, Reply | None], None],
        log: Log,
        waited: Callable[[float], None] | None = None,
    ) -> None:
        self._name = name
        self._machine = machine
        self._runtime = runtime
        self._clock = clock
        self._tick = tick
        self._perform = perform
        self._refuse = refuse
        self._log = log
        self._waited = waited
        self._mailbox = runtime.mailbox()
        # Held during a put. So nothing is put once the loop has finished, and stamps never go back.
        self._gate = runtime.lock(f"{name}'s mailbox")
        self._left = False
        # Of the command in hand: when it was put. None: the loop waits for one.
        self._in_hand: float | None = None
        # While the loop is held: since when, and what has come meanwhile, oldest first.
        self._held_since: float | None = None
        self._aside: deque[tuple[float, Any, Reply | None]] = deque()

    @property
    def left(self) -> bool:
        """Whether the loop has finished: nothing can be put any more."""
        return self._left

    def lag(self) -> float:
        """For how many seconds of the clock the oldest command waits that is not handled yet; 0: none does.

        A loop that hangs in a command, or is held, shows a lag that grows. Any thread; never blocks.
        """
        aside, in_hand = self._aside, self._in_hand
        try:
            in_hand = aside[0][0]
        except IndexError:
            pass
        return 0.0 if in_hand is None or self._left else max(0.0, self._clock.monotonic() - in_hand)

    # -- putting ----------------------------------------------------------------------------

    def put(self, command: CommandT, reply: Reply | None = None) -> bool:
        """Queue a command; False if the loop has finished. Never blocks."""
        return self._put(command, reply)

    def _put(self, command: CommandT | _Hold | _LetGo[CommandT], reply: Reply | None) -> bool:
        with self._gate:
            if self._left:
                return False
            self._mailbox.put((self._clock.monotonic(), command, reply))
            return True

    def ask(self, command: CommandT) -> Reply:
        """Queue a command, and wait until it was performed or refused; not at all if the loop has finished.

        Raises: what ``perform`` or ``refuse`` has set as the reply's error, or raised.
        Threads: any but the loop's own. Blocks: until the loop has answered.
        """
        return self._ask(command)

    def _ask(self, command: CommandT | _Hold | _LetGo[CommandT]) -> Reply:
        reply = Reply(self._runtime.event(f"{self._name}'s answer"))
        if self._put(command, reply):
            reply.done.wait()
            if reply.error is not None:
                raise reply.error
        return reply

    def hold(self) -> bool:
        """Let the loop perform what was put before, and put aside what comes; False if it has finished.

        Until ``let_go`` no deadline falls due, and the caller may look at what belongs to the loop's thread.
        The loop's thread does not wait meanwhile. Threads, blocks: as ``ask``.
        """
        self._ask(_Hold())
        return not self._left

    def let_go(self, first: CommandT | None = None) -> None:
        """Perform ``first`` as if at the time of the hold, then what was put aside, and go on. As ``ask``."""
        self._ask(_LetGo(first))

    def settle(self) -> float | None:
        """For the clock: perform what is queued and due by now; return the next deadline. As ``ask``."""
        return self.ask(self._tick).next_deadline

    # -- the loop's thread ------------------------------------------------------------------

    def run(self) -> bool:
        """Perform commands until the machine has finished; then refuse those still queued, and return.

        Returns: whether the machine has finished. False: the loop has died, which is logged.
        Threads: the loop's own. Blocks: until the end.
        """
        try:
            self._work()
        except BaseException as error:
            if passes(error):
                raise
            self._log.critical("the thread of %s has died; please report this", self._name, exc_info=error)
            self._leave()
            return False
        self._leave()
        return True

    def _work(self) -> None:
        while not self._machine.finished:
            item = self._next()
            if item is None:
                # Through the queue, so that a command that was put before a deadline is performed before
                # it, even if this thread has read the clock earlier (tests/races/test_late_hub.py).
                self.put(self._tick)
                continue
            stamp, command, reply = item
            self._in_hand = stamp
            if self._held_since is not None:
                self._while_held(stamp, command, reply)
                continue
            if self._waited is not None:
                self._waited(max(0.0, self._clock.monotonic() - stamp))
            self._pass_time(stamp)
            if isinstance(command, _Hold):
                self._handle(self._tick, stamp, None)
                self._held_since = stamp
            elif not isinstance(command, _LetGo):
                self._handle(command, stamp, reply)
            # Again, for a deadline of zero seconds that the command has set: with a clock that stands
            # still the wait for it would not end.
            self._pass_time(stamp)
            self._answer(reply, self._machine.next_deadline())
            del item, command, reply  # a thread that waits keeps nothing of sessions

    def _next(self) -> Any:
        self._in_hand = None
        if self._held_since is not None:
            return self._mailbox.get()
        if self._aside:
            return self._aside.popleft()
        return self._mailbox.get(self._clock.real_wait(self._machine.next_deadline()))

    def _while_held(self, stamp: float, command: Any, reply: Reply | None) -> None:
        assert self._held_since is not None, "the caller has looked"
        if isinstance(command, _LetGo):
            if command.first is not None:
                self._handle(command.first, self._held_since, reply)
            self._held_since = None
            self._answer(reply, None)
        elif command is self._tick or isinstance(command, _Hold):
            self._answer(reply, None)
        else:
            self._aside.append((stamp, command, reply))

    @staticmethod
    def _answer(reply: Reply | None, next_deadline: float | None) -> None:
        if reply is not None:
            reply.next_deadline = next_deadline
            reply.done.set()

    def _pass_time(self, now: float) -> None:
        """Fire the deadlines up to ``now``, each at its own time, with all its effects."""
        while (at := self._machine.next_deadline()) is not None and at <= now:
            self._handle(self._tick, at, None)

    def _handle(self, command: CommandT, at: float, reply: Reply | None) -> None:
        try:
            self._perform(command, at, reply)
        except BaseException as error:
            self._report(command, reply, error)

    def _leave(self) -> None:
        with self._gate:
            self._left = True
        while (item := self._aside.popleft() if self._aside else self._mailbox.get(0)) is not None:
            _, command, reply = item
            try:
                if not isinstance(command, _Hold | _LetGo):
                    self._refuse(command, reply)
            except BaseException as error:
                self._report(command, reply, error)
            if reply is not None:
                reply.done.set()

    def _report(self, command: CommandT, reply: Reply | None, error: BaseException) -> None:
        """A bug of ours: log it, give it to the caller that waits, and go on."""
        if passes(error):
            raise error
        what = type(command).__name__
        self._log.error("%s could not handle %s; please report this", self._name, what, exc_info=error)
        if reply is not None:
            reply.error = error if isinstance(error, Exception) else _as_exception(error, what)

    # -- fork -------------------------------------------------------------------------------

    def after_fork_in_child(self) -> None:
        """In a forked child: nothing is put from now on; the parent has the loop's thread. Never blocks."""
        # A new lock: a thread of the parent may have held the old one when the process forked.
        self._gate = self._runtime.lock(f"{self._name}'s mailbox")
        self._left = True


def _as_exception(error: BaseException, what: str) -> Exception:
    # The caller's thread may be the main thread, which a SystemExit of the loop's thread must not end.
    made = RuntimeError(f"{what} failed with {type(error).__name__}; see __cause__")
    made.__cause__ = error
    return made
