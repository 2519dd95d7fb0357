"""What the pages say in words: durations, sizes, and a sentence for each thing that can happen to a session.

Pure. Any thread. Read next: ``swimlane.py``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from ..reasons import CloseReason
from ..session.recent import Happened, What


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h 10 min``, ``4 d 3 h``."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    for unit, size, smaller, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def size(count: int) -> str:
    """Bytes: ``812 B``, ``3.4 KiB``, ``1.0 MiB``."""
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < 1 << 20 else f"{count / (1 << 20):.1f} MiB"


def many(count: int, noun: str) -> str:
    """``1 message``, ``2 messages``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def time_of_day(seconds: float) -> str:
    """Of a point in seconds since 1970, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def moment(seconds: float) -> str:
    """The same for a machine, with the date."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


ENDS: Final = {
    CloseReason.NORMAL.value: "its client left, or the application closed it",
    CloseReason.KICK.value: "it was kicked",
    CloseReason.TRANSPORT_LOST.value: "its connection was lost, and no client can resume it",
    CloseReason.GRACE_EXPIRED.value: "no client came back in its grace window",
    CloseReason.HUB_CLOSE.value: "the hub closed",
    CloseReason.DUPLICATE.value: "another client took its id",
    CloseReason.HANDLER_ERROR.value: "a handler raised",
    CloseReason.GAP.value: "its client wanted messages that are no longer there",
}
"""Why a session ends: a ``CloseReason`` in words."""


def said(event: Happened) -> str:
    """A sentence about it, without how often it happened."""
    match event.what:
        case What.BEGAN:
            return "connected"
        case What.MOVED_IN:
            return "came here from another process; what was before is not known here"
        case What.LOST:
            return f"connection lost ({event.detail})"
        case What.TAKEN_OVER:
            return "a new connection of the client takes over"
        case What.RESUMED:
            after = f" after {duration(event.seconds)}" if event.seconds >= 0 else ""
            count = int(event.detail) if event.detail.isdecimal() else 0
            return f"came back{after}; {many(count, 'message')} to send"
        case What.NOT_RESUMED:
            return "a client that asked for this session was refused"
        case What.JOINED:
            return f"joins room {event.detail}"
        case What.LEFT:
            return f"leaves room {event.detail}"
        case What.RAISED:
            hook, _, error = event.detail.partition(": ")
            return f"{hook} raised {error}"
        case What.SLOW:
            return f"{event.detail} took {duration(event.seconds)}"
        case What.STALLED:
            return "acknowledges too little; its window is full" if event.detail else "takes no more bytes"
        case What.PAUSED:
            return "sends faster than its rate; it is read more slowly"
        case What.ENDED:
            return f"ended: {ENDS.get(event.detail, event.detail)}"
        case What.MOVED_OUT:
            return "left for another process"
