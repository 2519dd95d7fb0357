"""Five thousand sessions in one process: they all hear, all answer, all come back, and all end.

Each has a real socket and went through the real handshake; heartbeats, the grace window and the end of it
come by a clock that is moved by hand. What is left over afterwards, threads and sockets, is looked for here
and once more by the check that stands around every test.
"""

from __future__ import annotations

import gc
import os
import resource
import select
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from resumehub import Message
from resumehub.testing import WebSocketClient
from tests.contract.peers import until
from tests.support import PATIENCE, Stage, read

WANTED, LEAST = 5_000, 2_000
BESIDE = 200
"""Descriptors of the test runner and of the hub itself, and to spare."""

PING_INTERVAL, WRITE_TIMEOUT, WINDOW = 20.0, 10.0, 30.0


@pytest.fixture
def many() -> Iterator[int]:
    """How many sessions this machine allows, at two descriptors each, and the right to have them.

    Meanwhile there is no garbage collector: it would look at all of them again and again, for a third of the
    time, and nothing that must end (a socket, a thread) shall be left to it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, (hard - BESIDE) // 2)
    assert number >= LEAST, f"this machine allows {hard} descriptors, too few for {LEAST} sessions"
    if number < WANTED:
        print(f"{number:,} sessions, not {WANTED:,}: the hard limit is {hard:,} descriptors (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * number + BESIDE), hard))
    gc.disable()
    yield number
    gc.enable()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def hear(clients: list[WebSocketClient], *events: str) -> None:
    """These come to everybody, in this order, and nothing before or between."""
    for client in clients:
        assert [read(client)[0] for _ in events] == list(events)


def drop(s: Stage, clients: list[WebSocketClient], free: int) -> None:
    """All lose the network at once; when this returns, their drop was told, and both ends are closed."""
    count = len(s.recorder.events) + len(clients)
    for client in clients:
        client.drop()
    until(lambda: len(s.recorder.events) == count)
    until(lambda: descriptors() <= free)


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="each connection has a thread of its own there")
@pytest.mark.timeout(120)
def test_five_thousand_sessions(many: int, stage: Callable[..., Stage]) -> None:
    """Nobody misses a message or loses a session, and in the end nothing is left of any of them."""
    threads, before = set(threading.enumerate()), descriptors()
    free = before + 10  # what the hub itself needs while it runs
    s = stage(
        max_sessions=many,
        ping_interval=PING_INTERVAL,
        write_timeout=WRITE_TIMEOUT,
        resume_window=WINDOW,
    )
    ran = s.recorder.events

    # All are connected, and hear what is said to all.
    clients = [s.open(f"u{number}") for number in range(many)]
    until(lambda: len(ran) == many)
    s.hub.broadcast("lobby", Message("first"))
    hear(clients, "first")
    assert len(threading.enumerate()) - len(threads) < 100, "an idle connection costs no thread"

    # All are pinged, answer, and live.
    s.clock.advance(WRITE_TIMEOUT)  # newcomers that say nothing are pinged early
    for client in clients:
        assert client.wait_for_ping(1, PATIENCE)
        client.ping()  # comes back when the answer before it has been read
    for client in clients:
        assert client.wait_for_pong(1, PATIENCE)
    s.clock.advance(WRITE_TIMEOUT)
    assert s.hub.stats().suspended == 0

    # All lose the network at once, miss a message, and get just that one when they come back.
    drop(s, clients, free)
    s.hub.broadcast("lobby", Message("missed"))
    clients = [s.resume(client, received="1") for client in clients]
    until(lambda: len(ran) == 3 * many)
    s.hub.broadcast("lobby", Message("last"))
    hear(clients, "missed", "last")

    # All lose it for good.
    drop(s, clients, free)
    assert s.hub.stats().suspended == many
    s.clock.advance(WINDOW)
    until(lambda: len(ran) == 5 * many)
    assert s.hub.rooms() == []
    assert s.hub.close(PATIENCE).complete

    hooks = Counter(s.recorder.hooks())
    assert hooks == {"connect": many, "drop": 2 * many, "restore": many, "disconnect": many}
    assert set(threading.enumerate()) <= threads
    assert descriptors() == before
