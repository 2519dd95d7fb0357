"""Scenes of a cluster in memory, for the explorer: what may happen to a hub that moves, dies or is stopped.

Each is a function of a ``MemoryCluster``; ``tests/cluster/test_memory_scenes.py`` plays them in one order
after another. ``stage.py`` and ``lanes.py`` are what they begin with, and what they check.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

from resumehub.testing import MemoryCluster
from tests.cluster.memory_scenes import askers, calls, deaths, dials, handlers, lock_file, moves, parking

Scene = Callable[[MemoryCluster], None]

SCENES: dict[str, Scene] = {
    name: scene
    for module in (moves, dials, calls, askers, handlers, deaths, parking, lock_file)
    for name, scene in vars(module).items()
    if inspect.isfunction(scene) and list(inspect.signature(scene).parameters) == ["cluster"]
    if not name.startswith("_")
}
"""All, by name."""
