"""Starts a server, has Autobahn's client play its cases against it, and reads the report.

The client is ``wstest`` of the package ``autobahntestsuite``. It needs Python 2.7, so it is a program of its
own in an environment of its own, and nothing of it is imported. Read next: ``page.py``, for what becomes of
the rows.
"""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
STARTING = 30.0
"""Seconds that a server may take until it answers, and until it has ended."""

#: Server → what runs it behind ``python -m``, and the package whose version the page names.
SERVERS: dict[str, tuple[tuple[str, ...], str]] = {
    "gunicorn, gthread": (
        (
            "gunicorn",
            "--threads",
            "8",
            "--bind",
            HOST + ":{port}",
            "--no-control-socket",
            "tools.conforming.app:app",
        ),
        "gunicorn",
    ),
    "Werkzeug, threaded": (("tools.conforming.app", "{port}"), "werkzeug"),
}

LIBRARIES = ("simple-websocket", "wsproto")

_never = threading.Event()


class NoSuite(Exception):
    """There is no ``wstest``; the text says how to get it."""


def suite_version(wstest: str) -> str:
    """As "Autobahn|Testsuite 25.10.1". Raises: NoSuite."""
    try:
        said = subprocess.run([wstest, "--autobahnversion"], capture_output=True, text=True, check=False)
    except OSError:
        raise NoSuite(
            f"there is no {wstest!r}. With a Python 2.7 and its virtualenv: python2.7 -m virtualenv suite && "
            "suite/bin/pip install autobahntestsuite, then tools/conformance --wstest suite/bin/wstest"
        ) from None
    found = re.search(r"AutobahnTestSuite\s+v?([\d.]+)", said.stdout + said.stderr, re.IGNORECASE)
    return f"Autobahn|Testsuite {found[1] if found else '(of no version)'}"


def play(server: str, wstest: str, cases: Sequence[str], seconds: float, folder: Path) -> dict[str, Any]:
    """What the server's cases showed, by number. One that ``seconds`` did not suffice for is not in it.

    Blocks: for as long as the cases take, ``seconds`` at most, and some more for the server to start and end.
    """
    command, package = SERVERS[server]
    found: dict[str, dict[str, Any]] = {}
    with running(command, folder / "server.log") as port:
        ends = monotonic() + seconds
        for number, pattern in enumerate(cases):
            if monotonic() < ends:
                found |= _play(pattern, port, wstest, ends - monotonic(), folder / str(number))
    return {
        "server": server,
        "version": f"{package} {version(package)}",
        "date": datetime.now(UTC).date().isoformat(),
        "libraries": [f"resumehub {_own_version()}", *(f"{name} {version(name)}" for name in LIBRARIES)],
        "python": ".".join(map(str, sys.version_info[:3])),
        "suite": suite_version(wstest),
        "cases": dict(sorted(found.items(), key=lambda one: in_order(one[0]))),
    }


def _play(pattern: str, port: int, wstest: str, seconds: float, folder: Path) -> dict[str, dict[str, Any]]:
    """One run of the suite. It writes its reports when it has ended: of a run that is cut off there are
    none."""
    folder.mkdir()
    spec = {
        "outdir": str(folder / "reports"),
        "servers": [{"agent": "resumehub", "url": f"ws://{HOST}:{port}"}],
        "cases": pattern.split(","),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    with (folder / "suite.log").open("wb") as log:
        client = subprocess.Popen(
            [wstest, "--mode", "fuzzingclient", "--spec", str(folder / "spec.json")],
            stdout=log,
            stderr=log,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )
        try:
            client.wait(seconds)
        except subprocess.TimeoutExpired:
            client.kill()
            client.wait()
    return read(folder / "reports")


def read(reports: Path) -> dict[str, dict[str, Any]]:
    """Number of a case → what it showed, from the reports of one run."""
    cases: dict[str, dict[str, Any]] = {}
    for path in reports.glob("*_case_*.json"):
        said = json.loads(path.read_text(encoding="utf-8"))
        cases[said["id"]] = {
            "shows": said["behavior"],
            "close": said["behaviorClose"],
            "code": said["remoteCloseCode"],
            "ms": said["duration"],
        }
    return cases


def in_order(number: str) -> tuple[int, ...]:
    """A case's number, for sorting: 1.10.1 comes behind 1.2.1."""
    return tuple(map(int, number.split(".")))


def _own_version() -> str:
    """That of the clone, which need not be installed."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return setup["metadata"]["version"]


@contextlib.contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[int]:
    """A server on a free port; told to stop at the end, and killed if it does not."""
    with socket.create_server((HOST, 0)) as free:
        port: int = free.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *(part.format(port=port) for part in command)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=output,
        )
    try:
        _wait_until_it_answers(process, port, log)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STARTING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(int(STARTING * 10)):
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        if process.poll() is not None:
            break
        _never.wait(0.1)
    raise RuntimeError(f"the server does not answer: {log.read_text('utf-8', 'replace')}")
