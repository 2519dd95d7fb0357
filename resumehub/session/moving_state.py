"""A session written down, and made again from what was written: for a move to another process.

``export_session`` and ``attach_again`` are called on the hub thread, ``built`` and ``fill`` on any. They know
every part of a session that another process needs, and decide nothing: what stops the session before, and
what tells the machine, is ``server/moving.py``. Read next: ``session_state.py``, which has the values.
"""

from __future__ import annotations

from collections.abc import Callable

from ..core.moving import DecisionState
from ..core.open_requests import ClientRequest
from ..core.states import State
from ..errors import ConnectionClosed
from ..outgoing.outbox import Outbox
from ..outgoing.transport_writer import TransportWriter
from ..runtime.base import Runtime
from .ahead_state import AheadState
from .delayed_ack import DelayedAck
from .inbound_fence import InboundFence
from .serial_queue import SerialQueue
from .services import Services
from .session import Asked, Session
from .session_state import HookState, LiveTransport, OpenRequestState, RequestsState, SessionState

_NO_REQUESTS = RequestsState()


def write_down(
    session: Session, decisions: DecisionState, hooks: tuple[HookState, ...], transport: LiveTransport | None
) -> SessionState:
    """Hub thread, or the one that holds it; the outbox's lock held: the session's state. Nothing changes.

    The session must be fenced: no callback starts, no thread reads or writes its transport.
    """
    assert session.connection is not None, "its on_disconnect has not run"
    handled, fenced, rejected = session.inbound_fence.export()
    return SessionState(
        decisions=decisions,
        limits=session.limits,
        data=session.connection.data,
        handled=handled,
        fenced=fenced,
        rejected=rejected,
        undecodable_logged=session.undecodable_logged,
        delayed_ack=session.delayed_ack.export() if session.delayed_ack is not None else None,
        outbox=session.outbox.export(),
        hooks=hooks,
        transport=transport,
        requests=_requests_of(session),
    )


def _requests_of(session: Session) -> RequestsState:
    own = session.own_requests  # those of other processes have numbers of their own
    if not (own.last or len(own) or len(session.client_requests)):
        return _NO_REQUESTS
    return RequestsState(
        session.own_requests.last,
        tuple(OpenRequestState(one.id, one.event) for one in session.client_requests.all()),
        session.own_requests.ids(),
    )


def export_session(
    session: Session, decisions: DecisionState, hooks: tuple[HookState, ...], transport: LiveTransport | None
) -> SessionState:
    """Hub thread, the outbox's lock held: return the session's state, and refuse further sends here.

    The session must be fenced: no callback runs or starts, no thread reads or writes its transport.
    """
    state = write_down(session, decisions, hooks, transport)
    session.outbox.refusal = ConnectionClosed(
        session.connection_id, f"the session {session.connection_id!r} goes on in another process"
    )
    for asked in session.own_requests.settle_all():
        asked.ended(None)
    session.inbound_fence.shut()
    session.state = State.CLOSED
    return state


def built(services: Services, ahead: AheadState, serial_queue: SerialQueue, runtime: Runtime) -> Session:
    """A session's objects, made of what goes ahead of it. Any thread. Next: ``fill``."""
    generated = ahead.credentials.generated
    whose = "a session that came" if generated else ahead.connection_id
    return Session(
        services,
        0,
        ahead.life,
        ahead.connection_id,
        ahead.room_id,
        outbox=Outbox(
            runtime.lock(f"the outbox of {whose}"), ahead.max_frames, ahead.max_bytes, ahead.retention
        ),
        inbound_fence=InboundFence(runtime.lock(f"the inbound fence of {whose}"), ahead.max_frames),
        serial_queue=serial_queue,
        ended=runtime.event(f"on_disconnect of {whose} to return"),
        credentials=ahead.credentials,
        delayed_ack=None,
        limits=ahead.limits,
        generation=ahead.generation,
        rooms=ahead.rooms,
    )


def fill(
    session: Session,
    state: SessionState,
    runtime: Runtime,
    ask_elsewhere: Callable[[Session, str], Asked] | None = None,
) -> None:
    """Put all else of ``state`` into a session that was ``built`` of its first part; it has no transport.

    ``state`` was checked. ``ask_elsewhere``: what is told of the answer to a request for which a thread of
    another process waits; None: nobody, and an answer is ignored. Any thread.
    Next: ``attach_again`` if it is connected.
    """
    outbox = state.outbox
    if state.delayed_ack is not None:
        lock = runtime.lock(f"the delayed ack of session {session.life[:8]}")
        session.delayed_ack = DelayedAck(lock, outbox.max_frames, outbox.max_bytes)
        session.delayed_ack.restore(state.delayed_ack)
    session.inbound_fence.restore(state.handled, state.fenced, state.rejected)
    session.outbox.fill(outbox)
    session.state = State.CONNECTED if state.decisions.connected else State.SUSPENDED
    session.undecodable_logged = state.undecodable_logged
    session.own_requests.last = state.requests.last
    if ask_elsewhere is not None:
        for request_id in state.requests.asked:
            session.own_requests.open(request_id, ask_elsewhere(session, request_id))
    for one in state.requests.open:
        session.client_requests.open(ClientRequest(one.id, one.event, deferred=True))


def attach_again(session: Session, writer: TransportWriter, live: LiveTransport, now: float) -> None:
    """Hub thread: go on with the transport that the session had, at the exact byte.

    Next: start its reader. No ``$hello`` and no close frame is sent, and no callback runs.
    """
    session.inbound_fence.attach(session.generation)
    took_at = now - live.took_ago if live.took_ago is not None else float("-inf")
    with session.outbox.lock:
        writer.restore(live.wire, live.acked, took_at, live.blocked)
        if live.full_ago is not None:
            writer.window.restore(session.outbox, now - live.full_ago)
        session.writer = writer
