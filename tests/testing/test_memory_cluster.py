"""``MemoryCluster``: several processes of a cluster in one, which can be killed, stopped and thawed.

Read together with ``tests/cluster/test_memory_scenes.py``, which explores scenes with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from resumehub import Connection, Hub, Message
from resumehub.cluster.dials.dial_server import DialServer
from resumehub.cluster.record_lock import HUB
from resumehub.core.cluster.membership import Role
from resumehub.testing import (
    CallbackOrder,
    MemoryCluster,
    TransportClosed,
    UpgradeRefused,
    WaitsForTheCluster,
)
from resumehub.testing.memory_ground import MemoryLock


@pytest.fixture
def cluster() -> Iterator[MemoryCluster]:
    made = MemoryCluster()
    try:
        yield made
    finally:
        made.abandon()


def events(peer: Any) -> list[str]:
    return [json.loads(text)["event"] for text in peer.received()]


def test_a_hub_moves_with_the_socket_of_a_client() -> None:
    with MemoryCluster() as cluster:
        one, two = cluster.processes("one", "two")
        alice = two.dial("/?id=alice")
        two.run("call", lambda: two.hub.send("alice", Message("over the link")))
        one.tell_to_stop()
        cluster.settle()

        assert cluster.the_hub() is two
        assert one.role is Role.GONE
        two.hub.send("alice", Message("at home"))
        assert events(alice) == ["over the link", "at home"]
        assert alice.closed() is None


def test_a_killed_process_closes_its_sockets_and_frees_its_lock() -> None:
    with MemoryCluster() as cluster:
        one, two = cluster.processes("one", "two")
        alice = one.dial("/?id=alice")
        cluster.run_until_idle()
        one.kill()

        assert alice.closed() == (1006, "")
        assert HUB not in cluster.host.held
        cluster.settle()
        assert cluster.the_hub() is two
        with pytest.raises(UpgradeRefused) as refused:
            alice.resume_at(two)
        assert refused.value.status == 410


def test_a_stopped_hub_costs_a_dial_its_patience_in_the_time_of_the_lab() -> None:
    with MemoryCluster() as cluster:
        one, two = cluster.processes("one", "two")
        one.stop()
        before = cluster.time
        with pytest.raises(UpgradeRefused) as refused:
            two.dial("/?id=alice")

        assert refused.value.status == 503
        assert cluster.time - before == pytest.approx(2.0)
        one.thaw()
        cluster.settle()
        cluster.advance(1.0)
        two.dial("/?id=alice")


def test_a_descriptor_that_does_not_arrive_is_a_doubt() -> None:
    with MemoryCluster() as cluster:
        one, two = cluster.processes("one", "two")
        one.out_of_descriptors = True
        with pytest.raises(UpgradeRefused) as refused:
            two.dial("/?id=alice")

        assert refused.value.status == 503
        one.out_of_descriptors = False
        two.dial("/?id=alice")


def test_a_full_stop_parks_and_the_next_start_adopts() -> None:
    with MemoryCluster() as cluster:
        [one] = cluster.processes("one")
        alice = one.dial("/?id=alice")
        cluster.run_until_idle()
        one.tell_to_stop()
        assert cluster.wait_until(lambda: one.role is Role.GONE)
        assert alice.wait_closed()[0] == 1012

        [two] = cluster.processes("two")
        again = alice.resume_at(two)
        two.hub.send("alice", Message("back"))
        assert events(again)[-1] == "back"


def test_the_process_of_a_request_may_die_in_it() -> None:
    with MemoryCluster() as cluster:
        _, two = cluster.processes("one", "two")

        @cluster.actor
        def client() -> None:
            with pytest.raises(TransportClosed):
                two.dial("/?id=alice")

        with cluster.hold("request of alice of two: wait for an answer of the hub") as hold:
            cluster.step("client")
            cluster.run_until_idle()
            assert hold.caught
            two.kill()


# -- what it checks -----------------------------------------------------------------------------


@pytest.mark.contract("F9")
def test_a_thread_of_a_link_that_opens_a_file_fails_the_run(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    real = DialServer._look

    def look(self: DialServer, *arguments: Any) -> None:
        (tmp_path / "log").write_text("looked")
        real(self, *arguments)

    monkeypatch.setattr(DialServer, "_look", look)
    _, two = cluster.processes("one", "two")
    with pytest.raises(WaitsForTheCluster, match=r"link of one opens .*contract F9"):
        two.dial("/?id=alice")


@pytest.mark.contract("F9")
def test_a_thread_of_a_link_that_waits_for_a_link_fails_the_run(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = lambda *_: cluster.all["two"].hub.lookup().look("bob", "", None)  # noqa: E731
    monkeypatch.setattr(DialServer, "_look", asks)
    _, two = cluster.processes("one", "two")
    with pytest.raises(WaitsForTheCluster, match="link of one is about to wait for an answer of the hub"):
        two.dial("/?id=alice")


@pytest.mark.contract("F9")
def test_a_hub_thread_that_opens_a_file_fails_the_run(cluster: MemoryCluster, tmp_path: Any) -> None:
    class Writes:
        def __getattr__(self, name: str) -> Any:
            return lambda *arguments: (tmp_path / "metrics").write_text(name)

    # A collector is the application's code; called on the hub's thread, it holds up everybody.
    [one] = cluster.processes("one", metrics=Writes())
    with pytest.raises(WaitsForTheCluster, match="hub of one opens"):
        one.dial("/?id=alice")


@pytest.mark.contract("F9")
def test_a_handler_where_the_hub_is_waits_for_no_link(cluster: MemoryCluster) -> None:
    def build(hub: Hub) -> None:
        @hub.on_message
        def asks_elsewhere(connection: Connection, message: Message) -> None:
            cluster.all["two"].hub.rooms()

    one, _ = cluster.processes("one", "two", build=build)
    alice = one.dial("/?id=alice")
    alice.send('{"event": "hello"}')
    with pytest.raises(WaitsForTheCluster, match="is about to lock an answer"):
        cluster.run_until_idle()


@pytest.mark.contract("F9")
def test_a_handler_where_the_hub_is_calls_it_without_a_wait() -> None:
    def build(hub: Hub) -> None:
        @hub.on_message
        def tells_all(connection: Connection, message: Message) -> None:
            hub.broadcast("lobby", Message("told"))

    with MemoryCluster() as cluster:
        one, _ = cluster.processes("one", "two", build=build)
        alice = one.dial("/?id=alice")
        alice.send('{"event": "hello"}')
        cluster.run_until_idle()
        assert events(alice) == ["told"]


def test_two_hubs_fail_the_run(cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryLock, "try_take", lambda self, byte: True)
    monkeypatch.setattr(MemoryLock, "is_held_by_other", lambda self, byte: False)
    one = cluster.process("one")
    one.start()
    cluster.settle()
    cluster.host.listener = None  # the next one finds nobody
    two = cluster.process("two")
    two.start()
    with pytest.raises(AssertionError, match="one and two have the hub"):
        cluster.settle()


def test_a_410_of_a_session_that_lives_fails_the_run(cluster: MemoryCluster) -> None:
    def build(hub: Hub) -> None:
        @hub.on_connect
        def connected(connection: Connection) -> None: ...

    [one] = cluster.processes("one", build=build)
    one.dial("/?id=alice")
    cluster.run_until_idle()
    with pytest.raises(AssertionError, match="'alice' is told 410, and its session has not ended"):
        cluster.checks.refused("alice", 410)


def test_callbacks_in_two_processes_fail_the_run(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub that runs on_adopt of a session that the other process has not released."""

    def build(hub: Hub) -> None:
        @hub.on_connect
        def connected(connection: Connection) -> None: ...

    one, two = cluster.processes("one", "two", build=build)
    one.dial("/?id=alice")
    cluster.run_until_idle()
    connection = one.hub.get("alice")
    assert connection is not None
    handler = two.hub.runner.handlers["on_connect"][0]
    handler(connection)
    cluster.run_until_idle()
    assert isinstance(two.failure, CallbackOrder)


def test_a_process_has_a_name_of_its_own(cluster: MemoryCluster) -> None:
    cluster.process("one")
    with pytest.raises(AssertionError, match="there is a process 'one' already"):
        cluster.process("one")


def test_calls_of_a_killed_process_do_not_go_on(cluster: MemoryCluster) -> None:
    _, two = cluster.processes("one", "two")
    two.kill()
    with pytest.raises(RuntimeError, match="call of two has not ended"):
        two.run("call", lambda: two.hub.rooms())
