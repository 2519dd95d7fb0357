"""How many more descriptors this process may open: what a process is asked that would take a hub's sockets.

Any thread; reads the kernel's list of this process's descriptors. Read next: ``member_loop.py``.
"""

from __future__ import annotations

import os
import resource
from typing import Final

BESIDE: Final = 64
"""So many descriptors a process keeps free beside a hub's sockets."""


def free_descriptors() -> int:
    """For so many sockets there is room; 0 if that can't be told."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        used = len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0
    if soft == resource.RLIM_INFINITY:
        return 1 << 30
    return max(0, soft - used - BESIDE)
