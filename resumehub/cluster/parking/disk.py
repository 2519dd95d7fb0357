"""What the park file asks of the file system, one method for each step after which a process may die.

The tests have one that fails, or dies, at any of them. Threads: any; each method blocks for the file system.
Raises: OSError. Read next: ``park_file.py``.
"""

from __future__ import annotations

import contextlib
import os


class Disk:
    """The real one."""

    def create(self, path: str) -> int:
        """A new, empty file that only this user can read; whatever was there is deleted."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def write(self, number: int, data: bytes) -> int:
        """Write at the end; return how many bytes were taken."""
        return os.write(number, data)

    def cut(self, number: int, size: int) -> None:
        """Make the file so long, and write on from there."""
        os.ftruncate(number, size)
        os.lseek(number, size, os.SEEK_SET)

    def sync(self, number: int) -> None:
        """Have the file's bytes survive a loss of power."""
        os.fsync(number)

    def rename(self, old: str, new: str) -> None:
        """In one step."""
        os.rename(old, new)

    def sync_folder(self, path: str) -> None:
        """Have the names in a folder survive a loss of power."""
        number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(number)
        finally:
            os.close(number)

    def open(self, path: str) -> int:
        """A file for reading."""
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def read(self, number: int, size: int) -> bytes:
        """The next bytes, at most ``size``; none at the end."""
        return os.read(number, size)

    def size(self, number: int) -> int:
        """How many bytes the file has."""
        return os.fstat(number).st_size

    def delete(self, path: str) -> bool:
        """Whether there was one."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
        return True

    def close(self, number: int) -> None:
        """The file stays."""
        os.close(number)
