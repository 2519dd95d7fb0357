"""D1, table A: what a plain client says of itself when it dials, and what comes of it if it can't be true.

``received`` that was never sent, ``instance`` of another device; for ``attempt`` see ``test_d_attempt.py``.
Whoever is turned away has harmed nobody: the session goes on with the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from resumehub import DuplicateConnectionId
from resumehub.testing import UpgradeRefused, WebSocketClient
from tests.contract.hub_servers import HubServer
from tests.contract.peers import Ledger
from tests.contract.raw_client import PLAIN
from tests.contract.test_c_buffers import sized
from tests.contract.test_d_gap import LOBBY, with_gap
from tests.contract.test_d_received import MakeStage, payloads, refused, with_messages
from tests.races.stepped_hub import connect_with_gap
from tests.support import PATIENCE, Stage

STATES = pytest.mark.parametrize("state", ["suspended", "connected"])


def away(s: Stage, state: str, query: str = "") -> WebSocketClient:
    """A client to which 1, 2 and 3 were sent, and which has lost its connection, if ``state`` says so."""
    ws = with_messages(s, 1, 2, 3, query=query)
    if state == "suspended":
        s.drop(ws)
    return ws


def dial(s: Stage, query: str) -> int:
    """The status that a dial of u1 gets."""
    try:
        s.open(query=query)
    except UpgradeRefused as answer:
        return answer.status
    return 101


# -- received that can't be -----------------------------------------------------------------------


@pytest.mark.contract("D1", "A.400-received")
@STATES
@pytest.mark.parametrize(
    "received", ["4", "9" * 18, "9" * 4000, "-1", "+1", "1.0", "1e0", "x", "", " ", "\u0661", "1&received=1"]
)
def test_a_count_that_cannot_be_is_refused_and_harms_nothing(
    stage: MakeStage, state: str, received: str
) -> None:
    """More than was sent, no number, two of them: 400, and whoever counts right goes on."""
    ledger = Ledger()
    s = stage(metrics=ledger)
    ws = away(s, state)

    assert dial(s, f"&resume=true&received={received.replace('+', '%2B')}") == 400

    again = s.resume(ws, received="1")
    s.say("u1", 4)
    assert payloads(again, 3) == [2, 3, 4]
    assert ledger.of("resume_attempt") == [(*LOBBY, True)]
    assert "disconnect" not in s.recorder.hooks()


@pytest.mark.contract("D1", "A.400-received")
def test_what_only_waits_cannot_have_been_handled(stage: MakeStage) -> None:
    """It gets its number when it is written."""
    s = stage()
    ws = s.open()
    s.drop(ws)
    s.say("u1", 1)

    assert refused(s, ws, 1).status == 400
    assert payloads(s.resume(ws, received="0"), 1) == [1]


@pytest.mark.contract("D1", "A5", "A.400-received")
def test_numbers_that_began_anew_during_the_upgrade_are_1008(stage: MakeStage) -> None:
    """Another connection without a count came in between: three messages were never sent to it."""
    s = stage()
    away(s, "suspended")
    others: list[WebSocketClient] = []

    late = connect_with_gap(
        s.hub,
        lambda: others.append(s.open(query="&resume=true")),
        query="resume=true&received=3",
    )
    s.clients.append(late)

    assert late.receive_close(PATIENCE) == (1008, "received is more than was ever sent")
    s.say("u1", 4)
    assert payloads(others[0], 1) == [4]


@pytest.mark.contract("D1")
@pytest.mark.parametrize("state", ["new", "suspended"])
def test_without_resume_intent_a_count_says_nothing(stage: MakeStage, state: str) -> None:
    """It begins anew, as any connection that does not resume with a count."""
    s = stage()
    if state == "suspended":
        away(s, state)
    ws = s.open(query="&received=1")
    s.say("u1", 4)

    assert payloads(ws, 1) == [4]
    assert refused(s, ws, 2).status == 400


# -- the preflight, and those who can't see a status ----------------------------------------------


@pytest.mark.contract("D1", "A3", "A.410-gap", "A.400-received")
def test_the_preflight_says_what_a_resume_with_this_count_would_get(
    wsgi_server: Callable[..., HubServer],
) -> None:
    """It only looks: nothing ends, and no attempt is counted."""
    hub_server = wsgi_server(send_buffer_bytes=1000)
    ws = hub_server.open("u1")
    hub_server.hub.send("u1", sized(1, 100))
    hub_server.hub.broadcast("lobby", sized(2, 1001))
    hub_server.hub.send("u1", sized(3, 100))
    hub_server.drop(ws)

    answers = {n: hub_server.ask(f"id=u1&resume=true&received={n}", PLAIN) for n in ("2", "1", "3", "x")}

    assert {n: answer.status for n, answer in answers.items()} == {"2": 204, "1": 410, "3": 400, "x": 400}
    problem = answers["1"].problem()
    assert (problem["reason"], problem["first_available"]) == ("gap", 2)
    assert hub_server.metrics.resumes() == []
    assert hub_server.hub.get("u1").suspended
    hub_server.open("u1", "resume=true&received=2")


@pytest.mark.contract("D1", "A2", "A.410-gap")
def test_a_page_hears_of_the_gap_by_the_close_code(stage: MakeStage) -> None:
    """reject=close: 4100, with the same reason as in the race, and the session has ended."""
    s = stage(send_buffer_bytes=1000)
    _, connection = with_gap(s, "suspended")

    page = s.open(query="&resume=true&received=2&reject=close")
    s.clock.advance(1)

    code, reason = page.receive_close(PATIENCE)
    assert (code, json.loads(reason)) == (4100, {"reason": "gap", "first_available": 3})
    assert connection.wait_closed(PATIENCE)
    assert s.recorder.hooks().count("disconnect") == 1


# -- instance -------------------------------------------------------------------------------------


@pytest.mark.contract("D1", "A.410")
@STATES
@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("&instance=a", "&instance=b"),
        ("&instance=a", ""),
        ("", "&instance=b"),
        ("&instance=a", "&instance=A"),
    ],
    ids=["another", "none any more", "none before", "almost the same"],
)
def test_another_device_does_not_get_the_session(stage: MakeStage, state: str, first: str, then: str) -> None:
    """For it the session is gone: it may be the one that this user's other device has opened since."""
    ledger = Ledger()
    s = stage(metrics=ledger)
    away(s, state, first)

    assert dial(s, f"&resume=true&received=1{then}") == 410

    assert ledger.of("resume_attempt") == [("", "u1", False)]
    again = s.open(query=f"&resume=true&received=2{first}")
    assert payloads(again, 1) == [3]


