"""Fixtures for the tests of the contract: hubs on a real server (table A), and a gate (B and C)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from resumehub.runtime.system import SystemRuntime
from tests.cluster.worker_beside import WorkerBeside
from tests.contract.hub_servers import HUB_SERVERS, HubServer
from tests.contract.peers import Gate


@pytest.fixture(params=[False, True], ids=["at the hub", "at a worker"])
def at_a_worker(request: pytest.FixtureRequest) -> bool:
    """Whether the clients come to another process than the hub's, which passes them on (contract F1)."""
    return bool(request.param)


@pytest.fixture
def hub_servers() -> Iterator[Callable[..., HubServer]]:
    """Make any number of ``HubServer``s, of the kind that is asked for; all are closed after the test."""
    made: list[HubServer] = []
    workers: list[WorkerBeside] = []

    def make(kind: str, /, *arguments: Any, at_a_worker: bool = False, **options: Any) -> HubServer:
        made.append(HubServer(kind, *arguments, **options))
        if at_a_worker and not options.get("compression"):
            workers.append(WorkerBeside(made[-1].hub))
        return made[-1]

    yield make
    for one in made:
        one.leave()
    for worker in workers:
        worker.leave()


@pytest.fixture(params=[*HUB_SERVERS, f"{HUB_SERVERS[0]} at a worker"])
def hub_server(
    request: pytest.FixtureRequest, hub_servers: Callable[..., HubServer]
) -> Callable[..., HubServer]:
    """Make a ``HubServer``; the test runs once for each of the two kinds, and at a worker (contract F1)."""
    kind = request.param.removesuffix(" at a worker")
    return partial(hub_servers, kind, at_a_worker=kind != request.param)


@pytest.fixture
def wsgi_server(hub_servers: Callable[..., HubServer], at_a_worker: bool) -> Callable[..., HubServer]:
    """Make a ``HubServer`` with ``hub.wsgi_app``, at the hub and at a worker."""
    return partial(hub_servers, HUB_SERVERS[0], at_a_worker=at_a_worker)


@pytest.fixture
def gate(stage: object) -> Iterator[Gate]:
    """A gate for a handler to wait at; open by the time the stage's hubs are closed."""
    one = Gate()
    yield one
    one.open()


@pytest.fixture(params=[True, False], ids=["readers that share threads", "readers of their own"])
def runtime(request: pytest.FixtureRequest) -> SystemRuntime:
    """A hub's runtime, of either kind."""
    return SystemRuntime(reuse=True, share=request.param)
