"""Real WSGI servers, each in a process of its own, for tests to talk to.

::

    with gunicorn("tests.integration.handover_app:app", "--threads", "2") as server:
        status, body = server.get("/")
        with server.connect() as sock: ...
        log = server.stop()

The listening socket is made here, on a free port of 127.0.0.1, and inherited by the server: no port
is ever raced for, and a client may connect at once. A server counts as started when it has answered
one plain GET; one that dies before raises ``ServerFailed`` with its log. Every wait has a deadline.

``python -m tests.integration.servers`` is the Werkzeug process itself (``flask run`` has no way to
say single-threaded together with an inherited socket).
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import importlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 30.0
"""Seconds; a hang guard only. pytest's own (setup.cfg) comes later and prints our stacks."""


class ServerFailed(AssertionError):
    """The server did not start, or did not stop. The text ends with its log."""


class ServerProcess:
    """A server that has answered its first request. Stop it, or use it in ``with``.

    ``command`` is run with the descriptor of the listening socket put in for ``{fd}``, and with
    ``tls=True`` the paths of a fresh certificate and its key for ``{cert}`` and ``{key}``.
    ``unix`` is the path of a Unix socket to listen on instead. ``probe`` is the path of the GET that it
    has to answer, with any status.
    """

    def __init__(
        self,
        command: list[str],
        *,
        tls: bool = False,
        unix: str | None = None,
        env: dict[str, str] | None = None,
        probe: str = "/",
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="resumehub-server-")
        self._log = Path(self._folder.name, "log")
        self._last_log: str | None = None
        self._context = _make_certificate(self._folder.name) if tls else None
        self._unix = unix
        with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as listener:
            listener.bind(unix or (HOST, 0))
            listener.listen(1024)
            self.port: int = 0 if unix else listener.getsockname()[1]
            names = {"fd": listener.fileno(), "cert": self._file("cert.pem"), "key": self._file("key.pem")}
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [part.format(**names) for part in command],
                    cwd=ROOT,
                    env=self._environment(env or {}),
                    pass_fds=[listener.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        # Our copy of the listening socket is closed by now: if the server dies, so does the
        # connection that waits in its backlog, and the probe fails at once.
        self.pid: int = self._process.pid
        try:
            self.get(probe)
        except (OSError, http.client.HTTPException) as error:
            raise ServerFailed(f"{command} did not start ({error!r}):\n{self._kill()}") from error

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port`` (https with TLS), without a slash at the end."""
        return f"http{'s' if self._context else ''}://{HOST}:{self.port}"

    @property
    def ws_url(self) -> str:
        """The same with ``ws`` or ``wss``."""
        return "ws" + self.url.removeprefix("http")

    @property
    def client_context(self) -> ssl.SSLContext | None:
        """What trusts this server's certificate; None without TLS."""
        return self._context

    def connect(self, timeout: float = DEADLINE) -> socket.socket:
        """Give a new connection (with TLS already spoken), ``timeout`` set on it."""
        sock = socket.socket(socket.AF_UNIX if self._unix else socket.AF_INET)
        try:
            sock.settimeout(timeout)
            sock.connect(self._unix or (HOST, self.port))
            return self._context.wrap_socket(sock, server_hostname=HOST) if self._context else sock
        except BaseException:
            sock.close()
            raise

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """GET ``path`` on a connection of its own; give status and body."""
        client = http.client.HTTPConnection(HOST, self.port)
        with contextlib.closing(client):
            client.sock = self.connect()  # TLS or a Unix path, http.client need not know
            client.request("GET", path, headers={"Connection": "close", **(headers or {})})
            response = client.getresponse()
            return response.status, response.read()

    def log_text(self) -> str:
        """What the server has written so far, standard output and error; the whole after ``stop``."""
        if self._last_log is not None:
            return self._last_log
        return self._log.read_text("utf-8", "replace")

    def stop(self, timeout: float = DEADLINE, number: signal.Signals = signal.SIGTERM) -> str:
        """Send a signal, wait until the server has ended, give its log. Again: only gives the log.

        Raises: ServerFailed, if it takes longer than ``timeout`` (it is killed then).
        """
        if self._last_log is None:
            self._process.send_signal(number)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise ServerFailed(
                    f"did not stop within {timeout} s of {number.name}:\n{self._kill()}"
                ) from None
            self._keep_log()
        return self.log_text()

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            log = self.stop()
        except ServerFailed as failure:
            if error is None:
                raise
            log = str(failure)  # the first error is the one to look at
        if error is not None:
            print(f"-- log of {self._process.args!r}:\n{log}")  # pytest shows it with the failure

    def _kill(self) -> str:
        # faulthandler prints all stacks on SIGABRT; gunicorn's workers have a handler of their own.
        for number in (signal.SIGABRT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(2.0)
        self._keep_log()
        return self.log_text()

    def _keep_log(self) -> None:
        self._last_log = self._log.read_text("utf-8", "replace")
        self._folder.cleanup()

    def _file(self, name: str) -> str:
        return os.path.join(self._folder.name, name)

    def _environment(self, extra: dict[str, str]) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",
            "PYTHONWARNINGS": "default",  # a leaked socket is a line in the log
            "XDG_RUNTIME_DIR": self._folder.name,  # for gunicorn's control socket
            **extra,
        }


def gunicorn(app: str, *args: str, tls: bool = False, **options: Any) -> ServerProcess:
    """Start gunicorn for ``"module:app"``: one sync worker, unless ``args`` say otherwise.

    ``options`` go to ``ServerProcess``.
    """
    command = [sys.executable, "-m", "gunicorn", "--bind", "fd://{fd}", "--access-logfile", "-"]
    if tls:
        command += ["--certfile", "{cert}", "--keyfile", "{key}"]
    return ServerProcess([*command, *args, app], tls=tls, **options)


def werkzeug(app: str, threaded: bool = True, tls: bool = False, **options: Any) -> ServerProcess:
    """Start Werkzeug's development server for ``"module:app"``."""
    command = [sys.executable, "-m", "tests.integration.servers", app, "--fd", "{fd}"]
    if threaded:
        command += ["--threaded"]
    if tls:
        command += ["--cert", "{cert}", "--key", "{key}"]
    return ServerProcess(command, tls=tls, **options)


def complaints(log: str) -> list[str]:
    """Give the lines of a server's log that a healthy server does not write."""
    return [line for line in log.splitlines() if _COMPLAINT.search(line) and not _KNOWN.search(line)]


_COMPLAINT = re.compile(r"Traceback|Exception|Warning|\[(WARNING|ERROR|CRITICAL)\]|Fatal Python error")
_KNOWN = re.compile(
    # gunicorn does not close its listening socket by hand. From 3.13 on, Python says <sys>:0 at its end.
    r"(arbiter\.py:\d+|sys:1|<sys>:0): ResourceWarning: unclosed <socket\.socket (?!.*raddr)[^>]*laddr="
    # On Ctrl-C it may end before it has closed its own socket of a request that it has just answered. By then
    # the connection in it has been handed over: it has no address.
    r"|(sys:1|<sys>:0): ResourceWarning: unclosed <socket\.socket fd=\d+, family=2, type=1, proto=0>"
    r"|^ResourceWarning: Enable tracemalloc to get"
    # gunicorn's master has a thread for its control socket, and forks beside it when it replaces a worker.
    r"|arbiter\.py:\d+: DeprecationWarning: This process \(pid=\d+\) is multi-threaded, use of fork\(\)"
)


def read_exactly(sock: socket.socket, size: int) -> bytes:
    """Read ``size`` bytes; AssertionError with what came if the other side ends before."""
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        assert part, f"the other side has ended after {data!r}"
        data += part
    return data


def descriptors(pid: int) -> int:
    """How many descriptors a process of ours has open (Linux)."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def _make_certificate(folder: str) -> ssl.SSLContext:
    """Write cert.pem and key.pem for 127.0.0.1; give the client's side of it."""
    import trustme

    authority = trustme.CA()
    certificate = authority.issue_cert(HOST, "localhost")
    certificate.private_key_pem.write_to_path(os.path.join(folder, "key.pem"))
    for number, part in enumerate(certificate.cert_chain_pems):
        part.write_to_path(os.path.join(folder, "cert.pem"), append=number > 0)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def _serve_with_werkzeug() -> None:
    from werkzeug.serving import make_server

    parser = argparse.ArgumentParser()
    parser.add_argument("app", help="module:app")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--threaded", action="store_true")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    options = parser.parse_args()
    module, _, name = options.app.partition(":")
    app = getattr(importlib.import_module(module), name)
    context = (options.cert, options.key) if options.cert else None
    server = make_server(HOST, 0, app, options.threaded, ssl_context=context, fd=options.fd)
    # shutdown() waits for the serving thread, which is this one. As with gunicorn, the main
    # thread then returns, and that is what a hub takes as the sign to drain.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    # A process that a shell has started in the background ignores Ctrl-C, and so do its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    _serve_with_werkzeug()
