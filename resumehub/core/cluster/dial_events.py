"""What happens to dials at a worker, and what is to be done about them, as values.

Request threads and the threads that read links make the events; ``WorkerDials`` answers with effects. Every
question and every connection that is passed has a number of its own in its process. Pure values. Read next:
``passing.py``, which decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class NotTakenBecause(Enum):
    """Why the hub has not taken a connection. It has written nothing, and its copy is closed."""

    NO_DESCRIPTOR = "the process that holds the hub has no descriptor free"
    HUB_MOVES = "the hub is moving, and holds as many connections as it may meanwhile"
    HUB_CLOSES = "the hub is shutting down"
    NOT_READ = "this process does not read what the hub answers"
    NOT_SENT = "this process has no descriptor free"
    FAILED = "the hub could not take the connection"


class AskedResult(Enum):
    """What a request thread that has asked is told."""

    ANSWERED = "the answer is there"
    HERE = "the hub is in this process"
    LATER = "the hub is moving or starting"
    AWAY = "no process holds the hub"
    MISSED = "the process that holds the hub has not answered in time"
    SUSPECT = "the process that holds the hub has not answered the last question"
    FULL = "the process that holds the hub has not taken the connections that were passed to it"


# -- what happens ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asks:
    """A request thread has a question. ``number``: of the question; later ones have greater numbers.

    ``once``: it is not asked again where the hub says that it moves or starts.
    """

    number: int
    once: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """The hub has answered a question, perhaps too late. ``later``: it has said that it moves or starts."""

    number: int
    link: int
    later: bool = False


@dataclass(frozen=True, slots=True)
class GivesUp:
    """The time of a request thread that waits for an answer is over."""

    number: int


@dataclass(frozen=True, slots=True)
class Passes:
    """A request thread has taken a connection away from its server, and gives it to be passed on."""

    number: int


@dataclass(frozen=True, slots=True)
class TakenThere:
    """``DialTaken`` was read from a link."""

    number: int
    link: int


@dataclass(frozen=True, slots=True)
class NotTakenThere:
    """The hub has said that it has not taken a connection."""

    number: int
    link: int
    because: NotTakenBecause


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """There is a link to the hub. It replaces an earlier one, whose end may be still to come."""

    link: int
    hub_life: str


@dataclass(frozen=True, slots=True)
class LinkEnded:
    """A link is over, and all that it brought has been handled.

    ``to_its_end``: the hub's process sends nothing more on it, and all that it has sent was read. ``moved``:
    it has said that the hub has moved.
    """

    link: int
    to_its_end: bool
    moved: bool = False


@dataclass(frozen=True, slots=True)
class HubIsHere:
    """This process holds the hub now. Of the life of the hub at the other end of the link, if that has moved
    here: then all that it had sent on the link before it left was read.
    """

    hub_life: str


@dataclass(frozen=True, slots=True)
class HubHasLeft:
    """This process holds the hub no more."""


@dataclass(frozen=True, slots=True)
class TimePasses:
    """It is time to look at deadlines."""


@dataclass(frozen=True, slots=True)
class Stops:
    """This process passes nothing on any more."""


DialEvent = (
    Asks
    | Answered
    | GivesUp
    | Passes
    | TakenThere
    | NotTakenThere
    | LinkOpened
    | LinkEnded
    | HubIsHere
    | HubHasLeft
    | TimePasses
    | Stops
)


# -- what is to be done ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendQuestion:
    """Send the question ``number`` over this link, and do not wait."""

    number: int
    link: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Wake the request thread that waits for the answer to ``number``."""

    number: int
    result: AskedResult


@dataclass(frozen=True, slots=True)
class SendPass:
    """Send the connection ``number`` over this link, and keep this process's descriptor."""

    number: int
    link: int


@dataclass(frozen=True, slots=True)
class TakeHere:
    """Give the connection to the hub in this process."""

    number: int


@dataclass(frozen=True, slots=True)
class CloseCopy:
    """Close this process's descriptor, without a shutdown: the connection may live on elsewhere."""

    number: int


@dataclass(frozen=True, slots=True)
class RefuseDial:
    """Write a plain 503 on the connection, which is this process's own, and end it."""

    number: int
    why: str


DialEffect = SendQuestion | Tell | SendPass | TakeHere | CloseCopy | RefuseDial
