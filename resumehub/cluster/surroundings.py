"""What can be seen of the server in /proc: whether it stops altogether, and whether new processes are coming.

gunicorn's master closes its listeners *before* it sends SIGTERM in a full stop, and keeps them at a reload.
So the listener's inode is missing from the master's descriptors then. A child of the master that is no member
yet is somebody who comes: a new worker that still imports, or a new master. Where /proc can't be read
(gunicorn's ``--user``, other systems), the answers are None. It knows no member and no hub. Called on the
member's thread; reads files of the kernel. Read next: ``../core/cluster/stopping.py``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from typing import Final

from ..core.cluster.stopping import Surroundings

PROC: Final = "/proc"


def look_around(
    master: int,
    listeners: Collection[int],
    known: Callable[[], Collection[int]],
    proc: str = PROC,
    *,
    workers: int = 0,
    members: Callable[[], Collection[int]] = tuple,
) -> Surroundings:
    """What is seen now. ``known``: the numbers of the processes that are members, or were; asked last.

    ``workers``: so many the server keeps up. If fewer of them live and are members now (``members``), the
    rest comes: it is about to be started, or to end and to be replaced.

    The children are read before ``known`` is asked: one that becomes a member in between is not taken for
    somebody who still comes.
    """
    children = children_of(master, proc)
    full_stop = _has_closed(master, listeners, proc)
    there = known()
    coming: int | None = None
    if children is not None:
        strangers = [child for child in children if child not in there]
        if full_stop:  # its workers stop, too; only a server that takes over is coming
            strangers = [child for child in strangers if _takes_over(child, master, proc)]
        coming = len(strangers)
        if full_stop is False:
            now_members = members()
            there_now = sum(child in now_members and _lives(child, proc) for child in children)
            coming = max(coming, workers - there_now)
    return Surroundings(full_stop=full_stop, coming=coming)


def children_of(pid: int, proc: str = PROC) -> list[int] | None:
    """The children of a process's main thread; None if that can't be read."""
    try:
        with open(f"{proc}/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except (OSError, ValueError):
        return None


def started_at(pid: int, proc: str = PROC) -> float:
    """When a process was started, in seconds since the machine's start; 0.0 if that can't be read."""
    try:
        with open(f"{proc}/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The name of the program may have spaces and brackets in it: count from its end.
            return int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def _lives(pid: int, proc: str) -> bool:
    """Whether a process is there, and not just waits for its parent to hear of its end."""
    try:
        with open(f"{proc}/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[:1] != ["Z"]
    except OSError:
        return False


def _has_closed(master: int, listeners: Collection[int], proc: str) -> bool | None:
    if not listeners:
        return None
    open_files = set()
    try:
        with os.scandir(f"{proc}/{master}/fd") as found:
            for entry in found:
                try:
                    open_files.add(os.readlink(entry.path))
                except FileNotFoundError:  # closed since
                    continue
    except FileNotFoundError:
        return True  # the master is gone
    except OSError:
        return None
    return not any(f"socket:[{inode}]" in open_files for inode in listeners)


def _takes_over(pid: int, master: int, proc: str) -> bool:
    """Whether a child of the master is a new one: gunicorn gives it the number of the old one."""
    try:
        with open(f"{proc}/{pid}/environ", "rb") as file:
            return b"GUNICORN_PID=%d" % master in file.read().split(b"\0")
    except OSError:
        return False
