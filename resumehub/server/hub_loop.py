"""The running hub: the hub thread, its queue of commands, and what it owns.

It is made when a hub is first used in a process, and runs until it is closed. Any thread queues commands; the
hub thread handles them one by one (``runtime/command_loop.py``): the pure machine decides, the effect runner
carries out. The hub thread waits for its queue and the next deadline, and for nothing else. ``io_threads.py``
chooses the threads that read and write a transport. Read next: ``core/machine.py``, ``effect_runner.py``.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from ..clock import now
from ..core import commands as c
from ..core import effects as e
from ..core.drain import Drain
from ..core.machine import Machine, Rules
from ..errors import ConnectionClosed, ConnectionNotFound, HubClosed, NotMovable
from ..incoming.leader_followers import LeaderFollowers
from ..incoming.transport_io import HostThread, TransportIO
from ..outgoing.cork import Cork
from ..outgoing.ledger import LedgerTotals
from ..outgoing.transport_writer import TransportWriter
from ..reasons import RefusalReason
from ..runtime.command_loop import CommandLoop, Reply
from ..runtime.foreign_code import Log
from ..runtime.steady_clock import steady
from ..session.asking import Askers
from ..session.control_messages import ControlMessages
from ..session.observers import Observers
from ..session.serial_queue import CallbackPool
from ..session.services import Services
from ..transport.base import Transport
from .beginning import Beginning
from .dead_hub import end_everything
from .effect_runner import EffectRunner
from .history import History
from .hub_parts import HubParts
from .io_threads import IOThreads
from .registry import SessionRegistry
from .thread_group import ThreadGroup
from .transport_table import TransportTable
from .watcher import Watcher

log = Log(__name__)


class HubLoop:
    """One process's running hub. Methods: any thread, unless said otherwise."""

    def __init__(self, parts: HubParts, name: str) -> None:
        self.config = config = parts.config
        self._clock = clock = steady(parts.clock)
        self._runtime = runtime = parts.runtime
        self.machine = Machine(
            Rules(
                resume_window=config.resume_window,
                ping_interval=config.ping_interval,
                write_timeout=config.write_timeout,
                stall_timeout=config.stall_timeout,
                max_sessions=config.max_sessions,
                max_rooms=config.max_rooms,
                refuse_duplicates=config.on_duplicate == "reject",
                suspended_give_way=config.on_full == "expire",
                refusal_delay=config.refusal_delay,
                buffer_budget=config.buffer_budget,
            )
        )
        tally = runtime.lock("the count of undecodable messages")
        self.observers = Observers(
            parts.metrics, parts.trace, parts.spans, parts.recorder, clock, tally, config.send_buffer
        )
        self._commands: CommandLoop[c.Command] = CommandLoop(
            "the hub",
            self.machine,
            runtime,
            clock,
            tick=c.Tick(),
            perform=self._perform,
            refuse=self._refuse,
            log=log,
            waited=self.observers.command_waited if self.observers.timed else None,
        )
        self.put = self._commands.put
        self.hold, self.let_go = self._commands.hold, self._commands.let_go
        control_messages = ControlMessages(parts.codec, self.put)
        self.services = Services(
            parts.codec,
            clock,
            parts.handlers,
            self.observers,
            self,
            control_messages,
            config.max_requests,
            Askers(),
            runtime.event,
        )
        bounds = config.send_buffer, config.send_buffer_bytes
        history = History(runtime, *bounds) if config.history is not None else None
        self.registry = SessionRegistry(runtime, history)
        self.transports = TransportTable(runtime.lock("the count of refusals"))
        self.ledger_totals = LedgerTotals(runtime.lock("the ledger totals"))
        self.thread_group = ThreadGroup(runtime, name)
        poller = runtime.poller()
        self.leader_followers = (
            LeaderFollowers(runtime, self.thread_group.spawn, poller) if poller is not None else None
        )
        self._watcher = Watcher(runtime, self, config.write_timeout, lambda: parts.governed)
        self.io_threads = IOThreads(
            self.services, self.thread_group, self.leader_followers, self._watcher.shared_writer.take
        )
        self._pool = CallbackPool(runtime, self.thread_group.spawn, config.callback_threads)
        self.beginning = Beginning(runtime, self.services, self._pool, lambda: parts.owner)
        self.effect_runner = EffectRunner(
            config,
            runtime,
            self.services,
            self.registry,
            self.transports,
            self.ledger_totals,
            self._pool,
            self.io_threads,
            self.beginning,
            parts.refusals,
        )
        self._refusals = parts.refusals
        self._close_lock = runtime.lock("the hub's close")
        #: Whether the hub takes no more connections.
        self.closing = False
        self._is_shut_down = False
        #: Whether the hub thread has ended by a bug of ours (``dead_hub.py``).
        self.died = False

    # -- beginning --------------------------------------------------------------------------

    def start(self) -> None:
        """Start the threads that the hub can't do without.

        Raises: RuntimeError when one of them can't be started; then the others end.
        """
        self._clock.follow(self._commands)
        self.observers.note("hub", "Started", **asdict(self.machine.rules))
        try:
            self.thread_group.spawn("hub", self._run)
        except RuntimeError:
            self._clock.unfollow(self._commands)
            if self.leader_followers is not None:
                self.leader_followers.close()
            raise
        try:
            self.thread_group.spawn("watcher", self._watcher.run, daemon=False)
            self._pool.start()
            self.io_threads.start()
        except RuntimeError:
            self.put(c.Shutdown())  # there are no sessions yet, so the hub thread ends at once
            raise

    def register(
        self,
        transport: Transport,
        registration: c.Register,
        *,
        data: Any,
        handshake_response: bytes,
        subprotocol: str = "",
        host: HostThread | None = None,
    ) -> int:
        """Hand a socket over; the hub thread decides what happens to it. Never blocks.

        Returns the transport's number. ``handshake_response`` is sent before everything else. If the hub has
        been closed meanwhile, the socket is closed.
        """
        io = TransportIO(self.transports.next_number(), transport, self._runtime, data=data)
        io.handshake_response = handshake_response
        io.subprotocol = subprotocol
        io.given_at = self.observers.began()
        io.counts_as_refusal = registration.refusal is not None
        io.host_thread = host
        self.enter(io)
        if not self.put(replace(registration, transport=io.number)):
            self._turn_away(io)
        return io.number

    def enter(self, io: TransportIO) -> int:
        """Enter a transport in the table; return its number. Next: put a command about it."""
        self.transports.add(io)
        return io.number

    def _turn_away(self, io: TransportIO) -> None:
        """Close a transport whose registration came after the hub thread had finished."""
        if not io.counts_as_refusal:
            self._refusals.report(503, RefusalReason.HUB_CLOSE.value)
        io.transport.abort()
        io.aborted.set()
        io.transport.release()
        self.transports.remove(io.number)

    # -- commands ---------------------------------------------------------------------------

    def put_and_wait(self, command: c.Command) -> None:
        """Queue a command, and block until the hub thread has handled it or has finished.

        Raises: ConnectionNotFound for a ``Kick`` of an unknown id; NotMovable; for a ``JoinRoom``,
        ConnectionClosed, or ValueError when the session is in ``max_rooms`` rooms.
        """
        self._commands.ask(command)

    def order(self, command: c.Kick | c.Expire) -> int:
        """Have a session ended, if it is as the command says; return how many were (0 or 1).

        Raises: ConnectionNotFound where a ``Kick`` finds none. Blocks: until the hub thread has done it.
        """
        return self._commands.ask(command).count

    def end_all(self) -> int:
        """End all sessions in one step, as ``close`` does; return how many. The hub goes on.

        Blocks: until the hub thread has done it.
        """
        return self._commands.ask(c.EndAll()).count

    def set_drain(self, drain: Drain) -> int:
        """Refuse these from now on; return how many sessions there are then.

        Blocks: until the hub thread has done it.
        """
        self._commands.ask(c.SetDrain(drain))
        return len(self.registry.sessions)

    def read_beside(self, transport: int) -> None:
        """See ``Commands``."""
        io = self.transports.get(transport)
        if io is not None and io.busy:
            self.io_threads.stand_in(io)

    # -- the hub thread ---------------------------------------------------------------------

    def _run(self) -> None:
        if not self._commands.run():
            self.died = True
            log.critical("its sessions end now, and upgrades are answered with 503: restart this process")
            end_everything(self.effect_runner, self.io_threads, self.registry, self.transports)
        self._clock.unfollow(self._commands)
        self._pool.close()
        if self.leader_followers is not None:
            self.leader_followers.close()
        self._watcher.stop()

    def _perform(self, command: c.Command, at: float, reply: Reply | None) -> None:
        trace = self.observers.trace
        if isinstance(command, c.Register):
            gone = self.transports[command.transport].transport.has_hung_up()
            request = self.effect_runner.look(command)
            if gone or request is not command.resume_request:
                command = replace(command, peer_already_gone=gone, resume_request=request)
        if trace is not None and not isinstance(command, c.Tick):
            self.observers.note_value(at, "command", command)
        if self.observers.records and isinstance(command, c.WriteStalled | c.WindowFull):
            self.effect_runner.note_stall(command)
        for effect in self.machine.handle(command, at):
            if trace is not None and not isinstance(effect, e.Count):
                self.observers.note_value(at, "effect", effect)
            observed = self.effect_runner.execute(effect)
            if observed is not None:
                self._perform(observed, at, None)
            elif isinstance(effect, e.EndSession) and reply is not None:
                reply.count += 1
            elif isinstance(effect, e.NotFound) and reply is not None:
                reply.error = ConnectionNotFound(effect.connection_id)
            elif isinstance(effect, e.NotMoved) and reply is not None:
                reply.error = NotMovable(effect.connection_id, effect.because)
            elif isinstance(effect, e.NotJoined) and reply is not None:
                reply.error = _not_joined(effect)
        if isinstance(command, c.Register):
            self.effect_runner.look_away(command)
        if isinstance(command, c.Released):
            self.effect_runner.release(command.transport)

    def _refuse(self, command: c.Command, reply: Reply | None) -> None:
        """The hub thread has finished, and this command comes too late."""
        if isinstance(command, c.Register):
            self._turn_away(self.transports[command.transport])
        if reply is not None and isinstance(command, c.Kick):
            reply.error = ConnectionNotFound(command.connection_id)
        if reply is not None and isinstance(command, c.JoinRoom):
            reply.error = HubClosed(command.connection_id)

    # -- looking ----------------------------------------------------------------------------

    def open_cork(self) -> Cork | None:
        """Where the calling thread may hold a broadcast back: if it is a reader and more messages wait."""
        return self.leader_followers.open_cork() if self.leader_followers is not None else None

    def is_served(self) -> bool:
        """Whether the threads that all connections need are there: the hub thread, and one that reads."""
        return not self._commands.left and self.io_threads.is_served()

    def takes(self) -> bool:
        """Whether the hub thread still handles what is put."""
        return not self._commands.left

    def may_refuse_by_close(self) -> bool:
        """Whether one more socket may be upgraded only to be told why it is refused.

        False once the hub thread has finished: no thread would write the close frame.
        """
        return self.takes() and self.transports.may_refuse_one_more()

    def lag(self) -> float:
        """See ``CommandLoop.lag``."""
        return self._commands.lag()

    # -- the end ----------------------------------------------------------------------------

    def close(self, timeout: float) -> list[tuple[str, str]]:
        """End everything within ``timeout`` real seconds; return the threads that still run, with stacks.

        Called on a thread of the hub, it only starts the close, and returns that thread.
        """
        self.refuse_newcomers()
        self.shut_down()
        caller = self.thread_group.current()
        if caller is not None:
            return [(caller.name, caller.stack())]
        give_up = now() + timeout
        # The last part of the time is for peers that do not answer the close frame.
        if not self.thread_group.join(give_up - min(1.0, timeout / 3)):
            self.abort_all()
            self.thread_group.join(give_up)
        self._runtime.dismiss(max(0.0, give_up - now()))
        return [(thread.name, thread.stack()) for thread in self.thread_group.others()]

    # -- for the watcher --------------------------------------------------------------------

    def stand_in(self, io: TransportIO) -> None:
        """See ``IOThreads.stand_in``."""
        self.io_threads.stand_in(io)

    def look_at_readers(self) -> None:
        """See ``IOThreads.look`` and ``Beginning.look``."""
        self.io_threads.look()
        self.beginning.look()

    def writer_failed(self, writer: TransportWriter, error: BaseException) -> None:
        """See ``IOThreads.writer_failed``."""
        self.io_threads.writer_failed(writer, error)

    def refuse_newcomers(self) -> None:
        """Take no more connections; those that are there stay."""
        self.closing = True

    def shut_down(self) -> None:
        """End all sessions. A second call does nothing."""
        with self._close_lock:
            first, self._is_shut_down = not self._is_shut_down, True
        if first:
            self.beginning.cease(lambda: None)
            self.put(c.Shutdown())

    def abort_all(self) -> None:
        """Shut all connections that are left."""
        self.put(c.AbortAll())

    def after_fork_in_child(self) -> None:
        """In a forked child: close the inherited descriptors and touch nothing else.

        The parent has the threads and the connections. So nothing is shut down, and no lock is taken.
        """
        self._commands.after_fork_in_child()
        self._runtime.after_fork_in_child()
        if self.leader_followers is not None:
            self.leader_followers.after_fork_in_child()
        for io in self.transports:
            io.transport.after_fork_in_child()


def _not_joined(effect: e.NotJoined) -> Exception:
    if not effect.limit:
        return ConnectionClosed(effect.connection_id)
    return ValueError(
        f"the session {effect.connection_id!r} can't join {effect.room_id!r}: it is in {effect.limit} rooms "
        "already; let it leave one, or raise max_rooms"
    )