@pytest.mark.contract("D1")
def test_a_device_gets_its_session_resume_after_resume(stage: MakeStage) -> None:
    """The nonce stays what it was at the first connect."""
    s = stage()
    ws = away(s, "suspended", "&instance=a")
    for count in (2, 3):
        ws = s.resume(ws, received="2")
        assert payloads(ws, 1) == [3]
        s.drop(ws, count=count)


@pytest.mark.contract("D1", "A3")
def test_the_preflight_knows_the_device(wsgi_server: Callable[..., HubServer]) -> None:
    hub_server = wsgi_server()
    hub_server.drop(hub_server.open("u1", "instance=a"))

    assert hub_server.ask("id=u1&resume=true&instance=b", PLAIN).status == 410
    assert hub_server.ask("id=u1&resume=true&instance=a", PLAIN).status == 204


@pytest.mark.contract("D1", "A.register-resume", "A.409")
@pytest.mark.parametrize("on_duplicate", ["replace", "reject"])
@pytest.mark.parametrize(
    ("first", "then", "same"),
    [
        ("&instance=a", "&instance=a", True),
        ("", "", True),
        ("&instance=a", "&instance=b", False),
        ("&instance=a", "", False),
        ("", "&instance=b", False),
    ],
    ids=["the same", "none", "another", "none any more", "none before"],
)
def test_without_resume_intent_only_the_same_device_gets_the_suspended_session(
    stage: MakeStage, on_duplicate: str, first: str, then: str, same: bool
) -> None:
    """Any other displaces it, or is refused, as on_duplicate says."""
    s = stage(on_duplicate=on_duplicate)
    away(s, "suspended", first)
    before = s.hub.get("u1")

    status = dial(s, then)

    assert status == (409 if on_duplicate == "reject" and not same else 101)
    if status == 409 or same:
        assert s.hub.get("u1") is before
        if same:
            s.recorder.wait_for("restore")
        assert s.recorder.hooks()[2:] == ["restore"] * same
    else:
        assert before.wait_closed(PATIENCE)
        assert isinstance(s.recorder.wait_for("disconnect"), DuplicateConnectionId)
        s.recorder.wait_for("connect", count=2)


@pytest.mark.contract("D1", "A.400-ids")
@pytest.mark.parametrize("instance", ["a" * 256, "a%00b"], ids=["too long", "control characters"])
def test_a_nonce_has_the_bounds_of_a_name(stage: MakeStage, instance: str) -> None:
    s = stage()
    assert dial(s, f"&instance={instance}") == 400
    assert dial(s, "&instance=" + "a" * 255) == 101
