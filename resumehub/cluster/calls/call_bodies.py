"""What is asked of a hub in another process, and what it answers. Values only; any thread.

``Call`` and ``Answer`` carry them over a link. ``life`` "": whoever has the id. Read next:
``call_messages.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from ...message import Frame, Opcode
from ...server.looks import Question, Report
from ...stats import Stats


@dataclass(frozen=True, slots=True)
class FrameValue:
    """An encoded message (``message.Frame``) as a value. ``text``: else it is binary."""

    text: bool
    payload: bytes

    @classmethod
    def of(cls, frame: Frame) -> FrameValue:
        """The value of a frame."""
        return cls(frame.opcode is Opcode.TEXT, frame.payload)

    def frame(self, *, kept: bool = False) -> Frame:
        """The frame again. ``kept``: it is a request."""
        return Frame(Opcode.TEXT if self.text else Opcode.BINARY, self.payload, kept=kept)

    def data(self) -> str | bytes:
        """What a codec decodes. Raises: UnicodeDecodeError for a text that is none."""
        return self.payload.decode() if self.text else self.payload


# -- what is asked ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendCall:
    """``Hub.send``; with a ``life``: ``Connection.send``."""

    connection_id: str
    life: str
    frame: FrameValue


@dataclass(frozen=True, slots=True)
class BroadcastCall:
    """``Hub.broadcast``. ``marked``: the frame with the mark of a history.

    ``counts``: of each room, how many messages its history keeps; empty if the asker leaves that to the hub.
    """

    room_ids: tuple[str, ...]
    frame: FrameValue
    excluded: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    marked: FrameValue | None = None


@dataclass(frozen=True, slots=True)
class SendToUserCall:
    """``Hub.send_to_user``."""

    user: str
    frame: FrameValue


@dataclass(frozen=True, slots=True)
class KickCall:
    """``Hub.kick``."""

    connection_id: str


@dataclass(frozen=True, slots=True)
class KickUserCall:
    """``Hub.kick_user``."""

    user: str


@dataclass(frozen=True, slots=True)
class EndAllCall:
    """``Hub.end_all``."""


@dataclass(frozen=True, slots=True)
class SetDrainCall:
    """``Hub.drain`` and ``Hub.undrain``. ``drain``: the value of a ``Drain``."""

    drain: str


@dataclass(frozen=True, slots=True)
class CutCall:
    """``Hub.cut``."""

    connection_id: str


@dataclass(frozen=True, slots=True)
class CloseCall:
    """``Connection.close``."""

    connection_id: str
    life: str


@dataclass(frozen=True, slots=True)
class JoinCall:
    """``Connection.join``."""

    connection_id: str
    life: str
    room_id: str


@dataclass(frozen=True, slots=True)
class LeaveCall:
    """``Connection.leave``."""

    connection_id: str
    life: str
    room_id: str


@dataclass(frozen=True, slots=True)
class RequestCall:
    """``Connection.request``. ``frame`` names ``request_id``, which the asker has made.

    ``timeout``: in seconds from the execution on; None for no limit. The answer comes when it is there.
    """

    connection_id: str
    life: str
    request_id: str
    event: str
    frame: FrameValue
    timeout: float | None


@dataclass(frozen=True, slots=True)
class AnswerCall:
    """The answer to a request of the client, which a handler gives that ran when its session left.

    ``beyond``, ``any_size``: as ``Outbox.put_kept`` takes them.
    """

    connection_id: str
    life: str
    request_id: str
    frame: FrameValue
    beyond: int
    any_size: bool


@dataclass(frozen=True, slots=True)
class SettleCall:
    """Of a process that has held the hub: a client has answered the request of another process, its call
    ``number``, which was executed there.
    """

    process: str
    number: int
    result: Result


@dataclass(frozen=True, slots=True)
class WaitClosedCall:
    """``Connection.wait_closed``. The answer comes when on_disconnect has returned.

    ``timeout``: for which the asker waits, in seconds; None for no limit.
    """

    connection_id: str
    life: str
    timeout: float | None


@dataclass(frozen=True, slots=True)
class UndeliveredCall:
    """``Connection.undelivered``."""

    connection_id: str
    life: str


@dataclass(frozen=True, slots=True)
class LookCall:
    """``Hub.get``; with a ``life``: only if the session has it."""

    connection_id: str
    life: str = ""


@dataclass(frozen=True, slots=True)
class LookAtRoomCall:
    """``Hub.connections(room_id)``."""

    room_id: str


@dataclass(frozen=True, slots=True)
class LookAtUserCall:
    """``Hub.connections(user=…)``."""

    user: str


@dataclass(frozen=True, slots=True)
class IdsCall:
    """``Hub.ids``."""

    room_id: str
    limit: int


@dataclass(frozen=True, slots=True)
class CountCall:
    """``Hub.count``."""

    room_id: str


@dataclass(frozen=True, slots=True)
class RoomsCall:
    """``Hub.rooms``."""


@dataclass(frozen=True, slots=True)
class StatsCall:
    """``Hub.stats``."""


@dataclass(frozen=True, slots=True)
class InspectCall:
    """What an inspector asks (``server/looking.py``). Not for release 0.2.0: see ``inspecting.py``."""

    question: Question


Asked: TypeAlias = (
    SendCall
    | BroadcastCall
    | SendToUserCall
    | KickCall
    | KickUserCall
    | EndAllCall
    | SetDrainCall
    | CutCall
    | CloseCall
    | JoinCall
    | LeaveCall
    | RequestCall
    | AnswerCall
    | SettleCall
    | WaitClosedCall
    | UndeliveredCall
    | LookCall
    | LookAtRoomCall
    | LookAtUserCall
    | IdsCall
    | CountCall
    | RoomsCall
    | StatsCall
    | InspectCall
)


# -- what is answered ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Done:
    """It is done; there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception of the hub's process. ``kind``: its class; ``values``: what it is made of again."""

    kind: str
    values: Any


@dataclass(frozen=True, slots=True)
class Counted:
    """A number."""

    number: int


@dataclass(frozen=True, slots=True)
class Whether:
    """True or False."""

    true: bool


@dataclass(frozen=True, slots=True)
class Named:
    """Ids, or rooms."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConnectionLook:
    """What a look-up says of a session."""

    connection_id: str
    life: str
    room_id: str
    rooms: tuple[str, ...]
    user: str | None
    generated: bool
    suspended: bool
    closed: bool


@dataclass(frozen=True, slots=True)
class Looked:
    """The sessions that were found."""

    found: tuple[ConnectionLook, ...]


@dataclass(frozen=True, slots=True)
class Frames:
    """Encoded messages: the answer of a client, or what was not delivered."""

    frames: tuple[FrameValue, ...]


@dataclass(frozen=True, slots=True)
class StatsNow:
    """The hub's statistics."""

    stats: Stats


@dataclass(frozen=True, slots=True)
class Inspected:
    """What an inspector is told."""

    report: Report


@dataclass(frozen=True, slots=True)
class MarkWanted:
    """Nothing was broadcast: rooms of this hub have a history, so the frame with its mark is wanted too."""


Result: TypeAlias = (
    Done | Raised | Counted | Whether | Named | Looked | Frames | StatsNow | Inspected | MarkWanted
)
