"""The folder that the processes of one demo share: it goes with the last of them, however that ends.

All have one open file from the master, with a lock that the kernel gives back when the last of them has
ended. At a stop in order gunicorn's master removes the folder (``gunicorn_settings.py``). If the master was
killed, its workers notice, and the one that ends last removes it. If all were killed, the next demo does.
Linux and macOS. Called in the master before it is gunicorn, and in workers. Read next: ``workers.py``.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PREFIX: Final = "resumehub-demo-"
_LOCK: Final = "alive"
"""The file in the folder that is locked as long as a process of the demo lives."""


def make_folder() -> tuple[str, int]:
    """A new folder, and the descriptor that keeps it: to be inherited. Removes those of killed demos.

    Raises: OSError.
    """
    for folder in _of_the_killed():
        shutil.rmtree(folder, ignore_errors=True)
    made = tempfile.mkdtemp(prefix=_PREFIX)
    descriptor = os.open(f"{made}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return made, descriptor


def remove_at_the_end(folder: str, descriptor: int, master: int) -> None:
    """When this worker ends, remove the folder if ``master`` has gone and no other worker lives."""
    own = os.getpid()

    def remove() -> None:
        if os.getpid() != own or os.getppid() == master:
            return  # a forked child of ours; or gunicorn's master removes it
        os.close(descriptor)
        if _is_left(folder):
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)


def _of_the_killed() -> Iterator[Path]:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            is_ours = folder.stat(follow_symlinks=False).st_uid == os.getuid()
        except OSError:
            continue
        if is_ours and folder.is_dir() and _is_left(str(folder)):
            yield folder


def _is_left(folder: str) -> bool:
    """Whether no process has its lock. False without one: then it may be about to be made."""
    try:
        descriptor = os.open(f"{folder}/{_LOCK}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
