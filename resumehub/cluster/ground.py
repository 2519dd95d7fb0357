"""What a member stands on: its process's number, folder, lock, disk, and how a link comes to be. A contract.

``HOST`` is the real one: record locks, Unix sockets, this process. The testing kit has another, in which
several members live in one Python process (``testing/memory_ground.py``). The member asks it when it starts;
then its own threads do. Read next: ``link_listener.py``, ``record_lock.py``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, Protocol

from ..runtime.base import Runtime
from .folder import Folder, open_folder
from .greetings import Greeting, Welcome
from .link import Link
from .link_listener import Greet, LinkListener, connect
from .link_thread import Handlers
from .parking.disk import Disk
from .record_lock import ClusterLock, RecordLock
from .surroundings import started_at


class Listener(Protocol):
    """Takes links until ``close``; see ``LinkListener``."""

    def close(self) -> None: ...


class Ground(Protocol):
    """See the module. ``started``: when this process was, in seconds since the machine's start.

    Each method blocks for the file system at most, but ``connect`` for its ``timeout``.
    """

    def pid(self) -> int: ...
    def started(self) -> float: ...
    def open_folder(self, path: str) -> Folder: ...
    def lock(self, folder: Folder, runtime: Runtime) -> ClusterLock: ...
    def disk(self) -> Disk: ...

    def listen(
        self,
        folder: Folder,
        greet: Greet,
        handlers: Handlers,
        on_link: Callable[[Link], None],
        on_end: Callable[[Link], None],
        runtime: Runtime,
    ) -> Listener:
        """Raises: as ``LinkListener.start``."""

    def connect(
        self, folder: Folder, greeting: Greeting, runtime: Runtime, timeout: float
    ) -> tuple[Link, Welcome]:
        """Raises: as ``link_listener.connect``."""


class HostGround:
    """This process, and this host."""

    def pid(self) -> int:
        return os.getpid()

    def started(self) -> float:
        return started_at(os.getpid())

    def open_folder(self, path: str) -> Folder:
        return open_folder(path)

    def lock(self, folder: Folder, runtime: Runtime) -> ClusterLock:
        return RecordLock(folder, runtime)

    def disk(self) -> Disk:
        return Disk()

    def listen(
        self,
        folder: Folder,
        greet: Greet,
        handlers: Handlers,
        on_link: Callable[[Link], None],
        on_end: Callable[[Link], None],
        runtime: Runtime,
    ) -> Listener:
        listener = LinkListener(folder, greet, handlers, on_link, on_end, runtime)
        listener.start()
        return listener

    def connect(
        self, folder: Folder, greeting: Greeting, runtime: Runtime, timeout: float
    ) -> tuple[Link, Welcome]:
        return connect(folder, greeting, runtime, timeout)


HOST: Final = HostGround()
