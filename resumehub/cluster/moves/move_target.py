"""The new process's side of a move: it takes a hub, held inert until the commit, or drops it without a trace.

Each step is looked up in ``core/cluster/hub_move.py``. Handlers run on the thread of the link over which the
hub comes; once the member has the hub's lock, it calls ``go`` on a thread of its own. Afterwards the link
stays open for the last words of carried sessions, and for answers to threads of the old process, until that
says that it needs it no more, or dies. Read next: ``move_source.py``, ``../../server/hub_arrival.py``.
"""

from __future__ import annotations

import json
import os
import resource
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ...clock import now
from ...core.cluster.hub_move import TargetAction, TargetEvent, TargetStage, target_step
from ...core.drain import Drain
from ...errors import LinkBroken, ResumeHubError
from ...runtime.foreign_code import Log
from ...runtime.garbage import CyclesNotSought
from ...server.history import HistoryState
from ...server.hub_arrival import HubArrival
from ...server.hub_loop import HubLoop
from ...server.hub_runner import HubRunner
from ...server.session_release import LastWord
from ...session.plain_values import load
from ...transport.sockets import PlainSocket
from ..door import Door
from ..link import CLOSED_HERE, NO_DESCRIPTOR, Link, close_all
from ..link_thread import Handlers
from ..movers import Adopted
from . import move_messages as m
from .asked_there import AskedThere
from .move_ahead import BuiltAhead
from .move_parts import DRAIN, HISTORY, TargetHost, Traveller

log = Log(__name__)

DESCRIPTORS_BESIDE: Final = 64
"""So many descriptors a process keeps free when it takes a hub."""

_E = TargetEvent


class MoveTarget:
    """One process's. One move at a time: one that begins before the last has ended is refused.

    ``runs_callbacks``: whether a callback still runs here of a session that has left; then no hub comes back.
    """

    def __init__(
        self,
        runner: HubRunner,
        door: Door,
        host: TargetHost,
        travellers: Mapping[str, Traveller],
        runs_callbacks: Callable[[], bool] = lambda: False,
    ) -> None:
        self._runs_callbacks = runs_callbacks
        self._runner = runner
        self._door = door
        self._host = host
        self._travellers = travellers
        self._lock = runner.runtime.lock("the arrival of a hub")
        self._incoming: _Incoming | None = None
        # Of the last move, and of those before it for whose threads a client is still asked.
        self._asked: list[AskedThere] = []
        #: For the links at which this process is a worker's end.
        self.handlers: Handlers = {
            m.Moved: self._moved,
            m.MoveOffer: self._offered,
            m.SessionsAhead: self._handler(_Incoming.ahead),
            m.SessionsMove: self._handler(_Incoming.sessions),
            m.RestMoves: self._handler(_Incoming.rest),
            m.MoveCommitted: self._handler(lambda incoming, message, _: incoming.on(_E.COMMIT)),
            m.MoveGivenUp: self._handler(lambda incoming, message, _: incoming.on(_E.FAILED)),
            m.LastWordSaid: self._handler(_Incoming.last_word),
            m.AnswerUnwanted: self._unwanted,
            # Perhaps of a move before the last one.
            m.NothingMore: lambda link, message, _: link.break_off("nothing more comes"),
        }

    def on_link_end(self, link: Link) -> None:
        """A link has been read to its end. On its thread; never blocks for long."""
        for asked in self._asked:
            if asked.link is link:
                asked.forget()
        incoming = self._incoming
        if incoming is not None and incoming.link is link:
            incoming.on(_E.LINK_ENDED)
            incoming.source_is_gone()

    def go(self) -> Adopted:
        """The hub's lock is ours: let the sessions go on here; return what came. Next: bind the socket.

        Threads: the member's. Blocks: until the hub thread has taken them over.
        """
        incoming = self._incoming
        assert incoming is not None, "it was committed"
        incoming.on(_E.LOCKED)
        return Adopted(incoming.adopted, incoming.link.peer.pid, now() - incoming.committed_at)

    def drop(self) -> None:
        """Drop what is held. Behind a commit, a third process has the hub's lock: its sessions are lost."""
        incoming = self._incoming
        if incoming is not None:
            incoming.on(_E.LOCK_KEPT if incoming.stage is TargetStage.COMMITTED else _E.FAILED)

    @staticmethod
    def _moved(link: Link, message: m.Moved, descriptors: Sequence[int]) -> None:
        link.moved = True

    def _offered(self, link: Link, message: m.MoveOffer, descriptors: Sequence[int]) -> None:
        because = self._what_is_against(message)
        if because is None:
            try:
                loop = self._runner.start(begins=False)
            except (RuntimeError, ResumeHubError) as error:
                because = f"its hub can't start: {error}"
        if because is None and not self._host.may_hold():
            because = "another process is the heir, or holds a hub of its own"
        if because is not None:
            link.send(m.MoveDropped(message.move, because))
            return
        self._incoming = _Incoming(self, link, message, loop)
        link.send(m.MoveAccepted(message.move))

    def _what_is_against(self, offer: m.MoveOffer) -> str | None:
        before = self._incoming
        if before is not None and before.stage not in (TargetStage.RUNNING, TargetStage.DROPPED):
            return "a hub is on its way to it already"
        if self._runner.closing:
            return "it is closing"
        if self._runs_callbacks():
            return "it still runs handlers of sessions that it has given away"
        room = _free_descriptors() - DESCRIPTORS_BESIDE
        if offer.connected > room:
            return f"it has room for {max(0, room)} more descriptors, and {offer.connected} are needed"
        return None

    def _unwanted(self, link: Link, message: m.AnswerUnwanted, descriptors: Sequence[int]) -> None:
        for asked in self._asked:
            if asked.move == message.move:
                asked.unwanted(message.life, message.request)

    def asks_for(self, asked: AskedThere) -> None:
        """A hub comes, with requests for which threads of the process before wait."""
        self._asked = [*(one for one in self._asked if len(one)), asked]

    def _handler(self, handle: Callable[[_Incoming, Any, Sequence[int]], None]) -> Any:
        def handle_of_this_move(link: Link, message: Any, descriptors: Sequence[int]) -> None:
            incoming = self._incoming
            if incoming is None or incoming.move != message.move:
                close_all(descriptors)  # it was given up before
                return
            handle(incoming, message, descriptors)

        return handle_of_this_move

    # -- for what is on its way ------------------------------------------------------------

    @property
    def host(self) -> TargetHost:
        """The process's."""
        return self._host

    @property
    def runner(self) -> HubRunner:
        """The process's."""
        return self._runner

    def adopt_parts(self, parts: Mapping[str, bytes]) -> None:
        """What came beside the sessions."""
        for name, traveller in self._travellers.items():
            if name in parts:
                try:
                    traveller.adopt(parts[name])
                except ValueError as error:
                    log.error("the %s of the hub that came here can't be read: %s", name, error)

    def arrived(self) -> None:
        """The hub is here: calls of this process find it."""
        self._door.arrived()


