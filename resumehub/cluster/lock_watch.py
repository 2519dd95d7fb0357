"""Looks whether this process's lock is on the file that has its name, and goes over to another one if not.

Somebody may clean the folder up, and remove the file. Whoever has it open keeps its locks, but they keep
nobody out any more who opens the name. So who is about to take a byte, and who holds the hub, looks first.
Threads: the member's. Blocks: for the file system. Read next: ``record_lock.py``.
"""

from __future__ import annotations

from ..errors import ClusterError
from ..runtime.foreign_code import Log
from .folder import Folder
from .record_lock import HEIR, HUB, ClusterLock

log = Log(__name__)


class LockWatch:
    """One process's."""

    def __init__(self, lock: ClusterLock, folder: Folder) -> None:
        self._lock = lock
        self._folder = folder
        self._why = ""
        self._holder_at_link: int | None = None
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

    def is_linked(self) -> None:
        """This process has a link to the hub now: that hub is the one which may move here."""
        self._holder_at_link = self._lock.holder()

    def takes_heir(self, *, from_hub: bool) -> bool:
        """Take the heir's byte, if it is free; whether this process has it now.

        ``from_hub``: for the hub to which there is a link. False also where it is known that another process
        holds a hub in the file that is there: then this one could never take the byte of the hub.
        """
        lock, before = self._lock, self._holder_at_link
        if not (self.holds_the_file() and lock.try_take(HEIR)):
            return False
        # None: nobody can say. The file of the hub that comes may be gone, or this process had another one.
        if from_hub and before is not None and lock.holder() not in (None, before):
            lock.release(HEIR)
            return False
        return True
