"""Which thread reads a transport, which writes it, and which closes it.

A transport is read by the request thread that stays for it (TLS), in turns by the threads that read for many,
or by a thread of its own. While that thread is stuck in a callback, another one reads. The thread that sends
also writes, until the peer is slow: then a writer thread does. The last of them closes the transport. These
threads are started here. When the system can't start one, a thread that exists does the work: the watcher
writes (``shared_writer.py``), and a reader that is stuck in a callback stays the only one. Only where each
transport has a reader of its own, a new one that gets none is dropped
(tests/races/test_no_thread_to_be_had.py).

It knows nothing of sessions. It does not decide when a transport is read or ended: the effect runner (hub
thread), the watcher and a writer whose peer is slow (any thread) do. Nothing here waits. Read next:
``incoming/reader.py``, ``incoming/leader_followers.py``, docs/explanation/threads.md.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from ..core import commands as c
from ..incoming.leader_followers import LeaderFollowers
from ..incoming.read_tasks import TurnResult, Worker
from ..incoming.reader import Reader
from ..incoming.shared_reader import FinalRelease, SharedReader
from ..incoming.transport_io import TransportIO
from ..message import Frame
from ..outgoing.items import Gap
from ..outgoing.transport_writer import TransportWriter
from ..outgoing.write_results import Flushed
from ..runtime.foreign_code import Log, passes
from ..session.services import Services
from .thread_group import ThreadGroup

log = Log(__name__)


class IOThreads:
    """One hub's threads for input and output. Never blocks.

    It is also the owner of every ``TransportWriter``: it gets what a writer did, and starts its thread.
    """

    def __init__(
        self,
        services: Services,
        thread_group: ThreadGroup,
        leader_followers: LeaderFollowers | None,
        take_writer: Callable[[TransportWriter], None],
    ) -> None:
        self._services = services
        self._commands = services.commands
        self._thread_group = thread_group
        #: The threads that read for many; None where each transport has a reader thread of its own.
        self.leader_followers = leader_followers
        self._take_writer = take_writer

    # -- reading ----------------------------------------------------------------------------

    def start(self) -> None:
        """Start the first thread that reads for many. Raises: RuntimeError if the system can't."""
        if self.leader_followers is not None:
            self.leader_followers.enter(_FirstTurn())

    def start_reader(self, io: TransportIO, *, idle: bool = False) -> bool:
        """Hub thread: start reading a transport. False if no thread could be started; then it is aborted.

        ``idle``: nothing waits to be written or handled, so no thread is needed until input comes.
        """
        io.reader = token = object()
        if io.host_thread is not None:
            io.host_thread.offer(self._thread_group.adopted(Reader(self._services, io, token).run))
            return True
        try:
            self._read_on(io, token, idle=idle)
        except RuntimeError:
            log.warning(
                "no thread to read transport %s could be started; it is dropped",
                io.number,
                transport=io.number,
            )
            self._drop_unread(io)
            return False
        return True

    def recall(self, io: TransportIO) -> None:
        """Any thread: wake the reader, which may wait for input, for its session's callbacks, or pause."""
        if io.session is not None:
            io.session.serial_queue.wake()
        io.read_on()
        if self.leader_followers is not None and io.transport.pollable is not None:
            self.leader_followers.recall(io.transport.pollable.fileno())

    def take_back(self, io: TransportIO) -> bool:
        """Any thread: have a transport read no more that no thread works on; False if one does."""
        shared, sock = self.leader_followers, io.transport.pollable
        return shared is not None and sock is not None and shared.forget(sock.fileno(), if_idle=True)

    def look(self) -> None:
        """Watcher: if all threads that read for many have ended, start one."""
        if self.leader_followers is not None:
            self.leader_followers.look()

    def is_served(self) -> bool:
        """Whether a thread reads for the transports that have none of their own."""
        return self.leader_followers is None or self.leader_followers.is_served()

    def _read_on(self, io: TransportIO, token: object, *, idle: bool = False) -> None:
        """Have the transport read by the holder of ``token``. Raises: RuntimeError if no thread can start."""
        if self.leader_followers is not None and io.transport.pollable is not None:
            reader = SharedReader(self._services, io, token, self.leader_followers)
            if idle:
                reader.begin_idle()
            self.leader_followers.enter(reader, idle=idle)
        else:
            self._thread_group.spawn("reader", Reader(self._services, io, token).run)

    def stand_in(self, io: TransportIO) -> None:
        """Watcher: the reader is stuck in a callback; give another thread the right to read.

        If no thread can be started, the right stays where it is, and the watcher asks again at its next look:
        while no thread reads, no deadline for a Pong runs.
        """
        token = object()
        with io.lock:
            if not io.busy:
                return
            busy_reader = io.reader
            io.reader, io.busy = token, False
            try:
                # Under the lock: a busy reader that returns meanwhile must not leave before it is clear
                # whether another one reads.
                self._read_on(io, token)
            except RuntimeError:
                io.reader, io.busy = busy_reader, True

    # -- writing ----------------------------------------------------------------------------

    def start_writer(self, writer: TransportWriter) -> None:
        """Any thread: the peer is slow, or a close frame is due."""
        try:
            self._thread_group.spawn("writer", self._saved(writer))
        except RuntimeError:
            self._take_writer(writer)

    def _saved(self, writer: TransportWriter) -> Callable[[], None]:
        """What a writer thread does. If it fails, only this transport is lost."""

        @wraps(writer.write_until_drained)  # a lab reads from it for which transport the thread works
        def write() -> None:
            try:
                writer.write_until_drained()
            except BaseException as error:
                if passes(error):
                    raise
                self.writer_failed(writer, error)

        return write

    def writer_failed(self, writer: TransportWriter, error: BaseException) -> None:
        """A writer thread, or the watcher: a bug of ours in writing; give the transport up."""
        log.error(
            "writing transport %s failed; please report this",
            writer.number,
            exc_info=error,
            transport=writer.number,
        )
        writer.writer_failed()
        self._commands.put(c.TransportAborted(writer.number))

    def window_full(self, writer: TransportWriter) -> None:
        """Any thread, without a lock: a client of ``resumehub.v1`` must acknowledge before it gets more."""
        self._commands.put(c.WindowFull(writer.number))

    def on_flushed(self, writer: TransportWriter, flushed: Flushed) -> None:
        """Any thread, without a lock: what one round of writing did."""
        if flushed.close_sent:
            self._commands.put(c.CloseSent(writer.number))
        elif flushed.failed:
            self._commands.put(c.WriteFailed(writer.number))
        elif flushed.stalled:
            self._commands.put(c.WriteStalled(writer.number))
        observers = self._services.observers
        if observers.watched:
            observers.wrote(writer, flushed)

    def encode_gap(self, writer: TransportWriter, gap: Gap) -> Frame | None:
        """Any thread, without a lock: encode the ``$missed`` of a gap; None if the codec can't."""
        return self._services.control_messages.encode_gap(writer, gap)

    # -- closing ----------------------------------------------------------------------------

    def release_now(self, io: TransportIO) -> None:
        """Hub thread: close a transport that no thread uses."""
        try:
            io.transport.release()
        finally:
            self._commands.put(c.Released(io.number))

    def close_unread(self, io: TransportIO) -> None:
        """Hub thread: close a transport that no thread reads any more."""
        assert io.writer is not None, "it was read"
        if io.writer.retire_now():
            self.release_now(io)
        else:
            assert self.leader_followers is not None, "one of them has ended this transport's input"
            self.leader_followers.enter(FinalRelease(Reader(self._services, io, None), io.number))

    def _drop_unread(self, io: TransportIO) -> None:
        # No other thread would close the transport, so this reader only releases it.
        let_go = Reader(self._services, io, io.reader).let_go
        self._commands.put(c.TransportAborted(io.number))
        try:
            self._thread_group.spawn("reader", let_go)
        except RuntimeError:
            io.transport.abort()
            io.aborted.set()
            let_go()


class _FirstTurn:
    """Nothing to read: a turn that has the first reader started. The hub can't do without that thread."""

    number = -1
    in_hand = False

    def take(self, me: Worker) -> TurnResult:
        return TurnResult.LEFT

    def resume_later(self) -> None:
        raise AssertionError("it reads nothing")

    def give_up(self, why: BaseException) -> None:
        """There is no transport to be given up."""
