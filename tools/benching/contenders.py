"""Who takes part: the name in the tables, how it is started, and how it is talked to.

To add one: a file in ``servers/``, and a line here. Read by ``run.py`` and ``report.py``.
"""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, field
from pathlib import Path

from .dialects import Dialect, Resumehub, ResumehubV1, SocketIO

SERVERS = "tools.benching.servers"
BASELINE = "bare sockets, direct"
PLAIN = "resumehub"
V1 = "resumehub.v1"


@dataclass(frozen=True)
class Contender:
    """One server. ``command`` is run with the listening socket's descriptor for ``{fd}``."""

    name: str
    command: tuple[str, ...]
    dialect: Dialect = field(default_factory=Dialect)
    #: What each connection takes of them.
    threads: int = 1
    descriptors: int = 1

    @property
    def at_most(self) -> int:
        """How many connections are tried: what takes more than the machine has can't be measured."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        threads = int(Path("/proc/sys/kernel/pid_max").read_text()) * 3 // 4  # others live here, too
        return min((descriptors - 100) // self.descriptors, threads // self.threads)


def own(module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", SERVERS, module, "{fd}")


def werkzeug(module: str) -> tuple[str, ...]:
    return (*own(module), "werkzeug")


def gthread(module: str, threads: int) -> tuple[str, ...]:
    options = (
        f"--worker-class gthread --threads {threads} --worker-connections 30000 --backlog 4096 --timeout 0"
    )
    return (
        *(sys.executable, "-m", "gunicorn", f"{SERVERS}.{module}:app", "--bind", "fd://{fd}"),
        *(*options.split(), "--log-level", "error"),
    )


CONTENDERS = (
    Contender(BASELINE, own("bare_direct")),
    Contender("bare sockets, writer threads", own("bare_writers"), threads=2),
    # A request thread is held for each WebSocket: there must be as many.
    Contender("flask-sock, Werkzeug", werkzeug("app_flask_sock"), threads=2),
    Contender("flask-sock, gthread", gthread("app_flask_sock", 12_000), threads=2),
    Contender("websockets, threads", own("app_websockets_sync"), threads=2, descriptors=4),
    Contender("websockets, asyncio", own("app_websockets_asyncio")),
    Contender("python-socketio, gthread", gthread("app_socketio", 12_000), SocketIO(), threads=4),
    Contender(PLAIN, gthread("app_resumehub", 8), Resumehub()),
    Contender(V1, gthread("app_resumehub", 8), ResumehubV1()),
)
