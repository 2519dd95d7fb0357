"""What is done to the processes of a cluster in a soak: each deed returns when it is done.

Deeds raise AssertionError when it never is. Called by ``cluster_run.py`` and ``reload_run.py``.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
from collections.abc import Iterator

from tests.cluster.gate import until
from tests.cluster.harness import Cluster, Setup
from tests.cluster.processes import accepted_by

_TRACEBACK = re.compile(r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*.*$", re.MULTILINE)


@contextlib.contextmanager
def started(setup: Setup) -> Iterator[Cluster]:
    """Inside: a cluster whose workers all serve. Behind it no process of it is left, whatever happened."""
    cluster = Cluster(setup)
    try:
        cluster.start()
        cluster.wait_until_serving()
        yield cluster
    finally:
        cluster.end_everything()


def unsettled(cluster: Cluster) -> list[str]:
    """What workers still have when all clients have left, in sentences. Blocks: until nothing, or long."""
    found: list[str] = []

    def look() -> bool:
        found[:] = [said for pid in cluster.workers() for said in _left_at(cluster, pid)]
        return not found

    with contextlib.suppress(AssertionError):
        until(look, "nothing to be left of the sessions")
    return found


def _left_at(cluster: Cluster, pid: int) -> list[str]:
    _, stats = cluster.get_at(pid, "/stats")
    outcomes = ("acknowledged", "written", "dropped", "expired", "closed", "held")
    found = [f"process {pid} has {stats[name]} {name}" for name in ("sessions", "held") if stats[name]]
    if stats["accepted"] != sum(stats[name] for name in outcomes):
        found.append(f"the sums of process {pid} are wrong: {stats}")
    if open_ones := accepted_by(pid, cluster.server.port):
        found.append(f"process {pid} has {open_ones} connections open")
    return found


def stop(cluster: Cluster) -> list[str]:
    """Stop all in an orderly way; give what is left of it, in sentences."""
    try:
        cluster.stop()
    except AssertionError as error:
        return [str(error), *cluster.leftovers()]
    return cluster.leftovers()


def tracebacks(log: str) -> list[str]:
    """The tracebacks in a log, each as it was written."""
    return [found.group() for found in _TRACEBACK.finditer(log)]


def hub_of(cluster: Cluster) -> int:
    """The process that holds the hub."""
    pid = cluster.hub_pid()
    assert pid is not None, "no process holds the hub"
    return pid


def end(cluster: Cluster, pid: int, number: signal.Signals) -> None:
    """Signal a process, and wait until it has ended."""
    cluster.signal(pid, number)
    cluster.wait_until_gone(pid)


def reload(cluster: Cluster) -> None:
    """SIGHUP: all workers are replaced."""
    old = cluster.workers()
    cluster.signal(cluster.master, signal.SIGHUP)
    cluster.wait_until_gone(*old)


def replace_master(cluster: Cluster) -> None:
    """SIGUSR2: a new master starts beside the old one, which is told to stop when the new workers serve."""
    master, old = cluster.master, cluster.workers()
    cluster.signal(master, signal.SIGUSR2)
    until(lambda: len(set(cluster.workers()) - set(old)) >= len(old), "the new master's workers")
    new = [pid for pid in cluster.workers() if pid not in old]
    until(lambda: all(map(cluster.is_serving, new)), "them to serve")
    cluster.signal(master, signal.SIGTERM)
    cluster.wait_until_gone(master, *old)


def use_up_requests(cluster: Cluster) -> None:
    """Ask the workers until the hub is in another process: ``--max-requests`` ends them."""
    old = hub_of(cluster)

    def moved() -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            cluster.get("/count")
        return cluster.hub_pid() not in (None, old)

    until(moved, "the hub's worker to have had enough requests")
    cluster.wait_until_gone(old)
