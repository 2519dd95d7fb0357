"""What a process tells the hub about itself on its link, beside calls and dials. Values; any thread.

Read next: ``member_loop.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """A worker to the hub, about once a second: whether it could take the hub.

    ``ready``: it serves, and is not told to stop. ``room``: for so many sockets it has descriptors.
    ``master``: the process of its server, 0 where there is none.
    """

    ready: bool
    room: int
    master: int


MESSAGES: Final[dict[int, type]] = {80: MemberStatus}
"""Number → class of the message."""
