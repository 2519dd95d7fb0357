"""The messages of dials that cross a link, by number (40 to 59).

Each is a frozen dataclass with slots, entered in ``MESSAGES`` below; a number is never used for another
message. Plain values, any thread. Read next: ``../link_codec.py``, for how they become bytes.
"""

from __future__ import annotations

from typing import Final

MESSAGES: Final[dict[int, type]] = {}
"""Number → class of the message."""
