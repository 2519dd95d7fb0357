"""``probes``: ``/livez`` and ``/readyz`` of a hub, as a WSGI application or in front of one.

An orchestrator asks them every few seconds, in whatever process answers. They wait for no thread and for no
other process, and name no session. Threads: request threads. Read next: ``../health.py``, which says what
counts for which of the two.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

from werkzeug.wrappers import Response

from ..health import MAX_LAG, STUCK_AFTER, Check, Health

WSGIApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


class HasHealth(Protocol):
    """A ``Hub``, or the Flask extension."""

    def health(self) -> Health: ...


def probes(
    hub: HasHealth,
    app: WSGIApp | None = None,
    *,
    livez: str = "/livez",
    readyz: str = "/readyz",
    max_lag: float = MAX_LAG,
    stuck_after: float = STUCK_AFTER,
) -> WSGIApp:
    """A WSGI application that answers the two paths, and gives all others to ``app``.

    Next: serve it, as in ``app.wsgi_app = probes(hub, app.wsgi_app)``. 200 if all is well, 503 if not, with a
    JSON body: ``ok``, ``failed`` (names of checks) and ``checks`` (by name: ``ok``, ``detail``). Without
    ``app`` other paths are 404. ``max_lag``: seconds that the hub's oldest command may wait in a hub that is
    ready; ``stuck_after``: in one that lives.

    Raises: ValueError for a path without a slash in front, or limits that are not above 0. Threads: any.
    Blocks: never.
    """
    for name, path in (("livez", livez), ("readyz", readyz)):
        if not str(path).startswith("/"):
            raise ValueError(f'{name} is {path!r}: it must be a path that begins with "/"')
    for name, limit in (("max_lag", max_lag), ("stuck_after", stuck_after)):
        if not limit > 0:
            raise ValueError(f"{name} is {limit!r}: it must be a number of seconds above 0")
    asked: dict[str, Callable[[], Mapping[str, Check]]] = {
        livez: lambda: hub.health().alive(stuck_after),
        readyz: lambda: hub.health().ready(max_lag),
    }

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        checks = asked.get(environ.get("PATH_INFO", ""))
        if checks is not None:
            if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
                return Response(status=405, headers={"Allow": "GET, HEAD"})(environ, start_response)
            return said(checks())(environ, start_response)
        if app is not None:
            return app(environ, start_response)
        return Response("not found\n", 404)(environ, start_response)

    return answer


def said(checks: Mapping[str, Check]) -> Response:
    """The answer for these checks."""
    failed = [name for name, check in checks.items() if not check.ok]
    body = {
        "ok": not failed,
        "failed": failed,
        "checks": {name: asdict(check) for name, check in checks.items()},
    }
    headers = {"Cache-Control": "no-store"}
    text = json.dumps(body, indent=2) + "\n"
    return Response(text, 503 if failed else 200, headers, mimetype="application/json")
