"""What a member asks of those who carry a hub's sessions: to another process, into a file, and back.

Contracts only; ``member_loop.py`` calls them, and what each may block is said here. Read next:
``member_loop.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from .folder import Folder


@dataclass(frozen=True, slots=True)
class Carriage:
    """What became of the sessions of a move or a parking, as counts. ``why``: why it failed; "" if not.

    In seconds, of a move: ``release``, until handlers had come to an end; ``freeze``, from then to the
    commit.
    """

    moved: int = 0
    carried: int = 0
    parked: int = 0
    ended: int = 0
    why: str = ""
    release: float = 0.0
    freeze: float = 0.0


@dataclass(frozen=True, slots=True)
class Adopted:
    """What came with a hub that has moved here. ``pid``: the process that gave it; ``seconds``: since the
    commit was read."""

    sessions: int = 0
    pid: int = 0
    seconds: float = 0.0


class HubMover(Protocol):
    """Gives a live hub to another process, at both ends."""

    @property
    def is_needed(self) -> bool:
        """Whether a handler of a session that has moved still runs here, or a thread waits for its client.

        Then this process must stay a worker.
        """

    def move(self, link: Any, hub_life: str, until: float) -> Carriage:
        """The old process: give the hub to the process at the other end of ``link``, until a time of ``now``.

        Where ``why`` is "", the message that commits is written, and byte 0 is free. Otherwise the hub goes
        on here. Threads: the member's second. Blocks: until then.
        """

    def drop(self) -> None:
        """The new process: forget what came."""

    def go(self) -> Adopted:
        """The new process has the commit and byte 0: go on with all sessions. Blocks: for the hub thread."""


class HubParker(Protocol):
    """Writes a hub's sessions into the folder, and reads them again. Threads: the member's second."""

    def park(self, folder: Folder, until: float) -> Carriage:
        """Write them down, tell their clients to come back, and close the hub. Blocks: until ``until``."""

    def adopt(self, folder: Folder) -> Carriage:
        """Start the hub, with the sessions that are parked in the folder. Blocks: for the file."""
