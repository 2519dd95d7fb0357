"""A drained hub keeps what is there and takes no new session; who comes back is let in, or is not."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import pytest

from resumehub import Hub, HubClosed
from resumehub.testing import connect
from tests.contract.hub_servers import HubServer
from tests.contract.peers import Ledger
from tests.contract.test_a_preflight import preflight
from tests.contract.v1_client import dial, refused
from tests.support import PATIENCE, Call, Stage, read

MakeStage = Callable[..., Stage]


@pytest.mark.contract("A.503-drained")
def test_a_newcomer_is_refused_and_counted(stage: MakeStage) -> None:
    """With a time to come again, by a status or by a close code that a browser can see."""
    metrics = Ledger()
    s = stage(metrics=metrics)
    s.open("ada")
    assert s.hub.drain(accept_resumes=True).left == 1

    with pytest.raises(Exception, match="503") as caught:
        s.open("bob")
    assert caught.value.header("Retry-After") == "5"
    assert json.loads(caught.value.body)["detail"] == "The server takes no new clients at the moment."
    by_close = s.open("bob", query="&reject=close")
    assert by_close.receive_close(PATIENCE) == (4503, "try again later (in 5 seconds)")

    assert metrics.of("upgrade_refused") == [(503, "draining")] * 2
    assert s.hub.stats().refused == {"draining": 2}
    assert s.hub.stats().sessions == 1


@pytest.mark.contract("A.503-drained", "A.register-resume")
def test_who_is_there_notices_nothing_and_who_comes_back_goes_on(stage: MakeStage) -> None:
    """A plain client with and without intent, a takeover, and one of the lossless protocol."""
    s = stage()
    here, away = s.open("here"), s.open("away")
    lossless = dial(s, "v1")
    s.drop(away, "away")
    s.hub.drain(accept_resumes=True)

    s.say("here", "still served")
    assert read(here) == ("n", "still served")
    s.open("away")  # it does not even say that it comes back
    s.recorder.wait_for("restore", "away")
    s.resume(here)
    s.recorder.wait_for("restore", "here")
    again = lossless.resume()
    assert again.hello["resumed"]
    assert s.hub.stats().sessions == 3


@pytest.mark.contract("A.503-drained")
def test_a_displacement_would_begin_a_session(stage: MakeStage) -> None:
    """So it is refused, and the session that has the id goes on."""
    s = stage()
    ada = s.open("ada")
    s.hub.drain(accept_resumes=True)
    assert refused(lambda: s.open("ada")) == 503
    s.say("ada", 1)
    assert read(ada) == ("n", 1)


@pytest.mark.contract("A.503-drained")
def test_nobody_is_let_in_where_no_resumes_are_accepted(stage: MakeStage) -> None:
    """Their sessions wait for them: the drain can be undone, or they end with their windows."""
    s = stage()
    away = s.open("away")
    s.drop(away, "away")
    s.hub.drain(accept_resumes=False)
    assert s.hub.stats().draining == "all"
    assert refused(lambda: s.resume(away)) == 503
    assert refused(lambda: s.open("away")) == 503
    assert s.hub.get("away").suspended
    s.hub.drain(accept_resumes=True)
    s.resume(away)
    s.recorder.wait_for("restore", "away")


@pytest.mark.contract("A.503-drained", "A3")
def test_a_preflight_says_what_a_resume_would_get(wsgi_server: Callable[..., HubServer]) -> None:
    asked = wsgi_server()
    asked.open("u1")
    asked.hub.drain(accept_resumes=True)
    assert preflight(asked).status == 204
    asked.hub.drain(accept_resumes=False)
    reply = preflight(asked)
    assert (reply.status, reply.header("Retry-After")) == (503, "5")
    assert preflight(asked, "id=nobody").status == 410
    assert asked.metrics.refused == [], "a preflight is no upgrade"


@pytest.mark.contract("A.503-drained")
def test_other_refusals_are_what_they_were(stage: MakeStage) -> None:
    """A session that is gone is gone, and an id in use is in use: a drain does not change that."""
    s = stage(on_duplicate="reject")
    s.open("ada")
    s.hub.drain(accept_resumes=True)
    assert refused(lambda: s.open("nobody", query="&resume=true")) == 410
    assert refused(lambda: s.open("ada")) == 409


@pytest.mark.contract("A5", "A.503-drained")
@pytest.mark.parametrize("undone", [False, True], ids=["drained", "undone in time"])
def test_the_hub_decides_when_the_socket_arrives(stage: MakeStage, undone: bool) -> None:
    """A newcomer that the check has let in hears 4503 when the drain has begun meanwhile."""
    metrics = Ledger()
    s = stage(metrics=metrics)

    def view(environ, start_response):
        response = s.hub.upgrade(environ, "lobby", "ada")
        s.hub.drain(accept_resumes=True)
        if undone:
            s.hub.undrain()
        return response(environ, start_response)

    ws = connect(view, "/")
    s.clients.append(ws)
    if undone:
        s.recorder.wait_for("connect", "ada")
    else:
        assert ws.receive_close(PATIENCE) == (4503, "try again later (in 5 seconds)")
        assert metrics.of("upgrade_refused") == [(503, "draining")]
        assert s.recorder.hooks() == []


def test_readiness_stats_and_log_say_so_once(stage: MakeStage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    s = stage()
    s.open("ada")
    for _ in range(2):
        s.hub.drain(accept_resumes=True)
    assert not s.hub.ready()
    assert not s.hub.closing
    assert s.hub.stats().draining == "newcomers"
    assert s.hub.undrain() == 1
    s.hub.undrain()
    assert s.hub.ready()
    assert s.hub.stats().draining == ""
    assert [line for line in caplog.messages if "drained" in line] == [
        "the hub is drained: it takes no new session, and lets its own clients resume; 1 sessions are here",
        "the hub is drained no more: it takes new sessions; 1 sessions are here",
    ]
    s.open("bob")


def test_a_hub_that_nobody_has_used_can_be_drained(stage: MakeStage) -> None:
    """Without a cluster there is nowhere to move to: a drain without a word is one that lets resumes in."""
    s = stage()
    assert s.hub.drain().left == 0
    assert refused(lambda: s.open("ada")) == 503


def test_a_closed_hub_and_a_wrong_argument_are_told(stage: MakeStage) -> None:
    hub = Hub()
    with pytest.raises(TypeError, match="accept_resumes must be True or False, or left out, not 'yes'"):
        hub.drain(accept_resumes="yes")
    hub.close()
    with pytest.raises(HubClosed):
        hub.drain(accept_resumes=True)
    with pytest.raises(HubClosed):
        hub.undrain()


def test_a_drained_hub_can_be_closed(stage: MakeStage) -> None:
    """Its clients are told that the server shuts down, and a newcomer that it is closed."""
    s = stage()
    ada = s.open("ada")
    s.hub.drain(accept_resumes=True)
    closing = Call(lambda: s.hub.close(PATIENCE))
    assert ada.receive_close(PATIENCE) == (1001, "server shutting down")
    assert closing.result().complete
    assert refused(lambda: s.open("bob")) == 503
