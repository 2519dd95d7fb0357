"""Flask-Login and Flask-Session, the real ones, around the routes of the extension."""

from __future__ import annotations

from typing import Any

import pytest
from cachelib import SimpleCache
from flask import Flask, session
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user, logout_user
from flask_session import Session

from resumehub import Admission, Connection, Message
from resumehub.contrib.flask import ResumeHub
from resumehub.testing import UpgradeRefused
from tests.contrib.flask_apps import live, make_app


class Account(UserMixin):  # type: ignore[misc]
    def __init__(self, name: str) -> None:
        self.id = name


def members() -> Flask:
    """An application with Flask-Login, whose sessions are the logged in user's."""
    sockets = ResumeHub()
    app = make_app(sockets)
    logins = LoginManager(app)
    logins.user_loader(Account)

    @sockets.route("/ws/<room>")
    @login_required
    def join(room: str) -> Admission:
        return Admission(room, user=current_user.get_id())

    @app.post("/login/<name>")
    def login(name: str) -> str:
        login_user(Account(name))
        return ""

    @app.post("/logout")
    def logout() -> str:
        logout_user()
        return ""

    return app


@pytest.mark.contract("A4b")
def test_a_session_goes_on_for_its_user_alone() -> None:
    """With Flask-Login: after a logout it is 401, as somebody else 403, and as the same user it goes on."""
    app = members()
    browser = app.test_client()
    with live(app):
        with pytest.raises(UpgradeRefused, match="401"):
            live(app).connect("/ws/lobby", cookies=browser)
        browser.post("/login/ada")
        client = live(app).connect("/ws/lobby", cookies=browser)
        assert client.connection is not None
        assert client.connection.user == "ada"
        for path, status in (("/logout", "401"), ("/login/bob", "403")):
            browser.post(path)
            with pytest.raises(UpgradeRefused, match=status):
                client.resume()
        browser.post("/login/ada")
        live(app).hub.send(client.id, Message("still here"))
        client.resume()
        assert client.receive() == Message("still here")


def test_a_session_that_is_kept_on_the_server_is_read_and_saved_by_the_view() -> None:
    """With Flask-Session: what the view puts into it is there in the next request."""
    app = make_app(SESSION_TYPE="cachelib", SESSION_CACHELIB=SimpleCache())
    Session(app)
    sockets = ResumeHub(app)

    @sockets.route("/ws")
    def join() -> Any:
        session["visits"] = session.get("visits", 0) + 1
        return "lobby", None, {"visits": session["visits"]}

    @app.get("/visits")
    def visits() -> str:
        return str(session.get("visits"))

    @sockets.on("visits")
    def told(connection: Connection, message: Message) -> Any:
        return connection.data["visits"]

    browser = app.test_client()
    with live(app):
        for visit in (1, 2):
            with live(app).connect("/ws", cookies=browser) as client:
                assert client.request("visits") == visit
        assert browser.get("/visits").text == "2"
