"""What the kernel says of a process: memory, threads, descriptors. A value, and a thread that makes them.

Linux. ``Sampler`` looks once a second, on a thread that ``close`` ends. Used by ``endure_run.py``.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at one moment. Memory in KiB: ``rss`` what is in RAM, ``pss`` with its share of what others
    have, too, ``uss`` what it has for itself. ``at``: seconds of the monotonic clock."""

    at: float
    rss: int
    pss: int
    uss: int
    threads: int
    descriptors: int


def look_at(pid: int) -> Sample:
    """Look at a process of ours. Raises: OSError when there is none."""
    folder = Path("/proc", str(pid))
    sizes: dict[str, int] = {}
    for line in (folder / "smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        sizes[name] = int(rest.split()[0])
    return Sample(
        time.monotonic(),
        sizes["Rss"],
        sizes["Pss"],
        sizes["Private_Clean"] + sizes["Private_Dirty"],
        len(os.listdir(folder / "task")),
        len(os.listdir(folder / "fd")),
    )


_MALLINFO2 = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)


class _MallInfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc, see mallinfo(3)."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _MALLINFO2)


def in_use() -> tuple[int, int]:
    """What this process has allocated and not freed: Python's blocks, and KiB of malloc.

    0 KiB without glibc 2.33. Unlike RSS they have no gaps in them: a leak shows in one of the two, however
    small it is. What glibc keeps in the caches of threads counts as allocated, where they are not turned off.
    """
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return sys.getallocatedblocks(), 0
    mallinfo.restype = _MallInfo
    told = mallinfo()
    return sys.getallocatedblocks(), (told.uordblks + told.hblkhd) // 1024


class Sampler:
    """Looks at a process once in ``every`` seconds, until ``close``, and calls ``take`` with each sample."""

    def __init__(self, pid: int, take: Callable[[Sample], None], every: float = 1.0) -> None:
        self._pid, self._take, self._every = pid, take, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every):
            try:
                self._take(look_at(self._pid))
            except OSError:
                return  # it has ended; the run says so
