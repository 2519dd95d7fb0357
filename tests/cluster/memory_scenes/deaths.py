"""A hub dies, and its clients come back."""

from __future__ import annotations

import pytest

from resumehub.testing import MemoryCluster, UpgradeRefused
from tests.cluster.memory_scenes.stage import kill, stage


def a_killed_hub_and_its_client_back(cluster: MemoryCluster) -> None:
    """A worker broadcasts, and the hub is killed; its client comes back to the next hub."""
    lanes, (one, two) = stage(cluster, "one", "two")
    lanes.broadcaster(two, "there")
    kill(cluster, one)

    @cluster.at_end
    def she_comes_back() -> None:
        alice = lanes.peers["alice"]
        if alice.closed() is None:
            return
        with pytest.raises(UpgradeRefused) as refused:
            alice.resume_at(two)
        assert refused.value.status == 410, "the life is over, and it is known"
