"""Where the hub is, for threads that must know it: here, at the end of a link, or nowhere yet.

The member's thread says it, any thread asks. Read next: ``member_parts.py``.
"""

from __future__ import annotations

from ..clock import now
from ..errors import HubUnavailable
from ..runtime.base import Runtime
from .member_parts import Here, Linked, Place


class Whereabouts:
    """One process's. Methods: any thread."""

    def __init__(self, runtime: Runtime, folder: str) -> None:
        self._folder = folder
        self._lock = runtime.lock("where the hub is")
        self._changed = runtime.condition(self._lock)
        self._place: Place | None = None
        self._since = now()
        self._why = "this process takes no part in it yet: call hub.start()"
        #: Of the last hub that was known: the same across moves, another after a kill; "" before one.
        self.hub_life = ""

    @property
    def place(self) -> Place | None:
        """Where the hub is; None: nowhere. Never blocks."""
        return self._place

    @property
    def why(self) -> str:
        """Why the hub is nowhere, in a few words."""
        return self._why

    @property
    def age(self) -> float:
        """For so many seconds the hub has been there; where it is nowhere: for so long."""
        return now() - self._since

    def set(self, place: Place) -> None:
        """The hub is there from now on. Never blocks."""
        with self._lock:
            self._since = now()
            self._place = place
            self.hub_life = place.hub_life
            self._changed.notify_all()

    def set_nowhere(self, why: str) -> None:
        """There is no hub that this process knows of. Never blocks."""
        with self._lock:
            if self._place is not None:
                self._since = now()
            self._place, self._why = None, why
            self._changed.notify_all()

    def wait_while_at(self, place: Place, timeout: float) -> None:
        """Return when the hub is said to be anywhere else, or nowhere. Blocks: until then, or ``timeout``."""
        end = now() + timeout
        with self._lock:
            while self._place is place and (left := end - now()) > 0:
                self._changed.wait(left)

    def wait(self, timeout: float) -> Place:
        """Where the hub is.

        Raises: HubUnavailable(sent=False) when it is nowhere after ``timeout`` real seconds. Blocks: until
        then.
        """
        place = self._place
        if place is not None and not is_over(place):
            return place
        end = now() + timeout
        with self._lock:
            while (place := self._place) is None or is_over(place):
                left = end - now()
                if left <= 0:
                    raise HubUnavailable(
                        False,
                        f"no hub of the cluster's folder {self._folder} within {timeout:g} s: {self._why}",
                    )
                self._changed.wait(left)
            return place


def is_over(place: Place) -> bool:
    """Whether the link to that hub has ended."""
    match place:
        case Here():
            return False
        case Linked():
            return bool(place.link.ended)
