"""The file in which sessions wait while no process holds the hub: how it is written, and how it is read.

A header, then records, each with its length and two checksums, then an end. It is written under another
name, made durable, and renamed; so under its own name it is whole. A disk that fills up costs the records
that had no room. It is read at most once: it is renamed before the first byte is read, so that no session is
ever given to two processes. Damage costs the record that has it; where the length of one is damaged, those
behind it.

Bytes only: what a session is, ``../../session/session_state.py`` knows. Threads: the member's, which blocks
for the file system. Read next: ``parking.py``, ``disk.py``.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ...errors import ClusterError
from ...runtime.foreign_code import Log
from ...session.plain_values import PlainValueError, dump, load
from ..folder import Folder
from .disk import Disk

log = Log(__name__)

FILE_VERSION: Final = 1
"""Of the header and of the way in which records are told apart. Each session has a version of its own."""

_MAGIC: Final = b"RHPK"
_CHUNK: Final = 1 << 20
"""So many bytes are written, or read, at once."""

_END: Final = 0
SESSION: Final = 1
HISTORY: Final = 2
_HEADER: Final = 3

_HEAD: Final = 13  # a record's kind (1), its length (4), the checksum of these (4), that of its bytes (4)


@dataclass(frozen=True, slots=True)
class ParkHead:
    """What the file says of itself. ``parked_at``: seconds since 1970. ``hub_life``: of the hub that stopped.

    ``release``: which one of resumehub has written it, for a log line.
    """

    parked_at: float
    hub_life: str
    release: str


@dataclass(frozen=True, slots=True)
class Record:
    """One record. ``key``: what the writer calls it; it is not in the file."""

    kind: int
    data: bytes
    key: int = 0


@dataclass(slots=True)
class Written:
    """What is in the file: the keys of its records. ``left_out``: key → why it is not in it."""

    kept: list[int] = field(default_factory=list)
    left_out: dict[int, str] = field(default_factory=dict)
    size: int = 0


# -- writing ------------------------------------------------------------------------------


def write_park(
    disk: Disk,
    folder: Folder,
    head: ParkHead,
    records: Iterable[Record],
    *,
    limit: int,
    in_time: Callable[[], bool] = lambda: True,
) -> Written:
    """Write the file, durably. What is left out is so from here on: nothing of it is in the file.

    ``limit``: bytes of the file. ``in_time``: asked before each record; False: the rest is left out.
    Raises: ClusterError when there is no file; then nothing is kept. Blocks: for the file system.
    """
    number = -1
    try:
        number = disk.create(folder.parking)
        writer = _Writer(disk, number, limit)
        writer.begin(head)
        for record in records:
            if not in_time():
                writer.leave_out(record, "the time was over")
            else:
                writer.add(record)
        writer.end()
        disk.sync(number)
        disk.rename(folder.parking, folder.parked)
    except OSError as error:
        with contextlib.suppress(OSError):
            disk.delete(folder.parking)
        raise ClusterError(
            f"the sessions can't be written down in {folder.parked} ({error.strerror or error}): they end",
            folder.path,
        ) from error
    finally:
        if number >= 0:
            disk.close(number)
    try:
        disk.sync_folder(folder.path)
    except OSError as error:  # the file is there for the next process
        log.warning(
            "%s may not survive a loss of power: its folder can't be synced: %s", folder.parked, error
        )
    return writer.written


class _Writer:
    """Writes records in large pieces, and knows which of them are wholly in the file."""

    def __init__(self, disk: Disk, number: int, limit: int) -> None:
        self._disk = disk
        self._number = number
        self._limit = limit
        self.written = Written()
        self._waiting: list[bytes] = []
        self._keys: list[int] = []
        self._size = 0  # of what waits
        self._full: str | None = None

    def begin(self, head: ParkHead) -> None:
        body = dump(head)
        self._waiting.append(_MAGIC + FILE_VERSION.to_bytes(2) + _framed(_HEADER, body))
        self._size = len(self._waiting[0])
        self._flush()
        if self._full is not None:
            raise OSError(self._full)

    def add(self, record: Record) -> None:
        if self._full is not None:
            self.leave_out(record, self._full)
            return
        if self.written.size + self._size + _HEAD + len(record.data) + _HEAD > self._limit:
            self.leave_out(record, f"it does not fit into park_bytes ({self._limit})")
            return
        self._waiting.append(_framed(record.kind, record.data))
        self._keys.append(record.key)
        self._size += len(self._waiting[-1])
        if self._size >= _CHUNK:
            self._flush()

    def leave_out(self, record: Record, why: str) -> None:
        self.written.left_out[record.key] = why

    def end(self) -> None:
        self._flush()
        self._waiting.append(_framed(_END, b""))
        self._size = len(self._waiting[0])
        self._flush()

    def _flush(self) -> None:
        waiting, keys, self._waiting, self._keys = self._waiting, self._keys, [], []
        self._size = 0
        data, taken = memoryview(b"".join(waiting)), 0
        try:
            while taken < len(data):
                taken += self._disk.write(self._number, bytes(data[taken:]))
        except OSError as error:
            self._full = f"the disk took no more ({error.strerror or error})"
        self._count(waiting, keys, taken)

    def _count(self, waiting: list[bytes], keys: list[int], taken: int) -> None:
        """Count the records of which all bytes were taken; cut the others off."""
        whole = 0
        # The header and the end have no key, and each of them is written alone.
        for at, piece in enumerate(waiting):
            whole += len(piece)
            if whole > taken:
                whole -= len(piece)
                for key in keys[at:]:
                    self.written.left_out[key] = self._full or "it was not written"
                keys = keys[:at]
                self._disk.cut(self._number, self.written.size + whole)
                break
        self.written.size += whole
        self.written.kept.extend(keys)


def _framed(kind: int, data: bytes) -> bytes:
    head = bytes([kind]) + len(data).to_bytes(4)
    return head + zlib.crc32(head).to_bytes(4) + zlib.crc32(data).to_bytes(4) + data


# -- reading ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ParkReader:
    """A file that is being read. ``records``: all that can be read, in order; damage is logged."""

    head: ParkHead
    records: Iterator[Record]


def take_park(disk: Disk, folder: Folder) -> ParkReader | None:
    """Take the file, so that nobody takes it again, and read it; None: there is none, or nothing in it.

    Next: read all records, then ``forget_park``. Raises: ClusterError when it can't be taken. Blocks: for the
    file system.
    """
    _clear(disk, folder)
    number = -1
    try:
        number = disk.open(folder.parked)
        source = _Source(disk, number)
        disk.rename(folder.parked, folder.adopting)
    except FileNotFoundError:
        return None
    except OSError as error:
        if number >= 0:
            disk.close(number)
        raise ClusterError(
            f"the parked sessions in {folder.parked} can't be taken ({error.strerror or error}), so their "
            "clients are told that they have ended: let this process read and rename that file",
            folder.path,
        ) from error
    try:
        disk.sync_folder(folder.path)  # or a loss of power would bring them back
    except OSError as error:
        log.warning("a loss of power may bring %s back: its folder can't be synced: %s", folder.parked, error)
    head = _read_head(source, folder)
    if head is None:
        source.close()
        forget_park(disk, folder)
        return None
    return ParkReader(head, _records(source, folder))


def _clear(disk: Disk, folder: Folder) -> None:
    """Delete what a process has left behind that was killed while it adopted."""
    try:
        if disk.delete(folder.adopting):
            log.error(
                "a file is left from a process that ended while it adopted the sessions in it, %s: they are "
                "lost, since some of them may have gone on there",
                folder.adopting,
            )
    except OSError as error:
        log.warning("%s can't be deleted: %s; it is not read again", folder.adopting, error)


def forget_park(disk: Disk, folder: Folder) -> None:
    """All sessions of the file are here, or have ended: delete it. Raises: nothing; nobody reads it again."""
    try:
        disk.delete(folder.adopting)
    except OSError as error:
        log.warning("%s can't be deleted: %s; it is not read again", folder.adopting, error)


def _read_head(source: _Source, folder: Folder) -> ParkHead | None:
    try:
        return _head_of(source, folder)
    except OSError as error:
        log.error("the file %s can't be read (%s): none of its sessions is adopted", folder.parked, error)
        return None


def _head_of(source: _Source, folder: Folder) -> ParkHead | None:
    prefix = source.take(6)
    if prefix[:4] != _MAGIC or len(prefix) < 6:
        log.error(
            "the file %s is none of parked sessions, or damaged at its beginning: none is adopted",
            folder.parked,
        )
        return None
    version = int.from_bytes(prefix[4:])
    if version != FILE_VERSION:
        log.error(
            "the sessions parked in %s end: another release wrote them (version %d, this one reads %d)",
            *(folder.parked, version, FILE_VERSION),
        )
        return None
    found = source.record()
    try:
        if found is not None and found.data is not None:
            return load(ParkHead, found.data)
    except PlainValueError:
        pass
    log.error("the header of %s is damaged: none of its sessions is adopted", folder.parked)
    return None


def _records(source: _Source, folder: Folder) -> Iterator[Record]:
    read = 0
    try:
        while True:
            begins = source.at
            found = source.record()
            if found is None:
                log.error(
                    "the parked sessions in %s are damaged or incomplete at byte %d: the %d records before "
                    "it are adopted, and what is behind it is lost",
                    *(folder.parked, begins, read),
                )
                return
            if found.kind == _END:
                return
            if found.data is None:
                log.error("a record of %s, at byte %d, is damaged: it is lost", folder.parked, begins)
                continue
            read += 1
            yield Record(found.kind, found.data)
    except OSError as error:
        log.error(
            "the file %s can't be read beyond byte %d (%s): what is behind it is lost",
            folder.parked,
            source.at,
            error,
        )
    finally:
        source.close()


@dataclass(frozen=True, slots=True)
class _Found:
    """``data``: None where its checksum is wrong."""

    kind: int
    data: bytes | None


class _Source:
    """Bytes of the file, in order."""

    def __init__(self, disk: Disk, number: int) -> None:
        self._disk = disk
        self._number = number
        self._left = disk.size(number)
        self._buffer = bytearray()
        self.at = 0

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes; fewer at the end."""
        while len(self._buffer) < size:
            data = self._disk.read(self._number, max(_CHUNK, size - len(self._buffer)))
            if not data:
                break
            self._buffer += data
            self._left -= len(data)
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self.at += len(taken)
        return taken

    def record(self) -> _Found | None:
        """The next record; None where nothing can be told apart any more."""
        head = self.take(_HEAD)
        if len(head) < _HEAD or zlib.crc32(head[:5]) != int.from_bytes(head[5:9]):
            return None
        size = int.from_bytes(head[1:5])
        if size > len(self._buffer) + self._left:
            return None
        data = self.take(size)
        if len(data) < size:
            return None
        return _Found(head[0], data if zlib.crc32(data) == int.from_bytes(head[9:13]) else None)

    def close(self) -> None:
        if self._number >= 0:
            self._disk.close(self._number)
            self._number = -1
