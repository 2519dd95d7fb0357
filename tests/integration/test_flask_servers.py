"""The extension on real servers: a factory under gunicorn, ``flask run``, and commands that ask a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resumehub import Message
from resumehub import client as resumehub_client
from tests.integration.servers import ROOT, ServerProcess, complaints, gunicorn

TOKEN = "a-token-of-the-tests-0123456789"
APP = "tests.integration.flask_factory:create_app()"
ENV = {"SHOP_PLACE": "the shop", "SHOP_RESUMEHUB_ADMIN_TOKEN": TOKEN}


def by_gunicorn(**options: Any) -> ServerProcess:
    return gunicorn(APP, "--worker-class", "gthread", "--threads", "4", env=ENV, **options)


def by_preloading_gunicorn(**options: Any) -> ServerProcess:
    return gunicorn(APP, "--preload", "--worker-class", "gthread", "--threads", "4", env=ENV, **options)


def by_flask_run(**options: Any) -> ServerProcess:
    """``flask run`` takes the listening socket as from its own reloader."""
    command = [sys.executable, "-m", "flask", "--app", APP, "run"]
    env = {**ENV, "WERKZEUG_RUN_MAIN": "true", "WERKZEUG_SERVER_FD": "{fd}"}
    wrapped = ["env", *(f"{name}={value}" for name, value in env.items()), *command]
    return ServerProcess(wrapped, **options)


def flask(*arguments: str, **env: str) -> str:
    """The output of ``flask resumehub …``, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", APP, "resumehub", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **ENV, **env},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("serve", [by_gunicorn, by_preloading_gunicorn, by_flask_run])
def test_a_factory_is_served_and_its_sessions_are_seen_by_a_command(
    serve: Callable[..., ServerProcess],
) -> None:
    with serve() as server:
        with resumehub_client.connect(f"{server.ws_url}/ws/lobby/ada") as ada:
            ada.send(Message("where"))
            message = ada.receive(20)
            assert (message.event, message.payload) == ("here", "the shop")
            (listed,) = flask("sessions", "--json", "--url", server.url).splitlines()
            assert json.loads(listed) == {
                "id": "ada",
                "room": "lobby",
                "rooms": ["lobby"],
                "user": "ada",
                "state": "connected",
            }
            if serve is by_gunicorn:
                the_other_commands_work(server.url)
        log = server.log_text()
    assert TOKEN not in log
    assert complaints(log) == []


def the_other_commands_work(url: str) -> None:
    """They go the same way as the first one: one kind of server is enough. Each costs a start of Flask."""
    assert flask("sessions", RESUMEHUB_URL=url).splitlines() == [
        "ID   STATE      USER  ROOMS",
        "ada  connected  ada   lobby",
    ]
    assert "answered 403" in flask(
        "sessions", "--url", url, SHOP_RESUMEHUB_ADMIN_TOKEN="another-token-0123456789"
    )
    assert flask("kick", "ada", "--url", url) == "kicked 1\n"
    assert "does not have a session with the id 'ada'" in flask("kick", "ada", "--url", url)


def test_a_command_asks_by_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with by_gunicorn(unix=path):
        assert flask("sessions", "--url", f"unix:{path}") == "ID  STATE  USER  ROOMS\n"
