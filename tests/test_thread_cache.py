"""Threads that stay for the next call: each call runs once, and no thread stays for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from resumehub.runtime.thread_cache import ThreadCache, ThreadCall
from tests.contract.peers import until
from tests.support import PATIENCE


@pytest.fixture
def cache() -> Iterator[ThreadCache]:
    made = ThreadCache(idle_timeout=PATIENCE)
    yield made
    made.close(PATIENCE)


def idents(cache: ThreadCache, count: int) -> list[int]:
    """The threads of so many calls that run one after the other."""
    seen: list[int] = []
    for _ in range(count):
        assert cache.start("call", lambda: seen.append(threading.get_ident())).join(PATIENCE)
        until(lambda: cache.count() == (1, 1))
    return seen


def test_a_call_runs_on_the_thread_of_the_one_before(cache: ThreadCache) -> None:
    assert len(set(idents(cache, 5))) == 1


def test_calls_at_the_same_time_have_a_thread_each(cache: ThreadCache) -> None:
    both = threading.Barrier(2, timeout=PATIENCE)
    calls = [cache.start("call", lambda: both.wait() and None) for _ in range(2)]
    assert all(call.join(PATIENCE) for call in calls)


def test_a_call_is_alive_until_it_has_returned_and_can_be_found_meanwhile(cache: ThreadCache) -> None:
    """By name, by itself, and by its stack: that is what a report of stuck threads needs."""
    go, inside = threading.Event(), threading.Event()
    told: list[bool] = []

    def wait_here() -> None:
        told.append(call_of["it"].is_current())
        inside.set()
        go.wait(PATIENCE)

    call_of: dict[str, ThreadCall] = {}
    began = threading.Event()
    call_of["it"] = cache.start("the-name", lambda: (began.wait(PATIENCE), wait_here())[1])
    began.set()
    assert inside.wait(PATIENCE)
    call = call_of["it"]
    assert (call.name, call.is_alive(), call.is_current(), told) == ("the-name", True, False, [True])
    assert "wait_here" in call.stack()
    assert not call.join(0)
    go.set()
    assert call.join(PATIENCE)
    assert (call.is_alive(), call.stack()) == (False, "")


def test_an_idle_thread_ends_when_its_time_is_up() -> None:
    cache = ThreadCache(idle_timeout=0)
    assert cache.start("call", lambda: None).join(PATIENCE)
    until(lambda: cache.count() == (0, 0))


def test_no_more_threads_are_idle_than_may_be() -> None:
    cache = ThreadCache(idle_timeout=PATIENCE, max_idle=1)
    both = threading.Barrier(2, timeout=PATIENCE)
    for _ in range(2):
        cache.start("call", lambda: both.wait() and None)
    until(lambda: cache.count() == (1, 1))
    cache.close(PATIENCE)


def test_a_closed_cache_leaves_no_thread() -> None:
    """Idle threads end at once, and one that is busy ends with its call."""
    cache = ThreadCache(idle_timeout=PATIENCE)
    idents(cache, 2)
    go = threading.Event()
    busy = cache.start("busy", lambda: go.wait(PATIENCE) and None)
    cache.close(0)
    assert busy.is_alive()
    go.set()
    assert busy.join(PATIENCE)
    until(lambda: cache.count() == (0, 0))
    late = cache.start("late", lambda: None)
    assert late.join(PATIENCE)
    until(lambda: cache.count() == (0, 0))
