"""Warns, once in each process, of settings of the server with which sessions are lost.

A hub lives in one process. Behind gunicorn with several workers a client that comes back meets another hub,
which knows nothing of its session; and ``max_requests`` ends a worker with all of its sessions. Nothing looks
wrong until then, so the log says it at the first upgrade. Called by ``checks.py`` on request threads. Read
next: docs/howto/deploy-gunicorn-nginx.md.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

from ..runtime.foreign_code import Log

log = Log(__name__)

# The processes that have looked, each with the object of the thread that did: a forked child looks again.
_looked: dict[int, object] = {}


def warn_once(environ: Mapping[str, Any]) -> None:
    """Look at gunicorn's settings, and warn of those that will lose sessions; the first call in a process.

    Raises: nothing. Threads: the request thread, on whose stack gunicorn's worker is. Blocks: never.
    """
    mine = object()
    if _looked.setdefault(os.getpid(), mine) is mine and "gunicorn.socket" in environ:
        try:
            problems = _problems(environ)
        except Exception as error:
            log.debug("gunicorn's settings could not be read: %r", error)
            return
        if problems:
            log.warning("sessions will be lost with gunicorn's settings: %s", " ".join(problems))


def _problems(environ: Mapping[str, Any]) -> list[str]:
    settings = _gunicorn_settings()
    problems = []
    if environ.get("wsgi.multiprocess"):
        workers = getattr(settings, "workers", None) or "several"
        problems.append(
            f"it has {workers} workers, and each is a hub of its own. A client that comes back to another "
            "one is told that its session is gone (410), and send and broadcast reach only the clients of "
            "their own worker. Let them share one hub: Hub(cluster=LocalCluster(folder)). Or run one worker "
            "with threads: -w 1 --threads 16, and no WEB_CONCURRENCY."
        )
    max_requests = getattr(settings, "max_requests", 0)
    if isinstance(max_requests, int) and max_requests > 0:
        problems.append(
            f"max_requests={max_requests} ends the worker after that many requests, and all of its sessions "
            "with it. Leave --max-requests out, or give the hub a cluster."
        )
    return problems


def _gunicorn_settings() -> object:
    """The settings of the gunicorn worker that runs this request; None if they are not found.

    The environ does not have all of them. But the worker's method is on the stack, and its ``cfg`` has what
    the command line, GUNICORN_CMD_ARGS, the configuration file and WEB_CONCURRENCY have come to.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith("gunicorn.workers"):
            settings = getattr(frame.f_locals.get("self"), "cfg", None)
            if settings is not None:
                return settings
        frame = frame.f_back
    return None
