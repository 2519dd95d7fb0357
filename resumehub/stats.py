"""What ``hub.stats()`` returns: what the hub holds now, and what became of all frames. Values only.

Read next: ``server/hub_stats.py``, which counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Stats:
    """A hub at one moment.

    ``accepted`` is the sum of the fields from ``acknowledged`` to ``held``: each frame that was accepted for
    sending is counted in exactly one of them (contract D6). All counts begin when the hub is built.
    """

    #: Sessions that exist now, and how many of them are suspended.
    sessions: int = 0
    suspended: int = 0
    #: Rooms that have members; what all sessions are members of, their home rooms included; and how many
    #: users have a session.
    rooms: int = 0
    memberships: int = 0
    users: int = 0
    #: Requests without an answer, of clients and to clients.
    requests: int = 0
    #: Incoming messages that were skipped, because they could not be decoded.
    undecodable: int = 0
    #: Frames that were accepted for sending, one for each receiver of a broadcast.
    accepted: int = 0
    #: … the client has acknowledged.
    acknowledged: int = 0
    #: … were written to a client that does not acknowledge.
    written: int = 0
    #: … were dropped by a broadcast, because the receiver's buffer was full.
    dropped: int = 0
    #: … belonged to a session whose grace window ended.
    expired: int = 0
    #: … belonged to a session that ended otherwise, or whose peer took no more.
    closed: int = 0
    #: … are still in a session's buffer or history.
    held: int = 0
    #: The payload bytes of ``held``.
    held_bytes: int = 0
    #: Messages of clients that are read and wait for a handler, and their bytes.
    parked: int = 0
    parked_bytes: int = 0
    #: Refused upgrades by reason (``RefusalReason``), those that happened; counted in the hub's process.
    refused: Mapping[str, int] = field(default_factory=dict, hash=False)
    #: Threads of the hub.
    threads: int = 0
    #: For how many seconds of the hub's clock its oldest command has waited that is not handled yet. 0: none
    #: does. A hub thread that hangs is seen by it, since it grows.
    lag: float = 0.0
    #: Whom the hub refuses, since it is drained: "newcomers", or "all"; "" while it is not.
    draining: str = field(default="", metadata={"told": False})
    #: What the process that was asked is in its cluster: "hub" (it holds the hub), "worker" (another one
    #: does), "starting" (it looks for the hub, or gets it) or "outside" (it takes no part); "" without one.
    role: str = ""

    @property
    def connected(self) -> int:
        """Sessions that have a transport: ``sessions`` less ``suspended``."""
        return self.sessions - self.suspended
