"""Two workers of gunicorn with one hub, whose numbers are added up. ``/pid`` says which process answers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from resumehub import Hub
from resumehub.cluster import LocalCluster
from resumehub.contrib.prometheus import PrometheusMetrics


def who_dials(request: Request) -> tuple[str, str]:
    return "lobby", request.args["id"]


metrics = PrometheusMetrics()
hub = Hub(who_dials, metrics=metrics, cluster=LocalCluster(os.environ["FOLDER"]))
numbers = metrics.serve(hub, hub)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """``/metrics`` ends with a comment that says which process has answered."""
    if environ["PATH_INFO"] == "/ready":
        return Response(status=200 if hub.ready() else 503)(environ, start_response)
    if environ["PATH_INFO"] == "/pid-and-metrics":
        text = metrics.exposition(hub).get_data()
        return Response(b"%d\n%s" % (os.getpid(), text))(environ, start_response)
    return numbers(environ, start_response)
