"""What a handle does while its session is about to leave this process, and once it is in another one.

While a whole hub moves, each of its sessions has a ``Seal``: a thread that wants something of the session
waits, and then makes the whole call again, here or where the session is by then (``Elsewhere``, over the
link to the hub). A session that has never moved has none, and pays nothing. Threads: any; the thread that
moves the hub opens the seal. Read next: ``session.py``, ``../server/hub_departure.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ..message import Frame
from ..runtime.base import Event

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class SeenElsewhere:
    """A session as it was when the hub answered."""

    rooms: tuple[str, ...]
    suspended: bool


class Elsewhere(Protocol):
    """Reaches the sessions that have left this process, by id and life. Results and errors are as at home.

    ``look``: None when the session has ended. ``answer``: the answer to a request of the client, as
    ``Session.put_kept`` takes it; ``request_id``: the client's. Each call blocks until the hub has answered.
    """

    def send(self, connection_id: str, life: str, frame: Frame) -> None: ...
    def close(self, connection_id: str, life: str) -> None: ...
    def join(self, connection_id: str, life: str, room_id: str) -> None: ...
    def leave(self, connection_id: str, life: str, room_id: str) -> None: ...
    def request(
        self, connection_id: str, life: str, event: str, payload: Any, timeout: float | None
    ) -> Any: ...
    def answer(
        self, connection_id: str, life: str, request_id: str, frame: Frame, beyond: int, any_size: bool
    ) -> bool: ...
    def wait_closed(self, connection_id: str, life: str, timeout: float | None) -> bool: ...
    def undelivered(self, connection_id: str, life: str) -> Sequence[Frame]: ...
    def look(self, connection_id: str, life: str) -> SeenElsewhere | None: ...


class Seal:
    """One for all sessions of a hub that moves. ``opened``: an event that nobody else uses."""

    __slots__ = ("_opened", "elsewhere")

    def __init__(self, opened: Event) -> None:
        self._opened = opened
        #: Where the sessions are; None while that is open, and when they stay here.
        self.elsewhere: Elsewhere | None = None

    def open(self, elsewhere: Elsewhere | None) -> None:
        """The move is over. None: the sessions stay here, and have no seal any more. Never blocks."""
        self.elsewhere = elsewhere
        self._opened.set()

    def wait(self) -> Elsewhere | None:
        """Block until the move is over; return where the sessions are, None for here."""
        self._opened.wait()
        return self.elsewhere


class SealedError(Exception):
    """The session is sealed: wait, without a lock, and make the call again."""

    def __init__(self, seal: Seal) -> None:
        super().__init__("the session is about to leave this process")
        self.seal = seal


def wherever(here: Callable[[], Result], there: Callable[[Elsewhere], Result]) -> Result:
    """Call ``here``; where it finds a seal, wait and call it again, or ``there``."""
    while True:
        try:
            return here()
        except SealedError as sealed:
            elsewhere = sealed.seal.wait()
        if elsewhere is not None:
            return there(elsewhere)
