"""Requests between a real client and a real hub, in the lab, over a network that fails (contract E3).

Every thread of both is under one scheduler. However it is cut, and in whatever order the threads run: each
request is handled once and its caller gets its own answer, or is told that it is in doubt.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from resumehub import Connection, Message
from resumehub.client import Client, State
from resumehub.errors import ConnectionClosed, RequestError, RequestFailed, RequestInDoubt
from resumehub.router import Router
from resumehub.testing import PCT, Deepening, Lab, explore
from tests.client.network import Cut, Network

NUMBERS = (1, 2)

#: Every byte of the handshake is not needed: test_both_ends.py has those.
STRIDE = 13


class Scene:
    """A hub that doubles numbers, a client that asks, and how often each number was handled."""

    def __init__(self, lab: Lab, *cuts: Cut, on_message: Any = None) -> None:
        self.lab = lab
        self.handled: Counter[int] = Counter()
        self.outcomes: dict[int, Any] = {}
        router = Router()
        router.on("double", int)(self._double)
        self.hub = lab.open(resume_window=30)
        self.hub.on_message(router)
        self.network = Network(self.hub, lab.runtime, *cuts)
        self.client: Client = self.network.client(clock=lab.clock, on_message=on_message)

    def _double(self, connection: Connection, message: Message) -> int:
        self.handled[message.payload] += 1
        return int(2 * message.payload)

    def ask(self, number: int) -> None:
        """As a thread of the application."""
        try:
            self.outcomes[number] = self.client.request("double", number, timeout=None)
        except (ConnectionClosed, RequestFailed) as error:
            self.outcomes[number] = error

    def leave(self) -> None:
        self.client.close()
        assert self.client.state in (State.CLOSED, State.EXPIRED)
        self.network.close()


def asking(lab: Lab, *cuts: Cut, measured: bool = False) -> Scene:
    """Two threads ask as soon as they can."""
    scene = Scene(lab, *cuts)
    scene.network.measured = measured

    @lab.actor
    def first() -> None:
        scene.ask(NUMBERS[0])

    @lab.actor
    def second() -> None:
        scene.ask(NUMBERS[1])

    @lab.at_end
    def each_was_handled_once_and_answered() -> None:
        lab.advance(2.0)
        lab.run_until_idle()
        assert scene.outcomes == {number: 2 * number for number in NUMBERS}
        assert scene.handled == dict.fromkeys(NUMBERS, 1)
        assert scene.client.stats().waiting == 0
        scene.leave()

    return scene


@pytest.mark.contract("E3")
@pytest.mark.parametrize("to_server", [True, False], ids=["to the server", "from the server"])
def test_requests_survive_a_cut_at_any_byte(to_server: bool) -> None:
    """Contract E3: in the request, in its acknowledgement, in the answer."""
    with Lab(stop_at_locks=False) as lab:
        scene = asking(lab, measured=True)
    for after in range(0, scene.network.carried[1, to_server] + 1, STRIDE):
        with Lab(stop_at_locks=False) as lab:
            lab.captured_log.quiet = True
            asking(lab, Cut(1, after, to_server))


def a_network_that_fails(lab: Lab) -> None:
    """The transport goes dead while two threads wait for their answers."""
    scene = asking(lab)

    @lab.actor
    def network() -> None:
        scene.network.cut()


@pytest.mark.contract("E3")
def test_requests_survive_a_cut_in_any_order_of_the_threads() -> None:
    """Contract E3: every order with one switch, and forty with three."""
    assert explore(a_network_that_fails, Deepening(1), twice=False).complete
    explore(a_network_that_fails, PCT(7, 40), stop_at_locks=True, twice=False)


def a_session_that_ends(lab: Lab) -> None:
    """The hub kicks the client while it asks."""
    scene = Scene(lab)
    assert scene.client.wait_connected()

    @lab.actor
    def caller() -> None:
        scene.ask(1)

    @lab.actor
    def operator() -> None:
        scene.hub.kick("ada")

    @lab.at_end
    def the_caller_knows_how_it_ended() -> None:
        lab.run_until_idle()
        outcome = scene.outcomes[1]
        assert scene.handled[1] <= 1
        if scene.handled[1]:
            assert outcome == 2 or isinstance(outcome, RequestInDoubt), repr(outcome)
        else:
            assert isinstance(outcome, ConnectionClosed), repr(outcome)
        scene.leave()


@pytest.mark.contract("E3")
def test_a_caller_is_never_left_behind_by_the_end_of_the_session() -> None:
    """Contract E3: answered or told in doubt; one that was surely not sent was not handled."""
    assert explore(a_session_that_ends, Deepening(1), twice=False).complete
    explore(a_session_that_ends, PCT(3, 40), stop_at_locks=True, twice=False)


@pytest.mark.contract("E3")
def test_refusals_come_from_the_router() -> None:
    """Contract E3: an unknown event, a wrong payload, RequestError, and what can't be encoded."""
    with Lab(stop_at_locks=False) as lab:
        lab.captured_log.quiet = True
        hub = lab.open(resume_window=30)
        router = Router()
        hub.on_message(router)

        @router.on("full")
        def full(connection: Connection, message: Message) -> None:
            raise RequestError("full", "no place left")

        router.on("odd")(lambda connection, message: {1, 2})
        router.on("checked", list[int])(lambda connection, message: sum(message.payload))
        network = Network(hub, lab.runtime)
        client = network.client(clock=lab.clock)
        for event, payload, code in (
            ("nobody", None, "unknown_event"),
            ("full", None, "full"),
            ("odd", None, "internal_error"),
            ("checked", [1, "2"], "invalid_payload"),
        ):
            with pytest.raises(RequestFailed) as refused:
                client.request(event, payload)
            assert refused.value.code == code
        assert refused.value.message == "[1]: must be an integer, not a string"
        assert client.request("checked", [1, 2]) == 3
        client.close()
        network.close()


