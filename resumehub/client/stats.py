"""What a client counts. Values; read next: ``client.py``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientStats:
    """Counters of one client since it was made.

    ``dials``: connections begun; ``connections``: those that stood; ``drops``: those that ended. ``sent``:
    messages written, those written again included; ``acknowledged``: those that the server is known to
    have handled; ``waiting``: those that are neither. ``received``: messages given to the application;
    ``missed``: those that the server had to drop; ``rejected``: messages of ours that it would not take;
    ``undecodable``: what came and was none; ``callback_errors``: callbacks that raised.
    """

    dials: int
    connections: int
    drops: int
    sent: int
    acknowledged: int
    waiting: int
    received: int
    missed: int
    rejected: int
    undecodable: int
    callback_errors: int


@dataclass(slots=True)
class ClientCounters:
    """What has been counted so far; see ``Stats``."""

    dials: int = 0
    connections: int = 0
    drops: int = 0
    missed: int = 0
    rejected: int = 0
    undecodable: int = 0
    callback_errors: int = 0
