"""A thread asks a client, and the hub moves on and on: the answer finds the thread where it waits.

If it waits no more, nothing is left of its request.
"""

from __future__ import annotations

import json

import pytest

from resumehub import Hub
from resumehub.cluster.moves.move_parts import HubMoved
from resumehub.core.cluster.membership import Role
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import MemoryCluster
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


@pytest.mark.contract("E3", "F8")
@pytest.mark.parametrize("moves", [0, 1, 2])
def test_a_request_of_a_killed_process_is_dropped(moves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no timeout, and its client does not answer. No process waits for that client any more."""
    monkeypatch.setattr("resumehub.cluster.calls.call_server.KEEP", 1.0)
    with MemoryCluster() as cluster:
        one, two = cluster.process("one"), cluster.process("two")
        assert two.hub.member is not None
        two.hub.member.kind_name = "sync"  # others are preferred, to take the hub
        one.start()
        cluster.settle()
        two.start()
        cluster.processes("three", "four")
        alice = one.dial("/?id=alice")
        cluster.run_until_idle()
        two.runtime.begin("asker", lambda: two.hub.get("alice").request("who?", timeout=None))  # type: ignore[union-attr]
        cluster.run_until_idle()
        assert json.loads(alice.receive())["event"] == "who?"
        holder = one
        for _ in range(moves):
            cluster.advance(2.0)  # all workers have said that they are ready
            holder.tell_to_stop(seconds=60.0)
            cluster.settle()
            holder = cluster.the_hub()  # type: ignore[assignment]
        two.kill()
        cluster.advance(3.0)

        assert cluster.the_hub() is holder
        assert holder.run("look", lambda: holder.hub.stats().requests) == 0
        assert not one.told or one.role is Role.GONE, "it waits for the client no more"
