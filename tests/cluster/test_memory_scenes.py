"""The scenes of ``memory_scenes/`` in many orders: kills, stops, refused descriptors, at any step.

Each run checks the order of callbacks over all processes, who waits for what, each refusal, and that nothing
that was answered is lost, doubled or out of order. By default a few orders of each scene are played, chosen
by a seed. ``RESUMEHUB_SWITCHES=1`` plays every order with at most one switch, 2 every one with two
(docs/howto/explore-races.md says how many those are).
"""

from __future__ import annotations

import os

import pytest

from resumehub.testing import PCT, Deepening, MemoryCluster, explore
from tests.cluster.memory_scenes import SCENES, Scene, dials

ORDERS = 8
"""Of each scene, where nothing else is asked for."""

NOT_YET: dict[str, str] = {}

PARAMETERS = [
    pytest.param(
        scene,
        id=name,
        marks=[pytest.mark.xfail(reason=NOT_YET[name], run=False)] if name in NOT_YET else [],
    )
    for name, scene in SCENES.items()
]

SWITCHES = os.environ.get("RESUMEHUB_SWITCHES")

RULES = pytest.mark.contract("F2", "F3", "F5", "F6", "F9")


@RULES
@pytest.mark.timeout(600)  # a failure is made as short as it gets
@pytest.mark.parametrize("scene", PARAMETERS)
def test_no_order_of_a_scene_breaks_a_promise(scene: Scene) -> None:
    if SWITCHES is not None:
        played = explore(
            scene, Deepening(int(SWITCHES)), lab=MemoryCluster, twice=False, max_schedules=100_000
        )
        print(f"{scene.__name__}: {played}")
        assert played.complete
    else:
        explore(scene, PCT(1, ORDERS), lab=MemoryCluster, twice=False)


def test_a_schedule_can_be_played_again() -> None:
    """Two runs of one order are the same, step by step, though sockets and descriptors are real."""
    explore(dials.a_dial_beside_a_move, PCT(7, 2), lab=MemoryCluster, twice=True)
