"""Looks whether this process's lock is on the file that has its name, and goes over to another one if not.

Somebody may clean the folder up, and remove the file. Whoever has it open keeps its locks, but they keep
nobody out any more who opens the name. So who is about to take a byte, and who holds the hub, looks first.
Threads: the member's. Blocks: for the file system. Read next: ``record_lock.py``.
"""

from __future__ import annotations

from ..errors import ClusterError
from ..runtime.foreign_code import Log
from .folder import Folder
from .record_lock import HUB, ClusterLock

log = Log(__name__)


class LockWatch:
    """One process's."""

    def __init__(self, lock: ClusterLock, folder: Folder) -> None:
        self._lock = lock
        self._folder = folder
        self._why = ""
        #: Whether the hub's lock is on another file since the last look; the reader sets it back.
        self.went_over = False

    def holds_the_file(self) -> bool:
        """Whether the lock is on the file that is there; now at the latest. False: another process has it."""
        lock = self._lock
        if lock.is_the_file():
            return True
        try:
            renewed = lock.renew()
            why = "another process holds a second hub in a new one"
        except ClusterError as error:
            renewed, why = False, str(error)
        if renewed and lock.holds(HUB):
            self.went_over = True
            log.warning(
                "the file %s was removed or replaced: this process holds the hub in the one that is there; "
                "let nothing clean the cluster's folder up",
                self._folder.lock,
            )
        if not renewed and why != self._why:
            self._why = why
            log.error(
                "the file %s was removed or replaced, and %s: this one lets go of its hub, if it has it; let "
                "nothing clean the cluster's folder up",
                self._folder.lock,
                why,
            )
        return renewed
