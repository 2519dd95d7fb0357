"""A dial at a worker, from the hub's side: which of the connections that workers pass are taken.

While the hub moves, or has not all of its sessions yet, it can't be said whose a connection is. So one that
comes then is held. When it is known where the hub is, it is taken here, or its copy is dropped, and the
worker passes it on to the hub's next place. What is taken is answered before anything else happens to it
(``passing.py`` says why). A question is no matter of this module: it is answered with what there is, or with
*later*, and nothing is kept of it.

Pure; called on the threads of the links. Read next: ``passing.py``, the worker's side.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, assert_never

from .dial_events import NotTakenBecause

MOST_HELD: Final = 1000
"""So many connections are held while the hub moves, at most."""


class HubPlace(Enum):
    """Whether the hub is in this process."""

    UNSURE = "it is about to come or to leave"
    HERE = "it is here, with all of its sessions, and stays until the event is handled"
    GONE = "it is elsewhere"
    CLOSED = "it shuts down here"


@dataclass(frozen=True, slots=True)
class PassArrived:
    """A worker passes a connection. ``descriptor``: whether one has arrived."""

    link: int
    number: int
    descriptor: bool
    place: HubPlace


@dataclass(frozen=True, slots=True)
class PlaceIs:
    """It may be known now where the hub is."""

    place: HubPlace


ReceivingEvent = PassArrived | PlaceIs


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


ReceivingEffect = TakeDial | DropDial


class HubDials:
    """The dials of all workers at one process. One thread at a time; never blocks.

    Next: carry out the effects of ``handle`` before the next event.
    """

    def __init__(self) -> None:
        self._held: list[PassArrived] = []

    @property
    def held(self) -> int:
        """So many connections wait until it is known where the hub is."""
        return len(self._held)

    def handle(self, event: ReceivingEvent) -> list[ReceivingEffect]:
        """Decide what is to be done."""
        match event:
            case PassArrived():
                return self._decide(event, event.place)
            case PlaceIs(place):
                held, self._held = self._held, []
                return [effect for one in held for effect in self._decide(one, place)]
        assert_never(event)

    def _decide(self, dial: PassArrived, place: HubPlace) -> list[ReceivingEffect]:
        if not dial.descriptor:
            return [DropDial(dial.link, dial.number, NotTakenBecause.NO_DESCRIPTOR)]
        match place:
            case HubPlace.HERE:
                return [TakeDial(dial.link, dial.number)]
            case HubPlace.UNSURE if len(self._held) < MOST_HELD:
                self._held.append(dial)
                return []
            case HubPlace.UNSURE:
                return [DropDial(dial.link, dial.number, NotTakenBecause.HUB_MOVES)]
            case HubPlace.GONE:
                # The end of the link tells the worker, which still has its own descriptor.
                return [DropDial(dial.link, dial.number, None)]
            case HubPlace.CLOSED:
                return [DropDial(dial.link, dial.number, NotTakenBecause.HUB_CLOSES)]
        assert_never(place)
