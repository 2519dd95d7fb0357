"""Carries out what the machine asks for, effect by effect. Hub thread only.

Nothing here waits: not for the network (close frames go to writer threads, replays to readers),
not for user code (callbacks go to strands), not for a lock that user code may hold. Nothing here
decides either. Read next: ``engine.py``, which drives it, and ``core/effects.py``.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never
from weakref import WeakValueDictionary

from .channel import Channel
from .connection import Connection, Inbox
from .core import effects as e
from .core.claims import Claim, Title
from .core.commands import Observed, Register
from .core.states import State
from .errors import ConnectionClosed, HubClosed
from .items import Keep
from .message import Frame
from .outbox import Outbox
from .receipts import Receipts
from .threads.callbacks import Strand
from .threads.jobs import HookJob
from .threads.link import Link

if TYPE_CHECKING:
    from .engine import Engine

log = logging.getLogger("resumehub")

# A reader starts right behind these, and runs them: no thread of the pool is needed.
_BEFORE_READER = ("on_connect", "on_transport_restore")


class Executor:
    """The hub thread's hands. ``execute`` gives the observation that an ``Inspect`` asks for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._runtime = engine.runtime
        self._config = engine.config
        self._by_epoch: dict[int, Connection] = {}
        # By id and not by session: an id's next session waits for the callbacks of the one before.
        # Weak, so that an id is forgotten with the last connection object that had it.
        self._strands: WeakValueDictionary[str, Strand] = WeakValueDictionary()

    def execute(self, effect: e.Effect) -> Observed | None:
        """Carry out one effect. Never blocks."""
        match effect:
            case e.OpenSession():
                self._open(effect)
            case e.AttachTransport(number, epoch):
                self._attach(self._link(number), self._by_epoch[epoch], effect)
            case e.DetachTransport(number, epoch):
                self._detach(self._link(number), self._by_epoch[epoch])
            case e.EndSession():
                self._end(effect)
            case e.AdmitToRefuse(number):
                self._admit_to_refuse(self._link(number))
            case e.SendClose(number, code, reason, after_data):
                self._channel(number).close(code, reason, after_data=after_data)
            case e.DiscardUnsent(number):
                self._discard(self._link(number))
            case e.SendPing(number):
                link = self._link(number)
                link.ping_mark, link.pinged_at = link.transport.heard, self._engine.clock.monotonic()
                self._channel(number).ping()
            case e.Inspect():
                return self._inspect(effect)
            case e.SendAck(number):
                connection = self._link(number).connection
                if connection is not None:
                    self._engine.voice.acknowledge(connection)
            case e.Entitle(epoch, title):
                self._by_epoch[epoch]._title = title
            case e.AbortTransport(number):
                self._abort(self._link(number))
            case e.Notify():
                self._notify(effect)
            case e.Count(method, arguments):
                self._engine.count(method, *arguments)
            case e.Ignored(because):
                log.debug("ignored: %s", because)
            case e.NotFound() | e.Finish():
                pass  # the engine looks at these
            case _:
                assert_never(effect)
        return None

    # -- the second look at a resume --------------------------------------------------------

    def look(self, knock: Register) -> Claim:
        """What the outbox says to the client's count; it keeps what is needed until ``look_away``."""
        wanted, claim = self._wanted(knock), knock.claim
        if wanted is None or claim.received is None:
            return claim
        with wanted._outbox.lock:
            standing = wanted._outbox.pin(claim.received)
        return replace(claim, beyond=standing.beyond, first_available=standing.first_available)

    def look_away(self, knock: Register) -> None:
        """The decision is made and carried out."""
        wanted = self._wanted(knock)
        if wanted is not None:
            with wanted._outbox.lock:
                wanted._outbox.unpin()

    def _wanted(self, knock: Register) -> Connection | None:
        return self._by_epoch.get(knock.seen) if knock.resume and knock.seen is not None else None

    def forget_link(self, number: int) -> None:
        """The transport is released; what its ended session could not send is lost now."""
        link = self._engine.links.pop(number, None)
        if link is None:
            return
        self._engine.give_back_refusal(link)
        connection = link.connection
        if connection is not None and connection._channel is link.channel and connection.closed:
            with connection._outbox.lock:
                self._lose(connection, connection._outbox.settle("closed"))
                connection._channel = None
            self._engine.books.close(connection._outbox)
            self._count_dropped(connection, "closed")

    # -- sessions ---------------------------------------------------------------------------

    def _open(self, effect: e.OpenSession) -> None:
        config, runtime = self._config, self._runtime
        link = self._link(effect.transport)
        # A name for people; an id that was made up is a secret, and another one in every run.
        whose = f"session {effect.epoch}" if link.generated else effect.connection_id
        strand = self._strands.get(effect.connection_id)
        if strand is None:
            strand = Strand(runtime, self._engine.pool, max(config.max_message_size, 256 * 1024), whose)
            self._strands[effect.connection_id] = strand
        connection = Connection(
            self._engine,
            epoch=effect.epoch,
            connection_id=effect.connection_id,
            room_id=effect.room_id,
            generated=link.generated,
            data=link.data,
            outbox=Outbox(
                runtime.lock(f"the outbox of {whose}"),
                config.send_buffer,
                config.send_buffer_bytes,
                self._keep(effect.title, link.generated),
            ),
            inbox=Inbox(runtime.lock(f"the inbox of {whose}")),
            strand=strand,
            ended=runtime.event(f"on_disconnect of {whose} to return"),
            title=effect.title,
            receipts=self._receipts(effect.title, whose),
        )
        self._by_epoch[effect.epoch] = connection
        self._engine.books.open(connection._outbox)
        self._engine.tables.enter(connection)

    def _keep(self, title: Title, generated: bool) -> Keep:
        if title.tokens is not None:
            return Keep.UNPROVEN
        return Keep.NOTHING if generated or self._config.resume_window == 0 else Keep.HISTORY

    def _receipts(self, title: Title, whose: str) -> Receipts | None:
        if title.tokens is None:
            return None
        lock = self._runtime.lock(f"the receipts of {whose}")
        return Receipts(lock, self._config.send_buffer, self._config.send_buffer_bytes)

    def _end(self, effect: e.EndSession) -> None:
        connection = self._by_epoch[effect.epoch]
        outbox = connection._outbox
        with outbox.lock:
            if outbox.refusal is None or effect.hub_closed:
                outbox.refusal = (HubClosed if effect.hub_closed else ConnectionClosed)(connection.id)
            if not effect.flush:
                self._lose(connection, outbox.settle(effect.drop_reason, keep_started=True))
            if connection._channel is None:
                self._engine.books.close(outbox)
        connection._state = State.CLOSED
        if not effect.deliver:
            connection._inbox.fence()
            connection._strand.wake()
        self._engine.tables.leave(connection)
        self._count_dropped(connection, effect.drop_reason)

    def _notify(self, effect: e.Notify) -> None:
        connection = self._by_epoch[effect.epoch]
        if effect.hook == "on_transport_restore":
            # Before its handler may look, which can be before the hub gets to attach the transport.
            connection._state = State.CONNECTED
        if effect.hook == "on_disconnect":
            del self._by_epoch[effect.epoch]
        elif not self._is_heard(effect.hook):
            return
        job = HookJob(self._engine, connection, effect.hook, effect.generation, effect.error)
        connection._strand.post(job, runner_coming=effect.hook in _BEFORE_READER)

    def _is_heard(self, hook: str) -> bool:
        """Whether a thread is worth waking for it: not where nobody has a handler and nothing is recorded."""
        return bool(self._engine.handlers[hook]) or self._engine.trace is not None

    # -- transports -------------------------------------------------------------------------

    def _attach(self, link: Link, connection: Connection, effect: e.AttachTransport) -> None:
        channel = self._new_channel(link, connection._outbox, (connection.room_id, connection.id))
        link.connection = connection
        link.generation = connection._generation = effect.generation
        connection._title = effect.title
        handled = connection._inbox.attach(effect.generation)
        outbox, waiting = connection._outbox, 0
        with outbox.lock:
            if effect.received is not None:
                waiting = outbox.rewind(effect.received)
            elif effect.generation > 1:
                outbox.restart()
            # Nobody writes until the channel is there, so this is still the end when it gets its words.
            last = outbox.place_last("replayed") if effect.title.tokens and effect.generation > 1 else None
        if effect.title.tokens is not None:
            self._engine.voice.greet(connection, channel, effect, handled, waiting, last)
        with outbox.lock:
            connection._channel = channel
        if not self._engine.roster.start_reader(link):
            connection._strand.call_pool()

    def _detach(self, link: Link, connection: Connection) -> None:
        assert link.channel is not None, "an attached link has a channel"
        with connection._outbox.lock:
            link.channel.detach()
            connection._channel = None
        connection._inbox.fence()
        connection._strand.wake()
        connection._state = State.SUSPENDED

    def _admit_to_refuse(self, link: Link) -> None:
        self._new_channel(link, Outbox(self._runtime.lock(), 1, 1), None)
        self._engine.roster.start_reader(link)

    def _new_channel(self, link: Link, outbox: Outbox, label: tuple[str, str] | None) -> Channel:
        engine = self._engine
        link.channel = Channel(
            link.number, link.transport, outbox, engine.clock, self._runtime, engine, link.preface, label
        )
        link.reading_since = self._engine.clock.monotonic()
        return link.channel

    def _discard(self, link: Link) -> None:
        assert link.channel is not None, "only a transport that was admitted can be closing"
        lost = link.channel.discard_unsent("closed")
        if link.connection is not None:
            with link.connection._outbox.lock:
                self._lose(link.connection, lost)
            self._count_dropped(link.connection, "closed")

    def _inspect(self, effect: e.Inspect) -> Observed:
        link = self._link(effect.transport)
        took_at, blocked = self._channel(effect.transport).state()
        return Observed(
            transport=effect.transport,
            kind=effect.kind,
            heard=link.transport.heard != link.ping_mark,
            reading_since=link.reading_since,
            took_at=took_at,
            blocked=blocked,
            pinged_at=link.pinged_at,
        )

    def _abort(self, link: Link) -> None:
        link.transport.abort()
        link.aborted.set()
        if link.connection is not None:
            link.connection._strand.wake()
        if link.channel is None:
            # It never had threads, so nobody else will close it.
            self._engine.roster.release_now(link)
        elif link.is_to_be_closed():
            self._engine.roster.see_off(link)

    # -- small words ------------------------------------------------------------------------

    def _link(self, number: int) -> Link:
        return self._engine.links[number]

    def _channel(self, number: int) -> Channel:
        channel = self._engine.links[number].channel
        assert channel is not None, "only a transport that was admitted is written to"
        return channel

    @staticmethod
    def _lose(connection: Connection, frames: list[Frame]) -> None:
        """Lock held: remember what may not have arrived, for ``connection.undelivered``."""
        # In front: what stayed in the outbox for longer is older.
        connection._lost[:0] = frames

    def _count_dropped(self, connection: Connection, reason: str) -> None:
        for _ in range(len(connection._lost) - connection._lost_counted):
            self._engine.count("message_dropped", connection.room_id, connection.id, reason)
        connection._lost_counted = len(connection._lost)
