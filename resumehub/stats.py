"""What ``hub.stats()`` gives: how many there are now, and what became of all that was sent. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stats:
    """A hub at one moment.

    ``accepted`` frames are the sum of all the columns below it: each frame that was accepted for
    sending is in exactly one of them (contract D6). Sums are since the hub was built.
    """

    #: Sessions that live now, and how many of them are suspended.
    sessions: int = 0
    suspended: int = 0
    rooms: int = 0
    #: Inbound messages that were skipped since they could not be decoded.
    undecodable: int = 0
    #: Frames that were accepted for sending, one for each receiver of a broadcast.
    accepted: int = 0
    #: … the client said that it has handled them.
    acknowledged: int = 0
    #: … were written to a client that gives no proof of having got them.
    written: int = 0
    #: … were broadcast to somebody whose buffer was full.
    dropped: int = 0
    #: … belonged to a session whose grace window ended.
    expired: int = 0
    #: … belonged to a session that was ended, or whose peer took no more.
    closed: int = 0
    #: … are in a session's buffer or history still.
    held: int = 0