def a_hub_that_asks_over_a_network_that_fails(lab: Lab) -> None:
    """The other direction: a thread of the server's asks the client, and the transport goes dead."""
    handled: Counter[int] = Counter()
    answers: dict[int, Any] = {}

    def double(client: Client, message: Message) -> int:
        handled[message.payload] += 1
        return int(2 * message.payload)

    scene = Scene(lab, on_message=double)
    assert scene.client.wait_connected()
    connection = scene.hub.get("ada")
    assert connection is not None

    @lab.actor
    def asker() -> None:
        for number in NUMBERS:
            answers[number] = connection.request("double", number, timeout=None)

    @lab.actor
    def network() -> None:
        scene.network.cut()

    @lab.at_end
    def each_was_handled_once_and_answered() -> None:
        lab.advance(2.0)
        lab.run_until_idle()
        assert answers == {number: 2 * number for number in NUMBERS}
        assert handled == dict.fromkeys(NUMBERS, 1)
        scene.leave()


@pytest.mark.contract("E3")
def test_the_hubs_requests_survive_a_cut_in_any_order_of_the_threads() -> None:
    """Contract E3: both directions are the same."""
    assert explore(a_hub_that_asks_over_a_network_that_fails, Deepening(1), twice=False).complete
    explore(a_hub_that_asks_over_a_network_that_fails, PCT(7, 40), stop_at_locks=True, twice=False)


def a_client_that_leaves_while_the_hub_asks(lab: Lab) -> None:
    """It answers, or the asker is told."""
    outcomes: list[Any] = []
    scene = Scene(lab, on_message=lambda client, message: "answer")
    assert scene.client.wait_connected()
    connection = scene.hub.get("ada")
    assert connection is not None

    @lab.actor
    def asker() -> None:
        try:
            outcomes.append(connection.request("n", None, timeout=None))
        except ConnectionClosed as error:
            outcomes.append(error)

    @lab.actor
    def application() -> None:
        scene.client.close()

    @lab.at_end
    def the_asker_knows() -> None:
        lab.advance(2.0)
        lab.run_until_idle()
        (outcome,) = outcomes
        assert outcome == "answer" or isinstance(outcome, ConnectionClosed), repr(outcome)
        scene.leave()


@pytest.mark.contract("E3")
def test_the_hubs_asker_is_not_left_behind_when_the_client_leaves() -> None:
    """Contract E3: whichever comes first."""
    assert explore(a_client_that_leaves_while_the_hub_asks, Deepening(1), twice=False).complete
    explore(a_client_that_leaves_while_the_hub_asks, PCT(3, 40), stop_at_locks=True, twice=False)
