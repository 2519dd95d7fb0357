"""Puts the interpreter's search for reference cycles off, while very many objects are made that will stay.

It would look through all of them again and again, and find nothing: that takes more time than to make them,
and all threads stand still meanwhile. So it does not search while a hub moves, is parked or is adopted; and
what was made then counts as old at once, or the first search behind it would look through all of it.
Threads: any; it holds for the whole process. Nothing here blocks. Read next:
``../cluster/parking/parking.py``, ``../cluster/moves/move_target.py``.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Search:
    """The interpreter's. Several threads may want it off; it goes on when the last one is done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted_off = 0
        self._was_on = False

    def put_off(self) -> None:
        with self._lock:
            self._wanted_off += 1
            if self._wanted_off == 1:
                self._was_on = gc.isenabled()
                gc.disable()

    def go_on(self) -> None:
        with self._lock:
            self._wanted_off -= 1
            if self._wanted_off or not self._was_on:
                return
            # What the application has frozen must stay so.
            if hasattr(gc, "freeze") and not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()  # from "never looked at" to "old"
            gc.enable()

    def after_fork_in_child(self) -> None:
        """The threads that had put it off are in the parent."""
        self._lock = threading.Lock()
        if self._wanted_off:
            self._wanted_off = 0
            if self._was_on:
                gc.enable()


_search = _Search()
os.register_at_fork(after_in_child=_search.after_fork_in_child)


class CyclesNotSought:
    """Between ``begin`` and ``end`` cycles are not searched for: a few seconds at most, please.

    Each may be called again: a second one in a row does nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = False

    def begin(self) -> None:
        """Put the search off."""
        with self._lock:
            began, self._began = self._began, True
        if not began:
            _search.put_off()

    def end(self) -> None:
        """Let it go on, unless somebody else wants it off."""
        with self._lock:
            began, self._began = self._began, False
        if began:
            _search.go_on()


@contextmanager
def no_cycles_sought() -> Iterator[None]:
    """Within it, cycles are not searched for: a few seconds at most, please."""
    _search.put_off()
    try:
        yield
    finally:
        _search.go_on()
