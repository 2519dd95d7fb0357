"""Threads and sockets that outlive what made them. Used by the pytest plugin.

Sockets are looked for in /proc, so on Linux only. Timers are threads.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from ..runtime.stacks import stack_of

#: Seconds of real time after which a thread or socket that is still there counts as a leak.
GRACE = 2.0

#: Beginnings of the names of threads that belong to test runners.
NOT_OURS = ("pytest_timeout ", "Dummy-", "execnet")

_DESCRIPTORS = Path("/proc/self/fd")

Snapshot = tuple[set[threading.Thread], dict[int, str]]


def snapshot() -> Snapshot:
    """The threads and sockets that are there now."""
    return set(threading.enumerate()), _sockets()


def leaks_since(before: Snapshot) -> list[str]:
    """What is new and stays, a line each with the stack of a thread. Blocks: up to ``GRACE`` seconds."""
    threads, sockets = before
    leaks = []
    patience = GRACE
    for thread in threading.enumerate():
        if thread in threads or thread.name.startswith(NOT_OURS):
            continue
        thread.join(patience)
        if thread.is_alive():
            patience = 0.0  # one that hangs spends the patience for all
            stack = stack_of(thread.ident, 3) or "  (no Python frame)\n"
            leaks.append(f"thread {thread.name!r} at\n{stack}")
    never = threading.Event()
    for _ in range(int(GRACE / 0.02)):
        new = dict(_sockets().items() - sockets.items())
        if not new:
            return leaks
        never.wait(0.02)
    return leaks + [f"descriptor {number}, {link}" for number, link in new.items()]


def _sockets() -> dict[int, str]:
    # The link has the inode: a number that was closed and used again is a new socket.
    links = {}
    if _DESCRIPTORS.is_dir():
        for name in os.listdir(_DESCRIPTORS):
            with contextlib.suppress(OSError):  # the listing's own descriptor is gone again
                links[int(name)] = os.readlink(_DESCRIPTORS / name)
    return {number: link for number, link in links.items() if link.startswith("socket:")}
