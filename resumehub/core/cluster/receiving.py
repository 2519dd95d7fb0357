"""A dial at a worker, from the hub's side: what is answered, and which connections are taken.

A question is answered at once: with what there is or, while the hub moves or has not all of its sessions yet,
with *later*. A connection that comes then is held until it is known where the hub is: it is taken here, or
its copy is dropped, and the worker passes it on to the hub's next place. What is taken is answered before
anything else happens to it (``passing.py`` says why).

Pure; called on the threads of the links. Read next: ``passing.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, assert_never

from .dial_events import NotTakenBecause

MOST_HELD: Final = 1000
"""So many connections are held while the hub moves or starts, at most."""


class HubPlace(Enum):
    """Whether the hub is in this process."""

    UNSURE = "it is about to come or to leave"
    HERE = "it is here, with all of its sessions"
    GONE = "it has left"
    CLOSED = "it shuts down"


@dataclass(frozen=True, slots=True)
class Questioned:
    """A worker asks."""

    link: int
    number: int


@dataclass(frozen=True, slots=True)
class PassArrived:
    """A worker passes a connection. ``descriptor``: whether one has arrived."""

    link: int
    number: int
    descriptor: bool


@dataclass(frozen=True, slots=True)
class PlaceIs:
    """The hub has come, is about to leave, stays, has left, or shuts down."""

    place: HubPlace


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """The link of a worker is over: nothing can be answered on it."""

    link: int


ReceivingEvent = Questioned | PassArrived | PlaceIs | SourceEnded


@dataclass(frozen=True, slots=True)
class AnswerQuestion:
    """Answer with what the hub has. ``later``: answer that it can't be said now."""

    link: int
    number: int
    later: bool


@dataclass(frozen=True, slots=True)
class TakeDial:
    """Answer ``DialTaken``. If the kernel has it, the connection is the hub's; if not, drop the copy."""

    link: int
    number: int


@dataclass(frozen=True, slots=True)
class DropDial:
    """Close the copy that came, without a shutdown. ``because``: what the worker is told; None: nothing."""

    link: int
    number: int
    because: NotTakenBecause | None


ReceivingEffect = AnswerQuestion | TakeDial | DropDial


class HubDials:
    """The dials of all workers at one hub. One thread at a time; never blocks.

    Next: carry out the effects of ``handle`` before the next event of the same link.
    """

    def __init__(self, place: HubPlace = HubPlace.UNSURE) -> None:
        self.place = place
        self._held: list[PassArrived] = []

    @property
    def held(self) -> int:
        """So many connections wait until it is known where the hub is."""
        return len(self._held)

    def handle(self, event: ReceivingEvent) -> list[ReceivingEffect]:
        """Decide what is to be done."""
        match event:
            case Questioned(link, number):
                return [AnswerQuestion(link, number, later=self.place is not HubPlace.HERE)]
            case PassArrived():
                return self._arrived(event)
            case PlaceIs(place):
                self.place = place
                held, self._held = self._held, []
                return [effect for one in held for effect in self._arrived(one)]
            case SourceEnded(link):
                gone = [one for one in self._held if one.link == link]
                self._held = [one for one in self._held if one.link != link]
                return [DropDial(link, one.number, None) for one in gone]
        assert_never(event)

    def _arrived(self, dial: PassArrived) -> list[ReceivingEffect]:
        if not dial.descriptor:
            return [DropDial(dial.link, dial.number, NotTakenBecause.NO_DESCRIPTOR)]
        match self.place:
            case HubPlace.HERE:
                return [TakeDial(dial.link, dial.number)]
            case HubPlace.UNSURE if len(self._held) < MOST_HELD:
                self._held.append(dial)
                return []
            case HubPlace.GONE:
                # The end of the link tells the worker, which still has its own descriptor.
                return [DropDial(dial.link, dial.number, None)]
            case HubPlace.UNSURE:
                return [DropDial(dial.link, dial.number, NotTakenBecause.HUB_MOVES)]
            case HubPlace.CLOSED:
                return [DropDial(dial.link, dial.number, NotTakenBecause.HUB_CLOSES)]
        assert_never(self.place)
