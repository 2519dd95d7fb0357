"""Why a session has ended, as the server writes it and the client reads it: 410 and 4100. Pure.

The body of a 410 and the reason of a close frame 4100 may hold ``{"reason": "gap", "first_available": 42}``:
messages are missing, and 42 is the first one that the server could still send. Any other text is for people.
Values only; any thread. ``core/machine.py`` and ``wsgi/resume_params.py`` write it, ``client/machine.py`` and
``client/transport.py`` read it.
"""

from __future__ import annotations

import json
from typing import Any


def gap_reason(first_available: int) -> str:
    """The reason of the close frame 4100 for a gap; ``first_available``: a message's number."""
    return json.dumps({"reason": "gap", "first_available": first_available})


def read_expiry(text: str) -> tuple[str, int | None]:
    """The reason and, for a gap, the number of the first message that could still be sent (else None)."""
    said = read_object(text)
    reason = said.get("reason")
    first = said.get("first_available")
    return (
        reason if isinstance(reason, str) else text[:200],
        first if isinstance(first, int) and not isinstance(first, bool) else None,
    )


def read_object(text: str) -> dict[str, Any]:
    """The JSON object that ``text`` is; an empty one if ``text`` is anything else."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
