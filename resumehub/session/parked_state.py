"""A session's state, turned into the one that waits in a file while no process holds the hub, and back.

A connected session is written down as a suspended one that has lost its transport by a close frame 1012,
which its client gets once the file is durable. What its client has sent and no handler has begun with is not
in it: a client of ``resumehub.v1`` sends it again. The frame that has begun on the wire is finished there; so
a plain client, which says no count, does not get it again. Pure; any thread. Used by
``../server/hub_parking.py``. Read next: ``session_state.py``.
"""

from __future__ import annotations

from typing import Final

from ..core.deadlines import DeadlineKind
from ..core.moving import ErrorState, TimeLeft
from ..core.resume import can_come_back
from ..core.sessions import RESTARTING
from ..errors import TransportLost
from ..outgoing.outbox import Outbox
from ..outgoing.outbox_state import NoticeState
from ..runtime.base import Lock
from .plain_values import changed
from .session_state import HookState, SessionState

_LOST: Final = ErrorState.of(TransportLost(*RESTARTING))


def why_not_parked(state: SessionState) -> str | None:
    """Why there is no use in writing a session down; None: there is."""
    if state.limits.resume_window > 0 and can_come_back(state.decisions.credentials):
        return None
    return "no client can resume it"


def parked(state: SessionState, lock: Lock) -> SessionState:
    """``state`` as it waits in the file. ``lock``: any, for the time of the call."""
    outbox, credentials = state.outbox, state.decisions.credentials
    if outbox.started or any(isinstance(item, NoticeState) for item in outbox.unsent):
        outbox = Outbox.at_rest(lock, outbox)  # a $hello that waits has a token in the clear
    if credentials.tokens is not None:
        credentials = changed(credentials, tokens=credentials.tokens.hidden())
    if state.transport is None:
        return changed(state, outbox=outbox, decisions=changed(state.decisions, credentials=credentials))
    decisions = changed(
        state.decisions,
        credentials=credentials,
        connected=False,
        last_error=_LOST,
        time_left=(TimeLeft(DeadlineKind.GRACE, state.limits.resume_window),),
    )
    drop = HookState("on_transport_drop", decisions.generation, _LOST, "", "")
    return changed(state, outbox=outbox, decisions=decisions, hooks=(*state.hooks, drop), transport=None)


def adopted(state: SessionState, *, ends: bool = False) -> SessionState:
    """``state`` as a hub goes on with it: its window begins now. ``ends``: it is over at once."""
    window = 0.0 if ends else state.limits.resume_window
    decisions = changed(state.decisions, time_left=(TimeLeft(DeadlineKind.GRACE, window),))
    return changed(state, decisions=decisions)
