"""Which lines of a server's log are complaints: gunicorn's own habits are not, whatever Python runs it."""

from __future__ import annotations

import pytest

from tests.integration.servers import complaints

LISTENER = "unclosed <socket.socket fd=4, family=2, type=1, proto=0, laddr=('127.0.0.1', 34911)>"
FORK = "DeprecationWarning: This process (pid=838) is multi-threaded, use of fork() may lead to deadlocks"


@pytest.mark.parametrize(
    "line",
    [
        f"sys:1: ResourceWarning: {LISTENER}",
        f"<sys>:0: ResourceWarning: {LISTENER}",
        f"/x/gunicorn/arbiter.py:204: ResourceWarning: {LISTENER}",
        "ResourceWarning: Enable tracemalloc to get the object allocation traceback",
        f"/x/gunicorn/arbiter.py:733: {FORK} in the child.",
        '127.0.0.1 - - "GET /ws/tea HTTP/1.1" 101 -',
    ],
)
def test_what_gunicorn_always_says_is_no_complaint(line: str) -> None:
    assert complaints(line) == []


@pytest.mark.parametrize(
    "line",
    [
        f"<sys>:0: ResourceWarning: {LISTENER[:-1]}, raddr=('127.0.0.1', 5)>",
        f"/x/app.py:7: {FORK} in the child.",
        "Traceback (most recent call last):",
        "[2026-11-30] [7] [ERROR] Worker was sent SIGKILL!",
    ],
)
def test_what_a_leak_or_an_error_says_is_one(line: str) -> None:
    assert complaints(line) == [line]
