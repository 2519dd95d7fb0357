"""Why a session ended, and why a frame was dropped: the reasons that a metrics collector gets.

Plain values: this module imports nothing of the package and any module may import it. The machine
chooses the reason of each end. The outbox's ledger has a column for each reason of a drop. A collector
gets the value, a plain ``str``. Read next: ``metrics.py``, ``core/machine.py``, ``outgoing/ledger.py``.
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
    """Why an accepted frame was dropped: the ``reason`` of ``message_dropped``."""

    OVERFLOW = "overflow"
    EXPIRED = "expired"
    CLOSED = "closed"
