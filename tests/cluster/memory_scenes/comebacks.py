"""Clients that come back: plain ones and those of v1 say how much has come, at one process or another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from resumehub.testing import MemoryCluster, Process, TransportClosed, UpgradeRefused
from tests.cluster.memory_scenes.lanes import Lanes
from tests.cluster.memory_scenes.stage import V1, is_a_doubt

_PATIENCE: Final = 12
"""So many dials, half a second apart, until a cluster must have found to itself again."""


def come_back(cluster: MemoryCluster, lanes: Lanes, name: str, *at: Process) -> UpgradeRefused | None:
    """The client dials one process after the other, until it is let in; else what refused it, which is final.

    What it says of ``received`` is what has come to it: of a plain client also what was only written.
    """
    for attempt in range(1, _PATIENCE):
        peer = lanes.peers[name]
        said = lanes.read(name)
        hellos = [one["payload"] for one in said if one["event"] == "$hello"]
        count = sum(not one["event"].startswith("$") for one in said)
        query, options = {"received": str(count)}, dict(peer.ws.options)
        if hellos:
            query["attempt"] = str(attempt)
            options["subprotocols"] = [V1, f"resumehub.token.{hellos[-1]['token']}"]
        alive = [process for process in at if process.is_alive]
        process = alive[attempt % len(alive)]
        try:
            lanes.peers[name] = process.dial(peer.ws.resume_url(**query), name=name, **options)
            return None
        except UpgradeRefused as refused:
            if refused.status == 410:
                return refused
            is_a_doubt(name, refused)
        except TransportClosed:
            assert cluster.deaths, f"the connection of {name} has ended without a byte"
        cluster.scheduler.pause(f"{name} to dial again", lambda: False, timed=True, seconds=0.5)
    raise AssertionError(f"{name} was never let in")


def loses_its_connection(cluster: MemoryCluster, lanes: Lanes, name: str, *at: Process) -> None:
    """The client's connection is cut at any step; then it comes back."""

    def cut() -> None:
        lanes.read(name)
        lanes.peers[name].drop()

    comes_back(cluster, lanes, name, *at, first=cut)


def comes_back(
    cluster: MemoryCluster, lanes: Lanes, name: str, *at: Process, first: Callable[[], None] | None = None
) -> None:
    """An actor that comes back, behind what it does ``first``."""

    def client() -> None:
        if first is not None:
            first()
        refused = come_back(cluster, lanes, name, *at)
        assert refused is None or cluster.deaths, f"{name} was told {refused}"

    client.__name__ = f"client_{name}"
    cluster.actor(client)
