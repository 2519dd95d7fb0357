"""What Linux tells about processes, sockets and locks of others: for harnesses that may not ask them.

Functions of pids, ports and paths; nothing is cached. Any thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

_FLOCK = struct.Struct("@hhqqixxxx")
"""``struct flock`` of Linux with 64-bit offsets: type, whence, start, length, pid."""


def alive_in_session(session: int) -> dict[int, int]:
    """The living processes of a session, and their parents. ``session``: the pid that began it."""
    found = {}
    for pid in _pids():
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text()
            state, parent, _, of = stat[stat.rindex(")") + 2 :].split(" ")[:4]
            if int(of) == session and state != "Z":
                found[pid] = int(parent)
    return found


def descriptors_of(pid: int) -> list[str]:
    """What a process of ours has open, as links: "socket:[4711]", a path, …; empty when it is gone."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return sorted(found)


def owner_of(client: socket.socket, pids: list[int]) -> int | None:
    """Which of these processes has the other end of a TCP connection; None while it waits to be accepted."""
    inode = _inode_of(client.getpeername()[1], client.getsockname()[1])
    if inode is None:
        return None
    return next((pid for pid in pids if f"socket:[{inode}]" in descriptors_of(pid)), None)


def accepted_by(pid: int, port: int) -> int:
    """How many connections to a TCP port of ours a process has open."""
    inodes = {inode for local, _, state, inode in _tcp() if local == port and state != "0A"}
    return len({f"socket:[{inode}]" for inode in inodes} & set(descriptors_of(pid)))


def listening(port: int) -> bool:
    """Whether a process listens on this TCP port of ours."""
    return any(local == port and state == "0A" for local, _, state, _ in _tcp())


def holder_of(path: Path, start: int = 0) -> int | None:
    """The process that has a record lock on byte ``start`` of a file; None: nobody, or no such file."""
    with contextlib.suppress(FileNotFoundError), path.open("rb+") as file:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, 1, 0)
        kind, *_, pid = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
        return pid if kind != fcntl.F_UNLCK else None
    return None


def unix_sockets_below(folder: Path) -> list[str]:
    """The paths of all Unix sockets that are bound below a folder, by whatever process.

    A path comes once for the socket that listens there, and once more for each that it has accepted.
    """
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    paths = [line.split(None, 7)[7] for line in lines if len(line.split(None, 7)) > 7]
    return sorted(path for path in paths if path.startswith(f"{folder}/"))


def connections_of(pid: int) -> int:
    """How many TCP connections a process of ours has open, of any state; none that only listens."""
    mine = set(descriptors_of(pid))
    return sum(f"socket:[{inode}]" in mine for _, _, state, inode in _tcp() if state != "0A")


def _pids() -> Iterator[int]:
    yield from (int(name) for name in os.listdir("/proc") if name.isdigit())


def _tcp() -> Iterator[tuple[int, int, str, int]]:
    """Local port, other port, state and inode of each TCP socket."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        yield int(words[1][-4:], 16), int(words[2][-4:], 16), words[3], int(words[9])


def _inode_of(local: int, other: int) -> int | None:
    """The inode of the socket that has been accepted on a port, from another one; None: not yet."""
    for mine, its, _, inode in _tcp():
        if (mine, its) == (local, other) and inode:
            return inode
    return None
