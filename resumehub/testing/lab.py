"""The lab: a whole hub, its threads and its clients, one step at a time.

    with Lab() as lab:
        hub = lab.open()
        alice = lab.dial("/?id=alice")
        lab.run_until_idle()

The hub in it is the real one with its real threads, sockets and handshake; only the order in which
they run, and the time, are the test's. ``explore`` (``explorer.py``) runs a scenario in every order.
Used by the thread that made it; actors run as threads under its control.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from ..core.invariants import broken
from ..hub import Hub
from .borrowed_hub import BorrowedHub
from .clocks import FakeClock
from .controlled import AT_REST, ControlledRuntime
from .lab_checks import CallbackCheck, CapturedLog
from .lab_threading import Threading
from .peers import Knock, Peer, named_after
from .scheduler import Hold, Scheduler, Strategy, literally
from .tasks import START, Deadlock, Task

#: Places that are worth a name, as "thread: where"; ``{}`` is the connection id.
SEAMS = {
    "the pre-check has passed": "request of {}: tell the hub",
    "the close frame is queued": "writer of {}: start",
    "the end of the line was seen": "reader of {}: tell the hub",
    "the reader is about to start": "reader of {}: start",
    "a callback is about to start": "callbacks*: start",
    "the hub is about to act": "hub: take the next command",
}


class NoSwitch:
    """The strategy of a lab that is not explored: the thread that runs goes on until it has to wait."""

    def choose(self, names: list[str]) -> int:
        return 0


NO_SWITCH = NoSwitch()


class Lab:
    """One run of a hub under control. Also a context manager, which finishes it and cleans up.

    ``strategy`` decides which thread is next while ``play`` runs; before and after, a thread runs on until it
    has to wait.
    ``stop_at_locks``: every lock is a stop for every thread; else only for the application's.
    ``share``: a few threads read for all connections, as in production on Linux; else each connection
    has a reader of its own, with its name ("reader of alice"), as with TLS inside the server.
    """

    def __init__(
        self, strategy: Strategy | None = None, *, stop_at_locks: bool = True, share: bool = False
    ) -> None:
        self._strategy = strategy or NO_SWITCH
        self.scheduler = Scheduler(NO_SWITCH)
        self.runtime = ControlledRuntime(self.scheduler, stop_at_locks=stop_at_locks, share=share)
        #: For the application's own locks and threads, in place of its ``threading`` module.
        self.threading = Threading(self.scheduler, self.runtime)
        self.clock = FakeClock(lock=self.runtime.silent_lock)
        self.hub: Hub | None = None
        self.app: Any = None
        #: What the actors and handlers noted, in order.
        self.notes: list[str] = []
        self.actors: list[Task] = []
        #: Where in ``scheduler.trace`` playing began, and where it ended.
        self.played: tuple[int, int] | None = None
        self._acting = False
        self._invariants: list[Callable[[], str | None]] = []
        self._at_end: list[Callable[[], None]] = []
        self._peers: list[Peer] = []
        self._knocks: list[Knock] = []
        self._callback_check: CallbackCheck | None = None
        self._borrowed: BorrowedHub | None = None
        #: Captures what the hub logs; set its ``quiet``, and the log goes no further.
        self.captured_log = CapturedLog(self.scheduler)
        #: What the hub logged, as records.
        self.log = self.captured_log.records
        logging.getLogger("resumehub").addFilter(self.captured_log)
        self.scheduler.after_step = self._check

    # -- setting the scene ------------------------------------------------------------------

    def open(self, connect: Callable[..., Any] | None = None, **options: Any) -> Hub:
        """Build the hub of this lab, with ``Hub``'s options.

        ``connect``: by default room and id are taken from the query (``/?room=lobby&id=alice``).
        Set ``lab.app`` if a WSGI application mounts the hub; else clients talk to the hub itself.
        """
        self.hub = self.app = Hub(connect or by_query, clock=self.clock, _runtime=self.runtime, **options)
        return self.hub

    def adopt(self, hub: Hub, app: Any = None) -> Hub:
        """Take a hub that was built elsewhere and not used yet, ``app``: the application that mounts it.

        It gets the lab's clock and threads, and is as new when the lab is done with it, so that
        every run of a scenario can adopt the same hub. The handlers' own state is the caller's.
        """
        self._borrowed = BorrowedHub(hub, self.clock, self.runtime)
        self.hub, self.app = hub, app if app is not None else hub
        return hub

    def actor(self, function: Callable[[], Any]) -> Callable[[], Any]:
        """Decorator: a thread of the application, or of the world outside, under control like all others.

        It has the function's name and begins with ``play`` (which ``finish`` calls), or when it is
        stepped, run or held by name.
        """
        task = self.scheduler.spawn(function.__name__, function)
        task.application = True
        task.ready = self._may_act
        self.actors.append(task)
        return function

    def invariant(self, check: Callable[[], str | None]) -> Callable[[], str | None]:
        """Decorator: called after every step; a sentence it returns is a failure. It must not wait."""
        self._invariants.append(check)
        return check

    def at_end(self, check: Callable[[], None]) -> Callable[[], None]:
        """Decorator: called when no thread can go on any more, before the hub is closed; may assert."""
        self._at_end.append(check)
        return check

    def note(self, text: str) -> None:
        """Write something down for ``at_end`` to look at, and for the reader of a failure."""
        self.notes.append(text)
        self.scheduler.did(f"note {text!r}")

    def dial(self, url: str = "/", *, name: str | None = None, **how: Any) -> Peer:
        """A client's upgrade request, all of it. Blocks (in lab time) for the answer.

        ``name``: what a failure calls it; by default the id in the query. ``how``: as for ``connect``.
        Raises: UpgradeRefused.
        """
        self._begin()
        return self.hang_up_at_end(Peer(self, url, name or named_after(url), how))

    def knock(self, url: str = "/", *, name: str | None = None, **how: Any) -> Knock:
        """The same as far as the pre-check, which has passed when this returns; ``go_on`` does the rest.

        Raises: UpgradeRefused, when it has not.
        """
        self._begin()
        knock = Knock(self, url, name or named_after(url), how)
        self._knocks.append(knock)
        knock.run_to_the_seam()
        return knock

    def hang_up_at_end(self, peer: Peer) -> Peer:
        """Have the lab close this client's socket when it finishes; gives the client."""
        self._peers.append(peer)
        return peer

    # -- driving ----------------------------------------------------------------------------

    def step(self, name: str | None = None) -> bool:
        """Let a thread (None: the next one) run to its next stop; False if it cannot go on."""
        return self.scheduler.step(self._begun(self.task(name)) if name is not None else None)

    def run_until_idle(self) -> None:
        """Let all threads run until none can go on; actors that have not begun do not."""
        self.scheduler.run_until_idle()

    def hold(self, place: str, whose: str = "*") -> Hold:
        """Stop each thread that comes to a place, until ``let_go`` (or the end of ``with``).

        ``place``: the name of a seam in ``SEAMS``, or "thread: where" as ``positions()`` shows it, in
        which ``*`` stands for anything. ``whose``: the connection id, for seams.
        """
        return self.scheduler.hold(self._place(place, whose))

    def run_until(self, place: str, whose: str = "*") -> Hold:
        """Let all threads run until one is at a place (see ``hold``), where it then stays.

        Raises: Deadlock, when none comes there.
        """
        hold = self.hold(place, whose)
        for actor in self.actors:
            if fnmatchcase(actor.name, hold.place.partition(":")[0]):
                self._begun(actor)
        if not self.scheduler.run_until(lambda: bool(hold.caught)):
            hold.let_go()
            raise Deadlock(f"no thread came to {hold.place!r}. The threads:\n{self.positions()}")
        return hold

    def advance(self, seconds: float) -> None:
        """Let time pass, as ``FakeClock.advance``."""
        self.clock.advance(seconds)

    def expire(self, name: str) -> None:
        """End a thread's wait that has a timeout (the watcher's, a ``wait_closed``) as if it had passed."""
        self.scheduler.expire(self.task(name))

    def pause(self, where: str = "go on") -> None:
        """In an actor or a handler: a place where other threads may run in between."""
        self.scheduler.pause(where)

    def play(self) -> None:
        """Let the actors begin, and all threads run until none can go on, in the strategy's order.

        An actor that waits with a timeout then, and nothing else can happen, waits no longer.
        """
        self._acting = True
        began = len(self.scheduler.trace)
        self.scheduler.strategy = self._strategy
        try:
            self.run_until_idle()
            while waiting := [actor for actor in self.actors if actor.timed and not actor.held]:
                self.scheduler.expire(waiting[0])
                self.run_until_idle()
        finally:
            self._acting = False
            self.scheduler.strategy = NO_SWITCH
            self.played = (self.played[0] if self.played else began, len(self.scheduler.trace))

    def task(self, name: str) -> Task:
        """The thread of that name ("hub", "reader of alice", an actor's function name)."""
        for task in self.scheduler.tasks:
            if task.name == name:
                return task
        names = ", ".join(task.name for task in self.scheduler.tasks)
        raise LookupError(f"there is no thread {name!r} in the lab; there are {names}")

    def positions(self) -> str:
        """Where every thread is, a line each."""
        return self.scheduler.positions()

    # -- the end ----------------------------------------------------------------------------

    def finish(self) -> None:
        """Open every hold, play, check what is to be checked, and close the hub, completely.

        Raises: whatever an actor raised, an invariant said or ``at_end`` asserted; Deadlock.
        """
        self.scheduler.let_all_go()
        self.play()
        for actor in self.actors:
            if not actor.done:
                who = f"{actor.name} never ends: it is about to {actor.waits_for()}"
                raise Deadlock(f"{who}. The threads:\n{self.positions()}")
        for check in self._at_end:
            check()
        for knock in self._knocks:
            knock.go_away()
        for peer in self._peers:
            peer.hang_up()
        if self.hub is not None:
            report = self.hub.close(60.0)
            assert report.complete, f"the hub cannot be closed. The threads:\n{self.positions()}"
            loop = self.hub.runner.loop
            left = [io.number for io in loop.transports] if loop is not None else []
            assert not left, f"the hub is closed, but it still has transports {left}"

    def abandon(self) -> None:
        """Leave at once: stop every thread where it is, close every socket."""
        self.scheduler.abandon()
        for peer in self._peers:
            peer.hang_up()
        loop = self.hub.runner.loop if self.hub is not None else None
        if loop is not None:
            for io in loop.transports:
                io.transport.after_fork_in_child()
        if self._borrowed is not None:
            self._borrowed.give_back()
        logging.getLogger("resumehub").removeFilter(self.captured_log)

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self.abandon()

    # -- inside -----------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._callback_check is None:
            assert self.hub is not None, "no hub yet: lab.open() or lab.adopt(hub) comes first"
            self._callback_check = CallbackCheck(self.hub, self.scheduler)

    def _begun(self, task: Task) -> Task:
        if task.where == START and task.ready == self._may_act:
            task.ready = None
        return task

    def _may_act(self) -> bool:
        return self._acting

    def _place(self, place: str, whose: str) -> str:
        if place in SEAMS:
            return SEAMS[place].format(whose if whose == "*" else literally(whose))
        if ": " not in place:
            seams = ", ".join(repr(seam) for seam in SEAMS)
            raise ValueError(f"{place!r} is no place: use 'thread: where', or one of {seams}")
        return place

    def _check(self, task: Task) -> None:
        loop = self.hub.runner.loop if self.hub is not None else None
        # Not while it carries out effects: an ``Inspect`` on its way leaves a deadline unset.
        if loop is not None and task.name == "hub" and task.where == AT_REST:
            sentences = broken(loop.machine)
            assert not sentences, "; ".join(sentences)
        if loop is not None and (sums := loop.ledger_totals.unbalanced()) is not None:
            raise AssertionError(sums)
        if self._callback_check is not None and self._callback_check.failure is not None:
            raise self._callback_check.failure
        if self.captured_log.bug is not None:
            raise AssertionError(self.captured_log.bug)
        for check in self._invariants:
            sentence = check()
            assert not sentence, sentence


def by_query(request: Any) -> tuple[str, str | None]:
    return request.args.get("room", "lobby"), request.args.get("id")
