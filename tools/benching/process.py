"""One server process: started on a listening socket of ours, looked at through /proc, killed at the end.

The server has one processor for itself and the load process another, where there are two. Linux only.
Used by ``run.py``; the scenarios ask for memory, threads and processor time.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
BACKLOG = 4096
_TICK = os.sysconf("SC_CLK_TCK")

_never = threading.Event()


def pause(seconds: float) -> None:
    """Let somebody else go on."""
    _never.wait(seconds)


def prepare_machine() -> list[int]:
    """Allow as many descriptors as may be had, and keep to the second processor. Gives those there are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) > 1:
        os.sched_setaffinity(0, {processors[1]})
    return processors


class ServerProcess:
    """A server that runs. Use it in ``with``: the process and its children are killed at the end."""

    def __init__(self, command: tuple[str, ...], processors: list[int]) -> None:
        self.processors = processors
        self.listener = socket.create_server((HOST, 0), backlog=BACKLOG)
        self.address: tuple[str, int] = self.listener.getsockname()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed when the server is)
        fd = self.listener.fileno()
        ours = os.sched_getaffinity(0)
        # Processors are inherited.
        os.sched_setaffinity(0, {processors[0]})
        try:
            self._process = subprocess.Popen(
                [argument.format(fd=fd) for argument in command],
                cwd=ROOT,
                pass_fds=[fd],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
        finally:
            os.sched_setaffinity(0, ours)

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self.listener.close()
        self._log.close()

    def log(self) -> str:
        """The last of what it wrote."""
        self._log.seek(max(0, os.fstat(self._log.fileno()).st_size - 2000))
        return self._log.read().decode(errors="replace")

    def terminate(self) -> None:
        """Tell it to stop; it goes on for a moment."""
        self._process.terminate()

    # -- what it costs ----------------------------------------------------------------------

    def rss_kib(self) -> int:
        """Resident memory of the process and its children."""
        return sum(_status(pid, "VmRSS") for pid in self._pids())

    def threads(self) -> int:
        """Threads of the process and its children."""
        return sum(_status(pid, "Threads") for pid in self._pids())

    def cpu_seconds(self) -> float:
        """Processor time so far, of the process and its children."""
        total = 0
        for pid in self._pids():
            # The name in the second field may contain anything.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / _TICK

    def settle(self, patience: float = 5.0) -> None:
        """Wait until it has nothing to do, but not longer than ``patience``."""
        give_up = time.monotonic() + patience
        before = self.cpu_seconds()
        while time.monotonic() < give_up:
            pause(0.05)
            now = self.cpu_seconds()
            if now - before < 0.015:
                return
            before = now

    def _pids(self) -> list[int]:
        main = self._process.pid
        try:
            children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        except FileNotFoundError:
            return []
        return [main, *map(int, children)]


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    return 0
