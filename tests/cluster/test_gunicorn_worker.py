"""gunicorn's worker as a member sees it, with a worker that the test makes up."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from resumehub.clock import now
from resumehub.cluster.gunicorn_worker import GunicornWorker, find_gunicorn, is_gunicorn_master
from resumehub.core.cluster.stopping import Kind


class Worker:
    """What is read of one. Its class says that it is gunicorn's."""

    def __init__(self) -> None:
        self.pid, self.ppid = os.getpid(), os.getppid()
        self.booted = self.alive = True
        self.cfg = SimpleNamespace(graceful_timeout=30, timeout=20, threads=4)
        self.sockets: list[Any] = []
        self.tmp = tempfile.TemporaryFile()  # noqa: SIM115
        self.tpool = object()

    def handle_exit(self, number: int, frame: object) -> None:
        self.alive = False

    def handle_quit(self, found: GunicornWorker) -> bool:
        self.alive = False
        return found.told_to_quit


Worker.__module__ = "gunicorn.workers.made_up"


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.tmp.close()


@pytest.fixture
def signalled(worker: Worker) -> Iterator[Worker]:
    before = signal.signal(signal.SIGTERM, worker.handle_exit)
    yield worker
    signal.signal(signal.SIGTERM, before)


def test_it_is_found_by_its_handler_of_sigterm(signalled: Worker) -> None:
    found = find_gunicorn()

    assert found is not None
    assert (found.kind, found.threads, found.master) == (Kind.THREADS, 4, os.getppid())
    found.close()


def test_it_is_found_in_the_main_thread_where_the_application_took_the_signal(worker: Worker) -> None:
    def run(self: Worker) -> GunicornWorker | None:
        return find_gunicorn()

    assert find_gunicorn() is None
    found = run(worker)
    assert found is not None
    found.close()


def test_a_child_that_a_worker_has_forked_is_none(signalled: Worker) -> None:
    signalled.pid += 1

    assert find_gunicorn() is None
    assert not is_gunicorn_master()


def test_one_without_threads_has_one_request_at_a_time(worker: Worker) -> None:
    del worker.tpool
    found = GunicornWorker(worker)

    assert (found.kind, found.threads) == (Kind.SYNC, 1)
    found.close()


def test_it_serves_when_the_application_is_imported(worker: Worker) -> None:
    worker.booted = False
    found = GunicornWorker(worker)
    assert not found.serves

    worker.booted = True
    assert found.serves
    found.close()


def test_it_is_told_to_stop_by_a_signal_and_by_the_end_of_its_master(worker: Worker) -> None:
    found = GunicornWorker(worker)
    assert not found.told_to_stop

    worker.alive = False
    assert found.told_to_stop
    worker.alive = True
    found.master += 1
    assert found.told_to_stop
    found.close()


def test_it_is_told_to_end_at_once_while_its_handler_of_sigint_runs(worker: Worker) -> None:
    """Then it stays so. SIGTERM has another handler."""
    another = Worker()
    found, other = GunicornWorker(worker), GunicornWorker(another)
    worker.handle_exit(signal.SIGTERM, None)
    assert not found.told_to_quit

    assert worker.handle_quit(found)
    assert found.told_to_quit
    assert not worker.handle_quit(other), "another worker's handler says nothing of this one"
    found.close()
    other.close()
    another.tmp.close()


def test_a_heartbeat_older_than_half_of_the_timeout_is_stuck_and_can_be_kept_up(worker: Worker) -> None:
    """Also when the worker has closed its own descriptor, as gunicorn does at the end."""
    found = GunicornWorker(worker)
    os.utime(worker.tmp.fileno(), (now() - 11.0, now() - 11.0))
    assert found.is_stuck

    worker.tmp.close()
    found.keep_alive()
    assert not found.is_stuck
    found.close()


def test_without_a_timeout_nothing_is_stuck(worker: Worker) -> None:
    worker.cfg.timeout = 0
    found = GunicornWorker(worker)
    os.utime(worker.tmp.fileno(), (0.0, 0.0))

    assert not found.is_stuck
    found.close()
