"""What the processes of a ``MemoryCluster`` stand on: one host, with its lock and its way to make links.

A member asks for the same as of a real host (``../cluster/ground.py``). The lock is two names of processes. A
link is made of two real socket pairs, so that messages, descriptors and ends are the kernel's; nobody binds
or accepts. When a process is killed the host gives its lock back, and its descriptors are closed one and all.
Used by ``memory_cluster.py``; one thread at a time. Read next: ``memory_process.py``.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cluster.folder import Folder
from ..cluster.greetings import Greeting, Refused, Welcome
from ..cluster.link import NO_DESCRIPTOR, Link, close_all
from ..cluster.link_listener import Greet
from ..cluster.link_thread import Handlers, LinkLoop
from ..cluster.parking.disk import Disk
from ..cluster.record_lock import HUB
from ..errors import ClusterRefused, NoHub
from ..runtime.base import Runtime

if TYPE_CHECKING:
    from .memory_process import Process


class MemoryHost:
    """One host. ``folder``: a real one, for parked sessions alone."""

    def __init__(self, folder: str) -> None:
        self.folder = Folder(os.path.realpath(folder))
        # Files of the lock, the present one last: byte → who has it.
        self._lock_files: list[dict[int, Process]] = [{}]
        self.listener: MemoryListener | None = None
        #: Descriptor → whose it is; None: of the world outside.
        self.owners: dict[int, Process | None] = {}
        #: Each end of each link that was made.
        self.links: list[Link] = []
        self._closed, other = socket.socketpair()
        other.close()

    @property
    def held(self) -> dict[int, Process]:
        """Byte of the lock → who has it."""
        return self._lock_files[-1]

    def remove_lock_file(self) -> None:
        """As somebody does who cleans up: those that have opened it keep it, later ones make another one."""
        self._lock_files.append({})

    def own(self, process: Process | None, *socks: socket.socket) -> None:
        """These are the process's."""
        self.owners.update((sock.fileno(), process) for sock in socks)

    def look_at_descriptors(self, process: Process | None) -> None:
        """Those that were not there at the last look are this process's."""
        open_now = {int(name) for name in os.listdir("/proc/self/fd")}
        # The listing had one itself, the lowest number that was free; so it is free again.
        free = os.dup(self._closed.fileno())
        os.close(free)
        open_now.discard(free)
        owners = self.owners
        if owners.keys() != open_now:
            self.owners = {number: owners.get(number, process) for number in open_now}

    def is_gone(self, process: Process) -> None:
        """The process was killed: the kernel closes its descriptors, and gives its locks back."""
        self.look_at_descriptors(None)
        for number, owner in self.owners.items():
            if owner is process:
                # The number stays taken: an object of the dead process has it, and closes it at the end.
                os.dup2(self._closed.fileno(), number, inheritable=False)
        for held in self._lock_files:
            for byte in [byte for byte, holder in held.items() if holder is process]:
                del held[byte]
        if self.listener is not None and self.listener.process is process:
            self.listener = None

    def close(self) -> None:
        """Close what is left, of all processes."""
        for link in self.links:
            link.after_fork_in_child()
        self._closed.close()


class MemoryLock:
    """One process's part of the lock; see ``ClusterLock``."""

    def __init__(self, host: MemoryHost, process: Process) -> None:
        self._host = host
        self._process = process
        self._held = host.held

    def holds(self, byte: int) -> bool:
        return self._held.get(byte) is self._process

    def take_hub(self) -> bool:
        return self.try_take(HUB)

    def try_take(self, byte: int) -> bool:
        return self._held.setdefault(byte, self._process) is self._process

    def release(self, byte: int) -> None:
        if self.holds(byte):
            del self._held[byte]

    def is_held_by_other(self, byte: int) -> bool:
        return self._held.get(byte, self._process) is not self._process

    def holder(self) -> int | None:
        process = self._held.get(HUB)
        return process.pid if process is not None else None

    def is_the_file(self) -> bool:
        return self._held is self._host.held

    def renew(self) -> bool:
        new = self._host.held
        holds_hub = self.holds(HUB)
        if holds_hub and new:
            return False
        for byte in [byte for byte, holder in self._held.items() if holder is self._process]:
            del self._held[byte]
        if holds_hub:
            new[HUB] = self._process
        self._held = new
        return True

    def sign_of_life(self) -> None:
        """Nobody looks."""

    def close(self) -> None:
        for byte in list(self._held):
            self.release(byte)


