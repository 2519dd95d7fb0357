"""Counts the bytes of one direction of a connection, and finds the place where a fault strikes.

It knows where an HTTP head ends and nothing else of HTTP or WebSocket. Pure. Used by ``pipe.py``.
"""

from __future__ import annotations

from .faults import Place

_END_OF_HEAD = b"\r\n\r\n"


class Flow:
    """One direction. ``place``: where the fault strikes, if it does so in this direction."""

    def __init__(self, place: Place | None) -> None:
        self._place = place
        self._seen = 0
        self.head = b""
        self.head_size: int | None = None
        self.struck = False

    def take(self, data: bytes) -> bytes:
        """Count ``data``; give what of it comes before the place, and set ``struck`` if that is in it."""
        before = self._seen
        self._seen += len(data)
        if self.head_size is None:
            self._look_for_its_end(data)
        at = self._strikes_at()
        if self.struck or at is None or at > self._seen:
            return data
        self.struck = True
        return data[: at - before]

    def _look_for_its_end(self, data: bytes) -> None:
        self.head += data
        end = self.head.find(_END_OF_HEAD)
        if end >= 0:
            self.head_size = end + len(_END_OF_HEAD)
            self.head = self.head[: self.head_size]

    def _strikes_at(self) -> int | None:
        """So many bytes of the whole come before it; None: that is not known yet, or never."""
        if self._place is None:
            return None
        if self._place.part == "frames":
            return None if self.head_size is None else self.head_size + self._place.byte
        return self._place.byte if self.head_size is None else min(self._place.byte, self.head_size)
