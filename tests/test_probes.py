"""``/livez`` and ``/readyz``: what an orchestrator is told, and what it is not."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client

from resumehub import Hub, SystemClock
from resumehub.contrib.flask import ResumeHub
from resumehub.health import Check, Health
from resumehub.wsgi.probes import probes
from tests.contract.peers import Gate, Ledger, until
from tests.support import PATIENCE, Call
from tests.test_dead_hub import die


def asked(hub: Any, path: str, **how: Any) -> tuple[int, list[str]]:
    """The status, and the names of what failed."""
    reply = Client(probes(hub, **how)).get(path)
    assert reply.mimetype == "application/json"
    assert reply.headers["Cache-Control"] == "no-store"
    body = reply.json
    assert body is not None
    assert body["ok"] == (reply.status_code == 200)
    assert body["failed"] == [name for name, check in body["checks"].items() if not check["ok"]]
    return reply.status_code, body["failed"]


def both(hub: Any) -> tuple[tuple[int, list[str]], tuple[int, list[str]]]:
    return asked(hub, "/livez"), asked(hub, "/readyz")


FINE = (200, [])


def test_a_hub_is_alive_and_ready_before_its_first_client_and_when_it_is_full(stage) -> None:
    """In a full hub its own clients must find their way back."""
    one = stage(max_sessions=1)
    assert both(one.hub) == (FINE, FINE)
    one.open()
    assert both(one.hub) == (FINE, FINE)


def test_a_drained_and_a_closed_hub_are_alive_and_not_ready(stage) -> None:
    """A restart would mend nothing, and end the sessions."""
    one = stage()
    one.hub.drain(accept_resumes=True)
    assert both(one.hub) == (FINE, (503, ["draining"]))
    one.hub.undrain()
    assert both(one.hub) == (FINE, FINE)
    one.hub.close(PATIENCE)
    assert both(one.hub) == (FINE, (503, ["open"]))


def test_a_thread_that_has_died_is_for_a_restart(stage) -> None:
    one = stage()
    ws = one.open()
    die(one.hub)
    assert ws.receive_close(PATIENCE)[0] == 1006
    assert both(one.hub) == ((503, ["threads"]), (503, ["threads"]))


def test_a_hub_that_lags_gets_nobody_new_and_one_that_hangs_is_restarted(stage) -> None:
    """The limits are those of the caller; here they are next to nothing."""
    ledger = Ledger()
    one = stage(clock=SystemClock(), metrics=ledger, ping_interval=None)
    one.open()
    one.recorder.wait_for("connect")
    gate = ledger.held["u1"] = Gate()
    kick = Call(lambda: one.hub.kick("u1"))
    gate.wait_reached()
    try:
        until(lambda: one.hub.health().lag > 1e-6)
        assert asked(one.hub, "/readyz", max_lag=1e-6) == (503, ["lag"])
        assert asked(one.hub, "/livez", stuck_after=1e-6) == (503, ["hub"])
        assert both(one.hub) == (FINE, FINE)
    finally:
        gate.open()
        kick.result()


@pytest.mark.parametrize(
    ("health", "failed"),
    [
        (Health(cluster=Check(True, "")), []),
        (Health(cluster=Check(False, "")), ["cluster"]),
        (Health(stopping=True, cluster=Check(True, "")), ["draining"]),
    ],
)
def test_what_a_cluster_lacks_is_for_readiness_alone(health: Health, failed: list[str]) -> None:
    """The hub is in another process: a restart of this one would not bring it back."""
    assert [name for name, check in health.ready().items() if not check.ok] == failed
    assert all(check.ok for check in health.alive().values())


def test_no_session_is_named_and_the_reason_is_in_words(stage) -> None:
    one = stage()
    one.open("secret-id", room="secret-room")
    one.recorder.wait_for("connect")
    one.hub.drain(accept_resumes=False)
    text = Client(probes(one.hub)).get("/readyz").text
    assert "secret" not in text
    assert "the hub is drained (all are refused)" in text


def test_other_paths_are_the_applications() -> None:
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "hello")
    app.wsgi_app = probes(Hub(), app.wsgi_app, livez="/alive")  # type: ignore[method-assign]
    browser = app.test_client()
    assert browser.get("/").text == "hello"
    assert browser.get("/alive").status_code == 200
    assert browser.get("/livez").status_code == 404
    assert (browser.post("/readyz").status_code, browser.head("/readyz").status_code) == (405, 200)
    assert Client(probes(Hub())).get("/").status_code == 404


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"livez": "alive"}, """livez is 'alive': it must be a path that begins with "/\""""),
        ({"max_lag": 0}, "max_lag is 0: it must be a number of seconds above 0"),
    ],
)
def test_wrong_arguments_are_told(how: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        probes(Hub(), **how)


def test_the_extension_answers_where_its_option_says_so() -> None:
    """In front of the application: a login that it asks of everybody is not asked of a probe."""
    for option, status in ((True, 200), (False, 401)):
        app = Flask(__name__)
        ResumeHub(app, probes=option)
        app.before_request(lambda: ("log in", 401))
        assert app.test_client().get("/readyz").status_code == status
    app = Flask(__name__)
    app.config["RESUMEHUB_PROBES"] = 1
    with pytest.raises(TypeError, match=r'app.config\["RESUMEHUB_PROBES"\] is 1: it must be True or False'):
        ResumeHub(app)
