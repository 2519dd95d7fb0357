"""Takes a session out of a running hub at any moment, and puts it into another one, at the exact byte.

``export_session`` first fences the session: no callback of it runs or starts, its reader leaves, no thread
writes; its peer notices nothing. Then the hub thread decides, and makes the session's state. Until that
command is handled, everything is undone if the session can't be moved. ``adopt_session`` is the other end.
This module does not know how the state travels between processes. Threads: any but the hub thread and those
that run a callback. Read next: ``session/session_state.py``, ``transport/base.py`` (clauses T12 to T14).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.commands import Adopt, Export
from ..errors import ConnectionNotFound, NotMovable
from ..incoming.transport_io import TransportIO
from ..runtime.base import Runtime
from ..session.handler_calls import HookCall
from ..session.session import Session
from ..session.session_data import check_data
from ..session.session_state import SessionState, check
from ..transport.base import Transport
from ..transport.sockets import ByteStream
from ..transport.websocket import WebSocketTransport
from .transport_fence import TransportFence

if TYPE_CHECKING:
    from .hub_loop import HubLoop


@dataclass(frozen=True, slots=True)
class Departure:
    """A session that has left its hub.

    ``transport``: None if it was suspended. Next: pass its socket on (``pollable``), then ``release`` it.
    """

    state: SessionState
    transport: Transport | None


def export_session(loop: HubLoop, runtime: Runtime, connection_id: str) -> Departure:
    """Take a session out of the hub; it goes on wherever ``adopt_session`` is called with its state.

    Raises: ConnectionNotFound; NotMovable, and the session goes on here; TypeError for ``connection.data``
    that JSON can't hold. Blocks: until a callback of its id that runs, and those of an earlier
    session, have returned.
    """
    session = loop.registry.sessions.get(connection_id)
    connection = session.connection if session is not None else None
    if loop.config.data_codec is None:
        raise NotMovable(connection_id, "its data belongs to this process (data_codec=None)")
    if session is None or connection is None:
        raise ConnectionNotFound(connection_id)
    fence = _Fence(loop, runtime, session)
    try:
        fence.close()
        check_data(connection.data)
        loop.put_and_wait(Export(connection_id, session.life))
        state = loop.effect_runner.departed(session)
    except BaseException:
        fence.open()
        raise
    session.serial_queue.let_go(without=lambda call: call.session is session)
    session.connection = None
    session.ended.set()
    return Departure(state, fence.io.transport if fence.io is not None else None)


def adopt_session(loop: HubLoop, runtime: Runtime, state: SessionState, stream: ByteStream | None) -> None:
    """Let a session go on in this hub. ``stream``: its connection; None where it is suspended.

    Raises: SessionStateError for a damaged state; NotMovable, when the id is in use here or the hub shuts
    down. Then nothing has changed, and the caller still owns the stream. Blocks: until the hub thread has
    handled it.
    """
    check(state)
    number, live = None, state.transport
    if live is not None:
        assert stream is not None, "a connected session comes with its connection"
        transport = WebSocketTransport(stream, state.limits.max_message_size, (), live.input)
        number = loop.enter(TransportIO(loop.transports.next_number(), transport, runtime))
    arrival = loop.effect_runner.arrives(state)
    try:
        loop.put_and_wait(Adopt(arrival, number, state.decisions))
    except BaseException:
        loop.effect_runner.arrivals.pop(arrival, None)
        if number is not None:
            loop.transports.remove(number)
        raise


class _Fence:
    """Stops everything that a session does before it is exported, step by step, and can undo it."""

    def __init__(self, loop: HubLoop, runtime: Runtime, session: Session) -> None:
        self._loop = loop
        self._runtime = runtime
        self._session = session
        self._transport: TransportFence | None = None
        self._queue_is_held = self._is_released = False

    @property
    def io(self) -> TransportIO | None:
        """The transport that is parted with; None if the session has none."""
        return self._transport.io if self._transport is not None else None

    def close(self) -> None:
        """Stop callbacks, reader and writer. Raises: NotMovable. Blocks: until they have stopped."""
        session, runtime = self._session, self._runtime
        self._stop_callbacks()
        if leaves(session):
            self._is_released = True
            self._run_alone("on_release")
        writer = session.writer
        if writer is None:
            return
        if writer.number not in self._loop.transports:
            raise NotMovable(session.connection_id, "its transport has just been released")
        io = self._loop.transports[writer.number]
        if not io.transport.movable or io.host_thread is not None:
            raise NotMovable(session.connection_id, "a transport with compression or TLS stays where it is")
        self._transport = TransportFence(self._loop, io)
        self._transport.close(runtime)
        if (because := self._transport.wait()) is not None:
            raise NotMovable(session.connection_id, because)

    def _stop_callbacks(self) -> None:
        session, queue = self._session, self._session.serial_queue
        while True:
            quiet = self._runtime.event(f"the callbacks of {session.connection_id} to stop")
            queue.hold(quiet.set)
            quiet.wait()
            self._queue_is_held = True
            # An earlier session of the id ends here; its on_disconnect runs before anything of the next one.
            earlier = [call.session for call in queue.waiting() if call.session.epoch < session.epoch]
            if not earlier:
                return
            queue.let_go()
            self._queue_is_held = False
            earlier[-1].ended.wait()

    def open(self) -> None:
        """Undo it: the session goes on here."""
        if self._transport is not None:
            self._transport.open()
        if self._is_released and self._session.connection is not None:
            self._run_alone("on_adopt")
        if self._queue_is_held:
            self._session.serial_queue.let_go()

    def _run_alone(self, hook: str) -> None:
        session = self._session
        done = self._runtime.event(f"{hook} of {session.connection_id} to return")
        call = HookCall(self._loop.services, session, hook, session.generation, None)
        session.serial_queue.run_alone(call, done.set)
        done.wait()


def leaves(session: Session) -> bool:
    """Whether an on_release is due before it leaves. Call it while its queue of callbacks is held.

    Not where on_connect has not run, which then runs in the other process.
    """
    begun = all(
        call.hook != "on_connect" for call in session.serial_queue.waiting() if call.session is session
    )
    return begun and session.connection is not None
