"""What a client counts. Values; read next: ``client.py``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientStats:
    """Counters of one client since it was made.

    ``dials``: attempts to connect; ``connections``: those that opened; ``drops``: those of them that ended.
    ``sent``: messages written, those written again included; ``acknowledged``: messages that the server is
    known to have handled; ``waiting``: accepted messages that are still to be sent or acknowledged.
    ``received``: messages given to the application; ``missed``: messages that the server had to drop;
    ``rejected``: messages of ours that the server would not take; ``undecodable``: what came and was no
    message; ``callback_errors``: callbacks that raised, or whose answer to a request could not be sent;
    ``answers_ignored``: answers that no request waited for, because they came too late or a second time.
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
    answers_ignored: int


@dataclass(slots=True)
class ClientCounters:
    """What has been counted so far; see ``ClientStats``."""

    dials: int = 0
    connections: int = 0
    drops: int = 0
    missed: int = 0
    rejected: int = 0
    undecodable: int = 0
    callback_errors: int = 0
