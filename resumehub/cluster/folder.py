"""The folder that the processes of one cluster share: how it is checked, and every file in it.

Nothing else of the package makes a path in it. What is wrong with a folder is a ``ClusterError`` whose text
names the folder and says what to do. Called once a process, by the member of its hub, before any thread of
the cluster runs; the paths are plain values, any thread. Read next: ``record_lock.py``.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import ClusterError
from ..runtime.foreign_code import Log

log = Log(__name__)

LONGEST_SOCKET_PATH: Final = 107
"""Bytes of the path of a Unix socket that Linux takes."""

NETWORK: Final = frozenset(
    [
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "lustre", "gpfs", "beegfs"),
        *("ocfs2", "gfs2", "glusterfs", "vboxsf", "virtiofs", "davfs", "fuse.sshfs", "fuse.glusterfs"),
        *("fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.davfs2"),
    ]
)
"""File systems that other hosts may share: a lock there is no lock of this host, and a socket no socket."""

FORGETFUL: Final = {"tmpfs": "a reboot", "ramfs": "a reboot", "overlay": "the end of this container"}
"""File system → what forgets the files on it, parked sessions among them."""

_MOUNTS: Final = "/proc/self/mountinfo"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that was checked. ``path`` is absolute, without links in it."""

    path: str

    @property
    def lock(self) -> str:
        """An empty file. Byte 0 is locked by who holds the hub, byte 1 by its heir (``record_lock.py``)."""
        return self._file("lock")

    @property
    def socket(self) -> str:
        """The Unix socket of the process that holds the hub (``link_listener.py``)."""
        return self._file("hub")

    def new_socket(self, name: str) -> str:
        """A socket that is bound, and not renamed to ``hub`` yet. ``name``: eight characters."""
        return self._file(f"hub.{name}")

    @property
    def parked(self) -> str:
        """The sessions of a hub that has stopped, while no process holds it."""
        return self._file("parked")

    @property
    def parking(self) -> str:
        """The same, while it is written; worth nothing if that was not finished."""
        return self._file("parked.new")

    @property
    def adopting(self) -> str:
        """The same, while a new hub reads it; deleted behind that, and never read a second time."""
        return self._file("parked.read")

    def warn_if_it_forgets(self, mounts: str = _MOUNTS) -> None:
        """Log it if a reboot deletes what is parked here. Called by who takes a hub that nobody held."""
        kind = file_system_of(self.path, mounts)
        if kind in FORGETFUL:
            log.warning(
                "the cluster's folder %s is on %s: %s forgets parked sessions; a folder on a disk keeps them",
                self.path,
                kind,
                FORGETFUL[kind],
            )

    def tidy(self) -> None:
        """Delete what processes have left behind that were killed, and log what is lost by it.

        Only who has just taken a hub that nobody held may call it, before it adopts.
        """
        with contextlib.suppress(OSError):  # a folder that can't be written to is told of elsewhere
            for name in os.listdir(self.path):
                if re.fullmatch(r"hub\.\w{8}", name) or name in ("parked.new", "parked.read"):
                    os.unlink(self._file(name))
                if name == "parked.read":
                    log.error(
                        "%s was left by a start that was killed, or that could not read it: what it had not "
                        "adopted is lost, and the file is deleted",
                        self.adopting,
                    )

    def _file(self, name: str) -> str:
        return os.path.join(self.path, name)


def open_folder(path: str | os.PathLike[str], mounts: str = _MOUNTS) -> Folder:
    """Make the folder if it is not there, and check it.

    ``mounts``: where the kernel lists what is mounted. Raises: ClusterError. Blocks: for the file system.
    """
    given = os.fspath(path)
    if not given or "\0" in given:
        raise ClusterError(f"the folder of a cluster is a path, not {given!r}: give an absolute one")
    if not hasattr(socket, "SO_PEERCRED"):
        raise ClusterError(f"a cluster (folder {given}) needs Linux: run without cluster= here", given)
    folder = os.path.realpath(given)
    _check_length(folder)
    _make(folder)
    _check_owner(folder)
    _check_file_system(folder, mounts)
    return Folder(folder)


def _check_length(folder: str) -> None:
    longest = len(os.fsencode(Folder(folder).new_socket("12345678")))
    if longest > LONGEST_SOCKET_PATH:
        room = LONGEST_SOCKET_PATH - (longest - len(os.fsencode(folder)))
        raise ClusterError(
            f"the path of the cluster's folder {folder} has {len(os.fsencode(folder))} bytes, and the system "
            f"allows {room}, since there is a socket in it: give a shorter one",
            folder,
        )


def _make(folder: str) -> None:
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        if not os.path.isdir(folder):
            raise ClusterError(
                f"the cluster's folder {folder} is a file: give the path of a folder", folder
            ) from None
    except FileNotFoundError:
        raise ClusterError(
            f"the cluster's folder {folder} can't be made, since {os.path.dirname(folder)} does not exist: "
            "make it first (systemd's StateDirectory= makes one for a service)",
            folder,
        ) from None
    except OSError as error:
        raise ClusterError(
            f"the cluster's folder {folder} can't be made ({error.strerror}): make it, with mode 0700, for "
            f"the user with the number {os.geteuid()}",
            folder,
        ) from None


def _check_owner(folder: str) -> None:
    found = os.stat(folder)
    if found.st_uid != os.geteuid():
        raise ClusterError(
            f"the cluster's folder {folder} belongs to the user with the number {found.st_uid}, and this "
            f"process runs as {os.geteuid()}: let all processes of a cluster run as the user that owns it",
            folder,
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ClusterError(
            f"others may write to the cluster's folder {folder} (mode {stat.S_IMODE(found.st_mode):04o}): "
            f"chmod 0700 {folder}",
            folder,
        )
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ClusterError(
            f"this process may not write to the cluster's folder {folder} (mode "
            f"{stat.S_IMODE(found.st_mode):04o}, or a read-only file system): chmod 0700 {folder}, or give a "
            "folder that can be written to",
            folder,
        )


def _check_file_system(folder: str, mounts: str) -> None:
    kind = file_system_of(folder, mounts)
    if kind in NETWORK:
        raise ClusterError(
            f"the cluster's folder {folder} is on a file system of a network ({kind}), which other hosts may "
            "share: give a folder on a disk of this host",
            folder,
        )


def file_system_of(path: str, mounts: str = _MOUNTS) -> str:
    """The kind of file system that ``path`` is on, ``"ext4"`` for example; ``""`` if it can't be told.

    ``path``: absolute, without links.
    """
    try:
        lines = Path(mounts).read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in lines:
        fields, found, rest = line.partition(" - ")
        parts = fields.split(" ")
        if not found or len(parts) < 5:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), parts[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # of two mounted on one place, the later one is seen
            best, kind = point, rest.split(" ")[0]
    return kind
