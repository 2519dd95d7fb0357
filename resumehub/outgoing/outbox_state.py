"""A session's outbox as a value, from which another process makes an equal one.

Nobody changes it; it is not frozen, as ``session/session_state.py`` says. It has no id that means something
in one process only, and no clock value. Made by ``Outbox.export``, read by
``Outbox.from_state``. Read next: ``outbox.py``; ``session/session_state.py``, of which this is a part.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..message import Frame, Opcode
from .items import Gap, Item, Notice, Retention
from .ledger import Ledger


@dataclass(frozen=True, slots=True)
class FrameState:
    """A frame: an encoded message."""

    payload: bytes
    binary: bool
    kept: bool = False

    @classmethod
    def of(cls, frame: Frame) -> FrameState:
        """The state of ``frame``."""
        return cls(frame.payload, frame.opcode is Opcode.BINARY, frame.kept)

    def make(self, *, control: bool = False) -> Frame:
        """The frame of this state; ``control``: of a control message, which is not compressed."""
        opcode = Opcode.BINARY if self.binary else Opcode.TEXT
        return Frame(opcode, self.payload, compressible=not control, kept=self.kept)


@dataclass(frozen=True, slots=True)
class GapState:
    """See ``items.Gap``: the messages ``first`` to ``last`` were dropped. ``frame``: None until encoded."""

    first: int
    last: int
    frame: FrameState | None


@dataclass(frozen=True, slots=True)
class NoticeState:
    """See ``items.Notice``: a control message that waits. An unsent ``$hello`` holds a token in the clear."""

    kind: str
    frame: FrameState
    placed: bool

    def __repr__(self) -> str:
        return f"<NoticeState {self.kind}>"


ItemState = FrameState | GapState | NoticeState


def state_of(item: Item) -> ItemState:
    """An item of an outbox as a value."""
    match item:
        case Frame():
            return FrameState.of(item)
        case Notice(kind=kind, frame=frame, placed=placed):
            return NoticeState(kind, FrameState.of(frame), placed)
        case Gap(first=first, last=last, frame=frame):
            return GapState(first, last, FrameState.of(frame) if frame is not None else None)


def item_of(state: ItemState) -> Item:
    """The item of a value."""
    match state:
        case FrameState():
            return state.make()
        case NoticeState(kind, frame, placed):
            return Notice(kind, frame.make(control=True), placed=placed)
        case GapState(first, last, told):
            return Gap(first, last, told.make(control=True) if told is not None else None)


@dataclass(slots=True)  # not frozen: see the module
class OutboxState:
    """See the module. The fields are those of ``FrameQueue`` and ``Outbox``, without the counts:
    ``from_state`` counts again, and ``check`` compares with the ledger."""

    retention: Retention
    max_frames: int
    max_bytes: int
    unsent: tuple[ItemState, ...]
    #: Whether the first of them has begun on the present transport.
    started: bool
    #: What was written and may be asked for again.
    sent: tuple[ItemState, ...]
    sent_to: int
    released_to: int
    carried_to: int
    sure_to: int
    last: int
    ledger: Ledger

    def check(self) -> None:
        """Count the frames and compare with the ledger. Raises: ValueError when the parts do not agree."""
        held = sum(isinstance(item, FrameState) for item in (*self.unsent, *self.sent))
        if self.ledger.accepted != self.ledger.settled + held:
            raise ValueError(f"the outbox holds {held} frames, but its ledger says {self.ledger}")
        if self.started and not self.unsent:
            raise ValueError("an item of the outbox has begun, but there is none")
        if any(isinstance(item, NoticeState) for item in self.sent):
            raise ValueError("a control message is among the written frames, where none is kept")
