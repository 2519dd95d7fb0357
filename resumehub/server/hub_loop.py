"""The running hub: its thread, its queue, and what all the other threads report.

An engine is made when a hub is first used in a process and runs until it is closed. Commands
come from any thread, are stamped with the time and handled one by one on the hub thread: the pure
machine decides, the executor carries out. The hub thread waits for its queue and the next
deadline, and for nothing else. Who reads and writes a connection is the roster's business. Read next:
``core/machine.py``, ``effect_runner.py``, ``io_threads.py``.
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..clock import Clock, SystemClock
from ..codec import Codec, Undecodable
from ..config import Config
from ..core import commands as c
from ..core import effects as e
from ..core.machine import Machine, Rules
from ..errors import ConnectionNotFound
from ..incoming.leader_followers import LeaderFollowers
from ..incoming.transport_io import HostThread, TransportIO
from ..message import Frame
from ..metrics import Metrics, NoopMetrics
from ..outgoing.items import Gap
from ..outgoing.ledger import LedgerTotals
from ..outgoing.transport_writer import Flushed, TransportWriter
from ..runtime.base import Event, Runtime, Thread
from ..session.connection import Connection
from ..session.handler_calls import Handlers
from ..session.serial_queue import CallbackPool
from ..stats import Stats
from ..trace import Trace
from ..transport.base import Transport
from .control_messages import ControlMessages
from .effect_runner import EffectRunner
from .io_threads import IOThreads
from .registry import SessionRegistry
from .thread_group import ThreadGroup
from .watcher import Watcher

log = logging.getLogger("resumehub")

#: How many sockets at once may exist only to be told by a close frame why they were refused.
MAX_REFUSALS = 128

_REAL = SystemClock()


@dataclass(slots=True)
class _Reply:
    """Where the hub leaves the answer for a caller who waits."""

    done: Event
    error: Exception | None = None
    next_deadline: float | None = None


class HubLoop:
    """One process's running hub. Methods: any thread, unless said otherwise."""

    def __init__(
        self,
        config: Config,
        codec: Codec,
        metrics: Metrics,
        clock: Clock,
        runtime: Runtime,
        handlers: Handlers,
        name: str,
        trace: Trace | None = None,
    ) -> None:
        self.config = config
        self.codec = codec
        self.clock = clock
        self.runtime = runtime
        self.handlers = handlers
        self.trace = trace
        self.thread_group = ThreadGroup(runtime, name)
        self.io_threads = IOThreads(self, self.thread_group)
        self.registry = SessionRegistry(runtime)
        self.transports: dict[int, TransportIO] = {}
        self.machine = Machine(
            Rules(
                resume_window=config.resume_window,
                ping_interval=config.ping_interval,
                write_timeout=config.write_timeout,
                max_sessions=config.max_sessions,
                refuse_duplicates=config.on_duplicate == "reject",
            )
        )
        self.pool = CallbackPool(runtime, self.thread_group.spawn, config.callback_threads)
        #: Messages that could not be decoded, and sockets that exist only to be refused.
        self.undecodable = 0
        self._refusals = 0
        self._tally = runtime.lock("the tally")
        self.control_messages = ControlMessages(codec, config, self.put)
        self.ledger_totals = LedgerTotals(runtime.lock("the books"))
        self._metrics = None if type(metrics) is NoopMetrics else metrics
        self.watched = self._metrics is not None or trace is not None
        self._numbers = itertools.count(1)
        self._mailbox = runtime.mailbox()
        # Held for the time of a put: nothing is put once the hub has left.
        self._gate = runtime.lock("the hub's door")
        self._left = False
        self._closing = False
        self._stopped = runtime.event("the hub to stop")
        self._watcher: Thread | None = None
        #: Those who read for many; None where each transport has a reader thread of its own.
        self.leader_followers: LeaderFollowers | None = None
        self._effect_runner = EffectRunner(self)

    # -- beginning --------------------------------------------------------------------------

    def start(self) -> None:
        """Start the hub thread and the watcher. Raises RuntimeError when there are no threads."""
        poller = self.runtime.poller()
        if poller is not None:
            self.leader_followers = LeaderFollowers(self.runtime, self.thread_group.spawn, poller)
        self.clock.follow(self)
        self.note("hub", "Started", **asdict(self.machine.rules))
        try:
            self.thread_group.spawn("hub", self._run)
        except RuntimeError:
            self.clock.unfollow(self)
            if self.leader_followers is not None:
                self.leader_followers.close()
            raise
        watcher = Watcher(
            self.runtime,
            self._stopped,
            lambda: list(self.transports.values()),
            self.io_threads.stand_in,
            self._main_returned,
        )
        try:
            self._watcher = self.thread_group.spawn("watcher", watcher.run, daemon=False)
        except RuntimeError:
            self.put(c.Shutdown())  # nothing is there to shut down yet, so the hub thread just leaves
            raise

    def register(
        self,
        transport: Transport,
        registration: c.Register,
        *,
        data: Any,
        handshake_response: bytes,
        host: HostThread | None = None,
    ) -> int:
        """Hand a socket over; the hub decides what becomes of it. Never blocks.

        Gives the transport's number, also in ``knock.transport``; ``preface`` is sent ahead of
        everything. A hub that has gone by now shuts the socket.
        """
        io = TransportIO(next(self._numbers), transport, self.runtime, data=data)
        io.handshake_response = handshake_response
        io.generated = registration.generated
        if registration.refusal is not None:
            io.counts_as_refusal = True
            with self._tally:
                self._refusals += 1
        io.host_thread = host
        self.transports[io.number] = io
        if not self.put(replace(registration, transport=io.number)):
            self._turn_away(io)
        return io.number

    def _turn_away(self, io: TransportIO) -> None:
        """Close a link that the hub will never hear of: it has left."""
        io.transport.abort()
        io.aborted.set()
        io.transport.release()
        self.transports.pop(io.number, None)
        self.give_back_refusal(io)

    # -- commands ---------------------------------------------------------------------------

    def put(self, command: c.Command, reply: _Reply | None = None) -> bool:
        """Queue a command; False if the hub has left. Never blocks."""
        with self._gate:
            if self._left:
                return False
            self._mailbox.put((self.clock.monotonic(), command, reply))
            return True

    def put_and_wait(self, command: c.Command) -> None:
        """Queue a command and wait until it is handled, or the hub has left."""
        self._ask(command)

    def kick(self, connection_id: str) -> None:
        """Raises ConnectionNotFound. Blocks until the hub thread has handled it."""
        self._ask(c.Kick(connection_id))

    def close_session(self, epoch: int) -> None:
        """Blocks until the hub thread has handled it."""
        self._ask(c.Close(epoch))

    def settle(self) -> float | None:
        """For the clock: handle what is queued and due, give the next deadline."""
        return self._ask(c.Tick()).next_deadline

    def _ask(self, command: c.Command) -> _Reply:
        reply = _Reply(self.runtime.event("the hub's answer"))
        if self.put(command, reply):
            reply.done.wait()
            if reply.error is not None:
                raise reply.error
        return reply

    # -- the hub thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while not self.machine.finished:
            item = self._mailbox.get(self.clock.real_wait(self.machine.next_deadline()))
            if item is None:
                # By way of the queue: a command that was put before a deadline happens before it, even
                # if this thread has looked at the clock first (tests/races/test_late_hub.py).
                self.put(c.Tick())
                continue
            stamp, command, reply = item
            self._pass_time(stamp)
            self._handle(command, stamp, reply)
        self._leave()

    def _pass_time(self, now: float) -> None:
        """Let the deadlines up to ``now`` fire, each at its own time, with all its effects."""
        while (at := self.machine.next_deadline()) is not None and at <= now:
            self._handle(c.Tick(), at, None)

    def _handle(self, command: c.Command, at: float, reply: _Reply | None) -> None:
        try:
            self._perform(command, at, reply)
        except Exception as error:  # a bug of ours: say so, and let the other sessions live
            log.exception("the hub could not handle %s; please report this", type(command).__name__)
            if reply is not None:
                reply.error = error
        if reply is not None:
            reply.next_deadline = self.machine.next_deadline()
            reply.done.set()

    def _perform(self, command: c.Command, at: float, reply: _Reply | None) -> None:
        if isinstance(command, c.Register):
            io = self.transports[command.transport]
            peer_already_gone, resume_request = io.transport.has_hung_up(), self._effect_runner.look(command)
            if peer_already_gone or resume_request is not command.resume_request:
                command = replace(command, peer_already_gone=peer_already_gone, resume_request=resume_request)
        if self.trace is not None and not isinstance(command, c.Tick):
            self.trace.note_value(at, "command", command)
        for effect in self.machine.handle(command, at):
            if self.trace is not None and not isinstance(effect, e.Count):
                self.trace.note_value(at, "effect", effect)
            observed = self._effect_runner.execute(effect)
            if observed is not None:
                self._perform(observed, at, None)
            elif isinstance(effect, e.NotFound) and reply is not None:
                reply.error = ConnectionNotFound(effect.connection_id)
        if isinstance(command, c.Register):
            self._effect_runner.look_away(command)
        if isinstance(command, c.Released):
            self._effect_runner.forget_transport(command.transport)

    def _leave(self) -> None:
        with self._gate:
            self._left = True
        while (item := self._mailbox.get(0)) is not None:
            _, command, reply = item
            if isinstance(command, c.Register):  # too late: it closes its own socket
                self._turn_away(self.transports[command.transport])
            if reply is not None:
                if isinstance(command, c.Kick):
                    reply.error = ConnectionNotFound(command.connection_id)
                reply.done.set()
        self.clock.unfollow(self)
        self.pool.close()
        if self.leader_followers is not None:
            self.leader_followers.close()
        self._stopped.set()

    # -- what threads report ----------------------------------------------------------------

    def start_writer(self, writer: TransportWriter) -> None:
        """Any thread: the peer is slow, or a close frame is due."""
        self.io_threads.start_writer(writer)

    def on_flushed(self, writer: TransportWriter, flushed: Flushed) -> None:
        """Any thread, without a lock: what a bout of writing did."""
        if flushed.close_sent:
            self.put(c.CloseSent(writer.number))
        elif flushed.failed:
            self.put(c.WriteFailed(writer.number))
        elif flushed.stalled:
            self.put(c.WriteStalled(writer.number))
        if self.trace is not None and (
            flushed.sizes or flushed.close_sent or flushed.failed or flushed.stalled
        ):
            self.note(
                "writer",
                "Wrote",
                transport=writer.number,
                frames=len(flushed.sizes),
                size=sum(flushed.sizes),
                left=flushed.left,
                close=flushed.close_sent,
                blocked=flushed.stalled,
                failed=flushed.failed,
            )
        if self._metrics is not None and flushed.sizes and writer.label is not None:
            for size in flushed.sizes:
                self.count("message_sent", *writer.label, size)
            self.count("send_buffer", *writer.label, flushed.left, self.config.send_buffer)

    def passed(self, writer: TransportWriter, size: int, used: int) -> None:
        """Any thread, without a lock: a frame was written straight away."""
        self.on_flushed(writer, Flushed(sizes=[size], left=used))

    def note(self, lane: str, what: str, **fields: Any) -> None:
        """Write something into the trace, if there is one. Any thread."""
        if self.trace is not None:
            self.trace.note(self.clock.monotonic(), lane, what, **fields)

    def buffer_changed(self, connection: Connection, used: int) -> None:
        """Any thread, without a lock."""
        if self._metrics is not None:
            self.count("send_buffer", connection.room_id, connection.id, used, self.config.send_buffer)

    def count(self, method: str, *arguments: Any) -> None:
        """Call the collector; one that raises is logged and ignored. Any thread, without a lock."""
        if self._metrics is None:
            return
        try:
            getattr(self._metrics, method)(*arguments)
        except Exception:
            log.exception("the metrics collector raised in %s; ignored", method)

    def skip(self, connection: Connection, why: Undecodable) -> None:
        """Any thread: a message that is none. Counted, and logged once for each connection."""
        with self._tally:
            self.undecodable += 1
        if not connection._undecodable_logged:
            connection._undecodable_logged = True
            log.warning("skipped a message of %r that cannot be decoded: %s", connection.id, why)

    def handled(self, connection: Connection, size: int) -> None:
        """Any thread: a message counts as handled."""
        self.control_messages.handled(connection, size)

    def encode_gap(self, writer: TransportWriter, gap: Gap) -> Frame | None:
        """Any thread, without a lock: the ``$missed`` that tells of a hole."""
        return self.control_messages.encode_gap(writer, gap)

    def session_over(self, connection: Connection) -> None:
        """on_disconnect has returned."""
        connection._ended.set()

    def stats(self) -> Stats:
        """Any thread: how many there are, and what became of all that was sent."""
        ledger, held = self.ledger_totals.sum()
        sessions = list(self.registry.sessions.values())
        return Stats(
            sessions=len(sessions),
            suspended=sum(session.suspended for session in sessions),
            rooms=len(self.registry.rooms),
            undecodable=self.undecodable,
            held=held,
            **asdict(ledger),
        )

    def may_refuse_by_close(self) -> bool:
        """Any thread: may one more socket be upgraded only to be told why it is refused?

        Counted when the socket arrives, so that a response that is never sent counts nothing; the
        cap can be passed by as many as are being answered at this moment. Never when the hub has
        left: nobody would write the close frame.
        """
        return not self._left and self._refusals < MAX_REFUSALS

    def give_back_refusal(self, io: TransportIO) -> None:
        if io.counts_as_refusal:
            with self._tally:
                self._refusals -= 1

    # -- the end ----------------------------------------------------------------------------

    def close(self, timeout: float) -> list[tuple[str, str]]:
        """End everything within ``timeout`` real seconds; the threads that are still there, with stacks.

        From a thread of the hub's own it only starts the close, and reports that thread.
        """
        with self._gate:
            first, self._closing = not self._closing, True
        if first:
            self.put(c.Shutdown())
        caller = self.thread_group.current()
        if caller is not None and not (self._watcher is not None and self._watcher.is_current()):
            return [(caller.name, caller.stack())]
        give_up = _REAL.monotonic() + timeout
        # The last part of the time is for those whom a polite good-bye does not reach.
        if not self.thread_group.join(give_up - min(1.0, timeout / 3)):
            self.put(c.AbortAll())
            self.thread_group.join(give_up)
        self.runtime.dismiss(max(0.0, give_up - _REAL.monotonic()))
        return [(thread.name, thread.stack()) for thread in self.thread_group.others()]

    @property
    def closing(self) -> bool:
        return self._closing

    def _main_returned(self) -> None:
        stuck = self.close(self.config.write_timeout)
        if stuck:
            log.warning(
                "the process ends while these threads are busy: %s", ", ".join(name for name, _ in stuck)
            )
            self._stopped.set()

    def forget(self) -> None:
        """In a forked child: close the inherited descriptors and touch nothing else.

        The threads stayed with the parent, and so did the connections: no shutdown, no lock.
        """
        self._gate = self.runtime.lock()  # the old one may have been held by a thread of the parent's
        self._left = True
        self.runtime.forget()
        if self.leader_followers is not None:
            self.leader_followers.abandon()
        for io in list(self.transports.values()):
            io.transport.forget()
