"""The effects of a move: a session leaves this process, or comes from another one. Hub thread only.

``EffectRunner`` inherits from this: here are its parts, and what a session needs that is made, whether it
begins or arrives. It decides nothing. Read next: ``effect_runner.py``, ``../session/moving_state.py``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from ..config import Config
from ..core import effects as e
from ..core.input_rate import InputRate
from ..core.moving import DecisionState, ErrorState
from ..errors import NotMovable
from ..incoming.transport_io import TransportIO
from ..outgoing.ledger import LedgerTotals
from ..outgoing.outbox import Outbox
from ..outgoing.transport_writer import TransportWriter
from ..runtime.base import Runtime
from ..session.ahead_state import AheadState, ahead_of
from ..session.connection import Connection
from ..session.handler_calls import HookCall, MessageCall
from ..session.moving_state import attach_again, built, export_session, fill, write_down
from ..session.serial_queue import CallbackPool, SerialQueue
from ..session.services import Services
from ..session.session import Asked, Session
from ..session.session_state import HookState, Limits, LiveTransport, SessionState
from .beginning import Beginning
from .budget_warning import BudgetWarning
from .full_hub_warning import FullHubWarning
from .io_threads import IOThreads
from .rate_warning import RateWarning
from .refusal_reports import RefusalReports
from .registry import SessionRegistry
from .transport_table import TransportTable

# Messages of one id that wait for their handler may have at least this size, however small one may be.
_LEAST_PARKED_BYTES = 256 * 1024


@dataclass(eq=False, repr=False)
class MovingEffects:
    """See the module."""

    _config: Config
    _runtime: Runtime
    _services: Services
    _registry: SessionRegistry
    _transports: TransportTable
    _ledger_totals: LedgerTotals
    _pool: CallbackPool
    _io_threads: IOThreads
    _beginning: Beginning
    _refusals: RefusalReports
    #: States of sessions that leave, by epoch, until ``departed`` takes them; and of sessions that
    #: arrive, by the number of the arrival, until ``TakeOver`` uses them. Any thread.
    departures: dict[int, SessionState] = field(default_factory=dict)
    arrivals: dict[int, tuple[SessionState, Session | None]] = field(default_factory=dict)
    #: What is told of answers for which a thread of the process before this one waits.
    ask_elsewhere: Callable[[Session, str], Asked] | None = None
    _by_epoch: dict[int, Session] = field(default_factory=dict)
    #: Since when those are suspended that have been since they are here, by epoch, for the collector.
    _suspended_at: dict[int, float] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    # By id and not by session: the next session of an id waits for the callbacks of the one before.
    # Weak, so that an id is forgotten with the last session that had it.
    _serial_queues: WeakValueDictionary[str, SerialQueue] = field(default_factory=WeakValueDictionary)

    def __post_init__(self) -> None:
        config, self._observers = self._config, self._services.observers
        self._full = FullHubWarning(self._services.clock, config.max_sessions)
        self._too_fast = RateWarning(self._services.clock)
        self._over_budget = BudgetWarning(self._services.clock)
        self._limits = Limits(config.resume_window, config.ping_interval, config.max_message_size)

    # -- for the thread that moves a session, or all of them ---------------------------------

    def build(self, ahead: AheadState) -> Session:
        """Any thread: a session's objects, before all of it is known. Next: ``prepare``."""
        bound = max(self._config.max_message_size, _LEAST_PARKED_BYTES)
        whose = "a session that came" if ahead.credentials.generated else ahead.connection_id
        queue = SerialQueue(self._runtime, self._pool, bound, whose)
        session = built(self._services, ahead, queue, self._runtime)
        session.connection = Connection(session, None)
        session.input_rate = self._input_rate(moved=True)
        return session

    def prepare(self, state: SessionState, session: Session | None = None) -> Session:
        """Any thread: the session of a state, before it is adopted, when all of them have to be quick.

        ``session``: what was built of its first part; None: it is built now.
        """
        session = session or self.build(ahead_of(state))
        fill(session, state, self._runtime, self.ask_elsewhere)
        assert session.connection is not None, "it has been built"
        session.connection.data = state.data
        return session

    def arrives(self, state: SessionState, session: Session | None = None) -> int:
        """Any thread: keep a session's state until it is adopted; return the number of the arrival.

        ``session``: what ``prepare`` has made of it.
        """
        arrival = next(self._numbers)
        self.arrivals[arrival] = state, session
        return arrival

    def departed(self, session: Session) -> SessionState:
        """The state of a session whose ``Export`` has been handled. Raises: NotMovable if it was refused."""
        state = self.departures.pop(session.epoch, None)
        if state is None:
            raise NotMovable(session.connection_id, "the hub has been closed")
        return state

    def session(self, epoch: int) -> Session:
        """A session that lives. Hub thread, or the thread that holds it."""
        return self._by_epoch[epoch]

    # -- effects ----------------------------------------------------------------------------

    def _hand_over(self, effect: e.HandOver) -> None:
        session = self._by_epoch[effect.epoch]
        self.departures[effect.epoch] = self.pack(session, effect.transport, effect.decisions, export_session)
        self._gone_elsewhere(effect.epoch, effect.transport)

    def pack(
        self,
        session: Session,
        number: int | None,
        decisions: DecisionState,
        write: Callable[..., SessionState] = write_down,
    ) -> SessionState:
        """The state of a session that is fenced. Hub thread, or the thread that holds it.

        A message that is about to start goes along: it does not start here any more.
        """
        io = self._transports[number] if number is not None else None
        queue = session.serial_queue
        running = queue.running()
        calls = [call for call in queue.waiting() if call.session is session]
        if isinstance(running, MessageCall) and running.session is session and not running.is_started:
            calls.insert(0, running)
        messages = [call for call in calls if isinstance(call, MessageCall) and not call.is_stale()]
        hooks = tuple(
            HookState(call.hook, call.generation, ErrorState.of(call.error), call.room_id, call.reason)
            for call in calls
            if isinstance(call, HookCall)
        )
        with session.outbox.lock:
            live = io.export(messages, self._services.clock.monotonic()) if io is not None else None
            return write(session, decisions, hooks, live)

    def _gone_elsewhere(self, epoch: int, number: int | None) -> None:
        session = self._by_epoch.pop(epoch)
        self._observers.tell_span(session, "moved_out")
        self._suspended_at.pop(epoch, None)
        if number is not None:
            self._transports.remove(number)
        self._registry.leave(session)
        self._ledger_totals.forget(session.outbox)

    def _take_over(self, effect: e.TakeOver) -> None:
        state, session = self.arrivals.pop(effect.arrival)
        if session is None:
            session = self.prepare(state)
        session.epoch = effect.epoch
        # An earlier session of the id may have callbacks here: then this one's come behind them.
        queue = self._serial_queues.setdefault(session.connection_id, session.serial_queue)
        session.serial_queue = queue
        self._by_epoch[effect.epoch] = session
        self._ledger_totals.open(session.outbox)
        self._registry.enter(session)
        self._observers.begin_span(session, moved_in=True)
        if effect.carried:
            held = queue.take_turn()
            assert held, "the id is new here"
        else:
            self._beginning.enter(queue, self._on_adopt(session, state))
        for hook in state.hooks:
            error = hook.error.make() if hook.error is not None else None
            call = HookCall(
                self._services, session, hook.hook, hook.generation, error, hook.room_id, hook.reason
            )
            queue.post(call)
        if effect.transport is not None and state.transport is not None:
            waits = bool(state.hooks)
            self._go_on(self._transports[effect.transport], session, state.transport, waits=waits)

    def _on_adopt(self, session: Session, state: SessionState) -> HookCall | None:
        # A session whose on_connect has not run has been in no process's tables: that comes first, here.
        if any(hook.hook == "on_connect" for hook in state.hooks) or not self._is_heard("on_adopt"):
            return None
        return HookCall(self._services, session, "on_adopt", session.generation, None)

    def release_carried(self, session: Session) -> None:
        """A handler of the session has returned in the process before this one: its callbacks begin here."""
        on_adopt = None
        if self._is_heard("on_adopt"):
            on_adopt = HookCall(self._services, session, "on_adopt", session.generation, None)
        self._beginning.enter_late(session.serial_queue, on_adopt)

    def _go_on(self, io: TransportIO, session: Session, live: LiveTransport, *, waits: bool) -> None:
        now = self._services.clock.monotonic()
        io.session = session
        io.generation = session.generation
        writer = self._new_writer(io, session.outbox, (session.room_id, session.connection_id))
        io.restore(live, now)
        attach_again(session, writer, live, now)
        wire = live.wire
        waits = waits or bool(live.input or wire.rest or wire.lane or session.outbox.unsent)
        if not self._io_threads.start_reader(io, idle=not waits):
            session.serial_queue.call_pool()

    # -- what a session needs ---------------------------------------------------------------

    def _input_rate(self, *, moved: bool = False) -> InputRate | None:
        limit = self._config.rate
        return InputRate(limit, self._services.clock.monotonic(), moved=moved) if limit is not None else None

    def _serial_queue(self, connection_id: str, whose: str) -> SerialQueue:
        queue = self._serial_queues.get(connection_id)
        if queue is None:
            bound = max(self._config.max_message_size, _LEAST_PARKED_BYTES)
            queue = SerialQueue(self._runtime, self._pool, bound, whose)
            self._serial_queues[connection_id] = queue
        return queue

    def _is_heard(self, hook: str) -> bool:
        """Whether the hook has a handler, or a trace records it. If not, no thread is woken for it."""
        return bool(self._services.handlers[hook]) or self._observers.trace is not None

    def _new_writer(self, io: TransportIO, outbox: Outbox, label: tuple[str, str] | None) -> TransportWriter:
        clock = self._services.clock
        io.writer = TransportWriter(
            io.number,
            io.transport,
            outbox,
            clock,
            self._runtime,
            self._io_threads,
            io.handshake_response,
            label,
        )
        io.writer.whose = io.whose
        io.reading_since = clock.monotonic()
        return io.writer
