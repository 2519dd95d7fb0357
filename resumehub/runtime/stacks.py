"""The stack of a thread as text, for a report on a thread that does not end.

It knows threads by their numbers only. Used by ``system.py``, ``thread_cache.py`` and the testing kit.
"""

from __future__ import annotations

import sys
import traceback


def stack_of(ident: int | None, frames: int | None = None) -> str:
    """A thread's stack, as a traceback shows it; "" when no thread has that number.

    ``frames``: only so many of the innermost; None: all. Threads: any. Blocks: never.
    """
    frame = sys._current_frames().get(ident or 0)
    return "".join(traceback.format_stack(frame, frames)) if frame is not None else ""