class MemoryDisk(Disk):
    """The real file system, with a stop before each step of it: the process may be killed there."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def create(self, path: str) -> int:
        self._stop("create the file of parked sessions")
        return super().create(path)

    def write(self, number: int, data: bytes) -> int:
        self._stop("write parked sessions")
        return super().write(number, data)

    def sync(self, number: int) -> None:
        self._stop("make parked sessions durable")
        super().sync(number)

    def rename(self, old: str, new: str) -> None:
        self._stop(f"rename {os.path.basename(old)} to {os.path.basename(new)}")
        super().rename(old, new)

    def sync_folder(self, path: str) -> None:
        self._stop("make the folder durable")
        super().sync_folder(path)

    def read(self, number: int, size: int) -> bytes:
        self._stop("read parked sessions")
        return super().read(number, size)

    def delete(self, path: str) -> bool:
        self._stop(f"delete {os.path.basename(path)}")
        return super().delete(path)

    def _stop(self, where: str) -> None:
        self._process.cluster.scheduler.pause(where)


@dataclass(eq=False)
class MemoryListener:
    """Takes links for the hub in a process."""

    host: MemoryHost
    process: Process
    greet: Greet
    handlers: Handlers
    on_link: Callable[[Link], None]
    on_end: Callable[[Link], None]

    def close(self) -> None:
        if self.host.listener is self:
            self.host.listener = None


class MemoryLink(Link):
    """A link of which a process may get no descriptors."""

    process: Process

    def take_descriptors(self, count: int) -> tuple[int, ...]:
        taken = super().take_descriptors(count)
        if not self.process.out_of_descriptors:
            return taken
        close_all(taken)
        return (NO_DESCRIPTOR,) * count


class MemoryGround:
    """One process's; see ``Ground``."""

    def __init__(self, host: MemoryHost, process: Process) -> None:
        self._host = host
        self._process = process

    def pid(self) -> int:
        return self._process.pid

    def started(self) -> float:
        return float(self._process.pid)  # the later, the younger

    def open_folder(self, path: str) -> Folder:
        return self._host.folder

    def lock(self, folder: Folder, runtime: Runtime) -> MemoryLock:
        return MemoryLock(self._host, self._process)

    def disk(self) -> Disk:
        return MemoryDisk(self._process)

    def listen(
        self,
        folder: Folder,
        greet: Greet,
        handlers: Handlers,
        on_link: Callable[[Link], None],
        on_end: Callable[[Link], None],
        runtime: Runtime,
    ) -> MemoryListener:
        listener = MemoryListener(self._host, self._process, greet, handlers, on_link, on_end)
        self._host.listener = listener
        return listener

    def connect(
        self, folder: Folder, greeting: Greeting, runtime: Runtime, timeout: float
    ) -> tuple[Link, Welcome]:
        listener = self._host.listener
        if listener is None:
            raise NoHub(folder.path)
        meeting = _Meeting(self._host, self._process, listener, greeting)
        listener.process.runtime.spawn(f"resumehub-link-{greeting.pid}", meeting.take)
        try:
            self._process.runtime.wait_for_greeting(meeting.is_over, timeout)
            if meeting.answer is None:
                if listener.process.is_alive:
                    raise TimeoutError(f"the hub's process did not answer within {timeout:g} s")
                raise NoHub(folder.path)
            if isinstance(meeting.answer, Refused):
                raise ClusterRefused(folder.path, meeting.answer.reason, meeting.answer.code)
        except BaseException:
            meeting.leave()
            raise
        return meeting.link(meeting.answer.greeting(), meeting.answer.version), meeting.answer


class _Meeting:
    """Two processes that are about to be linked."""

    def __init__(
        self, host: MemoryHost, process: Process, listener: MemoryListener, greeting: Greeting
    ) -> None:
        self._host = host
        self._process = process
        self._listener = listener
        self._greeting = greeting
        self.answer: Welcome | Refused | None = None
        stream, self._stream = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        packets, self._packets = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours = stream, packets
        host.own(process, stream, packets)
        host.own(listener.process, self._stream, self._packets)

    def is_over(self) -> bool:
        return self.answer is not None or not self._listener.process.is_alive

    def take(self) -> None:
        """In the hub's process: greet, and serve the link."""
        listener = self._listener
        answer = listener.greet(self._greeting)
        if isinstance(answer, Refused):
            self._stream.close()
            self._packets.close()
            self.answer = answer
            return
        process, runtime = listener.process, listener.process.runtime
        link = _linked(self._host, process, self._stream, self._packets, self._greeting, answer.version)
        self.answer = answer
        LinkLoop(link, listener.handlers, listener.on_end, runtime=runtime).run(listener.on_link)

    def link(self, peer: Greeting, version: int) -> Link:
        """The end of the process that has connected."""
        return _linked(self._host, self._process, *self._ours, peer, version)

    def leave(self) -> None:
        """It comes to nothing for the process that has connected."""
        for sock in self._ours:
            sock.close()


def _linked(
    host: MemoryHost,
    process: Process,
    stream: socket.socket,
    packets: socket.socket,
    peer: Greeting,
    version: int,
) -> Link:
    link = MemoryLink(stream, packets, peer, version, process.runtime)
    link.process = process
    host.links.append(link)
    return link
