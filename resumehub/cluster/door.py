"""The door of a process's hub: whether the hub is in this process, for calls of any thread.

A call enters before it looks for the hub and leaves when it is done. While the hub is about to move (or to
come) the door is shut: new callers wait, and the mover waits until those inside have left. Then it opens one
way or the other: the hub is here, or it is elsewhere, and the call goes over the link. So a call is made
wholly before a move or wholly behind it. It knows neither hubs nor links. Threads: any; one of them moves the
hub. Read next: ``../server/moving.py``.
"""

from __future__ import annotations

from collections.abc import Callable

from ..clock import now
from ..runtime.base import Runtime
from ..runtime.system import make_local


class Door:
    """One process's. ``here``: whether the hub is in this process at the beginning."""

    def __init__(self, runtime: Runtime, *, here: bool = False) -> None:
        self._begin(runtime, here)

    def _begin(self, runtime: Runtime, here: bool) -> None:
        self._runtime = runtime
        self._lock = runtime.lock("the door of the hub")
        self._changed = runtime.condition(self._lock)
        self._here = here
        self._shut = False
        self._inside = 0
        self._told: list[Callable[[], None]] = []
        # How deep the calling thread is inside: a collector that is called inside may call again.
        self._mine = make_local()

    def after_fork_in_child(self) -> None:
        """In a forked child: the hub is the parent's, if it was here. Takes no lock."""
        self._begin(self._runtime, here=False)

    @property
    def here(self) -> bool:
        """Whether the hub is here; while the door is shut, as it was before. Never blocks."""
        return self._here

    @property
    def is_shut(self) -> bool:
        """Whether a freeze is under way. Never blocks."""
        return self._shut

    def tell(self, told: Callable[[], None]) -> None:
        """Call ``told`` after each opening, on the mover's thread: it must not block. Before any move."""
        self._told.append(told)

    # -- callers: any thread ----------------------------------------------------------------

    def enter(self) -> bool:
        """True: the hub is here, and the caller is inside; always next: ``leave``. False: it is elsewhere.

        Inside, the caller may wait for the hub thread, but for no user code and no network. Blocks: while a
        freeze is under way, unless this thread is inside already.
        """
        mine = self._mine
        depth: int = getattr(mine, "depth", 0)
        if depth:
            mine.depth = depth + 1
            return True
        with self._lock:
            while self._shut:
                self._changed.wait()
            if not self._here:
                return False
            self._inside += 1
        mine.depth = 1
        return True

    def enter_nowait(self) -> bool:
        """``enter`` for a thread that may not wait; also False while a freeze is under way. Never blocks."""
        with self._lock:
            inside: int = getattr(self._mine, "depth", 0)
            if not inside and (self._shut or not self._here):
                return False
            self._inside += not inside
        self._mine.depth = inside + 1
        return True

    def leave(self) -> None:
        """The caller for which ``enter`` was true is done. Never blocks."""
        mine = self._mine
        mine.depth -= 1
        if mine.depth:
            return
        with self._lock:
            self._inside -= 1
            if self._shut and not self._inside:
                self._changed.notify_all()

    # -- the mover: one thread --------------------------------------------------------------

    def freeze(self, timeout: float | None = None) -> bool:
        """Shut the door, and wait until nobody is inside; False if ``timeout`` real seconds passed before.

        Then the door is open again, as it was. Next: ``thaw``, ``gone`` or ``arrived``.
        """
        end = None if timeout is None else now() + timeout
        with self._lock:
            assert not self._shut, "one mover at a time"
            self._shut = True
            while self._inside:
                left = None if end is None else end - now()
                if left is not None and left <= 0:
                    break
                self._changed.wait(left)
            else:
                return True
        self._open()
        return False

    def thaw(self) -> None:
        """The hub stays where it was. Twice is no error. Never blocks."""
        self._open()

    def gone(self) -> None:
        """The hub is elsewhere from now on. Nobody may be inside. Never blocks."""
        assert not self._inside, "freeze first"
        self._open(here=False)

    def arrived(self) -> None:
        """The hub is here from now on. Never blocks."""
        self._open(here=True)

    def _open(self, here: bool | None = None) -> None:
        """``here``: None for where it was."""
        with self._lock:
            self._here, self._shut = self._here if here is None else here, False
            self._changed.notify_all()
        for told in self._told:
            told()
