"""Asks one server: pages, WebSockets, resumes, and its descriptors before and after fifty of each.

Everything is seen from outside: by a client, in /proc and in the server's log. Linux only. Read next:
``client.py``; ``page.py`` for what becomes of a row.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tools.packaging.running import Environment, Failed

from .client import HOST, PATIENCE, Answer, Connection, dial, get
from .servers import OURS, Server

ROOT = Path(__file__).resolve().parents[2]
STARTING = 30.0
"""Seconds that a server may take until it answers, and until it has ended."""
DIALS = 50
GONE = "/ws?id=gone&resume=true"

_never = threading.Event()


def survey(server: Server, folder: Path) -> dict[str, Any]:
    """Install, start, ask, stop. What can't be installed or started is a row with ``"skipped"``."""
    row: dict[str, Any] = {"server": server.name, "version": server.version}
    environment = Environment(folder)
    try:
        # What is compiled is for one Python; pip may have kept a wheel for another one of the same version.
        compiled = ["--no-cache-dir"] if server.needs else []
        environment.install(*compiled, *OURS, *server.packages)
    except Failed as failure:
        return {
            **row,
            "skipped": f"cannot be installed{': needs ' * bool(server.needs)}{server.needs}",
            "log": str(failure),
        }
    log = folder / "log"
    with running(server, environment, log) as (process, port):
        if not came_up(process, port):
            return {**row, "skipped": "did not answer a plain GET", "log": log.read_text("utf-8", "replace")}
        row |= ask(process.pid, port)
        row["ends"] = ended(process)
    text = log.read_text("utf-8", "replace")
    return {**row, "warned": "501 no_socket" in text, "log": text}


@contextlib.contextmanager
def running(
    server: Server, environment: Environment, log: Path
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The server's process, in a process group of its own, and its port. Killed at the end."""
    with socket.create_server((HOST, 0)) as free:
        port: int = free.getsockname()[1]
    user = "www-data" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    names = {"port": port, "folder": environment.folder, "user": user}
    first, *rest = (part.format(**names) for part in server.command)
    program = [str(environment.folder / first)] if "/" in first else [str(environment.python), "-m", first]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*program, *rest],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PYTHONUNBUFFERED": "1",
                "VIRTUAL_ENV": str(environment.folder),
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process, port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def came_up(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether it answers a GET, with any status."""
    deadline = time.monotonic() + STARTING
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            if get(port, "/").status:
                return True
        _never.wait(0.1)
    return False


def ask(pid: int, port: int) -> dict[str, Any]:
    """All questions, in one order. Raises: OSError when the server has gone meanwhile."""
    row: dict[str, Any] = {"page": shown(get(port, "/")), "hub_page": shown(get(port, "/ws"))}
    row["session"] = session(port)
    row["dial"] = shown(dial(port, "/ws?id=one"))
    row["gone"] = shown(dial(port, GONE))
    for name, path in (("refused", GONE), ("served", "/ws?id={}")):
        begun = descriptors(pid)
        answers = [dial(port, path.format(number)).status for number in range(DIALS)]
        row[name] = {
            "answers": {str(status): answers.count(status) for status in sorted(set(answers))},
            "descriptors": settled(pid, begun),
        }
    row["page_afterwards"] = shown(get(port, "/"))
    return row


def shown(answer: Answer) -> dict[str, Any]:
    """Its status and what a person reads of it: of an RFC 9457 problem, the detail."""
    text = answer.text
    with contextlib.suppress(ValueError, TypeError, KeyError):
        text = json.loads(text)["detail"]
    return {"status": answer.status, "text": " ".join(text.split())[:600]}


def session(port: int) -> str:
    """What becomes of a session: ``resumed`` if all went well, else how far it got."""
    try:
        with Connection(port) as connection:
            answer = connection.ask("/ws?id=ada", upgrade=True)
            if answer.status != 101:
                return "refused"
            connection.send("say", "hello")
            if connection.receive() != {"event": "echo", "payload": "hello"}:
                return "another answer"
        with Connection(port) as connection:
            answer = connection.ask("/ws?id=ada&resume=true", upgrade=True)
            if answer.status != 101:
                return f"not resumed: {answer.status}"
            if connection.receive() != {"event": "while you were away"}:
                return "resumed, with something missing"
            connection.leave()
    except TimeoutError:
        return "silent"
    except (OSError, EOFError, ValueError) as error:
        return f"broken: {error!r}"
    return "resumed"


def family(pid: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, ValueError):
            stat = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(stat[1]), []).append(int(name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def descriptors(pid: int) -> dict[int, int]:
    """Process → how many descriptors it has, for a server's whole family."""
    counted = {}
    for one in family(pid):
        with contextlib.suppress(OSError):
            counted[one] = len(os.listdir(f"/proc/{one}/fd"))
    return counted


def settled(pid: int, before: dict[int, int]) -> list[int]:
    """Before and after, in all the processes that were there before; a server closes in its own time."""

    def sums() -> list[int]:
        now = descriptors(pid)
        both = before.keys() & now.keys()
        return [sum(before[one] for one in both), sum(now[one] for one in both)]

    wait_until(lambda: sums()[1] <= sums()[0])
    return sums()


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 2 * PATIENCE
    while not happened() and time.monotonic() < deadline:
        _never.wait(0.05)


def ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the server obeys SIGTERM."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STARTING)
    except subprocess.TimeoutExpired:
        return False
    return True
