"""Takes all sessions out of a running hub at once, with their live connections, and can undo it to the end.

In this order: ``release`` ends callbacks while everything is alive; ``freeze`` stops everything at once, in
between two bytes of each connection; ``leaving`` writes the sessions down; then ``commit``, once another
process has them, or ``thaw``. So a broadcast is wholly before the move or wholly behind it: broadcasts come
through a door that the caller has shut before ``freeze``. What a thread wants of a session through its handle
waits for the end (``../session/elsewhere.py``). This module knows no other process. Threads: one that moves
the hub, which is no thread of the hub and runs no callback. Read next: ``hub_arrival.py``,
``transport_fence.py``, ``session_release.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from ..clock import now
from ..core.commands import Close, Depart, Tick, TransportAborted
from ..core.moves import Packed
from ..errors import HubClosed
from ..runtime.base import Runtime
from ..runtime.foreign_code import Log
from ..session.elsewhere import Elsewhere, Seal
from ..session.handler_calls import HookCall
from ..session.session import Session
from ..session.session_state import SessionState
from ..transport.base import Transport
from .hub_loop import HubLoop
from .session_release import SessionRelease, TellLastWord
from .transport_fence import TransportFence

log = Log(__name__)

_LAST_WORD = 0.1
"""Seconds for which a freeze lets the readers of broken connections read what is left in them."""


@dataclass(frozen=True, slots=True)
class LeavingSession:
    """A session as it leaves. ``transport``: its connection; None if it is suspended.

    ``carried``: a callback of it still runs here. Then ``state.data`` is None, and comes later.
    """

    state: SessionState
    transport: Transport | None
    carried: bool

    @property
    def descriptor(self) -> int:
        """Of its connection."""
        assert self.transport is not None, "it is connected"
        sock = self.transport.pollable
        assert sock is not None, "what moves is a plain socket"
        return sock.fileno()


@dataclass(frozen=True, slots=True)
class StayingSession:
    """A session that can't leave, and why."""

    session: Session
    because: str


