"""The demo as a WSGI application: the page, its files, its timeline, and the WebSocket.

``python -m resumehub serve`` serves it, in one process; with ``--workers 2`` gunicorn does, and the workers
share one hub (``workers.py``).

This module turns HTTP requests into calls, with their checks and headers; it knows nothing of the
chat (``chat.py``) or of what a timeline holds (``timeline.py``). Called on WSGI request threads.

| path | what |
|---|---|
| ``/`` and ``/static/…`` | the page |
| ``/ws?room=&name=&id=`` | the WebSocket; also ``resume=true`` and ``reject=close`` |
| ``/timeline?room=&after=&who=`` | JSON: what happened since event number ``after`` |
| ``POST /cut?id=`` | end that session's transport as if the network had died |
| ``POST /reload`` | replace all workers, if there are several; from this machine only |
| ``/inspector/…`` | what the hub holds (``../inspector``); from this machine only |
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from werkzeug.exceptions import (
    BadRequest,
    Conflict,
    Forbidden,
    HTTPException,
    MethodNotAllowed,
    NotFound,
)
from werkzeug.wrappers import Request, Response

from resumehub import CloseReport, Hub, HubUnavailable, SystemClock
from resumehub.clock import Clock
from resumehub.cluster import LocalCluster
from resumehub.demo.chat import Chat
from resumehub.demo.hosts import answers_to, normalized
from resumehub.demo.shared_log import SharedLog
from resumehub.demo.timeline import DemoTimeline, EventLog, TimelineMetrics
from resumehub.demo.workers import Workers, WorkersPlan
from resumehub.inspector import Inspector
from resumehub.runtime.system import SystemRuntime

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

STATIC: Final = Path(__file__).parents[1] / "static"
MIMETYPES: Final = {
    # Not from the system's tables: where these are wrong, a browser that may not guess runs no script.
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
PROXIES: Final = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
INSPECTOR: Final = "/inspector"
MAX_NAME: Final = 40
MAX_ID: Final = 64

SECURITY_HEADERS: Final = {
    # Everything comes from this origin, nothing is inline. 'self' covers ws:// to the same host.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def create_app(
    *,
    resume_window: float = 30.0,
    ping_interval: float | None = 20.0,
    write_timeout: float = 10.0,
    send_buffer: int = 256,
    on_duplicate: str = "replace",
    clock: Clock | None = None,
    allowed_hosts: Iterable[str] = (),
    on_workers: tuple[WorkersPlan, SharedLog] | None = None,
) -> DemoApp:
    """Build the demo with a hub of its own; call ``close`` on it when the server stops.

    The arguments are those of ``Hub``: durations in seconds, ``send_buffer`` in messages. ``allowed_hosts``:
    the names under which browsers may ask for the demo; addresses and localhost need not be named
    (``hosts.py`` says why). ``on_workers``: what this process shares with others (``workers.py``).
    Raises: what ``Hub`` raises for a bad argument (ValueError, TypeError). Threads: any.
    """
    options = {
        "resume_window": resume_window,
        "ping_interval": ping_interval,
        "write_timeout": write_timeout,
        "send_buffer": send_buffer,
        "on_duplicate": on_duplicate,
    }
    return DemoApp(options, clock or SystemClock(), allowed_hosts, on_workers)


def application() -> DemoApp:
    """The demo in one of several workers, for gunicorn. Raises: KeyError outside of ``serve --workers``."""
    from resumehub.demo.demo_folder import remove_at_the_end

    plan = WorkersPlan.from_environment()
    remove_at_the_end(plan.folder, plan.keeper, plan.master)
    log = SharedLog(f"{plan.folder}/timeline.sqlite", plan.began_at, SystemClock(), SystemRuntime())
    return create_app(**plan.options, allowed_hosts=plan.allowed_hosts, on_workers=(plan, log))


class DemoApp:
    """A WSGI application. Threads: any number of request threads."""

    def __init__(
        self,
        options: dict[str, Any],
        clock: Clock,
        allowed_hosts: Iterable[str] = (),
        on_workers: tuple[WorkersPlan, SharedLog] | None = None,
    ) -> None:
        self._options = options
        self._hosts = normalized(allowed_hosts)
        self._timeline: DemoTimeline = EventLog(clock)
        self._run = secrets.token_hex(4)
        self._workers: Workers | None = None
        cluster = None
        if on_workers is not None:
            plan, self._timeline = on_workers
            self._run = plan.run
            self._workers = Workers(on_workers[1], plan.master)
            cluster = LocalCluster(f"{plan.folder}/hub", name="resumehub-demo")
        self._files = {path.name: path for path in STATIC.iterdir() if path.is_file()}
        metrics = TimelineMetrics(self._timeline)
        self.hub = Hub(read_visitor, metrics=metrics, clock=clock, cluster=cluster, **options)
        self._inspector = Inspector(self.hub, authorize=_is_this_machine)
        if self._workers is not None:
            self.hub.on_start(self._workers.hub_is_here)
            self._workers.serve()
        self._chat = Chat(self.hub, self._timeline, options["resume_window"])

    def close(self, timeout: float = 5.0) -> CloseReport:
        """Stop the bursts and close the hub; see ``Hub.close``.

        Threads: any. Blocks: until the hub has closed or ``timeout`` real seconds have passed.
        """
        self._chat.close()
        return self.hub.close(timeout)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # A request without Host comes from no browser.
        is_for_us = answers_to(environ.get("HTTP_HOST", "localhost"), self._hosts)
        if is_for_us and environ.get("PATH_INFO") == "/ws":
            return self.hub.wsgi_app(environ, start_response)
        request = Request(environ)
        if is_for_us and f"{request.path}/".startswith(f"{INSPECTOR}/"):
            below, base = request.path.removeprefix(INSPECTOR), request.script_root + INSPECTOR
            return self._inspector.answer(request, below, base)(environ, start_response)
        try:
            if not is_for_us:
                raise Forbidden(
                    "The demo answers to localhost and to addresses only. To let it answer to another name: "
                    "python -m resumehub serve --allow-host NAME, or create_app(allowed_hosts=[NAME])."
                )
            response = self._respond(request)
        except HTTPException as error:
            response = Response(f"{error.code} {error.name}: {error.description}\n", error.code)
            if isinstance(error, MethodNotAllowed) and error.valid_methods:
                response.headers["Allow"] = ", ".join(error.valid_methods)
        except HubUnavailable as error:  # the hub is in the other worker, and busy or on its way
            response = Response(f"503 Service Unavailable: {error}\n", 503, {"Retry-After": "1"})
        response.headers.extend(SECURITY_HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        return response(environ, start_response)

    def _respond(self, request: Request) -> Response:
        if request.path == "/cut":
            _allow_only(request, "POST")
            return self._cut(request)
        if request.path == "/reload":
            _allow_only(request, "POST")
            return self._reload(request)
        _allow_only(request, "GET", "HEAD")
        if request.path == "/":
            return self._file(request, "index.html")
        if request.path == "/timeline":
            return self._events(request)
        if request.path.startswith("/static/"):
            return self._file(request, request.path.removeprefix("/static/"))
        raise NotFound("There is no such page here.")

    def _file(self, request: Request, name: str) -> Response:
        # Names are looked up among the files that were there at the start: no path is ever built.
        path = self._files.get(name)
        if path is None:
            raise NotFound("There is no such file here.")
        content = path.read_bytes()
        response = Response(content, mimetype=MIMETYPES.get(path.suffix, "application/octet-stream"))
        response.headers["Cache-Control"] = "no-cache"
        response.set_etag(hashlib.sha256(content).hexdigest()[:16])
        return response.make_conditional(request)

    def _events(self, request: Request) -> Response:
        after = request.args.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 16):
            raise BadRequest("after is the number of the last event you have: 0 or more.")
        page = self._timeline.after(_read_room(request), int(after), request.args.get("who", ""))
        return _json(
            {
                "run": self._run,
                "now": round(self._timeline.now(), 4),
                "next": page.next,
                "more": page.more,
                "lost": page.lost,
                "settings": self._options,
                "workers": self._workers
                and {**self._workers.as_json(), "may_reload": _is_this_machine(request)},
                "events": [event.as_json() for event in page.events],
            }
        )

    def _cut(self, request: Request) -> Response:
        _require_same_origin(request)
        connection_id = request.args.get("id", "")
        cut = self.hub.cut(connection_id)
        if cut:
            connection = self.hub.get(connection_id)
            self._timeline.record("cut", connection.room_id if connection else "", connection_id)
        return _json({"cut": cut}, 200 if cut else 404)

    def _reload(self, request: Request) -> Response:
        """Replace the workers under the eyes of all visitors: for who sits at this machine only."""
        if self._workers is None:
            raise NotFound("There is one process only: start the demo with --workers 2.")
        _require_same_origin(request)
        if not _is_this_machine(request):
            raise Forbidden("Only who sits at the server's own machine may reload its workers.")
        if not self._workers.reload():
            raise Conflict("The workers are being reloaded.")
        return _json({"reloading": True})


def read_visitor(request: Request) -> tuple[str, str, dict[str, str]]:
    """The hub's ``connect``: give room, id and name, as the query of the upgrade request has them.

    An application would look at its login here. The demo believes the query: the page makes the id, which
    is long, random and known to nobody else, and so serves as a key.
    Raises: BadRequest (400). Threads: WSGI request threads.
    """
    name = " ".join(request.args.get("name", "").split())
    connection_id = request.args.get("id", "")
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise BadRequest(f"name has 1 to {MAX_NAME} printable characters.")
    if not 16 <= len(connection_id) <= MAX_ID or not connection_id.isascii() or not connection_id.isalnum():
        raise BadRequest(f"id has 16 to {MAX_ID} letters and digits.")
    return _read_room(request), connection_id, {"name": name}


def _read_room(request: Request) -> str:
    room = " ".join(request.args.get("room", "").split())
    if not 0 < len(room) <= MAX_NAME or not room.isprintable():
        raise BadRequest(f"room has 1 to {MAX_NAME} printable characters.")
    return room


def _require_same_origin(request: Request) -> None:
    """Let only our own page through. Raises: Forbidden for another site, and where the site is not known.

    A browser sends Sec-Fetch-Site only over https or to localhost, and no page can forge it. Every browser
    sends Origin with a POST, but behind a proxy that ends TLS its scheme is not the one that we see.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is None and origin is None:
        raise Forbidden("Say where you come from: an Origin or Sec-Fetch-Site header is needed.")
    ours = site == "same-origin" if site is not None else origin == request.host_url.rstrip("/")
    if not ours:
        raise Forbidden("Only the demo page itself may do that.")


def _is_this_machine(request: Request) -> bool:
    """Whether the request comes from a loopback address, and through no proxy."""
    try:
        local = ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        local = False
    return local and not any(name in request.headers for name in PROXIES)


def _allow_only(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise MethodNotAllowed(methods)


def _json(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value), status, mimetype="application/json")
