"""Starts a cluster of real processes in a folder of its own, signals them, and looks at what they leave.

::

    with Cluster(Setup(workers=2)) as cluster:
        cluster.wait_until_serving()
        cluster.signal(cluster.master, signal.SIGHUP)
        with cluster.socket_at(pid) as sock: ...

gunicorn (``gthread`` and ``sync``), Werkzeug, and ``python -m resumehub hub``, with ``numbered_app.py``.
Every wait is for a condition, with a hang guard. At the end all processes are ended, and what is left of them
is an AssertionError: a process, a lock, a socket, a file that does not belong there. Without ``folder`` there
is no cluster: then it is one process with a hub of its own. Read next: ``counting.py``.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.cluster.gate import HOST, PATIENCE, Gate, until
from tests.cluster.journal import OPTIONS, Journal
from tests.cluster.processes import alive_in_session, holder_of, listening, owner_of, unix_sockets_below
from tests.cluster.server import Port, Server, gunicorn_command, werkzeug_command
from tests.integration.servers import ROOT
from tests.integration.visits import UPGRADE

LOCK = "lock"
"""The file in the folder on whose byte 0 the hub has its lock."""

_ROUND = 1.0
"""Seconds for which connections are kept from workers that are not meant."""
_NEVER = threading.Event()

MAY_STAY = {LOCK, "parked"}
"""What a stopped cluster may leave in its folder: a client that has not left by then may come back."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What to start. ``server``: gthread, sync or werkzeug. ``folder``: whether there is a cluster.

    ``app``: "module:name" of the application; "" for the one of the tests.
    ``arguments``: more for gunicorn. ``hub``, ``cluster``: options of the ``Hub`` and its ``LocalCluster``.
    """

    server: str = "gthread"
    workers: int = 2
    threads: int = 4
    preload: bool = False
    flask: bool = False
    max_requests: int = 0
    timeout: int = 60
    graceful_timeout: int = 30
    folder: bool = True
    hub: dict[str, Any] = field(default_factory=dict)
    cluster: dict[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    app: str = ""

    @property
    def words(self) -> list[str]:
        """Of gunicorn's command."""
        numbers = {
            "workers": self.workers,
            "max-requests": self.max_requests,
            "timeout": self.timeout,
            "graceful-timeout": self.graceful_timeout,
        }
        words = [word for name, n in numbers.items() for word in (f"--{name}", str(n))]
        words += ["--worker-class", self.server]
        words += ["--threads", str(self.threads)] if self.server == "gthread" else []
        return words + (["--preload"] if self.preload else [])


