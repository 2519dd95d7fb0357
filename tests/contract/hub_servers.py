"""A hub on a real server, mounted in one of the two ways in which an application can.

A ``Server`` is Werkzeug's own threaded server on loopback. A ``HubServer`` is a hub on a fake clock that is
mounted there: as ``hub.wsgi_app``, or by ``hub.upgrade`` in a Flask view behind a login. Both take the
room and the id from the query, so that one test can run on either.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import flask
import waitress
from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wsgi import ClosingIterator

from resumehub import Hub, NoopMetrics
from resumehub.testing import FakeClock
from tests.contract.peers import until
from tests.contract.raw_client import HANDSHAKE, PLAIN, Client, Headers, Reply, Wire, head
from tests.support import PATIENCE, Recorder, from_query

Environ = dict[str, Any]

HUB_SERVERS = ("hub.wsgi_app", "hub.upgrade in a Flask view")
"""The kinds of ``HubServer``."""


class HandshakeMetrics(NoopMetrics):
    """Remembers the calls that say what became of a handshake, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        #: The arguments of every ``upgrade_refused``.
        self.refused: list[tuple[int, str]] = []

    def upgrade_refused(self, status: int, reason: str) -> None:
        self.refused.append((status, reason))

    def resume_attempt(self, *arguments: Any) -> None:
        self.calls.append(("resume_attempt", *arguments))

    def transport_superseded(self, *arguments: Any) -> None:
        self.calls.append(("transport_superseded", *arguments))

    def connection_opened(self, *arguments: Any) -> None:
        self.calls.append(("connection_opened", *arguments))

    def resumes(self) -> list[tuple[str, str, bool]]:
        """The arguments of every ``resume_attempt``."""
        return [call[1:] for call in self.calls if call[0] == "resume_attempt"]


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


