"""What becomes of the sessions and transports of a hub whose thread has died.

The machine decides no more, so nothing waits for it: every transport is aborted, and every session ends as
when the hub is closed. Its ``on_disconnect`` gets ``HubClosed``, sends are refused with it. A client sees its
connection end without a close frame (1006) and dials again; this hub answers 503, so a load balancer that
asks ``Hub.ready`` sends it elsewhere. What a session could not send any more is in
``connection.undelivered``.

Called by the hub thread, as its last work. Each step is tried for itself: what broke the hub may break one of
them, too. Read next: ``hub_loop.py``, ``effect_runner.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..core import effects as e
from ..errors import HubClosed
from ..reasons import CloseReason, DropReason
from ..runtime.foreign_code import Log, passes
from ..session.session import Session
from .effect_runner import EffectRunner
from .io_threads import IOThreads
from .registry import SessionRegistry
from .transport_table import TransportTable

log = Log(__name__)


def end_everything(
    effect_runner: EffectRunner,
    io_threads: IOThreads,
    registry: SessionRegistry,
    transports: TransportTable,
) -> None:
    """End all sessions and abort all transports. Blocks: never."""
    for session in list(registry.sessions.values()):
        for effect in _last_effects(session):
            _try(partial(effect_runner.execute, effect))
    for io in transports:
        _try(partial(effect_runner.execute, e.AbortTransport(io.number)))
        # All of them must be read to their end, which closes them; the threads that read then end, too.
        _try(partial(io_threads.recall, io))
        transports.remove(io.number)


def _last_effects(session: Session) -> list[e.Effect]:
    epoch, writer = session.epoch, session.writer
    error, reason = HubClosed(session.connection_id), CloseReason.HUB_CLOSE.value
    return [
        # Before the end, so that no writer holds a frame of the outbox any more, and all are accounted for.
        *([e.DetachTransport(writer.number, epoch)] if writer is not None else []),
        e.EndSession(epoch, flush=False, drop_reason=DropReason.CLOSED, hub_closed=True),
        *(
            e.NotifyMembership(epoch, "on_leave", session.generation, room_id, reason)
            for room_id in reversed(session.rooms)
        ),
        e.Notify(epoch, "on_disconnect", session.generation, error),
    ]


def _try(step: Callable[[], object]) -> None:
    try:
        step()
    except BaseException as error:
        if passes(error):
            raise
        log.error("a hub that has died could not end everything", exc_info=error)
