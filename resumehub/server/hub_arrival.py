"""Takes all sessions of another process's hub in, with their live connections: first inert, then all at once.

``hold`` keeps one session after the other; nothing of it runs, is read or written, and its connection is not
touched. ``adopt`` lets all go on in one step of the hub thread; ``drop`` forgets them instead, and their
connections live on where they were. A session that was *carried* has no callback here before ``last_word``.
It knows no other process. Threads: one at a time, none of the hub's. Read next: ``hub_departure.py``,
``beginning.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..core.commands import Adopt, AdoptAll, HandlerFailed, Kick, SetDrain
from ..core.drain import Drain
from ..errors import ConnectionNotFound, HandlerError, NotMovable
from ..incoming.transport_io import TransportIO
from ..runtime.base import Runtime
from ..runtime.foreign_code import Log
from ..session.ahead_state import AheadState
from ..session.session import Asked, Session
from ..session.session_state import SessionState, check
from ..transport.sockets import ByteStream
from ..transport.websocket import WebSocketTransport
from .history import HistoryState
from .hub_loop import HubLoop
from .session_release import LastWord

log = Log(__name__)


AskElsewhere = Callable[[Session, str], Asked]


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """A session that waits for the end of the move."""

    state: SessionState
    session: Session
    io: TransportIO | None
    carried: bool


class HubArrival:
    """One arrival: ``hold`` for each session, then ``adopt`` or ``drop``; ``last_word`` for the carried.

    ``ask_elsewhere``: what is told of answers for which a thread of the other process waits.
    """

    def __init__(self, loop: HubLoop, runtime: Runtime, ask_elsewhere: AskElsewhere | None = None) -> None:
        self._loop = loop
        loop.effect_runner.ask_elsewhere = ask_elsewhere
        self._runtime = runtime
        self._held: list[_Held] = []
        self._carried: dict[str, Session] = {}
        self._lock = runtime.lock("the last words of carried sessions")
        #: Those that came before the sessions were adopted; None behind that.
        self._early: list[LastWord] | None = []
        self._history: HistoryState | None = None
        #: Whom the hub refuses that comes.
        self.drain = Drain.NONE

    def __len__(self) -> int:
        """How many sessions are held."""
        return len(self._held)

    @property
    def carried(self) -> int:
        """How many adopted sessions wait for their last word."""
        return len(self._carried)

    # -- inert ------------------------------------------------------------------------------

    def build(self, ahead: AheadState) -> Session:
        """Make a session's objects, while it still runs in the other process. Next: ``hold``, or nothing."""
        return self._loop.effect_runner.build(ahead)

    def hold(
        self,
        state: SessionState,
        stream: ByteStream | None,
        *,
        carried: bool = False,
        session: Session | None = None,
    ) -> None:
        """Keep a session. ``stream``: its connection, None if it is suspended. ``session``: if ``build`` has
        made it, of the same first part.

        Raises: SessionStateError for a damaged state; then the caller still owns the stream. Blocks: never.
        """
        check(state)
        io = None
        if state.transport is not None:
            assert stream is not None, "a connected session comes with its connection"
            transport = WebSocketTransport(stream, state.limits.max_message_size, (), state.transport.input)
            io = TransportIO(self._loop.transports.next_number(), transport, self._runtime)
        self._held.append(_Held(state, self._loop.effect_runner.prepare(state, session), io, carried))

    def hold_history(self, history: HistoryState) -> None:
        """Keep what was broadcast last in the rooms."""
        self._history = history

    def drop(self) -> None:
        """Forget everything: the other process goes on with it. Blocks: never."""
        held, self._held = self._held, []
        self._history = None
        for one in held:
            if one.io is not None:
                one.io.transport.part()  # from now on nothing here touches the connection
                one.io.transport.release()

    # -- alive ------------------------------------------------------------------------------

    def adopt(self) -> int:
        """Let all sessions go on here; return how many do. Blocks: until the hub thread has done it.

        Next: on_start and each on_adopt run, and behind them all other callbacks.
        """
        loop, held = self._loop, self._held
        self._held = []
        history = loop.registry.history
        if history is not None and self._history is not None:
            history.restore(self._history)
        self._history = None
        loop.beginning.hold_back()
        loop.put(SetDrain(self.drain, told=False))
        arrivals = [loop.effect_runner.arrives(one.state, one.session) for one in held]
        for one in held:
            if one.io is not None:
                loop.enter(one.io)
        try:
            loop.put_and_wait(
                AdoptAll(
                    tuple(
                        Adopt(
                            arrival,
                            one.io.number if one.io is not None else None,
                            one.state.decisions,
                            one.carried,
                        )
                        for arrival, one in zip(arrivals, held, strict=True)
                    )
                )
            )
        except NotMovable as error:
            log.error("a session that came from another process can't go on here: %s", error)
        lost = [one for arrival, one in zip(arrivals, held, strict=True) if self._is_lost(arrival)]
        for one in lost:
            self._forget(one)
        self._carried = {one.session.life: one.session for one in held if one.carried and one not in lost}
        loop.beginning.run()
        with self._lock:
            early, self._early = self._early or [], None
        for word in early:
            self._hear(word)
        return len(held) - len(lost)

    def _is_lost(self, arrival: int) -> bool:
        return self._loop.effect_runner.arrivals.pop(arrival, None) is not None

    def _forget(self, one: _Held) -> None:
        if one.io is not None:
            self._loop.transports.remove(one.io.number)
            one.io.transport.abort()
            one.io.transport.release()

    # -- the carried ones -------------------------------------------------------------------

    def last_word(self, word: LastWord) -> None:
        """The last callback of a carried session has returned where it was: its callbacks begin here.

        Blocks: until the hub thread has handled it, if a callback has raised there.
        """
        with self._lock:
            if self._early is not None:
                self._early.append(word)  # the lock is not ours yet: the sessions are not here
                return
        self._hear(word)

    def _hear(self, word: LastWord) -> None:
        session = self._carried.pop(word.life, None)
        if session is None or session.connection is None:
            return
        session.connection.data = word.data
        if word.failed_in:
            self._fence(session, word.failed_in)
            error = HandlerError(word.failed_in)
            self._loop.put(HandlerFailed(session.epoch, session.generation, word.failed_in, error))
        elif word.problem is not None:
            log.error(
                "the session %r can't go on: %s",
                session.connection_id,
                word.problem,
                connection_id=session.connection_id,
            )
            self._kick(session)
        self._loop.effect_runner.release_carried(session)

    @staticmethod
    def _fence(session: Session, hook: str) -> None:
        # As where a handler raises here (contract B4): the next message may be about to start.
        if hook == "on_connect":
            session.inbound_fence.shut()
            session.entry_refused = True
        else:
            session.inbound_fence.fence(session.generation)

    def _kick(self, session: Session) -> None:
        try:
            self._loop.put_and_wait(Kick(session.connection_id))
        except ConnectionNotFound:
            pass

    def without_word(self) -> list[str]:
        """The ids of carried sessions of which a callback still runs where they were, as far as is known."""
        return [session.connection_id for session in list(self._carried.values())]

    def no_more_words(self) -> None:
        """The other process is gone, and callbacks there may have been cut off: those sessions end."""
        for life in list(self._carried):
            session = self._carried.pop(life, None)
            if session is None or session.connection is None:
                continue
            session.inbound_fence.shut()
            # As after an on_connect that raised, it ends for good: nobody knows what its handler has done.
            error = HandlerError("on_message")
            self._loop.put(HandlerFailed(session.epoch, session.generation, "on_connect", error))
            self._loop.effect_runner.release_carried(session)