class Cluster:
    """Processes of one folder. ``start`` may be called again after ``stop``: the folder stays."""

    def __init__(self, setup: Setup | None = None) -> None:
        self.setup = setup or Setup()
        self._home = tempfile.TemporaryDirectory(prefix="resumehub-cluster-")
        self.home = Path(self._home.name)
        self.folder = self.home / "folder"
        self.journal = Journal(self.home / "journal")
        self._import_gate = self.home / "gate"
        self.gate = Gate()
        self.server: Server = None  # type: ignore[assignment]
        self.servers: list[Server] = []
        self._ports: list[Port] = []
        self.hubs: list[subprocess.Popen[bytes]] = []

    # -- starting and ending ----------------------------------------------------------------

    def start(self, port: Port | None = None) -> Server:
        """Start one more server on the folder; ``server`` is the one that was started last.

        ``port``: that of one that was stopped, so that its clients find this one.
        """
        s = self.setup
        app = s.app or f"tests.cluster.{'numbered_flask:flask_app' if s.flask else 'numbered_app:app'}"
        if s.server == "werkzeug":
            command = werkzeug_command(app)
        else:
            command = gunicorn_command(app, *s.words, *s.arguments)
        if port is None:
            port = Port()
            self._ports.append(port)
        env = {OPTIONS: json.dumps(self._options())}
        self.server = Server(command, port, self.home / f"log-{len(self.servers)}", env)
        self.servers.append(self.server)
        self.server.wait_until_answering("/ready")
        return self.server

    def start_hub(self) -> subprocess.Popen[bytes]:
        """Start a process for the hub alone: ``python -m resumehub hub``."""
        env = {**os.environ, "PYTHONPATH": str(ROOT), OPTIONS: json.dumps(self._options())}
        command = [sys.executable, "-m", "resumehub", "hub", "tests.cluster.numbered_app:hub"]
        with (self.home / f"hub-log-{len(self.hubs)}").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.hubs.append(process)
        return process

    def _options(self) -> dict[str, Any]:
        s = self.setup
        return {
            "journal": str(self.journal.path),
            "folder": str(self.folder) if s.folder else "",
            "import_gate": str(self._import_gate),
            "gate": self.gate.port,
            "hub": s.hub,
            "cluster": s.cluster,
        }

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End all processes in an orderly way, and wait until none is left. Raises: AssertionError."""
        for process in self.hubs:
            process.send_signal(number)
        for server in self.servers:
            for pid in self.masters(server):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            until(partial(_is_over, server.pid), "the server to end")
            server.join()
        for process in self.hubs:
            process.wait(PATIENCE)

    def __enter__(self) -> Cluster:
        try:
            self.start()
        except BaseException:
            self.end_everything()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.stop()
                left = self.leftovers()
                if left:
                    print(self.log_text())  # pytest shows it with the failure
                assert left == [], f"left behind: {', '.join(left)}"
            else:
                print(self.log_text())
        finally:
            self.end_everything()

    def end_everything(self) -> None:
        """Whatever happened: no process is left, and no file."""
        for session in [*(server.pid for server in self.servers), *(process.pid for process in self.hubs)]:
            until(partial(_kill_all, session), f"session {session} to be dead")
        for server in self.servers:
            server.join()
        for port in self._ports:
            port.close()
        for process in self.hubs:
            process.wait(PATIENCE)
        self.gate.close()
        self._home.cleanup()

    # -- looking ----------------------------------------------------------------------------

    def log_text(self) -> str:
        """What all processes have written to their logs."""
        hubs = [path.read_text("utf-8", "replace") for path in sorted(self.home.glob("hub-log-*"))]
        return "\n".join([*(server.log_text() for server in self.servers), *hubs])

    @property
    def port(self) -> Port:
        """The one that the first server has."""
        return self._ports[0]

    def masters(self, server: Server | None = None) -> list[int]:
        """The living masters of gunicorn (two behind SIGUSR2), or the process of Werkzeug."""
        server = server or self.server
        booted = _booted(server.log_text())
        return [pid for pid in alive_in_session(server.pid) if pid not in booted]

    @property
    def master(self) -> int:
        """The oldest master that lives."""
        return min(self.masters())

    def workers(self, server: Server | None = None) -> list[int]:
        """The living workers that have been booted, the youngest last; Werkzeug: its process."""
        server = server or self.server
        alive = alive_in_session(server.pid)
        if self.setup.server == "werkzeug":
            return list(alive)
        return [pid for pid in _booted(server.log_text()) if pid in alive]

    def hub_pid(self) -> int | None:
        """Which process holds the hub now; without a cluster the only worker."""
        if self.setup.folder:
            return holder_of(self.folder / LOCK)
        workers = self.workers()
        assert len(workers) <= 1, f"a hub for each of {workers}: this setup has no cluster"
        return workers[0] if workers else None

    def other_worker(self) -> int:
        """A worker that does not hold the hub."""
        hub = self.hub_pid()
        return next(pid for pid in self.workers() if pid != hub)

    def is_serving(self, pid: int) -> bool:
        """Whether a worker says that it serves."""
        with contextlib.suppress(OSError, AssertionError, ValueError, http.client.HTTPException):
            status, said = self.get_at(pid, "/ready")
            return status == 200 and said["pid"] == pid
        return False

    def wait_until_serving(self, count: int | None = None) -> list[int]:
        """Wait until there are so many workers (as many as were asked for), and each serves; give them."""
        count = self.setup.workers if count is None else count

        def serving() -> bool:
            workers = self.workers()
            return len(workers) == count and all(map(self.is_serving, workers))

        until(serving, f"{count} workers to serve")
        until(lambda: self.hub_pid() is not None, "a process to hold the hub")
        return self.workers()

    def wait_for_log(self, pattern: str, count: int = 1) -> None:
        """Wait until so many places of the logs match a regular expression."""
        until(lambda: len(re.findall(pattern, self.log_text())) >= count, f"the log to say {pattern!r}")

    def leftovers(self) -> list[str]:
        """What is left when all have stopped; nothing should be."""
        found = []
        for server in self.servers:
            found += [f"process {pid}" for pid in alive_in_session(server.pid)]
            if listening(server.port):
                found.append(f"port {server.port} listens")
        for start in (0, 1):
            if (pid := holder_of(self.folder / LOCK, start)) is not None:
                found.append(f"byte {start} of the lock, held by {pid}")
        found += [f"the socket {path}" for path in unix_sockets_below(self.folder)]
        if self.folder.exists():
            found += [f"the file {name}" for name in sorted(set(os.listdir(self.folder)) - MAY_STAY)]
        return found

    # -- doing ------------------------------------------------------------------------------

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a process of ours. With SIGSTOP: wait until none of its threads runs any more."""
        os.kill(pid, number)
        if number == signal.SIGSTOP:
            until(lambda: _states_of(pid) == {"T"}, f"{pid} to stop")

    def wait_until_gone(self, *pids: int) -> None:
        """Wait until these processes have ended."""
        until(lambda: not any(_is_alive(pid) for pid in pids), f"{pids} to end")

    @contextlib.contextmanager
    def slow_imports(self) -> Iterator[None]:
        """Inside, each import of the application waits at the gate."""
        self._import_gate.touch()
        try:
            yield
        finally:
            self._import_gate.unlink(missing_ok=True)

    def socket_at(self, pid: int) -> socket.socket:
        """A connection that this worker has accepted. Blocks: until it takes one."""
        for _ in range(int(PATIENCE / _ROUND)):
            with contextlib.ExitStack() as others:
                for sock in self._accepted(others, _ROUND):
                    if owner_of(sock, [pid]) == pid:
                        return sock.dup()
        raise AssertionError(f"process {pid} takes no connection")

    def _accepted(self, others: contextlib.ExitStack, seconds: float) -> Iterator[socket.socket]:
        """Connections that workers have accepted, for so many seconds.

        Each takes a thread of its worker, so it is closed before the next; not so those of sync workers,
        since another one has to take the next.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            sock = self.server.connect()
            others.callback(sock.close)
            # Or it is over already: a worker ends a connection that says nothing for two seconds.
            while owner_of(sock, self.workers()) is None and not select.select([sock], [], [], 0)[0]:
                if time.monotonic() >= end:
                    return
                _NEVER.wait(0.005)
            yield sock
            if self.setup.server != "sync":
                sock.close()

    def opener_at(self, pid: int) -> OpenerAt:
        """For a client of ours: it dials this worker."""
        return OpenerAt(self, pid)

    def knock_at(self, pid: int, path: str) -> int:
        """Ask this worker for a WebSocket, as a plain client; give the status."""
        return self._ask_at(pid, path, UPGRADE)[0]

    def get_at(self, pid: int, path: str) -> tuple[int, dict[str, Any]]:
        """GET from this worker; give status and JSON. Raises: OSError."""
        status, body = self._ask_at(pid, path, {"Connection": "close"})
        return status, json.loads(body)

    def _ask_at(self, pid: int, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        client = http.client.HTTPConnection(HOST, self.server.port)
        with contextlib.closing(client):
            client.sock = self.socket_at(pid)
            client.request("GET", path, headers=headers)
            response = client.getresponse()
            return response.status, b"" if response.status == 101 else response.read()

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """GET from whichever worker takes it; give status and JSON."""
        status, body = self.server.get(path)
        return status, json.loads(body) if body.startswith(b"{") else {}

    def url(self, name: str, **query: str) -> str:
        """The WebSocket's address for a client of this name."""
        more = "".join(f"&{key}={value}" for key, value in query.items())
        return f"{self.server.ws_url}/ws?name={name}{more}"


class OpenerAt:
    """Gives a client of ours the sockets for its dials; ``pid`` may be changed between two of them."""

    def __init__(self, cluster: Cluster, pid: int) -> None:
        self._cluster, self.pid = cluster, pid

    def __call__(self, host: str, port: int, guard: Callable[..., None]) -> socket.socket:
        sock = self._cluster.socket_at(self.pid)
        sock.settimeout(None)
        guard(sock, 0)
        return sock


def _is_over(session: int) -> bool:
    return not alive_in_session(session)


def _kill_all(session: int) -> bool:
    """Kill what lives in a session; whether nothing has lived."""
    pids = list(alive_in_session(session))
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return not pids


def _booted(log: str) -> list[int]:
    return [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", log)]


def _states_of(pid: int) -> set[str]:
    """The states of a process's threads, as letters of proc(5)."""
    states = set()
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            states.add(stat.read_text("ascii", "replace").rpartition(")")[2].split()[0])
    return states


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    return False