class _Incoming:
    """A hub on its way to this process. Its link's thread, and the member's."""

    def __init__(self, target: MoveTarget, link: Link, offer: m.MoveOffer, loop: HubLoop) -> None:
        self._target = target
        self.link = link
        self.move = offer.move
        self._hub_life = offer.hub_life
        self._asked = AskedThere(offer.move, link, target.runner.codec)
        target.asks_for(self._asked)
        self._arrival = HubArrival(loop, self._runtime, self._asked.ask)
        self._ahead = BuiltAhead(self._arrival)
        self._lock = target.runner.runtime.lock("a hub on its way")
        self._cycles = CyclesNotSought()
        self.stage = TargetStage.HOLDING
        self._parts: dict[str, bytes] = {}
        self.adopted = 0
        self.committed_at = 0.0

    def on(self, event: TargetEvent, because: str = "") -> None:
        """Do what the table says."""
        with self._lock:
            step = target_step(self.stage, event)
            self.stage = step.to
        match step.action:
            case TargetAction.SAY_HELD:
                self._say(m.MoveHeld(self.move))
            case TargetAction.TAKE_LOCK:
                self.committed_at = now()
                self._target.host.committed(self._hub_life)
            case TargetAction.ADOPT:
                try:
                    self._adopt()
                finally:
                    self._cycles.end()
            case TargetAction.DROP:
                self._arrival.drop()
                self._ahead.forget()
                self._asked.forget()
                self._parts = {}
                self._cycles.end()
                self._target.host.dropped()
                if event is _E.FAILED and because:
                    self._say(m.MoveDropped(self.move, because))
            case TargetAction.IGNORE:
                pass

    # -- what comes -------------------------------------------------------------------------

    def _still_holds(self) -> bool:
        with self._lock:
            holds = self.stage is TargetStage.HOLDING
            if holds:
                self._cycles.begin()  # until the end of the arrival, which changes ``stage`` first
            return holds

    def ahead(self, message: m.SessionsAhead, descriptors: Sequence[int]) -> None:
        """Of some sessions what rarely changes: they still run there."""
        if not self._still_holds():
            return
        try:
            self._ahead.build(message)
        except (ResumeHubError, ValueError) as error:
            self.on(_E.FAILED, f"{type(error).__name__}: {error}")
            return
        self._say(m.SessionsHeld(self.move, message.batch))

    def sessions(self, message: m.SessionsMove, descriptors: Sequence[int]) -> None:
        """Some of the sessions."""
        if not self._still_holds():
            close_all(descriptors)
            return
        if NO_DESCRIPTOR in descriptors:
            close_all(descriptors)
            self.on(_E.FAILED, "it has no free descriptor")
            return
        left: list[PlainSocket] = []
        try:
            left = self._streams(descriptors)
            came = self._ahead.sessions(message)
            for moves, connected, carried in zip(came, message.connected, message.carried, strict=True):
                state, session = moves
                stream = left[-1] if connected else None
                self._arrival.hold(state, stream, carried=carried, session=session)
                if connected:  # if holding it raises, the stream is still ours
                    left.pop()
            if left:
                raise ValueError("more descriptors than sessions came")
        except (ResumeHubError, OSError, ValueError, IndexError) as error:
            for one in left:
                one.part()
                one.release()
            self.on(_E.FAILED, f"{type(error).__name__}: {error}")
            return
        self._say(m.SessionsHeld(self.move, message.batch))

    def _streams(self, descriptors: Sequence[int]) -> list[PlainSocket]:
        """The connections, the last one first. Raises: OSError for what is no socket; then all are closed."""
        streams: list[PlainSocket] = []
        try:
            for one in descriptors:
                streams.insert(0, PlainSocket(socket.socket(fileno=one), self._runtime, movable=True))
        except OSError:
            for stream in streams:
                stream.part()
                stream.release()
            close_all(descriptors[len(streams) :])
            raise
        return streams

    def rest(self, message: m.RestMoves, descriptors: Sequence[int]) -> None:
        """All else. Now everything must be here."""
        at = 0
        for name, size in zip(message.names, message.sizes, strict=True):
            self._parts[name] = message.parts[at : at + size]
            at += size
        if len(self._arrival) != message.sessions:
            here = len(self._arrival)
            self.on(_E.FAILED, f"{here} sessions of {message.sessions} have come")
            return
        self._ahead.forget()
        try:
            if (history := self._parts.get(HISTORY)) is not None:
                self._arrival.hold_history(load(HistoryState, history))
            self._arrival.drain = Drain(self._parts.get(DRAIN, b"").decode())
        except ValueError as error:
            log.error("what belongs to the hub that comes here can't be read: %s", error)
        self.on(_E.ALL_HERE)

    def last_word(self, message: m.LastWordSaid, descriptors: Sequence[int]) -> None:
        """A carried session's callbacks begin here."""
        data = json.loads(message.data) if message.data else None
        self._arrival.last_word(LastWord(message.life, data, message.problem or None, message.failed_in))

    def source_is_gone(self) -> None:
        """The link has ended."""
        if self.stage is not TargetStage.RUNNING:
            return
        if self.link.why_ended == CLOSED_HERE:
            # This process ends, and the other one lives: no callback may begin here beside the one there.
            for connection_id in self._arrival.without_word():
                log.error(
                    "a handler of %r still runs in process %s: its on_disconnect is not called",
                    connection_id,
                    self.link.peer.pid,
                    connection_id=connection_id,
                    peer_pid=self.link.peer.pid,
                )
        else:
            self._arrival.no_more_words()

    # -- the end ----------------------------------------------------------------------------

    def _adopt(self) -> None:
        self._target.adopt_parts(self._parts)
        self._parts = {}
        self.adopted = self._arrival.adopt()
        self._say(m.HubGoesOn(self.move))
        self._target.arrived()
        if self.link.ended:  # before the sessions were here
            self.source_is_gone()

    @property
    def _runtime(self) -> Any:
        return self._target.runner.runtime

    def _say(self, message: Any) -> None:
        try:
            self.link.send(message)
        except LinkBroken:
            pass  # its thread reads it to its end, and says so


def _free_descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 30
    try:
        return soft - len(os.listdir("/proc/self/fd"))
    except OSError:
        return soft - DESCRIPTORS_BESIDE