class HubDeparture:
    """One departure. ``release``, ``freeze``, ``leaving``, then ``commit``; or ``thaw`` at any time."""

    def __init__(self, loop: HubLoop, runtime: Runtime) -> None:
        self._loop = loop
        self._runtime = runtime
        self._lock = runtime.lock("the departure of the hub")
        self._progress = runtime.condition(self._lock)
        self._releases: dict[int, SessionRelease] = {}
        self._unreleased: set[int] = set()
        # Sessions whose handler runs since the release began.
        self._running: set[int] = set()
        self._fences: dict[int, TransportFence] = {}
        self._stopped: dict[int, str | None] = {}
        self._seal = Seal(runtime.event("the move of the hub to end"))
        self._sealed: list[Session] = []
        self._packed: list[tuple[Session, Packed]] = []
        self._is_held = False
        self._has_ceased = False
        #: Sessions that can't leave. Known after ``freeze``.
        self.staying: list[StayingSession] = []
        self._carried: set[int] = set()
        #: How many sessions leave, and how many of these are carried: their last words come after ``commit``.
        self.sessions = self.carried = 0

    @property
    def leaving_sessions(self) -> list[Session]:
        """Those. Known after ``freeze``."""
        return [session for session, _ in self._packed]

    # -- release ----------------------------------------------------------------------------

    def release(self, until: float, quick: float | None = None) -> bool:
        """Run on_stop and each session's on_release; False if not all were done at ``until``.

        ``until``: real seconds, as ``clock.now``. Everything else goes on: who sends, sends, and messages
        of a session wait for its release to end. ``quick``: sessions whose handlers run now, and for so many
        seconds more, come first, and have the time; then so many seconds are for the rest, whose messages
        need not wait for a slow handler of another one. None: all at once. Blocks: up to ``until``.
        """
        stopped = self._runtime.event("on_stop to return")
        self._has_ceased = True
        self._loop.beginning.cease(stopped.set)
        if not stopped.wait(max(0.0, until - now())):
            log.warning("a handler of on_stop has not returned in time: the hub moves meanwhile")
        if quick is not None:
            if slow := self._slow_ones(min(until, now() + quick)):
                self._begin_releases(slow)
                self._wait_for_releases(until - quick)
            until = min(until, now() + quick)
        self._begin_releases()
        return self._wait_for_releases(until)

    def _slow_ones(self, until: float) -> list[Session]:
        """The sessions whose handler that runs now has not returned at ``until``. Holds none of them.

        A session that is just busy must not be released among them: its next messages would wait.
        """
        sessions = list(self._loop.registry.sessions.values())
        for session in sessions:
            with self._lock:
                self._running.add(session.epoch)
            returned = partial(self._has_returned, session.epoch)
            if not session.serial_queue.when_returned(returned):
                returned()
        with self._lock:
            while self._running and (left := until - now()) > 0:
                self._progress.wait(left)
            running, self._running = self._running, set()
        return [session for session in sessions if session.epoch in running]

    def _has_returned(self, epoch: int) -> None:
        with self._lock:
            self._running.discard(epoch)
            if not self._running:
                self._progress.notify_all()

    def _begin_releases(self, sessions: Iterable[Session] | None = None) -> None:
        """``sessions``: None for all."""
        for session in list(self._loop.registry.sessions.values() if sessions is None else sessions):
            if session.epoch in self._releases or session.connection is None:
                continue
            changed = partial(self._has_released, session.epoch)
            release = SessionRelease(self._runtime, self._loop.services, session, changed)
            with self._lock:
                self._releases[session.epoch] = release
                self._unreleased.add(session.epoch)
            release.begin()

    def _wait_for_releases(self, until: float) -> bool:
        with self._lock:
            while self._unreleased:
                left = until - now()
                if left <= 0:
                    return False
                self._progress.wait(left)
            return True

    def _has_released(self, epoch: int) -> None:
        with self._lock:
            self._unreleased.discard(epoch)
            if not self._unreleased:
                self._progress.notify_all()

    # -- freeze -----------------------------------------------------------------------------

    def freeze(self) -> None:
        """Stop everything: what is sent, read, written, decided. The door must be shut.

        A connection that has broken is not moved: its session is suspended first, and leaves so. Next:
        ``leaving``. Raises: HubClosed. Blocks: until no thread reads or writes a session; for no handler and
        no peer.
        """
        loop = self._loop
        loop.put_and_wait(Tick())  # sockets that were handed over before have their sessions now
        while True:
            self._stop_new_ones()
            self._is_held = loop.hold()
            if not self._is_held:
                raise HubClosed
            packed = loop.machine.written_down()
            sessions = [loop.effect_runner.session(one.epoch) for one in packed]
            closing = [session for session in sessions if session.outbox.refusal is not None]
            broken = self._broken_ones(sessions)
            if not closing and not broken and not any(self._is_new(session) for session in sessions):
                break
            loop.let_go()
            self._is_held = False
            for session in closing:  # a thread is about to put the same
                loop.put_and_wait(Close(session.epoch))
            self._let_end(broken)
        self._let_others_go(sessions)
        for session, one in zip(sessions, packed, strict=True):
            if not isinstance(one, Packed):
                self.staying.append(StayingSession(session, one.because))
            elif (because := self._what_keeps(session)) is not None:
                self.staying.append(StayingSession(session, because))
            else:
                self._packed.append((session, one))
                if not self._releases[session.epoch].freeze():
                    self._carried.add(session.epoch)
                    session.inbound_fence.seal(self._seal)
        self.sessions, self.carried = len(self._packed), len(self._carried)

    def _stop_new_ones(self) -> None:
        """Seal each session that is not, and stop its transport."""
        self._begin_releases()
        fresh = []
        for session in list(self._loop.registry.sessions.values()):
            if session.connection is None:
                continue
            with session.outbox.lock:
                if session.seal is not self._seal and session.outbox.refusal is None:
                    session.seal = self._seal
                    self._sealed.append(session)
            writer = session.writer
            io = self._loop.transports.get(writer.number) if writer is not None else None
            if io is None or io.number in self._fences or io.session is not session:
                continue
            if io.transport.movable and io.host_thread is None:
                fence = self._fences[io.number] = TransportFence(self._loop, io)
                fence.close(self._runtime)
                fresh.append(fence)
            else:
                self._stopped[io.number] = "a transport with compression or TLS stays where it is"
        for fence in fresh:
            self._stopped[fence.io.number] = fence.wait()

    def _is_new(self, session: Session) -> bool:
        writer = session.writer
        return session.seal is not self._seal or (writer is not None and writer.number not in self._stopped)

    def _broken_ones(self, sessions: list[Session]) -> list[int]:
        """Transports that have been stopped, and can't be moved: a write has failed, or the input has ended.

        The hub thread would hear it from the reader, if that had not been stopped.
        """
        numbers = [session.writer.number for session in sessions if session.writer is not None]
        return [number for number in numbers if number in self._fences and self._stopped[number] is not None]

    def _let_end(self, broken: list[int]) -> None:
        """Have their sessions lose these transports, as if nothing had been stopped.

        The readers go on: what is left of the input decides whether a session ends, or is suspended. If one
        has not come to the end in time, the transport is given up, and so its session is suspended. Blocks:
        until the hub thread has handled that; for the readers ``_LAST_WORD`` at most.
        """
        ends = []
        for number in broken:
            del self._stopped[number]
            fence = self._fences.pop(number)
            fence.open()
            ends.append((fence.io, fence.io.reader_left(self._runtime)))
        give_up = now() + _LAST_WORD
        for _, reader_left in ends:
            reader_left.wait(max(0.0, give_up - now()))
        self._loop.put_and_wait(Tick())  # what the readers have reported is decided now
        for io, _ in ends:
            if io.session is not None and io.session.writer is io.writer:
                self._loop.put_and_wait(TransportAborted(io.number))

    def _let_others_go(self, sessions: list[Session]) -> None:
        """Transports that were stopped, and are no longer a session's: they come to their ends here."""
        of_sessions = {session.writer.number for session in sessions if session.writer is not None}
        for number in [number for number in self._fences if number not in of_sessions]:
            self._fences.pop(number).open()

    def _what_keeps(self, session: Session) -> str | None:
        release = self._releases[session.epoch]
        if self._loop.config.data_codec is None:
            return "its data belongs to this process (data_codec=None)"
        if release.problem is not None:
            return release.problem
        return self._stopped[session.writer.number] if session.writer is not None else None

    # -- written down -----------------------------------------------------------------------

    def leaving(self) -> Iterator[LeavingSession]:
        """Each session that leaves, written down one by one. Blocks: never."""
        for session, one in self._packed:
            carried = session.epoch in self._carried
            state = self._loop.effect_runner.pack(session, one.transport, one.decisions)
            if carried:
                state = replace(state, data=None)
            io = self._fences[one.transport].io if one.transport is not None else None
            yield LeavingSession(state, io.transport if io is not None else None, carried)

    # -- the two ends -----------------------------------------------------------------------

    def commit(self, elsewhere: Elsewhere, tell: TellLastWord) -> None:
        """The sessions are in another process, which goes on with them: forget them.

        ``elsewhere``: reaches them from now on. ``tell``: called for each one that is carried, on the thread
        of its last callback. Those that stay go on here, and the caller ends them. Blocks: until the hub
        thread has forgotten them.
        """
        self._loop.let_go(Depart(tuple(session.epoch for session, _ in self._packed)))
        self._is_held = False
        for _, one in self._packed:
            if one.transport is not None:
                self._fences.pop(one.transport).io.transport.release()
        self._unfence()
        gone = self.leaving_sessions
        self._unseal({session.epoch for session in gone}, elsewhere)
        for session in gone:
            release = self._releases.pop(session.epoch)
            if session.epoch in self._carried:
                release.depart_carried(tell)
            else:
                release.depart()
            session.ended.set()
        for release in self._releases.values():
            release.undo(partial(self._go_on, release))  # behind an on_release comes an on_adopt
        self._packed.clear()  # nothing is left here of sessions that are elsewhere

    def thaw(self) -> None:
        """Everything goes on here, as if nothing had been. Blocks: until the hub thread goes on."""
        if self._is_held:
            self._loop.let_go()
            self._is_held = False
        self._unfence()
        self._unseal(set(), None)
        beginning = self._loop.beginning
        if self._has_ceased:
            beginning.hold_back()
        for release in self._releases.values():
            release.undo(partial(self._go_on, release))
        if self._has_ceased:
            beginning.run()

    def _go_on(self, release: SessionRelease) -> None:
        session, services, on_adopt = release.session, self._loop.services, None
        if release.told and services.handlers["on_adopt"] and session.connection is not None:
            on_adopt = HookCall(services, session, "on_adopt", session.generation, None)
        self._loop.beginning.enter_late(session.serial_queue, on_adopt)

    def _unfence(self) -> None:
        fences, self._fences = self._fences, {}
        for fence in fences.values():
            fence.open()

    def _unseal(self, gone: set[int], elsewhere: Elsewhere | None) -> None:
        for session in self._sealed:
            if session.epoch not in gone:
                with session.outbox.lock:
                    session.seal = None
                session.inbound_fence.seal(None)
            else:
                session.inbound_fence.shut()  # what was about to start has gone along
        self._seal.open(elsewhere)
        self._sealed.clear()
