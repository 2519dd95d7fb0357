"""Which requests of a session are open, in both directions: two small tables, and who may settle what, once.

A request is open from the moment at which its handler starts, or at which it was accepted for sending, until
it is answered, refused, given up, or its session has ended. Two threads may want to settle the same one; the
table says which of them does. It knows neither messages on the wire nor threads, and no clock. Its user holds
the lock of the session's outbox, so that an answer is settled and queued in one step. Pure. Read next:
``session/answering.py`` (requests of the client), ``session/asking.py`` (requests to it).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar


class Entry(Enum):
    """What becomes of a request that comes in."""

    OPENED = "its handler may start"
    OPEN_ALREADY = "another one with its id is not answered yet"
    TOO_MANY = "as many as may be are open"
    NO_ROOM = "its answer would find no room: the peer reads none"


@dataclass(slots=True, eq=False)
class ClientRequest:
    """A request of the client that is open. ``deferred``: its handler said that the answer comes later."""

    id: str
    event: str
    deferred: bool = False


class ClientRequests:
    """Those of one session's client, by id. Lock held; never blocks."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[str, ClientRequest] = {}

    def __len__(self) -> int:
        return len(self._open)

    def admits(self, request_id: str, limit: int, room: int) -> Entry:
        """What a request gets. ``limit``: so many may be open; ``room``: so many answers find room."""
        if request_id in self._open:
            return Entry.OPEN_ALREADY
        if len(self._open) >= room:
            return Entry.NO_ROOM
        return Entry.TOO_MANY if len(self._open) >= limit else Entry.OPENED

    def open(self, request: ClientRequest) -> None:
        """Enter a request that was admitted."""
        assert request.id not in self._open, "two requests with one id would get one answer"
        self._open[request.id] = request

    def find(self, request_id: str) -> ClientRequest | None:
        """The request with this id, if it is open."""
        return self._open.get(request_id)

    def is_open(self, request: ClientRequest) -> bool:
        """Whether this very request is open: another one may have its id by now."""
        return self._open.get(request.id) is request

    def settle(self, request: ClientRequest) -> bool:
        """The request has its answer now; False if it had one before."""
        if not self.is_open(request):
            return False
        del self._open[request.id]
        return True

    def all(self) -> list[ClientRequest]:
        """Those that are open, the oldest first."""
        return list(self._open.values())


AskedT = TypeVar("AskedT")


class OwnRequests(Generic[AskedT]):
    """Those to one session's client, by number. Lock held; never blocks.

    ``last``: the number that was given last. None is given twice in the session's life, in whatever process.
    """

    __slots__ = ("_open", "last")

    def __init__(self) -> None:
        self._open: dict[str, AskedT] = {}
        self.last = 0

    def __len__(self) -> int:
        return len(self._open)

    def new_id(self) -> str:
        """The id of the next request."""
        self.last += 1
        return str(self.last)

    def ids(self) -> tuple[str, ...]:
        """Of those that are open, the oldest first."""
        return tuple(self._open)

    def all(self) -> list[tuple[str, AskedT]]:
        """Those that are open with their ids, the oldest first."""
        return list(self._open.items())

    def open(self, request_id: str, asked: AskedT) -> None:
        """Enter a request that was accepted for sending."""
        self._open[request_id] = asked

    def settle(self, request_id: str) -> AskedT | None:
        """Take the request out, for the one thread that tells its asker; None if it is not open."""
        return self._open.pop(request_id, None)

    def settle_all(self) -> list[AskedT]:
        """Take all out: the session has ended."""
        asked = list(self._open.values())
        self._open.clear()
        return asked
