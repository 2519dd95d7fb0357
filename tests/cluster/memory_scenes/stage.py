"""What scenes begin with: linked processes, an application with every callback, and what befalls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from resumehub import Connection, Hub, Message
from resumehub.testing import MemoryCluster, Process, TransportClosed, UpgradeRefused
from tests.cluster.memory_scenes.lanes import Lanes


def an_application(hub: Hub) -> None:
    """It has every callback, so that their order is seen, and sends back what it gets."""

    @hub.on_connect
    def connected(connection: Connection) -> None: ...

    @hub.on_adopt
    def adopted(connection: Connection) -> None: ...

    @hub.on_release
    def released(connection: Connection) -> None: ...

    @hub.on_disconnect
    def disconnected(connection: Connection, reason: Exception | None) -> None: ...

    @hub.on_message
    def echo(connection: Connection, message: Message) -> None:
        connection.send(message)


V1: Final = "resumehub.v1"


def stage(
    cluster: MemoryCluster,
    *names: str,
    build: Callable[[Hub], object] = an_application,
    v1: bool = False,
    **options: Any,
) -> tuple[Lanes, list[Process]]:
    """Processes that are linked, with alice at the last one of them; the first one has the hub.

    ``v1``: and with vera, who speaks it.
    """
    processes = cluster.processes(*names, build=build, **options)
    lanes = Lanes(cluster)
    lanes.peers["alice"] = processes[-1].dial("/?id=alice")
    if v1:
        lanes.peers["vera"] = processes[-1].dial("/?id=vera", subprotocols=[V1])
    cluster.run_until_idle()
    cluster.at_end(lanes.check_all)
    return lanes, processes


def tell_to_stop(cluster: MemoryCluster, process: Process) -> None:
    @cluster.actor
    def server() -> None:
        process.tell_to_stop()


def move_on(cluster: MemoryCluster, *holders: Process) -> None:
    """Each of these is told to stop when it has the hub, which moves on to another process."""

    @cluster.actor
    def server() -> None:
        for process in holders:
            cluster.scheduler.pause(f"see the hub at {process.name}", lambda process=process: process.has_hub)
            process.tell_to_stop()


def kill(cluster: MemoryCluster, process: Process) -> None:
    @cluster.actor
    def killer() -> None:
        process.kill()


def dials_until_let_in(
    cluster: MemoryCluster, lanes: Lanes, name: str, *at: Process, v1: bool = False
) -> None:
    """A client that comes to one process after the other. No answer but 503 sends it away."""
    subprotocols = [V1] if v1 else []

    def client() -> None:
        for process in at:
            try:
                lanes.peers[name] = process.dial(f"/?id={name}", subprotocols=subprotocols)
            except UpgradeRefused as refused:
                is_a_doubt(name, refused)
            except TransportClosed:
                assert cluster.deaths, f"the connection of {name} has ended without a byte"
            else:
                return

    client.__name__ = f"client_{name}"
    cluster.actor(client)


def is_a_doubt(name: str, refused: UpgradeRefused) -> None:
    assert refused.status == 503, f"{name} was told {refused.status}"
    assert refused.header("Retry-After"), "a doubt says when to come again"
