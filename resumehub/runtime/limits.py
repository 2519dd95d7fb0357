"""The limits of this machine that thousands of sessions reach: descriptors, threads, waiting connections.

For a command that runs a server itself (``cli.py``); under gunicorn the service sets them
(docs/howto/deploy-gunicorn-nginx.md). On Linux two of the three are files; on other systems those two are
not checked. It knows nothing of a hub. Called once, on the main thread, before any thread is started.
"""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path
from typing import Final

DESCRIPTORS_BESIDE: Final = 100
"""Descriptors that a server needs besides those of its sessions."""

THREADS: Final = 500
"""Enough threads for most servers: each handler that runs, and each peer that reads too slowly, needs one."""

_SOMAXCONN: Final = "/proc/sys/net/core/somaxconn"
_THREADS: Final = ("/sys/fs/cgroup/pids.max", "/proc/sys/kernel/threads-max")


def prepare(sessions: int, backlog: int, *, root: str = "/") -> list[str]:
    """Raise the limits for ``sessions`` as far as allowed; return a sentence for each that is too low.

    ``backlog``: connections that may wait to be accepted. ``root``: where the kernel's files are.
    """
    advice = []
    descriptors = _raise_descriptors(sessions + DESCRIPTORS_BESIDE)
    if descriptors < sessions + DESCRIPTORS_BESIDE:
        advice.append(
            f"{descriptors} descriptors are allowed, enough for about "
            f"{max(0, descriptors - DESCRIPTORS_BESIDE)} sessions, not for {sessions}: raise the hard "
            "limit (ulimit -Hn)"
        )
    threads = [limit for name in _THREADS if (limit := _read(root, name)) is not None]
    if threads and min(threads) < THREADS:
        advice.append(
            f"{min(threads)} threads are allowed, and each handler that waits needs one: raise "
            "pids.max of the control group, or kernel.threads-max"
        )
    waiting = _read(root, _SOMAXCONN)
    if waiting is not None and waiting < backlog:
        advice.append(
            f"{waiting} connections may wait to be accepted, not {backlog}: when all clients come back at "
            f"once, some wait for seconds (sysctl net.core.somaxconn={backlog})"
        )
    return advice


def _raise_descriptors(wanted: int) -> int:
    """Raise the soft limit as far as the hard one allows; return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    goal = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < goal:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (goal, hard))
            soft = goal
    return wanted if soft == resource.RLIM_INFINITY else soft


def _read(root: str, name: str) -> int | None:
    """The number in a file of the kernel; None where there is no such file or no limit."""
    try:
        text = Path(root, name.lstrip("/")).read_text("ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
