"""Rows eight and nine of table A: ids and counts that come from outside."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.contract.hub_servers import HubServer
from tests.contract.raw_client import PLAIN, Headers

UNFIT = [
    pytest.param("x" * 256, id="256 characters"),
    pytest.param("x" * 20_000, id="20,000 characters"),
    pytest.param("a\nb", id="a line feed"),
    pytest.param("a\r\nSet-Cookie: x=1", id="a smuggled header"),
    pytest.param("\0", id="a NUL"),
    pytest.param("a\x1b[31m", id="a terminal's escape"),
    pytest.param("a\x7f", id="a DEL"),
    pytest.param("a\x85b", id="a C1 control"),
]


@pytest.mark.contract("A.400-ids", "A1")
@pytest.mark.parametrize("name", UNFIT)
@pytest.mark.parametrize("which", ["id", "room"])
@pytest.mark.parametrize("query", ["", "&resume=true"], ids=["connecting", "resuming"])
def test_ids_that_would_break_logs_are_refused(
    hub_server: Callable[..., HubServer], name: str, which: str, query: str
) -> None:
    """An application that takes ids from the URL cannot be made to log or send what an attacker wrote."""
    strict = hub_server()
    other = "room=lobby" if which == "id" else "id=u1"

    reply = strict.ask(f"{other}&{which}={quote(name)}{query}")

    assert reply.status == 400
    assert {"id": "connection_id", "room": "room_id"}[which] in reply.problem()["detail"]
    assert len(reply.body) < 500
    assert strict.hub.rooms() == []


@pytest.mark.contract("A.400-ids", "A1")
@pytest.mark.parametrize(
    "query, headers",
    [
        pytest.param("room=", {}, id="an anonymous client"),
        pytest.param("room=&id=u1", {}, id="a client"),
        pytest.param("room=&id=u1&resume=true", {}, id="a resume"),
        pytest.param("room=&id=u1&resume=true", PLAIN, id="a preflight"),
    ],
)
def test_a_room_has_a_name(hub_server: Callable[..., HubServer], query: str, headers: Headers) -> None:
    """An empty room id is a mistake, and not a room that everybody meets in."""
    nameless = hub_server()

    reply = nameless.ask(query, headers)

    assert reply.status == 400
    assert "room_id" in reply.problem()["detail"]
    assert nameless.hub.rooms() == []


FIT = [
    pytest.param("x" * 255, id="255 characters"),
    pytest.param("日本" * 100, id="200 characters of three bytes"),
    pytest.param("a b/c?d&e=f%g", id="characters that mean something in URLs"),
    pytest.param("\u202e\u200b", id="marks that only look dangerous"),
    pytest.param("'\"<script>", id="quotes and angles"),
    pytest.param(" ", id="a blank"),
    pytest.param("0", id="a zero"),
]


@pytest.mark.contract("A.400-ids", "A.101")
@pytest.mark.parametrize("name", FIT)
def test_any_other_id_is_taken_as_it_is(hub_server: Callable[..., HubServer], name: str) -> None:
    """Ids are the application's business: neither their alphabet nor their bytes are restricted."""
    open_minded = hub_server()

    open_minded.knock(f"id={quote(name)}&room={quote(name)}").websocket()

    connection = open_minded.hub.get(name)
    assert connection is not None
    assert (connection.id, connection.room_id) == (name, name)


@pytest.mark.contract("A.400-ids", "A.101")
@pytest.mark.parametrize("query", ["", "id="], ids=["None", "an empty str"])
def test_without_an_id_the_hub_makes_one(hub_server: Callable[..., HubServer], query: str) -> None:
    """Anonymous clients are told apart by long random ids."""
    generous = hub_server()
    generous.knock(query).websocket()
    generous.knock(query).websocket()

    first, second = generous.hub.connections("lobby")
    assert first.id != second.id
    assert min(len(first.id), len(second.id)) >= 20


NO_COUNTS = [
    "",
    "-1",
    "+1",
    "1.0",
    "1e3",
    " 1",
    "1 ",
    "0x10",
    "1_000",
    "one",
    "NaN",
    "\uff11",
    "\u00b2",
    "9" * 19,
    "9" * 5000,
]


@pytest.mark.contract("A.400-received", "A1")
@pytest.mark.parametrize("count", NO_COUNTS, ids=lambda count: repr(count[:20]))
@pytest.mark.parametrize("name", ["received", "attempt"])
def test_a_count_is_a_plain_number(hub_server: Callable[..., HubServer], count: str, name: str) -> None:
    """A client that miscounts is told so, and its waiting session is not harmed."""
    counting = hub_server()
    counting.drop(counting.open("u1"))

    reply = counting.ask(f"id=u1&resume=true&{name}={quote(count)}")

    assert reply.status == 400
    assert name in reply.problem()["detail"]
    assert counting.hub.get("u1").suspended
    assert counting.metrics.resumes() == []
    counting.open("u1", "resume=true")


@pytest.mark.contract("A.400-received")
def test_every_count_is_looked_at(hub_server: Callable[..., HubServer]) -> None:
    """A good count does not make up for one that is nonsense."""
    assert hub_server().ask("id=u1&received=0&attempt=-1").status == 400


TWICE = [
    f"{name}={first}&{other}={second}"
    for name, good, bad in [
        ("resume", "true", "false"),
        ("reject", "close", "status"),
        ("received", "0", "1"),
        ("attempt", "1", "2"),
        ("instance", "mine", "yours"),
    ]
    for first, second in [(good, good), (good, bad), (bad, good), (good, ""), ("", good), ("", "")]
    for other in (name, f"%{ord(name[0]):x}{name[1:]}")
]


@pytest.mark.contract("A.400-twice", "A1", "A2")
@pytest.mark.parametrize("query", TWICE)
@pytest.mark.parametrize("headers", [{}, PLAIN], ids=["a handshake", "a plain GET"])
def test_a_parameter_of_ours_is_given_once(
    hub_server: Callable[..., HubServer], query: str, headers: Headers
) -> None:
    """The hub guesses at none of two values, equal or not: 400, `connect` is not asked, nothing is harmed."""
    counting = hub_server()
    counting.drop(counting.open("u1", "instance=mine"))
    name = query.partition("=")[0]

    reply = counting.ask(f"id=u1&{query}", headers)

    assert (reply.status, reply.problem()["detail"].split()[3]) == (400, name)
    assert counting.hub.get("u1").suspended
    assert counting.metrics.resumes() == []


@pytest.mark.contract("A.400-twice", "A2")
def test_a_refusal_that_comes_before_is_told_as_a_status(hub_server: Callable[..., HubServer]) -> None:
    """Of two wishes how to be refused none counts, though one of them is for a close code."""
    closing = hub_server()
    closing.open("u1")
    closing.hub.close(0)

    assert closing.ask("id=u1&reject=close&reject=close").status == 503


@pytest.mark.contract("A.400-twice")
def test_parameters_of_the_application_may_come_as_often_as_they_like(
    hub_server: Callable[..., HubServer],
) -> None:
    """The hub's rule is for the hub's names only, as they are written on the page On the wire."""
    hub_server().open("u1", "tag=a&tag=b&Resume=true&Resume=true")


@pytest.mark.contract("A.400-received")
def test_a_preflight_checks_counts_too(hub_server: Callable[..., HubServer]) -> None:
    """The preflight says what the resume would be answered."""
    counting = hub_server()
    counting.open("u1")

    assert counting.ask("id=u1&resume=true&received=x", PLAIN).status == 400
