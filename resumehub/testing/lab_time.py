"""The time that the modules of a cluster read, while a lab runs them: the lab's own.

They measure with ``clock.now``, by the name ``now`` of their own module. In a lab, time passes only when no
thread can go on, so for as long as a ``MemoryCluster`` lives these modules get a function of the lab. No real
cluster may run in the same Python process meanwhile. Used by ``memory_cluster.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from .. import clock

_PARTS: Final = ("resumehub.cluster.", "resumehub.server.")


class LabTime:
    """``time``: gives the present point in time, in seconds."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._changed: list[str] = []

    def begin(self) -> None:
        """From now on they read this time."""
        for name, module in list(sys.modules.items()):
            if name.startswith(_PARTS) and getattr(module, "now", None) is clock.now:
                vars(module)["now"] = self._time
                self._changed.append(name)

    def end(self) -> None:
        """They read the real time again."""
        for name in self._changed:
            vars(sys.modules[name])["now"] = clock.now
        self._changed.clear()
