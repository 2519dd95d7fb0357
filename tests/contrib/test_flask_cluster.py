"""The extension with a cluster: the commands of Flask ask the hub that another process holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask, current_app

from resumehub import Admission, Connection, Message
from resumehub.contrib.flask import ResumeHub
from tests.contract.peers import until
from tests.contrib.flask_apps import live
from tests.package_source import PACKAGE
from tests.support import PATIENCE


def create_app(folder: str) -> Flask:
    """As each worker, and each command of Flask, has it."""
    app = Flask("shop")
    app.config.update(SECRET_KEY="a secret of the tests", RESUMEHUB_CLUSTER=folder)
    sockets = ResumeHub(app)

    @sockets.route("/ws/<room>/<name>")
    def join(room: str, name: str) -> Admission:
        return Admission(room, name, user="ada")

    @sockets.on_start
    def begin(hub: object) -> None:
        current_app.config["BEGAN_IN"] = current_app.name

    app.config["SEEN"] = seen = []
    sockets.on_release(lambda connection: seen.append(f"{connection.id} left {current_app.name}"))
    sockets.on_adopt(lambda connection: seen.append(f"{connection.id} came to {current_app.name}"))

    @sockets.on("say")
    def say(connection: Connection, message: Message) -> None:
        sockets.broadcast(connection.room_id, Message("said", message.payload))

    return app


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "chat")


def flask(folder: str, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command of Flask, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", f"{__name__}:create_app({folder!r})", *arguments],
        cwd=PACKAGE.parent,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_commands_need_no_token_and_no_server(folder: str) -> None:
    """Who may use the folder may see and end sessions: it is the application's own user."""
    app = create_app(folder)
    with live(app):
        one, two = live(app).connect("/ws/lobby/one"), live(app).connect("/ws/games/two")
        two.drop()

        code, said = flask(folder, "resumehub", "sessions", "--json")
        assert code == 0, said
        found = {row["id"]: row for row in map(json.loads, said.splitlines())}
        assert found == {
            "one": {"id": "one", "room": "lobby", "rooms": ["lobby"], "user": "ada", "state": "connected"},
            "two": {"id": "two", "room": "games", "rooms": ["games"], "user": "ada", "state": "suspended"},
        }
        assert flask(folder, "resumehub", "kick", "one") == (0, "kicked 1\n")
        assert one.receive_close() == (1000, "kicked")
        code, said = flask(folder, "resumehub", "kick", "one")
        assert (code, said) == (1, "Error: the server does not have a session with the id 'one'\n")
        assert flask(folder, "resumehub", "kick", "--user", "ada") == (0, "kicked 1\n")


def test_a_shell_sends_to_the_sessions_of_the_server(folder: str) -> None:
    app = create_app(folder)
    with live(app), live(app).connect("/ws/lobby/one") as client:
        tell = (
            "from resumehub import Message\n"
            "app.extensions['resumehub'].hub.broadcast('lobby', Message('said', 1))\n"
        )
        done = subprocess.run(
            [sys.executable, "-m", "flask", "--app", f"{__name__}:create_app({folder!r})", "shell"],
            cwd=PACKAGE.parent,
            env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
            input=tell,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert client.receive() == Message("said", 1)
        assert app.config["BEGAN_IN"] == "shop", "on_start had the application's context"


def test_sessions_leave_and_come_in_the_applications_context(folder: str) -> None:
    """Given one that waits for its client, when the server ends and another one begins."""
    old = create_app(folder)
    with live(old):
        live(old).connect("/ws/lobby/one").drop()
    assert old.config["SEEN"] == ["one left shop"]

    new = create_app(folder)
    with live(new):
        new.extensions["resumehub"].hub.start()
        until(lambda: new.config["SEEN"] == ["one came to shop"])


def test_without_a_hub_there_are_no_sessions(folder: str) -> None:
    assert flask(folder, "resumehub", "sessions") == (0, "ID  STATE  USER  ROOMS\n")
    code, said = flask(folder, "resumehub", "kick", "one")
    assert (code, said) == (1, "Error: the server does not have a session with the id 'one'\n")


def test_a_folder_that_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    code, said = flask(str(folder), "resumehub", "sessions")
    assert (code, said) == (
        1,
        f"Error: others may write to the cluster's folder {folder} (mode 0777): chmod 0700 {folder}\n",
    )
