"""When a client that was refused for the moment may come back, as the server says it and the client reads it.

A 503 says it in the header Retry-After. A client that asked for close codes gets it in the reason of the
close frame 4503: "try again later (in 5 seconds)". Values only; any thread. ``wsgi/refusals.py`` and
``core/machine.py`` write it, ``client/machine.py`` reads it.
"""

from __future__ import annotations

import re
from typing import Final

RETRY_AFTER: Final = 5
"""In seconds: what the hub says of its own refusals."""

SOON: Final = 1
"""In seconds: the same while the hub moves to another process, or starts."""

_SECONDS = re.compile(r"\(in ([0-9]{1,9}) seconds\)$", re.ASCII)


def later_reason(retry_after: str | int | None = RETRY_AFTER) -> str:
    """The reason of a close frame 4503. ``retry_after``: whole seconds; a date or None is left out."""
    seconds = str(retry_after).strip()
    said = f"try again later (in {seconds} seconds)"
    return said if _SECONDS.search(said) else "try again later"


def read_retry_after(reason: str) -> float:
    """The seconds in the reason of a close frame; 0 where it says none."""
    said = _SECONDS.search(reason)
    return float(said[1]) if said else 0.0
