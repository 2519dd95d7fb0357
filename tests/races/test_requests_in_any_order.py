"""A hub and its client ask each other, and drop, resume, time out, expire or are kicked: one outcome each.

Two threads ask the client, which answers one request twice and refuses the other. The client asks, and its
deferred request is answered by two threads at once. Beside them the connection is lost and comes back, the
session is kicked, or time passes. In every order that is tried each asker has exactly one outcome, the client
is told one answer at most, and nothing of a request is left. The naive variant looks whether a request is
open, and closes it later: then two threads answer it.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from resumehub import (
    ConnectionClosed,
    ConnectionNotFound,
    Message,
    RequestFailed,
    RequestTimeout,
    SendBufferFull,
)
from resumehub.core.open_requests import ClientRequests
from resumehub.testing import Lab, NothingReceived, Peer, TransportClosed, UpgradeRefused, explore
from resumehub.testing.explorer import ScheduleFailed
from resumehub.testing.strategies import PCT, Deepening, Random

SHARE = pytest.mark.parametrize("share", [False, True], ids=["a reader each", "shared readers"])
LOST = (TransportClosed, UpgradeRefused, NothingReceived, OSError)


def in_peril(lab: Lab, alice: Peer, peril: str) -> list[Peer]:
    """Something happens to the session; the list gets the client's later connections."""
    peers = [alice]
    if peril == "drop":

        @lab.actor
        def network() -> None:
            with contextlib.suppress(*LOST):
                alice.drop()
                peers.append(alice.resume())

    elif peril == "kick":

        @lab.actor
        def application() -> None:
            with contextlib.suppress(ConnectionNotFound):
                lab.hub.kick("alice")

    else:

        @lab.actor
        def time() -> None:
            if peril == "expire":
                with contextlib.suppress(*LOST):
                    alice.drop()
            lab.advance(10)

    return peers


def is_clean(lab: Lab) -> None:
    loop = lab.hub.runner.loop
    assert loop is not None
    assert not len(loop.services.askers), "a thread is still entered as one that waits"
    for session in loop.registry.sessions.values():
        assert not len(session.own_requests)


def the_hub_asks(peril: str) -> Callable[[Lab], None]:
    def scenario(lab: Lab) -> None:
        hub = lab.open(resume_window=10, ping_interval=None)
        alice = lab.dial("/?id=alice")
        lab.run_until_idle()
        connection = hub.get("alice")
        assert connection is not None
        outcomes: dict[str, list[Any]] = {"first": [], "second": []}
        peers = in_peril(lab, alice, peril)

        def asks(name: str) -> Callable[[], None]:
            def ask() -> None:
                try:
                    outcome = connection.request(name, timeout=5)
                except (RequestFailed, RequestTimeout, ConnectionClosed, SendBufferFull) as error:
                    outcome = type(error).__name__
                outcomes[name].append(outcome)

            ask.__name__ = name
            return ask

        for name in outcomes:
            lab.actor(asks(name))

        @lab.actor
        def client() -> None:
            for _ in range(2):
                with contextlib.suppress(*LOST):
                    request = json.loads(peers[-1].receive())
                    answer = {"re": request["id"], "payload": 1}
                    if request["event"] == "second":
                        answer = {"re": request["id"], "error": {"code": "no"}}
                    for _ in range(2):
                        peers[-1].send(json.dumps(answer))

        @lab.at_end
        def each_has_one_outcome() -> None:
            assert [len(seen) for seen in outcomes.values()] == [1, 1]
            ends = {"RequestTimeout", "RequestInDoubt", "ConnectionClosed"}
            assert outcomes["first"][0] in {1, *ends}
            assert outcomes["second"][0] in {"RequestFailed", *ends}
            is_clean(lab)

        # Whoever is not answered must not wait for ever: its time is over at last.
        @lab.actor
        def the_end_of_time() -> None:
            lab.runtime.event("nothing else to happen").wait(1.0)
            lab.advance(5)
            with contextlib.suppress(ConnectionNotFound):
                lab.hub.kick("alice")  # the client waits no more, either

    return scenario


def the_client_asks(peril: str) -> Callable[[Lab], None]:
    def scenario(lab: Lab) -> None:
        hub = lab.open(resume_window=10, ping_interval=None)
        deferred: list[Message] = []

        @hub.on_message
        def later(connection: Any, message: Message) -> None:
            message.defer()
            deferred.append(message)

        alice = lab.dial("/?id=alice")
        alice.send('{"event": "ask", "id": "1"}')
        lab.run_until_idle()
        outcomes = Counter[str]()
        peers = in_peril(lab, alice, peril)

        def answers(name: str, answer: Callable[[Message], None]) -> Callable[[], None]:
            def run() -> None:
                try:
                    answer(deferred[0])
                    outcomes["answered"] += 1
                except RuntimeError:
                    outcomes["too late"] += 1
                except ConnectionClosed:
                    outcomes["closed"] += 1

            run.__name__ = name
            return run

        lab.actor(answers("replier", lambda message: message.reply("yes")))
        lab.actor(answers("refuser", lambda message: message.refuse("no")))

        @lab.at_end
        def one_answer_at_most() -> None:
            # What came before a drop cannot be read any more.
            heard = [json.loads(said) for said in peers[-1].received()] if peril != "expire" else []
            assert len([said for said in heard if said.get("re") == "1"]) <= 1, heard
            assert outcomes.total() == 2
            assert outcomes["answered"] <= 1
            if peril == "drop":
                assert outcomes["answered"] == outcomes["too late"] == 1
            is_clean(lab)

    return scenario


PERILS = ["drop", "kick", "expire", "time"]


@SHARE
@pytest.mark.parametrize("peril", PERILS)
@pytest.mark.parametrize("scenario", [the_hub_asks, the_client_asks])
def test_each_asker_has_one_outcome_in_every_order_that_is_tried(scenario, peril, share) -> None:
    """contract E3"""
    play = scenario(peril)
    explore(play, Deepening(), max_schedules=25, share=share)
    explore(play, PCT(seed=7, count=15), share=share, stop_at_locks=True)
    explore(play, Random(seed=7, count=15), share=share, stop_at_locks=True)


def test_a_table_that_lets_two_threads_answer_is_caught(monkeypatch) -> None:
    """contract E3: the naive variant asks nobody whether the request is still open."""
    monkeypatch.setattr(ClientRequests, "is_open", lambda self, request: True)
    monkeypatch.setattr(ClientRequests, "settle", lambda self, request: True)
    with pytest.raises(ScheduleFailed, match="AssertionError"):
        explore(the_client_asks("drop"), Deepening(), max_schedules=25)
