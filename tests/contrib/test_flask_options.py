"""Options from app.config and from the constructor; each mistake is named when the application starts."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from resumehub import JSONCodec
from resumehub.cluster import LocalCluster
from resumehub.contrib.flask import ResumeHub
from resumehub.contrib.flask.options import OPTIONS
from resumehub.hub import Hub
from tests.contrib.flask_apps import live, lobby, make_app


def test_every_option_of_the_hub_is_one_of_the_extension() -> None:
    arguments = inspect.signature(Hub).parameters.values()
    names = [p.name for p in arguments if p.kind is p.KEYWORD_ONLY and not p.name.startswith("_")]
    assert list(OPTIONS) == [*names, "js_url", "admin_token", "probes", "inspector", "inspector_url"]


def test_the_configuration_goes_before_the_keyword() -> None:
    codec = JSONCodec()
    sockets = ResumeHub(resume_window=5, send_buffer=10)
    app = make_app(sockets, RESUMEHUB_RESUME_WINDOW=60, RESUMEHUB_CODEC=codec)
    assert live(app).hub.config.resume_window == 60
    assert live(app).hub.config.send_buffer == 10
    assert live(app).hub.runner.codec is codec


def test_the_environment_configures_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By Flask's own way, which reads JSON."""
    monkeypatch.setenv("FLASK_RESUMEHUB_PING_INTERVAL", "null")
    monkeypatch.setenv("FLASK_RESUMEHUB_ALLOWED_ORIGINS", '["https://shop.example"]')
    app = make_app()
    app.config.from_prefixed_env()
    sockets = ResumeHub(app)
    assert sockets.hub.config.ping_interval is None
    assert sockets.hub.config.allowed_origins == ("https://shop.example",)


def test_a_path_is_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the environment can say it, which has no objects."""
    monkeypatch.setenv("FLASK_RESUMEHUB_CLUSTER", str(tmp_path / "chat"))
    app = make_app()
    app.config.from_prefixed_env()
    sockets = ResumeHub(app)
    assert live(app).options.hub["cluster"] == LocalCluster(tmp_path / "chat")
    assert sockets.hub.member is not None


def test_a_cluster_may_be_given_whole(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, name="shop", timeout=1)
    app = make_app(ResumeHub(), RESUMEHUB_CLUSTER=cluster)
    assert live(app).options.hub["cluster"] is cluster


def test_without_a_path_there_is_no_cluster() -> None:
    assert live(make_app(ResumeHub(), RESUMEHUB_CLUSTER=None)).hub.member is None


@pytest.mark.parametrize(
    "config, kind, said",
    [
        pytest.param(
            {"RESUMEHUB_RESUME_WINDWO": 60},
            ValueError,
            r'app.config\["RESUMEHUB_RESUME_WINDWO"\]: .* did you mean RESUMEHUB_RESUME_WINDOW\?',
            id="a name that is almost right",
        ),
        pytest.param(
            {"RESUMEHUB_QUUX": "red"}, ValueError, "there are RESUMEHUB_ADMIN_TOKEN, ", id="unknown"
        ),
        pytest.param(
            {"RESUMEHUB_RESUME_WINDOW": "60"},
            TypeError,
            r"app.config\[\"RESUMEHUB_RESUME_WINDOW\"\]: resume_window is '60', a str: .* seconds",
            id="a wrong type",
        ),
        pytest.param(
            {"RESUMEHUB_SEND_BUFFER_BYTES": 0},
            ValueError,
            r'app.config\["RESUMEHUB_SEND_BUFFER_BYTES"\]: send_buffer_bytes is 0: .* at least 1',
            id="a wrong value",
        ),
        pytest.param(
            {"RESUMEHUB_ALLOWED_ORIGINS": ["shop"]},
            ValueError,
            r'app.config\["RESUMEHUB_ALLOWED_ORIGINS"\]: ',
            id="no origin",
        ),
        pytest.param(
            {"RESUMEHUB_CODEC": "json"}, TypeError, r'app.config\["RESUMEHUB_CODEC"\]: ', id="no codec"
        ),
        pytest.param(
            {"RESUMEHUB_JS_URL": "client"}, ValueError, 'must be a path such as "/static/', id="no path"
        ),
        pytest.param({"RESUMEHUB_JS_URL": True}, TypeError, "is True", id="no path at all"),
        pytest.param(
            {"RESUMEHUB_INSPECTOR": True},
            TypeError,
            r'app.config\["RESUMEHUB_INSPECTOR"\] is True: it must be a function of the request',
            id="nobody who says who may look",
        ),
        pytest.param(
            {"RESUMEHUB_INSPECTOR": lambda: True},
            TypeError,
            r'app.config\["RESUMEHUB_INSPECTOR"\] takes a function of \(request\)',
            id="a function that takes no request",
        ),
        pytest.param(
            {"RESUMEHUB_INSPECTOR_URL": "/admin/"},
            ValueError,
            r'is \'/admin/\': it must be a path such as "/admin/sockets", without a slash',
            id="an inspector with a slash",
        ),
        pytest.param(
            {"RESUMEHUB_CLUSTER": True},
            TypeError,
            r'app.config\["RESUMEHUB_CLUSTER"\] is True: it must be the path of the folder',
            id="no folder at all",
        ),
        pytest.param(
            {"RESUMEHUB_CLUSTER": ""},
            ValueError,
            r'app.config\["RESUMEHUB_CLUSTER"\]: LocalCluster\(folder\) must be the path of a folder',
            id="a folder without a name",
        ),
    ],
)
def test_a_wrong_configuration_is_named(config: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        make_app(ResumeHub(), **config)


@pytest.mark.parametrize("token", ["too short", "a space in the middle", "umlaut äöü 0123456789", b"x" * 20])
def test_a_wrong_admin_token_is_not_shown(token: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r'app.config\["RESUMEHUB_ADMIN_TOKEN"\]') as told:
        make_app(ResumeHub(), RESUMEHUB_ADMIN_TOKEN=token)
    assert str(token) not in str(told.value)


def test_a_wrong_keyword_is_named() -> None:
    with pytest.raises(TypeError, match=r"ResumeHub\(resume_windwo=…\): .* did you mean resume_window\?"):
        ResumeHub(resume_windwo=5)
    with pytest.raises(ValueError, match=r"^resume_window is -1"):
        make_app(ResumeHub(resume_window=-1))


def test_an_option_that_is_set_too_late_is_found_by_the_first_client() -> None:
    """It would mean nothing, in silence."""
    app = make_app(lobby(), RESUMEHUB_RESUME_WINDOW=60)
    app.config["RESUMEHUB_SEND_BUFFER"] = 5
    with live(app), pytest.raises(RuntimeError, match="'RESUMEHUB_SEND_BUFFER'] was changed after init_app"):
        live(app).connect("/ws/lobby")
