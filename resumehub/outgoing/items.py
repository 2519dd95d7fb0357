"""What is in an outbox: frames, and between them control messages and gaps; and how long each is kept.

Values only; an item of an outbox is changed under that session's lock. Made by the outbox and by
``session/control_messages.py``, read by ``wire_queue.py``. Read next: ``frame_queue.py``.
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
    """A control message that waits. It has no number, counts against no bound, and is for one transport.

    ``placed``: its place among the frames has a meaning, so other control messages may overtake it.
    """

    kind: str
    frame: Frame
    placed: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Gap:
    """The messages ``first`` to ``last`` were dropped.

    Only a client that acknowledges is told, by ``frame``; None until it is encoded. For a plain
    client a gap has no numbers; ``first`` is set to the next frame's number once the gap is passed.
    """

    first: int
    last: int
    frame: Frame | None = None


Item = Frame | Notice | Gap
