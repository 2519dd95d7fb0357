"""Why a session ended, and why a frame was dropped: the words that a metrics collector is told.

Plain values: this module imports nothing of the package and anything may import it. The machine chooses the
reason of each end, the outbox's ledger has a column for each reason of a drop, and a collector gets the
value, a plain ``str``. Read next: ``metrics.py``, ``core/machine.py``, ``outgoing/ledger.py``.
"""

from __future__ import annotations

from enum import Enum


class CloseReason(Enum):
    """Why a session ended: the ``reason`` of ``connection_closed``."""

    NORMAL = "normal"
    KICK = "kick"
    TRANSPORT_LOST = "transport_lost"
    GRACE_EXPIRED = "grace_expired"
    HUB_CLOSE = "hub_close"
    DUPLICATE = "duplicate"
    HANDLER_ERROR = "handler_error"
    GAP = "gap"


class DropReason(Enum):
    """Why a frame that was accepted is given up: the ``reason`` of ``message_dropped``."""

    OVERFLOW = "overflow"
    EXPIRED = "expired"
    CLOSED = "closed"
