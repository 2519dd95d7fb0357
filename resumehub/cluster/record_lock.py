"""Which process of a folder holds the hub, and which is its heir: two record locks on one file.

Byte 0 is the hub's, byte 1 the heir's. The kernel lets a lock go when its process ends, however it ends; a
forked child never has it. It also lets go when *any* descriptor of the file is closed in the process, so
the file is opened once a process, and stays open until ``close``.

Who wants the hub sees byte 0 free, takes byte 1, then byte 0, then gives byte 1 back. During a move the
target holds byte 1, so nobody else takes byte 0 when the old process lets it go. Nothing here waits. Any
thread; a lock is a process's, not a thread's.

A third lock is a clock: who holds the hub locks the bytes ``SIGNS`` + a to ``SIGNS`` + b, far behind the end
of the file, where a is when it took the hub and b when it gave its last sign of life, in milliseconds of the
host's monotonic clock. Anyone can read both, also of a process that is stopped, and no disk has a part in it.
Read next: ``folder.py``, ``heartbeat.py``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from dataclasses import dataclass
from typing import Final, Protocol

from ..clock import now
from ..errors import ClusterError
from ..runtime.base import Runtime
from ..runtime.system import make_lock
from .folder import Folder

HUB: Final = 0
"""The byte of who holds the hub."""

HEIR: Final = 1
"""The byte of who takes it next."""

SIGNS: Final = 1 << 48
"""Where the bytes of the clock begin: 8,900 years of milliseconds fit in front of the end of all files."""

_FLOCK: Final = struct.Struct("@hhqqi4x")
# struct flock of 64-bit Linux: type, whence, start, length, pid.


@dataclass(frozen=True, slots=True)
class HubSign:
    """Of the process that holds the hub: so many seconds it has held it, and has given no sign of life."""

    pid: int
    held_for: float
    silent_for: float


class ClusterLock(Protocol):
    """What a member needs of the lock; see ``RecordLock``. Tests give one that lives in memory."""

    def take_hub(self) -> bool: ...
    def try_take(self, byte: int) -> bool: ...
    def release(self, byte: int) -> None: ...
    def holds(self, byte: int) -> bool: ...
    def is_held_by_other(self, byte: int) -> bool: ...
    def holder(self) -> int | None: ...
    def is_the_file(self) -> bool: ...
    def renew(self) -> bool: ...
    def sign_of_life(self) -> None: ...
    def close(self) -> None: ...


class RecordLock:
    """This process's part of the lock of a folder. No method blocks.

    Raises: RuntimeError if this process has one of the folder already, for a second hub; ClusterError if
    the file can't be opened, or is not ours.
    """

    def __init__(self, folder: Folder, runtime: Runtime) -> None:
        self._folder = folder
        self._lock = runtime.lock("the cluster's lock")
        self._held: set[int] = set()
        self._taken_at = 0
        # More descriptors of the same file.
        self._spare: list[int] = []
        with _opening:
            # Looked at before it is opened: to close it again would let the other one's locks go.
            if folder.path in _open:
                raise RuntimeError(
                    f"this process has a hub in the folder {folder.path} already: give each hub a folder of "
                    "its own"
                )
            self._descriptor = _opened(folder)
            self._identity = _identity(os.fstat(self._descriptor))
            _open[folder.path] = self

    def holds(self, byte: int) -> bool:
        """Whether this process has ``HUB``, or ``HEIR``."""
        return byte in self._held

    def take_hub(self) -> bool:
        """Take the hub if it is free, and nobody else is the heir; return whether this process has it now.

        This is the whole order of the module's text. The target of a move has ``HEIR`` already: it calls
        ``try_take(HUB)`` once it has read ``commit``, and then ``release(HEIR)``.
        """
        with self._lock:
            if HUB in self._held:
                return True
            # Looked at first: who holds the heir's byte for nothing keeps others from a hub that gets free.
            if self._holder_of(HUB) is not None or not self._take(HEIR):
                return False
            taken = self._take(HUB)
            self._release(HEIR)
            return taken

    def try_take(self, byte: int) -> bool:
        """Take ``HUB`` or ``HEIR`` if it is free; return whether this process has it now."""
        with self._lock:
            return self._take(byte)

    def release(self, byte: int) -> None:
        """Let ``HUB`` or ``HEIR`` go, if this process has it."""
        with self._lock:
            self._release(byte)

    def is_held_by_other(self, byte: int) -> bool:
        """Whether another process has ``HUB``, or ``HEIR``."""
        with self._lock:
            return self._holder_of(byte) is not None

    def holder(self) -> int | None:
        """The number of the process that holds the hub, 0 for one that can't be seen; None if none does."""
        with self._lock:
            return os.getpid() if HUB in self._held else self._holder_of(HUB)

    def sign_of_life(self) -> None:
        """Let others see that the holder of the hub lives; nothing, if this process does not hold it."""
        with self._lock:
            if HUB in self._held and self._descriptor >= 0:
                self._sign()

    def sign(self) -> HubSign | None:
        """Since when the hub is held, and its last sign of life; None: another release gives none, or no hub.

        Of this process itself: None.
        """
        with self._lock:
            found = self._lock_at(SIGNS, 0)
        if found is None:
            return None
        pid, start, length = found
        at = _milliseconds()
        return HubSign(pid, (at - (start - SIGNS)) / 1000, max(0, at - (start - SIGNS + length - 1)) / 1000)

    def is_the_file(self) -> bool:
        """Whether the lock's path still leads to the file that is locked.

        If not, somebody has removed it. Next: ``renew``.
        """
        try:
            return _identity(os.stat(self._folder.lock)) == self._identity
        except OSError:
            return False

    def renew(self) -> bool:
        """Go over to the file that has the name now, or make it, and take the hub there if it is here.

        False: another process holds the hub there, or is its heir; then this lock is as it was. Raises:
        ClusterError if the file can't be opened. The heir's byte must not be held.
        """
        with self._lock, _opening:
            assert HEIR not in self._held, "a hub on its way is not disturbed"
            if self._descriptor < 0:
                return False
            new = _opened(self._folder)
            identity = _identity(os.fstat(new))
            if identity == self._identity:  # it is back; to close it would let the locks go
                self._spare.append(new)
                return True
            old, held = self._descriptor, self._held
            self._descriptor, self._held = new, set()
            if HUB in held and not (self._take(HEIR) and self._take(HUB)):
                self._descriptor, self._held = old, held
                os.close(new)
                return False
            self._release(HEIR)
            self._identity = identity
            os.close(old)
            return True

    def close(self) -> None:
        """Let go of everything. Any number of times."""
        with self._lock:
            self._held.clear()
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
                self._close_spare()
                _open.pop(self._folder.path, None)

    def after_fork_in_child(self) -> None:
        """In a forked child: the locks are the parent's, who keeps them. Close the copy; take no lock."""
        self._held.clear()
        self._close_spare()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _close_spare(self) -> None:
        while self._spare:
            os.close(self._spare.pop())

    # -- inside, with the lock held -----------------------------------------------------------

    def _take(self, byte: int) -> bool:
        if byte in self._held:
            return True
        if self._descriptor < 0:
            return False  # closed, or the parent's
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            raise
        self._held.add(byte)
        if byte == HUB:
            self._taken_at = _milliseconds()
            self._sign()
        return True

    def _sign(self) -> None:
        # It only grows; the kernel has one lock of it, since this one covers the last one.
        length = max(0, _milliseconds() - self._taken_at) + 1
        with contextlib.suppress(OSError):  # nothing but the look from outside needs it
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length, SIGNS + self._taken_at)

    def _release(self, byte: int) -> None:
        if byte in self._held:
            self._held.discard(byte)
            if byte == HUB:  # first, so that never two processes have signs
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 0, SIGNS)
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, byte)

    def _holder_of(self, byte: int) -> int | None:
        found = self._lock_at(byte, 1)
        return found[0] if found is not None else None

    def _lock_at(self, start: int, length: int) -> tuple[int, int, int] | None:
        """Another process's lock there: its number, the lock's start and length. ``length`` 0: to the end."""
        if self._descriptor < 0:
            return None
        wanted = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
        kind, _, at, size, process = _FLOCK.unpack(fcntl.fcntl(self._descriptor, fcntl.F_GETLK, wanted))
        return None if kind == fcntl.F_UNLCK else (process, at, size)


_open: dict[str, RecordLock] = {}
# Path of a folder → its lock, for all that this process has open.
_opening = make_lock()


def _milliseconds() -> int:
    return int(now() * 1000)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _opened(folder: Folder) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(folder.lock, flags, 0o600)
    except OSError as error:
        raise ClusterError(
            f"the lock of the cluster's folder {folder.path} can't be opened ({error.strerror}): the "
            f"user with the number {os.geteuid()} has to be able to write there",
            folder.path,
        ) from None


def _after_fork_in_child() -> None:
    global _opening
    _opening = make_lock()  # another thread may have held it
    for lock in list(_open.values()):
        lock.after_fork_in_child()
    _open.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
