"""The inspector in a Flask application: its login decides who sees it, and there is none by default."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask, abort, redirect, session

from resumehub import Admission
from resumehub.contrib.flask import ResumeHub
from tests.contrib.flask_apps import live, make_app

URL = "/resumehub/inspector"


def may_inspect(request: Any) -> bool:
    """Whoever has logged in, and is an operator."""
    if "user" not in session:
        abort(redirect("/login"))
    return session["user"] == "operator"


def inspected(**config: Any) -> Flask:
    sockets = ResumeHub(inspector=may_inspect)
    app = make_app(sockets, **config)

    @sockets.route("/ws/<room>/<name>")
    def join(room: str, name: str) -> Admission:
        return Admission(room, name, user="ada")

    @app.get("/login/<user>")
    def login(user: str) -> str:
        session["user"] = user
        return "welcome"

    return app


def test_without_the_option_there_is_no_inspector_and_nothing_is_kept() -> None:
    app = make_app(ResumeHub())
    for path in (URL, f"{URL}/", f"{URL}/sessions"):
        assert app.test_client().get(path).status_code == 404
    assert live(app).hub.runner.recorder is None


def test_the_login_of_the_application_decides() -> None:
    app = inspected()
    with live(app):
        stranger, visitor = app.test_client(), app.test_client()
        visitor.get("/login/ada")
        for path in (f"{URL}/", f"{URL}/sessions", f"{URL}/inspector.css"):
            answer = stranger.get(path)
            assert (answer.status_code, answer.location) == (302, "/login")
            assert visitor.get(path).status_code == 403
        assert visitor.post(f"{URL}/session/x/kick").status_code == 403


def test_an_operator_sees_the_sessions_and_kicks_one() -> None:
    app = inspected()
    with live(app):
        live(app).connect("/ws/lobby/one")
        browser = app.test_client()
        browser.get("/login/operator")
        assert browser.get(URL).location == f"{URL}/"
        assert 'href="/resumehub/inspector/inspector.css"' in browser.get(f"{URL}/").text
        listed = browser.get(f"{URL}/sessions").text
        assert "<bdi>one</bdi>" in listed
        path = re.search(rf'href="({URL}/session/\w+)"', listed)[1]
        token = re.search(r'name="token" value="(\w+)"', browser.get(path).text)[1]
        elsewhere = browser.post(f"{path}/kick", data={"token": token}, headers={"Origin": "http://evil"})
        assert elsewhere.status_code == 403
        answer = browser.post(f"{path}/kick", data={"token": token}, headers={"Origin": "http://localhost"})
        assert (answer.status_code, answer.location) == (303, f"{path}?done=kick")
        assert "It was kicked." in browser.get(answer.location).text
        assert live(app).hub.get("one") is None
        assert browser.get(f"{URL}/nowhere").status_code == 404


def test_it_is_where_the_configuration_says() -> None:
    app = inspected(RESUMEHUB_INSPECTOR_URL="/admin/sockets", APPLICATION_ROOT="/shop")
    with live(app):
        browser = app.test_client()
        browser.get("/shop/login/operator", base_url="http://localhost/")
        browser.get("/login/operator")
        assert browser.get(f"{URL}/").status_code == 404
        assert "What the hub holds" in browser.get("/admin/sockets/").text
