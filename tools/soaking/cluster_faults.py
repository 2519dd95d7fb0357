"""What goes wrong in a soak of a cluster, and what each fault may cost. Pure.

Which fault is the next one depends on the seed and its number, and on nothing else. Read next:
``cluster_run.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from random import Random


class Fault(Enum):
    """What is done to the processes, in the report's words."""

    RELOAD = "reload (SIGHUP)"
    STOP_HUB = "SIGTERM of the hub's worker"
    STOP_OTHER = "SIGTERM of another worker"
    NEW_MASTER = "new master (SIGUSR2), SIGTERM of the old one"
    RESTART = "full stop and start"
    KILL_HUB = "SIGKILL of the hub's process"
    KILL_OTHER = "SIGKILL of another worker"
    FREEZE_HUB = "SIGSTOP and SIGCONT of the hub's process"
    FREEZE_OTHER = "SIGSTOP and SIGCONT of another worker"
    HUB_PROCESS = "a process for the hub comes and goes"


@dataclass(frozen=True, slots=True)
class Price:
    """``dials``: whether a client may have to dial again. ``ends``: whether sessions end by it."""

    dials: bool = False
    ends: bool = False


FREE = Price()

PRICES = {
    Fault.RESTART: Price(dials=True),
    Fault.KILL_HUB: Price(dials=True, ends=True),
}
"""What a fault may cost; nothing, if it is not here."""

WEIGHTS = {
    Fault.RELOAD: 4,
    Fault.STOP_HUB: 4,
    Fault.STOP_OTHER: 1,
    Fault.NEW_MASTER: 2,
    Fault.RESTART: 2,
    Fault.KILL_HUB: 2,
    Fault.KILL_OTHER: 2,
    Fault.FREEZE_HUB: 1,
    Fault.FREEZE_OTHER: 1,
    Fault.HUB_PROCESS: 2,
}


def plan(seed: int, number: int) -> Fault:
    """The fault of this number, from 1."""
    chance = Random(f"{seed}/{number}")
    return chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
