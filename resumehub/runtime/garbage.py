"""Puts the interpreter's search for reference cycles off, while very many objects are made that will stay.

It would look through all of them again and again, and find nothing: that takes more time than to make them.
Threads: any; it holds for the whole process. Blocks: never. Read next: ``../cluster/parking/parking.py``.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_cycles_sought() -> Iterator[None]:
    """Within it, cycles are not searched for: a few seconds at most, please."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
