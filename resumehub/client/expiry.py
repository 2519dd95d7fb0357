"""Why a session is gone, as the server tells it: the body of a 410, the reason of a 4100. Pure.

Both may hold ``{"reason": "gap", "first_available": 42}``; all else is text for people. Nothing that
a server says here can do more than that. Used by ``machine.py`` and ``wire.py``.
"""

from __future__ import annotations

import json
from typing import Any


def read_expiry(text: str) -> tuple[str, int | None]:
    """The reason, and the first message that could still be had, where there is a gap."""
    said = read_object(text)
    reason = said.get("reason")
    first = said.get("first_available")
    return (
        reason if isinstance(reason, str) else text[:200],
        first if isinstance(first, int) and not isinstance(first, bool) else None,
    )


def read_object(text: str) -> dict[str, Any]:
    """The JSON object in ``text``; empty where there is none."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
