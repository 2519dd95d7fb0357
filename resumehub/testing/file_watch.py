"""Tells a lab which of its threads opens, renames, deletes or lists a file.

Python tells of it by an audit hook, which can't be taken out again: there is one for each Python process,
from the first ``MemoryCluster`` on, and it does nothing while no lab listens. /proc and /dev are no files.
Used by ``memory_cluster.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

_EVENTS: Final = {
    "open": "opens",
    "os.rename": "renames",
    "os.remove": "deletes",
    "os.listdir": "lists",
    "os.scandir": "lists",
    "os.mkdir": "makes",
    "os.truncate": "cuts",
    "os.chmod": "changes",
}

_NO_FILES: Final = ("/proc", "/dev", "/sys")

_listeners: list[Callable[[str], None]] = []
_is_there = False


def listen(told: Callable[[str], None]) -> None:
    """Call ``told`` with a few words, on the thread that does it, until ``listen_no_more``."""
    global _is_there
    if not _is_there:
        _is_there = True
        sys.addaudithook(_hear)
    _listeners.append(told)


def listen_no_more(told: Callable[[str], None]) -> None:
    """Undo ``listen``."""
    if told in _listeners:
        _listeners.remove(told)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _listeners or event not in _EVENTS:
        return
    path = arguments[0] if arguments else None
    if isinstance(path, bytes):
        path = path.decode(errors="replace")
    # Python reads its own sources where a traceback is made, and so does an import.
    if not isinstance(path, str) or path.startswith(_NO_FILES) or path.endswith((".py", ".pyc")):
        return
    for told in list(_listeners):
        told(f"{_EVENTS[event]} {path}")
