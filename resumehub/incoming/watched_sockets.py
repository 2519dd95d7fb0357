"""The sockets that the leader waits for, and what becomes of them when the system's poller fails.

A system call of the poller can fail for one socket: it cannot be polled (EPERM), the system watches too many
(ENOSPC), the application has closed its descriptor (EBADF). That costs this one transport. And the poller
itself can be gone: an application that "closes all descriptors" closes ours, and by then the number may be
another file's (EINVAL). Then a new poller is made, and watches the same sockets. Until one can be made, no
socket is read.

It knows nothing of threads and turns. Call every method with the lock of ``LeaderFollowers`` held; none
blocks. Read next: ``turn_queue.py``, ``runtime/base.py`` (``Poller``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from ..runtime.base import Poller
from ..runtime.foreign_code import Log

log = Log(__name__)

T = TypeVar("T")

#: What a poller raises; ValueError: the object was closed.
POLLER_ERRORS = (OSError, ValueError)


# Pollers that were given up stay until the process ends. Otherwise Python would close their descriptor, which
# may be another file's by now.
_GIVEN_UP: list[Poller] = []


class WatchedSockets(Generic[T]):
    """Descriptor's number → the task that reads it. ``make``: makes a poller, or raises OSError."""

    def __init__(self, poller: Poller, make: Callable[[], Poller | None]) -> None:
        #: None: there is none, and none could be made.
        self.poller: Poller | None = poller
        self._make = make
        self._tasks: dict[int, T] = {}
        # Sockets that had input while a thread worked on them: the poller does not watch them now.
        self._muted: set[int] = set()
        self._deaf = False  # whether ``wake`` has failed

    def __len__(self) -> int:
        return len(self._tasks)

    def get(self, number: int) -> T | None:
        """The task that reads this socket."""
        return self._tasks.get(number)

    def keep(self, number: int, task: T) -> Exception | None:
        """Watch a socket, as before or from now on. Returns why it cannot be watched, or None."""
        if number not in self._tasks or number in self._muted:
            problem = self._watch(number)
            if problem is not None:
                return problem
            self._muted.discard(number)
        self._tasks[number] = task
        return None

    def mute(self, number: int) -> None:
        """A thread works on this socket: do not watch it until ``keep``."""
        if number not in self._muted:
            # Else the poller would report it again and again, until the thread at work has read it.
            self._muted.add(number)
            self._unwatch(number)

    def forget(self, number: int) -> None:
        """The socket is about to be closed."""
        if self._tasks.pop(number, None) is not None and number not in self._muted:
            self._unwatch(number)
        self._muted.discard(number)

    def wake(self) -> bool:
        """End the wait for input; False if that is impossible. Next, then: ``renew``."""
        if self.poller is None:
            return True  # no thread can be waiting
        try:
            self.poller.wake()
        except POLLER_ERRORS:
            log.exception("the thread that waits for input cannot be woken")
            self._deaf = True
            return False
        return True

    def renew(self) -> list[T]:
        """A call of the poller has failed: make a new one, if it is gone.

        Returns the tasks whose sockets the new one cannot watch.
        """
        had_one = self.poller is not None
        if self.poller is not None:
            if self.poller.works() and not self._deaf:
                return []
            log.error("the poller of the hub's sockets is gone: other code has closed it; a new one is made")
            self.poller.retire()
            _GIVEN_UP.append(self.poller)
            self.poller = None
        try:
            self.poller, self._deaf = self._make(), False
        except OSError:
            if had_one:
                log.exception("no poller can be made: no connection is read until that works")
            return []
        lost = []
        for number in [number for number in self._tasks if number not in self._muted]:
            try:
                self._register(number)
            except POLLER_ERRORS:
                lost.append(self._tasks.pop(number))
        return lost

    def close(self) -> None:
        """Close the poller. May be called twice."""
        if self.poller is not None:
            try:
                self.poller.close()
            except OSError:
                log.exception("the poller was closed by other code already")

    # -- inside -----------------------------------------------------------------------------

    def _watch(self, number: int) -> Exception | None:
        try:
            self._register(number)
        except POLLER_ERRORS as error:
            return error
        return None

    def _register(self, number: int) -> None:
        if self.poller is None:
            return  # ``renew`` does it
        try:
            self.poller.watch(number)
        except FileExistsError:
            pass  # it is watched: ``unwatch`` had failed

    def _unwatch(self, number: int) -> None:
        if self.poller is None:
            return
        try:
            self.poller.unwatch(number)
        except POLLER_ERRORS:
            # It is not watched any more, or the poller is gone and the next ``wait`` finds that out.
            log.debug("descriptor %s could not be taken out of the poller", number)
