"""Calls of a worker: results, errors and order are those of the hub's process."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from resumehub import (
    Connection,
    ConnectionClosed,
    Hub,
    Message,
    RequestFailed,
    RequestInDoubt,
    RequestTimeout,
)
from resumehub.cluster.calls.remote_connection import RemoteConnection
from resumehub.errors import HubUnavailable, NotHere
from tests.cluster.calling import Pair, Process, pair
from tests.contract.test_e_asking import answer, asked
from tests.support import Call, Stage, read, with_users

__all__ = ["pair"]

# -- the table: every method, at home and at a worker -------------------------------------

Deed = Callable[[Hub], Any]


def look(connection: Connection | None) -> Any:
    """What a handle says of its session."""
    if connection is None:
        return None
    names = ("id", "life", "room_id", "rooms", "user", "id_is_generated", "suspended", "closed")
    return {name: getattr(connection, name) for name in names}


def handle(hub: Hub, connection_id: str = "u1") -> Connection:
    connection = hub.get(connection_id)
    assert connection is not None
    return connection


def changed(hub: Hub, change: Callable[[Connection], Any], after: Callable[[Connection], Any]) -> Any:
    """What ``change`` gives, and what is true behind it."""
    connection = handle(hub)
    given = change(connection)
    if isinstance(connection, RemoteConnection):
        connection.refresh()
    return given, after(connection)


HUB: dict[str, list[Deed]] = {
    "send": [
        lambda hub: hub.send("u1", Message("n", 1)),
        lambda hub: hub.send("nobody", Message("n", 1)),
        lambda hub: hub.send("u1", Message("n", "x" * 2000)),
        lambda hub: [hub.send("u2", Message("n", number)) for number in range(5)],
    ],
    "broadcast": [
        lambda hub: hub.broadcast("lobby", Message("n", 1)),
        lambda hub: hub.broadcast(["lobby", "news", "nowhere"], Message("n", 1), exclude=["u1"]),
        lambda hub: hub.broadcast("lobby", Message("n", 1), exclude=hub.get("u1")),
        lambda hub: hub.broadcast("lobby", Message("n", 1), exclude=hub.connections("lobby")),
    ],
    "send_to_user": [
        lambda hub: hub.send_to_user("ada", Message("n", 1)),
        lambda hub: hub.send_to_user("nobody", Message("n", 1)),
    ],
    "kick": [
        lambda hub: (hub.kick("u1"), hub.get("u1"), hub.ids("lobby")),
        lambda hub: hub.kick("nobody"),
    ],
    "kick_user": [lambda hub: (hub.kick_user("ada"), hub.rooms()), lambda hub: hub.kick_user("nobody")],
    "end_all": [lambda hub: (hub.end_all("the season is over"), hub.rooms(), hub.end_all("again"))],
    "get": [lambda hub: look(hub.get("u1")), lambda hub: look(hub.get("u2")), lambda hub: hub.get("nobody")],
    "connections": [
        lambda hub: [look(one) for one in hub.connections("lobby")],
        lambda hub: [look(one) for one in hub.connections(user="ada")],
        lambda hub: hub.connections("nowhere"),
        lambda hub: hub.connections(user="nobody"),
    ],
    "ids": [lambda hub: hub.ids("lobby"), lambda hub: hub.ids("lobby", 1), lambda hub: hub.ids("nowhere")],
    "count": [lambda hub: hub.count("lobby"), lambda hub: hub.count("nowhere")],
    "rooms": [lambda hub: sorted(hub.rooms())],
    "stats": [lambda hub: hub.stats()],
    "cut": [lambda hub: hub.cut("u2"), lambda hub: hub.cut("nobody")],
}

CONNECTION: dict[str, list[Deed]] = {
    "id": [lambda hub: handle(hub).id],
    "life": [lambda hub: handle(hub).life],
    "room_id": [lambda hub: handle(hub).room_id],
    "rooms": [lambda hub: handle(hub).rooms],
    "user": [lambda hub: handle(hub).user, lambda hub: handle(hub, "u2").user],
    "id_is_generated": [lambda hub: handle(hub).id_is_generated],
    "suspended": [lambda hub: handle(hub).suspended, lambda hub: handle(hub, "u2").suspended],
    "closed": [
        lambda hub: handle(hub).closed,
        lambda hub: changed(hub, lambda one: one.close(), lambda one: one.closed),
    ],
    "undelivered": [
        lambda hub: (hub.send("u2", Message("n", 7)), handle(hub, "u2").undelivered),
        lambda hub: handle(hub).undelivered,
    ],
    "send": [
        lambda hub: handle(hub).send(Message("n", 1)),
        lambda hub: changed(hub, lambda one: one.close(), lambda one: one.send(Message("n", 1))),
        lambda hub: [handle(hub, "u2").send(Message("n", number)) for number in range(5)],
        lambda hub: handle(hub).send(Message("$n", 1)),
        lambda hub: handle(hub).send(Message("n", {1})),
    ],
    "request": [
        lambda hub: handle(hub, "u2").request("ask", timeout=0),
        lambda hub: handle(hub, "u2").request("ask", timeout="soon"),
        lambda hub: handle(hub, "u2").request("$ask"),
        lambda hub: handle(hub, "u2").request("ask", "x" * 2000),
        lambda hub: changed(hub, lambda one: one.close(), lambda one: one.request("ask")),
    ],
    "join": [
        lambda hub: changed(hub, lambda one: one.join("tea"), lambda one: one.rooms),
        lambda hub: changed(hub, lambda one: one.join("lobby"), lambda one: one.rooms),
        lambda hub: handle(hub).join("x" * 256),
        lambda hub: [handle(hub).join(f"room {number}") for number in range(9)],
        lambda hub: changed(hub, lambda one: one.close(), lambda one: one.join("tea")),
    ],
    "leave": [
        lambda hub: changed(hub, lambda one: one.leave("news"), lambda one: one.rooms),
        lambda hub: handle(hub).leave("lobby"),
        lambda hub: handle(hub).leave(""),
        lambda hub: handle(hub).leave("nowhere"),
        lambda hub: changed(hub, lambda one: one.close(), lambda one: one.leave("news")),
    ],
    "close": [
        lambda hub: changed(hub, lambda one: one.close(), lambda one: (one.close(), hub.get("u1"))),
    ],
    "wait_closed": [
        lambda hub: changed(hub, lambda one: one.close(), lambda one: one.wait_closed(20.0)),
        lambda hub: handle(hub).wait_closed(0.001),
    ],
}

ELSEWHERE = {
    "close": "the end of this process's part: tests/cluster/test_member.py",
    "ready": "the same: each process says it of itself",
    "start": "the same",
    "drain": "the same",
    "undrain": "the same",
    "health": "the same",
    "closing": "of this process",
    "wsgi_app": "dials: tests/cluster/test_dials.py",
    "upgrade": "the same",
    "data": "stays in the hub's process: test_data_is_not_here",
    "refresh": "only a RemoteConnection has it",
    "__enter__": "as close",
    "__exit__": "as close",
}
"""Methods that are no call of the hub → why, and where they are tested."""


def public(kind: type) -> set[str]:
    """The names of a class that users see; hooks are told by their name."""
    names = {name for one in kind.__mro__[:-1] for name in vars(one) if not name.startswith("_")}
    return {name for name in names if not name.startswith("on_")}


def test_every_method_is_in_the_table() -> None:
    """A new one without a form for workers fails here."""
    assert public(Hub) - set(ELSEWHERE) == set(HUB)
    assert public(Connection) - {"data"} == set(CONNECTION)


def test_a_remote_connection_has_all_that_a_connection_has() -> None:
    """And nothing of it asks for a session that is not there."""
    own = set(vars(RemoteConnection))
    assert public(Connection) - own == set()
    for name in public(Connection):
        one, other = getattr(Connection, name), getattr(RemoteConnection, name)
        if inspect.isfunction(one):
            assert inspect.signature(one) == inspect.signature(other), name


def outcome(deed: Deed, hub: Hub) -> Any:
    """What it gives, or raises: class, attributes, text."""
    try:
        return "gives", deed(hub)
    except Exception as error:
        return "raises", type(error), vars(error), re.sub(r"has \d+ bytes", "has … bytes", str(error))


def heard(stage: Stage) -> list[str]:
    """What each client has got, up to a last word."""
    texts = []
    for number, ws in enumerate(stage.clients):
        name = f"u{number + 1}"
        if stage.hub.get(name) is not None and not stage.hub.get(name).suspended:  # type: ignore[union-attr]
            stage.hub.send(name, Message("last"))
            while (said := read(ws)) != ("last", None):
                texts.append(f"{name}: {said}")
    return texts


def furnish(stage: Stage) -> None:
    """u1 (of ada, in two rooms, connected), u2 (of ben, suspended, with room for 4 messages), u3 of ada."""
    stage.open("u1", query="&user=ada")
    ws = stage.open("u2", query="&user=ben")
    stage.open("u3", room="tea", query="&user=ada")
    handle(stage.hub).join("news")
    stage.drop(ws, "u2")


OPTIONS: dict[str, Any] = {"send_buffer": 4, "send_buffer_bytes": 1000, "max_rooms": 4}

DEEDS = [
    pytest.param(deed, id=f"{kind} {name} {number}")
    for kind, table in (("hub", HUB), ("connection", CONNECTION))
    for name, deeds in table.items()
    for number, deed in enumerate(deeds)
]


@pytest.mark.parametrize("deed", DEEDS)
def test_a_call_has_the_same_outcome_at_a_worker(pair: Callable[..., Pair], stage: Any, deed: Deed) -> None:
    """Results, exceptions and their texts; and what clients get."""
    home = stage(with_users, **OPTIONS)
    away = pair(**OPTIONS)
    furnish(home)
    furnish(away.stage)
    lives = {handle(home.hub, name).life: handle(away.stage.hub, name).life for name in ("u1", "u2", "u3")}

    expected = replaced(outcome(deed, home.hub), lives)
    call = Call(lambda: outcome(deed, away.hub))
    while call.is_under_way():
        away.holder.server.tick()
    assert call.result() == expected
    assert heard(away.stage) == heard(home)


def replaced(value: Any, lives: dict[str, str]) -> Any:
    """``value`` with the lives of the other hub's sessions."""
    if isinstance(value, str):
        return lives.get(value, value)
    if isinstance(value, dict):
        return {key: replaced(one, lives) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(replaced(one, lives) for one in value)
    return value


# -- a hub that is closed, or was never used ----------------------------------------------


@pytest.mark.parametrize("deed", [deed for name in HUB if name != "connections" for deed in HUB[name]])
def test_a_hub_that_was_never_used_answers_the_same(
    pair: Callable[..., Pair], stage: Any, deed: Deed
) -> None:
    assert outcome(deed, pair().hub) == outcome(deed, stage(with_users).hub)


def test_a_process_that_stops_leaves_calls_to_the_next_hub(pair: Callable[..., Pair]) -> None:
    """Its hub object is closed, its sessions are parked: no other process is told that the hub was closed."""
    p = pair()
    p.stage.hub.close()
    call = Call(lambda: p.hub.count("lobby"))
    assert call.is_under_way()
    p.link.close()
    other = Process(3)
    other.holds_the_hub("another life")
    p.worker.link_to(other)
    with pytest.raises(HubUnavailable):
        call.result()
    assert p.hub.count("lobby") == 0


# -- requests -----------------------------------------------------------------------------


def test_a_worker_asks_a_client(pair: Callable[..., Pair]) -> None:
    """The payload of the answer comes back; the link carries other calls meanwhile."""
    p = pair()
    ws = p.stage.open()
    call = Call(lambda: handle(p.hub).request("colour", {"of": "sky"}))
    request = asked(ws)
    assert (request["event"], request["payload"]) == ("colour", {"of": "sky"})
    assert p.hub.count("lobby") == 1
    answer(ws, request, payload=["blue", 1.5, None])
    assert call.result() == ["blue", 1.5, None]


def test_many_requests_of_a_worker_wait_at_once(pair: Callable[..., Pair]) -> None:
    """Each gets its own answer; and no thread of the hub's process waits for any of them."""
    p = pair()
    ws = p.stage.open()
    calls = {number: Call(lambda number=number: handle(p.hub).request("n", number)) for number in range(20)}
    requests = [asked(ws) for _ in calls]
    for request in reversed(requests):
        answer(ws, request, payload=request["payload"] * 10)
    assert {number: call.result() for number, call in calls.items()} == {n: n * 10 for n in range(20)}


def test_a_refusal_is_raised_at_the_worker(pair: Callable[..., Pair]) -> None:
    p = pair()
    ws = p.stage.open()
    call = Call(lambda: handle(p.hub).request("ask"))
    answer(ws, asked(ws), error={"code": "no", "message": "not now"})
    with pytest.raises(RequestFailed, match="no: not now"):
        call.result()


def test_a_request_of_a_worker_times_out_at_the_hub(pair: Callable[..., Pair]) -> None:
    p = pair()
    ws = p.stage.open()
    call = Call(lambda: handle(p.hub).request("ask", timeout=5.0))
    asked(ws)
    p.stage.clock.advance(5.1)
    with pytest.raises(RequestTimeout, match="no answer to the request 'ask' within 5 seconds"):
        call.result()


def test_a_request_of_a_worker_ends_with_its_session(pair: Callable[..., Pair]) -> None:
    p = pair()
    ws = p.stage.open()
    call = Call(lambda: handle(p.hub).request("ask"))
    asked(ws)
    p.hub.kick("u1")
    with pytest.raises(RequestInDoubt):
        call.result()


def test_wait_closed_of_a_worker_ends_when_on_disconnect_has_returned(pair: Callable[..., Pair]) -> None:
    p = pair()
    p.stage.open()
    connection = handle(p.hub)
    call = Call(connection.wait_closed)
    while not p.holder.server.waits():
        p.hub.count("lobby")
    p.hub.kick("u1")
    p.stage.recorder.wait_for("disconnect")
    ended = p.stage.recorder.connections[0].wait_closed(20)
    p.holder.server.tick()
    assert ended
    assert call.result() is True


# -- handles ------------------------------------------------------------------------------


def test_data_is_not_here(pair: Callable[..., Pair]) -> None:
    """It says where handlers run."""
    p = pair()
    p.stage.open()
    connection = handle(p.hub)
    with pytest.raises(NotHere, match="where the hub is, and handlers run"):
        connection.data  # noqa: B018
    with pytest.raises(NotHere):
        connection.data = {}
    assert repr(connection) == "<RemoteConnection 'u1' in room 'lobby', connected when it was looked at>"


def test_a_handle_is_of_one_life(pair: Callable[..., Pair]) -> None:
    """The next session of the id is another one."""
    p = pair()
    p.stage.open()
    connection = handle(p.hub)
    p.hub.kick("u1")
    ws = p.stage.open()
    with pytest.raises(ConnectionClosed):
        connection.send(Message("n", "for the first"))
    connection.close()
    connection.leave("news")
    assert connection.refresh() is False
    assert connection.closed
    assert connection.undelivered == []
    p.hub.send("u1", Message("n", "for the second"))
    assert read(ws) == ("n", "for the second")


def test_refresh_sees_what_has_changed(pair: Callable[..., Pair]) -> None:
    p = pair()
    ws = p.stage.open()
    connection = handle(p.hub)
    handle(p.stage.hub).join("news")
    p.stage.drop(ws)
    assert (connection.rooms, connection.suspended) == (("lobby",), False)
    assert connection.refresh() is True  # type: ignore[attr-defined]
    assert (connection.rooms, connection.suspended) == (("lobby", "news"), True)


# -- history -----------------------------------------------------------------------------


def test_a_broadcast_of_a_worker_is_kept_in_the_history(pair: Callable[..., Pair]) -> None:
    """With its mark, within the room's number, and not for whom it excludes."""
    p = pair(history={"lobby": 2})
    p.stage.open("early", room="tea")
    for number in range(3):
        p.hub.broadcast("lobby", Message("n", number))
    p.hub.broadcast("tea", Message("n", "not kept"))
    ws = p.stage.open()
    assert [ws.receive() for _ in range(2)] == [
        '{"event":"n","payload":1,"history":true}',
        '{"event":"n","payload":2,"history":true}',
    ]


def test_what_the_history_function_raises_is_raised_at_the_worker(pair: Callable[..., Pair]) -> None:
    def history(room_id: str) -> int:
        raise LookupError(room_id)

    p = pair(history=history)
    with pytest.raises(LookupError, match="lobby"):
        p.hub.broadcast("lobby", Message("n"))


# -- where the hub is ---------------------------------------------------------------------


def test_without_a_hub_nothing_is_sent() -> None:
    worker = Process(2, timeout=0.01)
    with pytest.raises(HubUnavailable, match="nothing was sent, so it may be called again") as caught:
        worker.hub.send("u1", Message("n"))
    assert caught.value.sent is False
    worker.leave()
