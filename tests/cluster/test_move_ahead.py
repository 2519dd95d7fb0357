"""Of each session a part goes ahead of a move, while all is alive: what changes or ends then is right."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from resumehub import Hub, Message
from resumehub.cluster.moves import move_messages as m
from resumehub.cluster.moves import move_source
from resumehub.cluster.moves.move_parts import HubMoved, HubNotMoved
from resumehub.core.cluster.membership import HURRY, MOMENT, Role, Standing, pause
from resumehub.runtime.system import SystemRuntime
from resumehub.server.hub_arrival import HubArrival
from resumehub.session.session import Session
from tests.cluster.linked_hubs import LinkedHubs
from tests.cluster.two_hubs import clients, echo, payload
from tests.support import PATIENCE


def chat(runtime: SystemRuntime) -> Hub:
    hub = Hub(lambda request: ("lobby", request.args["id"], {"n": 0}), _runtime=runtime)
    hub.on_message(echo)
    return hub


def watched(two: LinkedHubs, kind: type) -> list[Any]:
    """The messages of a class that come to the target, which handles them as ever."""
    came: list[Any] = []
    handlers = two.processes[1].target.handlers
    handle = handlers[kind]

    def note(link: Any, message: Any, descriptors: Any) -> None:
        came.append(message)
        handle(link, message, descriptors)

    handlers[kind] = note  # type: ignore[index]
    return came


def test_a_session_that_changes_ends_or_begins_behind_what_went_ahead() -> None:
    """on_stop runs between the two: what went ahead is of before, and the sessions are as they are now."""
    two, late = LinkedHubs(chat), []
    same, joined, kicked = everybody = clients(two, 3)

    @two.hub.on_stop
    def on_stop(hub: Hub) -> None:
        connection = hub.get("1")
        assert connection is not None
        connection.join("news")
        connection.data["n"] = 7
        hub.kick("2")
        late.extend(clients(two, 1, first=3))

    moved = watched(two, m.SessionsMove)
    outcome = two.move()
    assert isinstance(outcome, HubMoved)
    assert (outcome.sessions, outcome.ended) == (3, ())
    assert [message.ahead for message in moved] == [(0, -1, -1)]
    assert two.hub.count("lobby") == 3
    assert kicked.receive_close()
    two.hub.broadcast("news", Message("n", "for one"))
    assert payload(joined) == "for one"
    connection = two.hub.get("1")
    assert connection is not None
    assert connection.data == {"n": 7}
    for client in (same, joined, *late):
        client.send('{"payload": 1}')
        assert payload(client) == 1
    for client in (*everybody, *late):
        client.close()
    two.close()


def test_what_was_built_is_forgotten_when_the_hub_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    two, built, build = LinkedHubs(chat), list[weakref.ref[Session]](), HubArrival.build

    def note(self: HubArrival, ahead: Any) -> Session:
        session = build(self, ahead)
        built.append(weakref.ref(session))
        return session

    monkeypatch.setattr(HubArrival, "build", note)
    [alice] = clients(two, 1)
    handlers = two.processes[1].target.handlers
    rest = handlers[m.RestMoves]
    handlers[m.RestMoves] = lambda link, message, descriptors: link.close()  # type: ignore[index]
    assert isinstance(two.move(), HubNotMoved)
    assert two.processes[1].was_dropped.wait(PATIENCE)
    gc.collect()
    assert [one() for one in built] == [None]
    handlers[m.RestMoves] = rest  # type: ignore[index]
    assert isinstance(two.move(), HubMoved)
    alice.send('{"payload": 1}')
    assert payload(alice) == 1
    alice.close()
    two.close()


@pytest.mark.parametrize("link_ends", [False, True], ids=["hangs", "is gone"])
def test_a_target_that_does_not_say_that_it_goes_on_costs_the_old_process_nothing(
    monkeypatch: pytest.MonkeyPatch, link_ends: bool
) -> None:
    """Behind the commit the old process gives it a head start, but forgets its sessions all the same."""
    monkeypatch.setattr(move_source, "HEAD_START", PATIENCE if link_ends else 0.01)
    two = LinkedHubs(chat)
    [alice] = clients(two, 1)
    old = two.processes[0]

    def say_nothing(link: Any, message: Any, descriptors: Any) -> None:
        if link_ends:
            link.close()

    old.source.handlers[m.HubGoesOn] = say_nothing  # type: ignore[index]
    assert isinstance(two.move(), HubMoved)
    assert old.hub.stats().sessions == 0
    alice.send('{"payload": 1}')
    assert payload(alice) == 1
    alice.close()
    two.close()


@pytest.mark.parametrize(
    "message",
    [
        m.SessionsAhead("x", 0, b"\x00\x02nothing that is known"),
        m.SessionsAhead("x", 0, b"\xff\xff"),
        m.SessionsMove("x", 0, (False,), (False,), (0,), b"", b"\x00\x02"),
        m.SessionsMove("x", 0, (), (), (), b"", b"\x00\x02"),
    ],
    ids=["damaged", "another release's", "the rest of what has not come", "no rest"],
)
def test_damage_drops_the_move(message: Any) -> None:
    two = LinkedHubs(chat)
    source, _ = two.link()
    source.send(m.MoveOffer("x", "a life", 1, 0))
    source.send(message)
    assert two.processes[1].was_dropped.wait(PATIENCE)
    two.close()


def test_the_hubs_byte_is_looked_at_again_soon_where_a_hub_moves_to() -> None:
    """It gets free a moment behind the commit. A source that was stopped there costs no processor time."""
    pauses, at = [MOMENT], Standing(Role.TAKING)
    while pauses[-1] < HURRY:
        pauses.append(pause(at, sum(pauses)))
    assert pause(at, 0.0) == MOMENT
    assert len(pauses) < 10
    assert pause(Standing(Role.LOOKING), 0.0) == HURRY