class Server:
    """Werkzeug's threaded server with any WSGI application; ``wait_idle`` knows when it has answered."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self._running = 0
        #: How many requests are over.
        self.answered = 0
        self._changed = threading.Condition()
        self._server = make_server("127.0.0.1", 0, self._counted, threaded=True, request_handler=_Quiet)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="live server")
        self._thread.start()

    def _counted(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        self._count(1)
        try:
            return ClosingIterator(self._app(environ, start_response), lambda: self._count(-1))
        except BaseException:
            self._count(-1)
            raise

    def _count(self, change: int) -> None:
        with self._changed:
            self._running += change
            self.answered += change < 0
            self._changed.notify_all()

    def wait_idle(self) -> None:
        """Wait until no request is being answered: none holds a thread of the server's."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._running, PATIENCE), "a request is not over"

    def wait_answered(self, count: int) -> None:
        """Wait until ``count`` requests have been answered in all."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.answered >= count, PATIENCE), "a request is not over"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()


class HubServer:
    """A hub on a fake clock, mounted on a real server."""

    def __init__(self, kind: str, connect: Callable[[Request], Any] = from_query, **options: Any) -> None:
        self.clock = FakeClock()
        self.metrics = HandshakeMetrics()
        self.hub = Hub(connect, clock=self.clock, metrics=self.metrics, **options)
        self.recorder = Recorder(self.hub)
        self.app: Callable[..., Iterable[bytes]] = self.hub.wsgi_app
        self.path, self.cookie = "/", None
        if kind == HUB_SERVERS[1]:
            self.app = behind_a_login(self.hub, connect)
            self.path = "/ws"
        #: What a test does to a request's environ before the application sees it.
        self.before: Callable[[Environ], object] = lambda environ: None
        self.server = Server(self._entered)
        self._wires: list[Wire] = []
        if self.path == "/ws":
            cookies = self.wire().send(head("GET", "/login", PLAIN)).reply().all("Set-Cookie")
            self.cookie = "; ".join(cookie.partition(";")[0] for cookie in cookies)

    def _entered(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        self.before(environ)
        return self.app(environ, start_response)

    def wire(self) -> Wire:
        """A new TCP connection that has said nothing yet."""
        self._wires.append(Wire(self.server.port))
        return self._wires[-1]

    def head(self, query: str = "", headers: Headers | None = None, method: str = "GET") -> bytes:
        """A handshake for this server; ``headers`` replace its own, None leaves one out."""
        cookie: Headers = {"Cookie": self.cookie}
        return head(method, f"{self.path}?{query}", HANDSHAKE | cookie | (headers or {}))

    def knock(self, query: str = "", headers: Headers | None = None, method: str = "GET") -> Wire:
        """Send a handshake on a connection of its own."""
        return self.wire().send(self.head(query, headers, method))

    def ask(self, query: str = "", headers: Headers | None = None, method: str = "GET") -> Reply:
        """Send a handshake and read the answer."""
        return self.knock(query, headers, method).reply(method)

    def open(self, connection_id: str = "u1", query: str = "", headers: Headers | None = None) -> Client:
        """A client that must be let in; its on_connect (or restore) is queued by then."""
        return self.knock(f"room=lobby&id={connection_id}&{query}", headers).websocket()

    def interrupt(self, meanwhile: Callable[[Environ], object]) -> None:
        """Have ``meanwhile`` happen between pre-check and hand-over of requests that say ``late=1``."""

        def view(environ: Environ, start_response: Any) -> Iterable[bytes]:
            request = Request(environ)
            response = self.hub.upgrade(environ, *from_query(request))
            if "late" in request.args:
                meanwhile(environ)
            return response(environ, start_response)

        self.app = view

    def drop(self, ws: Client, connection_id: str = "u1", count: int = 1) -> None:
        """Cut a client off and wait until its session has noticed."""
        ws.drop()
        self.recorder.wait_for("drop", connection_id, count)

    def wait_for_threads(self, role: str) -> None:
        """Wait until the threads of a role, as "writer", have ended, and the hub knows what they said."""
        loop = self.hub.runner.loop
        for thread in loop.thread_group.alive() if loop is not None else ():
            if f"-{role}-" in thread.name:
                assert thread.join(PATIENCE), f"{thread.name} does not end"
        self.clock.advance(0)

    def wait_for_releases(self) -> None:
        """Wait until the hub has forgotten all transports there are."""
        until(lambda: not self.hub.runner.loop.transports)

    def leave(self) -> None:
        for wire in self._wires:
            wire.sock.close()
        report = self.hub.close(PATIENCE)
        self.server.close()
        assert report.complete, report.stuck


def behind_a_login(hub: Hub, who: Callable[[Request], Any]) -> flask.Flask:
    """A Flask application whose WebSockets are for those who are logged in."""
    app = flask.Flask("shop")
    app.secret_key = "for tests"

    @app.get("/login")
    def login() -> str:
        flask.session["user"] = "ada"
        return "welcome"

    # Werkzeug routes WebSocket handshakes apart from everything else: the second rule is for the
    # preflight, and for requests that are not quite handshakes.
    @app.get("/ws", websocket=True)
    @app.route("/ws", methods=["GET", "POST", "OPTIONS"], provide_automatic_options=False)
    def ws() -> Response:
        if flask.session.get("user") != "ada":
            flask.abort(401)
        flask.session["visits"] = flask.session.get("visits", 0) + 1
        response = hub.upgrade(flask.request, *who(flask.request))
        response.set_cookie("view", "1")
        response.headers["X-Visits"] = str(flask.session["visits"])
        return response

    @app.after_request
    def sign(response: flask.Response) -> flask.Response:
        response.set_cookie("after", "1")
        response.headers["X-Shop"] = "open"
        return response

    return app


@contextmanager
def served_by_waitress(app: Any) -> Iterator[int]:
    """A real waitress on loopback; gives its port."""
    connections: dict[int, Any] = {}
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=1, map=connections)
    thread = threading.Thread(target=server.run, name="waitress")
    thread.start()
    try:
        yield server.effective_port
    finally:
        server.task_dispatcher.shutdown()

        def leave() -> None:
            """On the server's own thread, whose loop ends when nothing is left in ``connections``."""
            for one in list(connections.values()):
                # The thread that pulls the trigger may still have to write to it.
                if one is not server.trigger:
                    one.close()
            connections.clear()

        server.trigger.pull_trigger(leave)
        thread.join(PATIENCE)
        server.trigger.close()
