"""``flask resumehub …``: off without a token; with it only for this machine, and for who has it."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, abort

from resumehub import Admission
from resumehub.contrib.flask import ResumeHub
from tests.contrib.flask_apps import live, lobby, make_app

TOKEN = "a-token-of-the-tests-0123456789"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}


def administered() -> Flask:
    """An application with the token, whose route takes the room, and "ada" as the user."""
    sockets = ResumeHub()
    app = make_app(sockets, RESUMEHUB_ADMIN_TOKEN=TOKEN)

    @sockets.route("/ws/<room>/<name>")
    def join(room: str, name: str) -> Admission:
        return Admission(room, name, user="ada")

    return app


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    """Exit code and output of ``flask resumehub …``."""
    done = app.test_cli_runner().invoke(args=["resumehub", *arguments])
    return done.exit_code, done.output


def test_without_a_token_nothing_answers_and_the_command_says_what_to_set() -> None:
    app = make_app(lobby())
    answer = app.test_client().get("/resumehub/admin/sessions", headers=RIGHT)
    assert answer.status_code == 404
    code, said = run(app, "sessions")
    assert code == 1
    assert "RESUMEHUB_ADMIN_TOKEN is not set in app.config" in said


def test_sessions_are_listed_once_each_with_their_state() -> None:
    app = administered()
    browser = app.test_client()
    with live(app):
        one, two = live(app).connect("/ws/lobby/one"), live(app).connect("/ws/lobby/two")
        assert one.connection is not None
        one.connection.join("games")
        two.drop()
        listed = {
            "one": {"id": "one", "room": "lobby", "rooms": ["lobby", "games"], "state": "connected"},
            "two": {"id": "two", "room": "lobby", "rooms": ["lobby"], "state": "suspended"},
        }
        for query, names in (("", ["one", "two"]), ("?room=games", ["one"]), ("?user=bob", [])):
            answer = browser.get(f"/resumehub/admin/sessions{query}", headers=RIGHT)
            assert answer.json == [listed[name] | {"user": "ada"} for name in names]
            assert answer.headers["Cache-Control"] == "no-store"


def test_a_session_or_a_user_is_kicked() -> None:
    app = administered()
    browser = app.test_client()

    def kick(**wanted: Any) -> Any:
        return browser.post("/resumehub/admin/kick", json=wanted, headers=RIGHT).json

    with live(app):
        clients = [live(app).connect(f"/ws/lobby/{name}") for name in ("one", "two", "three")]
        assert kick(id="one") == {"kicked": 1}
        assert kick(id="one") == {"kicked": 0}
        assert kick(user="ada") == {"kicked": 2}
        assert [client.receive_close() for client in clients] == [(1000, "kicked")] * 3
        assert browser.post("/resumehub/admin/kick", json={"id": 1}, headers=RIGHT).status_code == 400


@pytest.mark.parametrize(
    "headers, address, status",
    [
        pytest.param(RIGHT, "127.0.0.1", 200, id="the token, from this machine"),
        pytest.param(RIGHT, "::1", 200, id="by IPv6"),
        pytest.param(RIGHT, "", 200, id="by a Unix socket"),
        pytest.param({}, "127.0.0.1", 403, id="no token"),
        pytest.param({"Authorization": "Bearer wrong"}, "127.0.0.1", 403, id="a wrong token"),
        pytest.param({"Authorization": TOKEN}, "127.0.0.1", 403, id="no scheme"),
        pytest.param({"Authorization": "Bearer ü"}, "127.0.0.1", 403, id="no ASCII"),
        pytest.param(RIGHT, "192.0.2.7", 404, id="from another machine"),
        pytest.param(RIGHT, "elsewhere", 404, id="from who knows where"),
        pytest.param({**RIGHT, "X-Forwarded-For": "192.0.2.7"}, "127.0.0.1", 404, id="through a proxy"),
        pytest.param({**RIGHT, "Via": "1.1 cache"}, "127.0.0.1", 404, id="through a cache"),
    ],
)
def test_who_is_answered(headers: dict[str, str], address: str, status: int) -> None:
    answer = (
        administered()
        .test_client()
        .get("/resumehub/admin/sessions", headers=headers, environ_overrides={"REMOTE_ADDR": address})
    )
    assert answer.status_code == status
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1",
        "http://shop.example",
        "http://10.0.0.1:5000",
        "127.0.0.1:5000",
        "http://[",
        "ftp://::1",
    ],
)
def test_the_token_is_told_to_this_machine_only(url: str) -> None:
    code, said = run(administered(), "sessions", "--url", url)
    assert code == 2
    assert "is not on this machine: write http://127.0.0.1:PORT or unix:PATH" in said


@pytest.mark.parametrize("arguments", [(), ("one", "--user", "ada")], ids=["nobody", "both"])
def test_kick_wants_an_id_or_a_user(arguments: tuple[str, ...]) -> None:
    code, said = run(administered(), "kick", *arguments)
    assert code == 2
    assert "give either an ID or --user" in said


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "unix:/nowhere.sock"])
def test_a_server_that_is_not_there_is_named(url: str) -> None:
    code, said = run(administered(), "sessions", "--url", url)
    assert code == 1
    assert f"no answer from {url}" in said
    assert TOKEN not in said


def test_a_before_request_of_the_application_holds_for_it_too() -> None:
    """The command then says what to let pass; nothing goes round a guard of the application's."""
    app = administered()
    app.before_request(lambda: abort(401))
    assert app.test_client().get("/resumehub/admin/sessions", headers=RIGHT).status_code == 401
