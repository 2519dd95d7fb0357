"""The demo on several workers: what they share, which of them holds the hub, and how they are reloaded.

``python -m resumehub serve --workers 2`` makes a ``WorkersPlan``, and becomes gunicorn, whose workers find
the plan in their environment. Each builds its ``DemoApp`` with ``app.application``, and has a ``Workers``.
Called in workers, by request threads and by hooks of the hub. Read next: ``gunicorn_settings.py`` (what
gunicorn is told), ``shared_log.py`` (the file that all write).
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
from dataclasses import asdict, dataclass
from typing import Any, Final, NoReturn

from resumehub import SystemClock
from resumehub.demo.shared_log import SharedLog

VARIABLE: Final = "RESUMEHUB_DEMO_WORKERS"
"""The environment variable with the plan."""

RELOAD_TAKES: Final = 60.0
"""Seconds after which a reload is taken for failed, and another one may begin."""


@dataclass(frozen=True, slots=True)
class WorkersPlan:
    """What all processes of a demo know. ``master``: gunicorn's process; ``folder``: of this demo alone;
    ``keeper``: the open file that keeps it (``demo_folder.py``)."""

    workers: int
    master: int
    listener: int
    folder: str
    keeper: int
    began_at: float
    run: str
    verbose: bool
    options: dict[str, Any]
    allowed_hosts: list[str]

    def become_gunicorn(self) -> NoReturn:
        """Make this process gunicorn's master; ``listener`` is a descriptor that listens.

        Raises: OSError, if Python can't be started again.
        """
        os.environ[VARIABLE] = json.dumps(asdict(self))
        for descriptor in (self.listener, self.keeper):
            os.set_inheritable(descriptor, True)
        settings = "python:resumehub.demo.gunicorn_settings"
        os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "--config", settings])

    @classmethod
    def from_environment(cls) -> WorkersPlan:
        """Raises: KeyError without one: the demo was not started by ``serve --workers``."""
        return cls(**json.loads(os.environ[VARIABLE]))


class Workers:
    """The processes of a demo, seen from one of them. Threads: any. Blocks: for the shared file."""

    def __init__(self, log: SharedLog, master: int) -> None:
        self._log = log
        self._master = master
        self.pid = os.getpid()

    def serve(self) -> None:
        """Tell the others that this process is here."""
        self._log.process_is_here(self.pid)

    def hub_is_here(self, hub: object) -> None:
        """For ``on_start``: this process holds the hub from now on."""
        self._log.hub_is_here(self.pid)

    def as_json(self) -> dict[str, Any]:
        """Who there is, who holds the hub and since when; times are those of the timeline."""
        hub = self._log.hub()
        living = self._living()
        return {
            "answered": self.pid,
            "processes": [{"pid": pid, "since": round(since, 3)} for pid, since in living],
            "hub": hub and {"pid": hub[0], "since": round(hub[1], 3), "moves": hub[2]},
            "reloading": self._reload_is_under_way(living),
            "reload_at": self._log.last_reload(),
        }

    def reload(self) -> bool:
        """Have gunicorn replace all workers, this one too; False while it does so, or if it is gone."""
        if self._reload_is_under_way(self._living()) or os.getppid() != self._master:
            return False
        self._log.begin_reload()
        os.kill(self._master, signal.SIGHUP)
        return True

    def _living(self) -> list[tuple[int, float]]:
        living = []
        for pid, since in self._log.processes():
            if _is_child_of(pid, self._master):
                living.append((pid, since))
            else:
                self._log.process_is_gone(pid)
        return living

    def _reload_is_under_way(self, living: list[tuple[int, float]]) -> bool:
        began = self._log.last_reload()
        if began is None or self._log.now() > began + RELOAD_TAKES:
            return False
        return any(since <= began for _, since in living) or not any(since > began for _, since in living)


def _is_child_of(pid: int, master: int) -> bool:
    """Whether a process lives and is a worker of this master; the number may have passed to a stranger."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            # Behind the name, which is in brackets and may contain anything: state, parent.
            state, parent = stat.read().rpartition(")")[2].split()[:2]
    except FileNotFoundError:
        return False if os.path.isdir("/proc/self") else _lives(pid)
    except (OSError, ValueError):
        return False
    return state != "Z" and int(parent) == master


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def plan_workers(
    workers: int, listener: int, options: dict[str, Any], allowed_hosts: list[str], verbose: bool
) -> WorkersPlan:
    """A plan for this process, which is to become the master, with a new folder. Raises: OSError."""
    from resumehub.demo.demo_folder import make_folder  # not on Windows, where this module is imported, too

    folder, keeper = make_folder()
    return WorkersPlan(
        workers=workers,
        master=os.getpid(),
        listener=listener,
        folder=folder,
        keeper=keeper,
        began_at=SystemClock().monotonic(),
        run=secrets.token_hex(4),
        verbose=verbose,
        options=options,
        allowed_hosts=allowed_hosts,
    )
