"""Threads that wait for more: a job is done once, by whoever is there, and nobody stays behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from resumehub.runtime.thread_cache import CachedCall, ThreadCache
from tests.contract.peers import until
from tests.support import PATIENCE


@pytest.fixture
def pool() -> Iterator[ThreadCache]:
    made = ThreadCache(linger=PATIENCE)
    yield made
    made.dismiss(PATIENCE)


def idents(pool: ThreadCache, count: int) -> list[int]:
    """The threads of so many jobs that run one after the other."""
    seen: list[int] = []
    for _ in range(count):
        assert pool.start("job", lambda: seen.append(threading.get_ident())).join(PATIENCE)
        until(lambda: bool(pool._waiting))
    return seen


def test_a_job_runs_on_the_thread_of_the_one_before(pool: ThreadCache) -> None:
    assert len(set(idents(pool, 5))) == 1


def test_jobs_at_the_same_time_have_a_thread_each(pool: ThreadCache) -> None:
    both = threading.Barrier(2, timeout=PATIENCE)
    jobs = [pool.start("job", lambda: both.wait() and None) for _ in range(2)]
    assert all(job.join(PATIENCE) for job in jobs)


def test_a_job_is_alive_until_it_is_done_and_can_be_found_meanwhile(pool: ThreadCache) -> None:
    """By name, by itself, and by its stack: that is what a report of stuck threads needs."""
    go, inside = threading.Event(), threading.Event()
    told: list[bool] = []

    def wait_here() -> None:
        told.append(job_of["it"].is_current())
        inside.set()
        go.wait(PATIENCE)

    job_of: dict[str, CachedCall] = {}
    began = threading.Event()
    job_of["it"] = pool.start("the-name", lambda: (began.wait(PATIENCE), wait_here())[1])
    began.set()
    assert inside.wait(PATIENCE)
    job = job_of["it"]
    assert (job.name, job.is_alive(), job.is_current(), told) == ("the-name", True, False, [True])
    assert "wait_here" in job.stack()
    assert not job.join(0)
    go.set()
    assert job.join(PATIENCE)
    assert (job.is_alive(), job.stack()) == (False, "")


def test_nobody_waits_for_ever() -> None:
    pool = ThreadCache(linger=0)
    assert pool.start("job", lambda: None).join(PATIENCE)
    until(lambda: not pool._threads)


def test_no_more_wait_than_may() -> None:
    pool = ThreadCache(linger=PATIENCE, most=1)
    both = threading.Barrier(2, timeout=PATIENCE)
    for _ in range(2):
        pool.start("job", lambda: both.wait() and None)
    until(lambda: len(pool._threads) == 1)
    pool.dismiss(PATIENCE)


def test_a_dismissed_pool_leaves_no_thread() -> None:
    """Those that wait go at once, and one that is busy goes when it is done."""
    pool = ThreadCache(linger=PATIENCE)
    idents(pool, 2)
    go = threading.Event()
    busy = pool.start("busy", lambda: go.wait(PATIENCE) and None)
    pool.dismiss(0)
    assert busy.is_alive()
    go.set()
    assert busy.join(PATIENCE)
    until(lambda: not pool._threads)
    late = pool.start("late", lambda: None)  # a last word of somebody's
    assert late.join(PATIENCE)
    until(lambda: not pool._threads)
