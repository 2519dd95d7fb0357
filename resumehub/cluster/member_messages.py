"""What a process tells the hub about itself on its link, beside calls and dials. Values; any thread.

Read next: ``member_loop.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """A worker to the hub, about once a second: whether it could take the hub.

    ``ready``: it serves, and is not told to stop. ``room``: for so many sockets it has descriptors.
    ``master``: the process of its server, 0 where there is none.
    """

    ready: bool
    room: int
    master: int


@dataclass(frozen=True, slots=True)
class ClusterAsked:
    """Somebody wants to know how the cluster is (``python -m resumehub cluster``)."""


@dataclass(frozen=True, slots=True)
class ClusterTold:
    """The answer.

    ``held_for``: so many seconds the hub has been in this process. ``pids``, ``kinds``: of those that have a
    link to it.
    """

    pid: int
    kind: str
    application: str
    hub_life: str
    held_for: float
    sessions: int
    suspended: int
    rooms: int
    pids: tuple[int, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HubDrained:
    """The hub to its workers, when it changes: whom it refuses. ``drain``: the value of a ``Drain``."""

    drain: str


MESSAGES: Final[dict[int, type]] = {80: MemberStatus, 81: ClusterAsked, 82: ClusterTold, 83: HubDrained}
"""Number → class of the message."""
