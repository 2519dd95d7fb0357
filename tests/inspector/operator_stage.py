"""An operator at a browser: a stage whose hub has an inspector, and what its forms would send."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, TestResponse

from resumehub import Hub
from resumehub.inspector import Inspector

BASE = "/_sessions"
SAME_ORIGIN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}


class Operator:
    """Looks at ``hub`` through an application at ``BASE``."""

    def __init__(self, hub: Hub, **options: Any) -> None:
        options.setdefault("authorize", lambda request: True)
        self.hub = hub
        self.inspector = Inspector(hub, **options)
        self.app = DispatcherMiddleware(hub.wsgi_app, {BASE: self.inspector})
        self.browser = Client(self.app)

    def get(self, path: str = "/", **query: str) -> TestResponse:
        return self.browser.get(BASE + path, query_string=query)

    def text(self, path: str = "/", **query: str) -> str:
        """The page's words, without its tags."""
        return words(self.get(path, **query).text)

    def life(self, connection_id: str) -> str:
        connection = self.hub.get(connection_id)
        assert connection is not None, f"{connection_id} has no session"
        return connection.life

    def session(self, connection_id: str) -> str:
        """The words of the page of a session."""
        return self.text(f"/session/{self.life(connection_id)}")

    def token(self, life: str, deed: str) -> str:
        """What the form of the page has."""
        page = self.get(f"/session/{life}").text
        found = re.search(rf'value="(\w+)"><button[^>]*>{BUTTONS[deed]}<', page)
        assert found, f"the page has no form for {deed}"
        return found[1]

    def post(self, life: str, deed: str, token: str, **headers: str | None) -> TestResponse:
        changes = {key.replace("_", "-"): value for key, value in headers.items()}
        sent = {key: value for key, value in {**SAME_ORIGIN, **changes}.items() if value}
        return self.browser.post(f"{BASE}/session/{life}/{deed}", data={"token": token}, headers=sent)

    def do(self, life: str, deed: str) -> str:
        """Press the button; the words of the page that comes of it."""
        answer = self.post(life, deed, self.token(life, deed))
        assert answer.status_code == 303, answer.text
        return words(self.browser.get(answer.location).text)


BUTTONS = {"kick": "Kick it now", "expire": "End it now"}


def words(page: str) -> str:
    """Its text, one blank between all words."""
    body = page.partition("<main")[2]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", f"<main{body}")).split())
