"""A thread asks a client, and the hub moves on and on: the answer finds the thread where it waits."""

from __future__ import annotations

import json

import pytest

from resumehub import Hub
from resumehub.cluster.moves.move_parts import HubMoved
from resumehub.runtime.system import SystemRuntime
from tests.cluster.linked_hubs import LinkedHubs
from tests.cluster.two_hubs import clients
from tests.support import PATIENCE, Call


def chat(runtime: SystemRuntime) -> Hub:
    return Hub(lambda request: ("lobby", request.args["id"]), _runtime=runtime)


@pytest.mark.parametrize("moves", [1, 2, 3, 4])
def test_the_answer_comes_behind_several_moves(moves: int) -> None:
    """To and fro between two processes: the thread waits in the first one all the time."""
    two = LinkedHubs(chat)
    [alice] = clients(two, 1)
    connection = two.hub.get("0")
    assert connection is not None
    asking = Call(lambda: connection.request("sum", [1, 2], timeout=PATIENCE))
    asked = json.loads(alice.receive(PATIENCE))
    for _ in range(moves):
        assert isinstance(two.move(), HubMoved)
    alice.send(json.dumps({"payload": 3, "re": asked["id"]}))
    assert asking.result() == 3
    alice.close()
    two.close()
