"""What gunicorn is told when it serves the demo.

It runs as ``gunicorn --config python:resumehub.demo.gunicorn_settings``, and reads the names of this module
as its settings, again at each reload, in its master. They come from the plan in the environment; without one
there are none. Nothing here imports gunicorn. Read next: ``workers.py``.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

from resumehub.demo.workers import VARIABLE, WorkersPlan


def settings(plan: WorkersPlan) -> dict[str, Any]:
    """The settings of gunicorn, by name."""

    def remove_folder(server: Any) -> None:
        # All workers have ended.
        shutil.rmtree(plan.folder, ignore_errors=True)
        print("Closed.", flush=True)

    return {
        "bind": f"fd://{plan.listener}",
        "workers": plan.workers,
        "threads": 8,
        "worker_class": "gthread",
        "wsgi_app": "resumehub.demo.app:application()",
        "proc_name": "resumehub-demo",
        "loglevel": "info" if plan.verbose else "warning",
        "accesslog": "-" if plan.verbose else None,
        # A socket in a folder of the user's, by which gunicorn can be asked things: a demo needs none.
        "control_socket_disable": True,
        "on_exit": remove_folder,
    }


if VARIABLE in os.environ:
    globals().update(settings(WorkersPlan.from_environment()))
