"""gunicorn's settings with which sessions are lost: one warning in each process, at the first upgrade."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from resumehub.wsgi import server_settings
from tests.integration.servers import complaints, gunicorn, werkzeug

APP = "tests.client.echo_app:app"
SAID = "sessions will be lost"

WORKERS = "it has 2 workers"
REQUESTS = "max_requests=50"


def lines(log: str) -> list[str]:
    return [line for line in log.splitlines() if SAID in line]


@pytest.mark.parametrize(
    "arguments, env, says",
    [
        pytest.param(["-w", "2"], {}, WORKERS, id="-w 2"),
        pytest.param(["-w", "2", "--threads", "2", "--preload"], {}, WORKERS, id="gthread, --preload"),
        pytest.param([], {"WEB_CONCURRENCY": "2"}, WORKERS, id="WEB_CONCURRENCY"),
        pytest.param(["--max-requests", "50"], {}, REQUESTS, id="--max-requests"),
        pytest.param(["--threads", "2"], {"GUNICORN_CMD_ARGS": "--max-requests 50"}, REQUESTS, id="CMD_ARGS"),
    ],
)
def test_the_first_upgrade_warns_of_them(arguments: list[str], env: dict[str, str], says: str) -> None:
    """Wherever the setting came from, the line names it, what will go wrong, and the way out."""
    with gunicorn(APP, *arguments, env=env) as server:
        with connect(f"{server.ws_url}/?id=ada"):
            pass
        log = server.stop()

    [line] = lines(log)
    assert says in line
    assert ("-w 1 --threads" in line) == (says == WORKERS)
    assert complaints(log) == []


def test_a_configuration_file_is_no_hiding_place(tmp_path: Path) -> None:
    """Both settings are in one line, and a second client is no second line."""
    file = tmp_path / "gunicorn.conf.py"
    file.write_text("workers = 1\nthreads = 4\nmax_requests = 50\n")
    with gunicorn(APP, "-c", str(file)) as server:
        for name in ("ada", "bob"):
            with connect(f"{server.ws_url}/?id={name}"):
                pass
        log = server.stop()

    [line] = lines(log)
    assert REQUESTS in line


@pytest.mark.parametrize("server", [lambda: gunicorn(APP, "--threads", "2"), lambda: werkzeug(APP)])
def test_a_server_with_one_worker_is_fine(server: Any) -> None:
    with server() as running:
        with connect(f"{running.ws_url}/?id=ada"):
            pass
        assert lines(running.stop()) == []


def test_settings_that_cannot_be_read_stop_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another release of gunicorn may keep them elsewhere: then there is no warning, and no error."""

    def broken() -> object:
        raise AttributeError("cfg")

    monkeypatch.setattr(server_settings, "_gunicorn_settings", broken)
    monkeypatch.setattr(server_settings, "_looked", {})
    server_settings.warn_once({"gunicorn.socket": None})
    assert caplog.records == []

    monkeypatch.undo()
    monkeypatch.setattr(server_settings, "_looked", {})
    server_settings.warn_once({"gunicorn.socket": None, "wsgi.multiprocess": True})
    server_settings.warn_once({"gunicorn.socket": None, "wsgi.multiprocess": True})
    [record] = caplog.records
    assert "several workers" in record.getMessage()
