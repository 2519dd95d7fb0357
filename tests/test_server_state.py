"""What a hub sees of the server in whose process it runs; real ones: ``integration/test_server_end.py``."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.workers.gthread import ThreadWorker
from gunicorn.workers.sync import SyncWorker

from resumehub.core.process_end import ServerState
from resumehub.runtime.system import SystemRuntime
from resumehub.server.server_state import find_worker, look_at_server

ENDS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGABRT, signal.SIGUSR1, signal.SIGWINCH)


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in ENDS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class OurWorker(ThreadWorker):
    """A worker class of an application, as ``--worker-class`` takes it."""


def serving(kind: type = SyncWorker, **attributes: Any) -> Any:
    """A worker of gunicorn as it is while it serves, without its pipes and sockets."""
    worker = object.__new__(kind)
    worker.alive, worker.ppid = True, os.getppid()
    worker.cfg = SimpleNamespace(graceful_timeout=7)
    vars(worker).update(attributes)
    return worker


def under(worker: Any, *numbers: signal.Signals) -> None:
    """gunicorn's handlers for these signals, an application's own for the others."""
    for number in ENDS:
        signal.signal(number, worker.handle_usr1 if number in numbers else lambda *_: None)


def seen(borrowed: int = 0) -> ServerState:
    return look_at_server(SystemRuntime(), borrowed)


def test_without_gunicorn_only_the_main_thread_tells() -> None:
    assert find_worker() is None
    assert seen() == ServerState()


@pytest.mark.parametrize("kind", [SyncWorker, ThreadWorker, OurWorker])
@pytest.mark.parametrize("number", ENDS, ids=lambda number: number.name)
def test_one_handler_that_is_the_workers_is_enough(kind: type, number: signal.Signals) -> None:
    """An application may have replaced the others, that of SIGTERM too."""
    worker = serving(kind)
    under(worker, number)
    assert find_worker() is worker
    assert seen() == ServerState(kill_after=7.0)


@pytest.mark.parametrize(
    "told", [{"alive": False}, {"ppid": os.getppid() + 1}], ids=["told to stop", "another parent"]
)
def test_a_worker_that_stops(told: dict[str, Any]) -> None:
    under(serving(**told), signal.SIGTERM)
    assert seen() == ServerState(told_to_stop=True, kill_after=7.0)


@pytest.mark.parametrize(
    "connections, under_way", [(3, True), (2, False), (None, False)], ids=["one more", "only ours", "unknown"]
)
def test_request_threads_that_read_for_the_hub_are_not_waited_for(
    connections: int | None, under_way: bool
) -> None:
    """With TLS inside gunicorn each WebSocket keeps its request thread; the worker counts it as a request."""
    counted = {} if connections is None else {"nr_conns": connections}
    under(serving(ThreadWorker, alive=False, **counted), signal.SIGTERM)
    assert seen(borrowed=2).under_way is under_way


@pytest.mark.parametrize("cfg", [None, SimpleNamespace(), SimpleNamespace(graceful_timeout="soon")], ids=repr)
def test_a_worker_that_does_not_say_how_long_it_waits(cfg: Any) -> None:
    """gunicorn's default is assumed."""
    under(serving(cfg=cfg), signal.SIGTERM)
    assert seen().kill_after == 30.0
