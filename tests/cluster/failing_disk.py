"""A disk that fails at one of its operations, takes only so many bytes, or dies there as a process does."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from resumehub.cluster.parking.disk import Disk


class Died(BaseException):
    """The process was killed at this operation."""


class FailingDisk(Disk):
    """``at``: the number of the operation at which it fails, from 0; None: at none.

    ``dies``: as if the process was killed before the operation. ``behind``: the operation is done first.
    ``room``: bytes that can be written. ``piece``: at most so many bytes are taken at once.
    """

    def __init__(
        self,
        at: int | None = None,
        *,
        dies: bool = False,
        behind: bool = False,
        room: int | None = None,
        piece: int | None = None,
    ) -> None:
        self.at = at
        self.dies = dies
        self.behind = behind
        self.room = room
        self.piece = piece
        #: The operations so far, by name.
        self.done: list[str] = []
        self.open_files: set[int] = set()

    def _next(self, name: str, operation: Callable[[], Any]) -> Any:
        number = len(self.done)
        self.done.append(name)
        if number == self.at and not self.behind:
            self._fail()
        result = operation()
        if number == self.at:
            self._fail()
        return result

    def _fail(self) -> None:
        if self.dies:
            raise Died
        raise OSError(errno.EIO, "Input/output error")

    def create(self, path: str) -> int:
        number: int = self._next("create", lambda: Disk.create(self, path))
        self.open_files.add(number)
        return number

    def write(self, number: int, data: bytes) -> int:
        taken: int = self._next("write", lambda: self._write(number, data))
        return taken

    def _write(self, number: int, data: bytes) -> int:
        size = len(data) if self.piece is None else min(self.piece, len(data))
        if self.room is not None:
            if self.room == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            size = min(size, self.room)
            self.room -= size
        return Disk.write(self, number, data[:size])

    def cut(self, number: int, size: int) -> None:
        self._next("cut", lambda: Disk.cut(self, number, size))

    def sync(self, number: int) -> None:
        self._next("sync", lambda: Disk.sync(self, number))

    def rename(self, old: str, new: str) -> None:
        self._next("rename", lambda: Disk.rename(self, old, new))

    def sync_folder(self, path: str) -> None:
        self._next("sync_folder", lambda: Disk.sync_folder(self, path))

    def open(self, path: str) -> int:
        number: int = self._next("open", lambda: Disk.open(self, path))
        self.open_files.add(number)
        return number

    def read(self, number: int, size: int) -> bytes:
        data: bytes = self._next("read", lambda: Disk.read(self, number, size))
        return data

    def delete(self, path: str) -> bool:
        there: bool = self._next("delete", lambda: Disk.delete(self, path))
        return there

    def close(self, number: int) -> None:
        Disk.close(self, number)
        self.open_files.discard(number)
