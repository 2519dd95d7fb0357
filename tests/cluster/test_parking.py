"""A full stop and a start: everybody is parked, adopted and back, with nothing lost and nothing twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumehub.cluster.folder import Folder
from tests.cluster.restarts import Counting, Listening, Restarts, settle

BEHIND = 50
"""How many broadcasts may be under way: what is said in a second, so also during a stop."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Restarts]:
    world = Restarts(Folder(str(tmp_path)))
    yield world
    world.close()


@pytest.mark.parametrize(("ours", "plain"), [(120, 80)])
def test_two_hundred_sessions_under_traffic_are_parked_adopted_and_back(
    world: Restarts, ours: int, plain: int
) -> None:
    """Given traffic both ways, when the hub stops and another one starts, then lost 0, doubled 0."""
    world.start()
    counting = [Counting(world, f"ours {number}") for number in range(ours)]
    listening = [Listening(world, f"plain {number}") for number in range(plain)]
    for one in counting:
        assert one.client.wait_connected(20)
    for one in listening:
        assert one.connected.wait(20)
    stop = threading.Event()

    def speak() -> None:
        while not stop.wait(0.02):
            if world.said - min(one.heard[-1] if one.heard else 0 for one in counting) > BEHIND:
                continue  # a busy machine: what nobody has time to read would only grow
            world.broadcast()
            for one in counting[world.said % 5 :: 5]:
                one.say()

    speaker = threading.Thread(target=speak)
    speaker.start()
    for drops in (1, 2):
        assert not stop.wait(1.0)
        parked = world.stop()
        assert (parked.parked, parked.ended, parked.error) == (ours + plain, (), None)
        adopted = world.start()
        assert (adopted.adopted, adopted.ended, adopted.error) == (ours + plain, 0, None)
        for one in [*counting, *listening]:
            one.wait_back(drops)
    stop.set()
    speaker.join()
    world.broadcast()
    for one in counting:
        one.say()
    settle([*counting, *listening], world.said)
    for one in counting:
        numbers = list(range(1, one.sent + 1))
        assert world.handled[one.id] == numbers
        assert one.echoes == numbers
    for one in [*counting, *listening]:
        assert one.heard == list(range(one.heard[0], world.said + 1)), one.id
        assert one.drops == [1012, 1012]
    for one in [*counting, *listening]:
        one.close()
    hooks = [hook for _, hook, _ in world.hooks_of("ours 0")]
    once = ["adopt", "drop", "restore", "release"]
    assert hooks[:9] == ["connect", "release", *once, *once[:3]]
