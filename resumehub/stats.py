"""What ``hub.stats()`` returns: how many sessions there are, and what became of all frames. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stats:
    """A hub at one moment.

    ``accepted`` is the sum of all fields below it: each frame that was accepted for sending is
    counted in exactly one of them (contract D6). All counts begin when the hub is built.
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
