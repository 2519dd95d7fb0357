"""What stands in an outbox: frames, and between them control messages and holes; and what is kept of them.

Values only: a row is ``frame_queue.py``'s, and whoever has an item of one changes it under that session's
lock. Made by the outbox and by ``session/control_messages.py``, read by the channel. Read next:
``frame_queue.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..message import Frame


class Retention(Enum):
    """What is kept of a frame once it is written."""

    NOTHING = "nothing: this session cannot be resumed"
    HISTORY = "while there is room, in case the client counts"
    UNTIL_ACKED = "until the client acknowledges it"


@dataclass(slots=True, eq=False, repr=False)
class Notice:
    """A control message on its way: no number, no part in the bounds, and it goes with its transport.

    ``placed``: its place among the frames means something, so nothing that hurries waits behind it.
    """

    kind: str
    frame: Frame
    placed: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Gap:
    """A hole: the messages ``first`` to ``last`` were dropped.

    Only a client that acknowledges is told, by ``frame`` once somebody has encoded it. For a plain
    one a hole has no numbers (``first`` is where the client would be when it meets it).
    """

    first: int
    last: int
    frame: Frame | None = None


Item = Frame | Notice | Gap
