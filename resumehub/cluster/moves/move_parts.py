"""What a move and its surroundings know of each other: what else goes along, and who has the lock. Contracts.

The member (``../member.py``) gives these to ``MoveSource`` and ``MoveTarget``, and gets the outcome. Any
thread, unless a method says otherwise. Read next: ``move_source.py``, ``move_target.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

HISTORY: Final = "history"
"""The name of the rooms' history among the parts of ``RestMoves``."""

DRAIN: Final = "drain"
"""The name of whom the hub refuses, there: the value of a ``Drain``. Left out while it refuses nobody."""


class Traveller(Protocol):
    """Something of a hub that goes along in a move, beside its sessions."""

    def export(self) -> bytes:
        """What there is of it. Called while everything is frozen; changes nothing, for the move may fail."""

    def adopt(self, data: bytes) -> None:
        """Go on from what ``export`` gave in the other process. Before anybody finds the hub there.

        Raises: ValueError for damage.
        """


class SourceHost(Protocol):
    """What the old process does at a commit."""

    def release_hub(self) -> None:
        """Commit is written: let go of the hub's lock. On the mover's thread; must not fail."""


class TargetHost(Protocol):
    """What the new process does. On the link's thread: nothing here blocks."""

    def may_hold(self) -> bool:
        """Become the heir; False if that is impossible now."""

    def committed(self, hub_life: str) -> None:
        """Take the hub's lock once it is free, on another thread; then ``MoveTarget.go``, or ``drop``."""

    def dropped(self) -> None:
        """The move has come to nothing: be the heir no more."""


@dataclass(frozen=True, slots=True)
class HubMoved:
    """The hub is in the other process.

    ``ended``: the sessions that could not move, as a log may name them, and why. In seconds: ``released_in``
    until callbacks had ended; ``paused_for`` from the freeze to the commit; ``ahead_in``: before the two, to
    send ahead what rarely changes.
    """

    sessions: int
    carried: int
    ended: tuple[tuple[str, str], ...]
    released_in: float
    paused_for: float
    ahead_in: float = 0.0


@dataclass(frozen=True, slots=True)
class HubNotMoved:
    """The hub has stayed, and goes on."""

    because: str
