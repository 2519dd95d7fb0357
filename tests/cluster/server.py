"""One server of a cluster's tests: gunicorn on a port of its own, or Werkzeug; its log, and requests to it.

gunicorn binds its port by itself, and not a descriptor that it was given: only so SIGUSR2 starts a new
master. ``Port`` keeps the port reserved meanwhile. Used by ``harness.py``.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.cluster.gate import HOST, PATIENCE, until
from tests.integration.servers import ROOT


class Port:
    """A free port, reserved until ``close``: bound, never listened on. Servers may bind it beside."""

    def __init__(self) -> None:
        self._sock = socket.socket()
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._sock.bind((HOST, 0))
        self.number: int = self._sock.getsockname()[1]

    def close(self) -> None:
        self._sock.close()


class Server:
    """A process that serves, and its children: a session of their own."""

    def __init__(self, command: Sequence[str], port: Port, log: Path, env: dict[str, str]) -> None:
        self.port = port.number
        self.ws_url = f"ws://{HOST}:{self.port}"
        self._log = log
        with _listener(command, self.port) as given, log.open("wb") as file:
            self._process = subprocess.Popen(
                [word.format(port=self.port, fd=given) for word in command],
                cwd=ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONFAULTHANDLER": "1",
                    "PYTHONWARNINGS": "default",
                    "XDG_RUNTIME_DIR": str(log.parent),  # for gunicorn's control socket
                    **env,
                },
                pass_fds=[given] if given is not None else [],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid: int = self._process.pid

    def wait_until_answering(self, path: str) -> None:
        """Wait until a GET is answered. Raises: AssertionError with the log when the process has ended."""

        def answers() -> bool:
            assert self._process.poll() is None, f"the server did not start:\n{self.log_text()}"
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.get(path)
                return True
            return False

        until(answers, "the server to answer")

    def connect(self) -> socket.socket:
        """A new connection, with a hang guard as its timeout. Raises: OSError."""
        return socket.create_connection((HOST, self.port), PATIENCE)

    def get(self, path: str) -> tuple[int, bytes]:
        """GET on a connection of its own; status and body. Raises: OSError; HTTPException."""
        client = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        with contextlib.closing(client):
            client.request("GET", path, headers={"Connection": "close"})
            response = client.getresponse()
            return response.status, response.read()

    def log_text(self) -> str:
        """What the server and its children have written so far."""
        return self._log.read_text("utf-8", "replace")

    def join(self) -> None:
        """Wait until the process has ended."""
        self._process.wait(PATIENCE)


@contextlib.contextmanager
def _listener(command: Sequence[str], port: int) -> Iterator[int | None]:
    """Inside: the descriptor of a socket that listens, for a command that wants one."""
    if "{fd}" not in command:
        yield None
        return
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HOST, port))
        sock.listen(128)
        yield sock.fileno()


def gunicorn_command(app: str, *arguments: str) -> list[str]:
    """gunicorn for "module:app".

    By its script: a master that was started by ``python -m gunicorn`` starts its successor (SIGUSR2) with the
    package's own folder in ``sys.path``, where ``http`` is another module.
    """
    script = str(Path(sys.executable).with_name("gunicorn"))
    return [script, "--bind", f"{HOST}:{{port}}", "--access-logfile", os.devnull, *arguments, app]


def werkzeug_command(app: str) -> list[str]:
    """Werkzeug's server, with threads."""
    return [sys.executable, "-m", "tests.integration.servers", app, "--fd", "{fd}", "--threaded"]
