"""The inspector, as an operator sees it on a phone: a real Chromium against a real server.

Each test also holds that the browser's console stays empty: no script ran, and the content security policy
stopped nothing. Nothing here waits for time to pass.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from html import escape
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from resumehub import Hub
from resumehub.testing import FakeClock, WebSocketClient, connect
from tests.inspector.operator_stage import BASE, Operator
from tests.integration.browser import Browser, browser, chromium  # noqa: F401  (fixtures)
from tests.support import PATIENCE, Recorder, with_users

# Chromium alone takes seconds to start on a busy machine.
pytestmark = pytest.mark.timeout(120)

HACK = "document.title='hacked'"
HOSTILE = f'<script>{HACK}</script><img src=x onerror="{HACK}">' + "w" * 120
PHONE, DESK = (390, 844), (1280, 900)


class Served:
    """A hub with an inspector on a port of this machine, and a page of another host beside it."""

    def __init__(self) -> None:
        self.hub = Hub(with_users, clock=FakeClock(), ping_interval=None, refusal_delay=0.0)
        self.recorder = Recorder(self.hub)
        self.operator = Operator(self.hub)
        self.clients: list[WebSocketClient] = []
        self.token = ""
        self._server = make_server("127.0.0.1", 0, self._app, threaded=True)
        self._server.daemon_threads = False  # so that its close waits for them
        self._sockets: list[socket.socket] = []
        self._server.process_request = self._process
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.port}{BASE}"

    def _app(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        if request.path != "/elsewhere":
            return self.operator.app(environ, start_response)
        form = (
            f'<form method="post" action="{escape(self.url)}/session/{request.args["life"]}/kick">'
            f'<input name="token" value="{self.token}"><button>Win a prize</button></form>'
        )
        return Response(f"<!doctype html><title>Prizes</title>{form}", mimetype="text/html")(
            environ, start_response
        )

    def _process(self, request: socket.socket, client_address: Any) -> None:
        self._sockets.append(request)
        type(self._server).process_request(self._server, request, client_address)

    @property
    def elsewhere(self) -> str:
        """The same machine, and another host to a browser."""
        return f"http://localhost:{self._server.port}/elsewhere"

    def open(self, name: str, room: str = "lobby") -> WebSocketClient:
        self.clients.append(connect(self.hub, f"/?id={quote(name)}&user=ada&room={quote(room)}"))
        self.recorder.wait_for("connect", name)
        return self.clients[-1]

    def close(self) -> None:
        for client in self.clients:
            client.sock.close()
        self._server.shutdown()
        self._thread.join(PATIENCE)
        for one in self._sockets:  # a browser keeps one in reserve
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        assert self.hub.close(PATIENCE).complete


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.close()


def test_an_operator_with_a_phone_finds_a_session_and_kicks_it(
    served: Served,
    browser: Browser,  # noqa: F811
) -> None:
    """Nothing has to be scrolled sideways, and names of clients are text."""
    served.open("hostile", HOSTILE)
    ada = served.open("ada-phone")
    served.hub.get("hostile").join(HOSTILE[::-1])
    page = browser.open(f"{served.url}/")
    for size in (PHONE, DESK):
        page.resize(*size)
        for path in ("/", "/sessions", "/rooms", "/users", f"/session/{served.operator.life('hostile')}"):
            page.chrome.get(served.url + path)
            assert page.overflow() == [], path
            assert page.chrome.title == "resumehub: what the hub holds"
    page.resize(*PHONE)
    page.chrome.get(f"{served.url}/sessions")
    assert HOSTILE in page.texts("bdi")
    page.type("input[name=q]", "ada")
    page.click(".filter button")
    page.wait(lambda: page.texts("td .id") == ["ada-phone"], "the session that was searched for")
    page.click("td .id")
    page.wait(lambda: "connected" in page.text(".lanes"), "the session's life")
    assert page.overflow() == []
    page.click(".deed summary")
    page.click(".deed button.danger")
    page.wait(lambda: "It was kicked." in page.text("main"), "the page to say what came of it")
    assert page.overflow() == []
    assert ada.receive_close(PATIENCE) == (1000, "kicked")
    assert served.hub.get("ada-phone") is None
    page.chrome.get(f"{served.url}/ended")
    assert "it was kicked" in page.text("main")
    assert page.overflow() == []


def test_a_page_of_another_host_kicks_nobody(
    served: Served,
    browser: Browser,  # noqa: F811
) -> None:
    """Even if it knew the token: the browser sends it no cookie, and says where it comes from."""
    served.open("ada-phone")
    life = served.operator.life("ada-phone")
    page = browser.open(f"{served.url}/session/{life}")
    served.token = page.attribute("input[name=token]", "value")
    assert served.token
    browser.expected_complaints = ["403 (FORBIDDEN)", "favicon.ico"]
    page.chrome.get(f"{served.elsewhere}?life={life}")
    page.click("button")
    page.wait(lambda: "a page of another site" in page.text("body"), "the refusal")
    assert served.hub.get("ada-phone") is not None
