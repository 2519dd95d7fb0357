"""The stack of a thread as text, for a report on a thread that does not end.

It knows threads by their numbers only. Used by ``system.py``, ``thread_cache.py`` and the testing kit.
"""

from __future__ import annotations

import gc
import sys
import threading
import traceback
from types import FrameType


def stack_of(ident: int | None, frames: int | None = None) -> str:
    """A thread's stack, as a traceback shows it; "" when no thread has that number.

    ``frames``: only so many of the innermost; None: all. Threads: any. Blocks: never.
    """
    frame = _current_frames().get(ident or 0)
    return "".join(traceback.format_stack(frame, frames)) if frame is not None else ""


def locals_of_main_thread(name: str) -> list[object]:
    """What local variables of this name hold in the frames of the main thread, the innermost first.

    Threads: any. Blocks: never.
    """
    found: list[object] = []
    frame = _current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        if name in frame.f_locals:
            found.append(frame.f_locals[name])
        frame = frame.f_back
    return found


def main_thread_is_in(function: str, its_self: object) -> bool:
    """Whether the main thread runs a method of this name, of this object. Threads: any. Blocks: never."""
    frame = _current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        if frame.f_code.co_name == function and frame.f_locals.get("self") is its_self:
            return True
        frame = frame.f_back
    return False


def _current_frames() -> dict[int, FrameType]:
    # Up to Python 3.11.8 the call holds a lock of the interpreter while it makes objects. If that sets off
    # the garbage collector, a finalizer may hand the GIL to a thread that starts or ends, which waits for the
    # same lock: the whole process hangs (github.com/python/cpython/issues/106883).
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames()
    finally:
        if was_enabled:
            gc.enable()
