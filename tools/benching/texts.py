"""The messages of the benchmark: 64 bytes each, whoever carries them.

To resumehub they are the JSON of a ``Message``; the peers are spared the parsing, and look at the first
bytes only. ``{"event":"all",…}`` is for everybody, ``{"event":"say",…}`` comes back to who sent it.
"""

from __future__ import annotations

SIZE = 64
"""Bytes of each message."""

ALL = '{"event":"all"'
ALL_BYTES = ALL.encode()


def text(event: str, size: int = SIZE) -> str:
    """A message for ``event``, of exactly so many bytes."""
    frame = '{"event":"%s","payload":"%s"}'
    return frame % (event, "x" * (size - len(frame % (event, ""))))


def for_all(said: str | bytes) -> bool:
    """Whether this is to go to everybody."""
    return said.startswith(ALL) if isinstance(said, str) else said.startswith(ALL_BYTES)
