"""What a guard of the shell is: one that is needed in some order of the threads, which the lab finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from resumehub.testing import Lab
from tests.guards.guard import Guard


def _no_scene(lab: Lab) -> None:
    raise AssertionError("a guard of the shell has a scene")


@dataclass(frozen=True)
class ShellGuard(Guard):
    """``scene`` fails without the guard, in the order ``replay``; ``locks``: others may come in at locks.

    ``lab``: in which it is played.
    """

    scene: Callable[[Any], None] = _no_scene
    replay: str = ""
    locks: bool = False
    lab: type[Lab] = Lab
