"""Scenes of a cluster in memory, for the explorer: what may happen to a hub that moves, dies or is stopped.

Each is a function of a ``MemoryCluster``; ``test_memory_scenes.py`` plays them in one order after another.
``Lanes`` has calls made and takes down what became of them, and compares that with what clients heard.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from resumehub import (
    Connection,
    ConnectionClosed,
    ConnectionNotFound,
    Hub,
    HubUnavailable,
    Message,
    RequestInDoubt,
)
from resumehub.cluster.record_lock import HUB
from resumehub.core.cluster.membership import Role
from resumehub.testing import ClusterPeer, MemoryCluster, Process, TransportClosed, UpgradeRefused


@dataclass
class Lanes:
    """Numbers that threads send, each in a lane of its own, and what the calls have said.

    ``may_end``: whether a session may end in the scene though no process was killed.
    """

    cluster: MemoryCluster
    answered: dict[str, list[int]] = field(default_factory=dict)
    doubtful: set[tuple[str, int]] = field(default_factory=set)
    peers: dict[str, ClusterPeer] = field(default_factory=dict)
    texts: dict[str, list[Any]] = field(default_factory=dict)
    may_end: bool = False

    def call(self, lane: str, number: int, make: Callable[[Message], Any]) -> None:
        """Make a call with a numbered message."""
        try:
            make(Message("n", [lane, number]))
        except HubUnavailable as error:
            if error.sent is not False:
                self.doubtful.add((lane, number))
        except (ConnectionClosed, ConnectionNotFound):
            assert self.may_end or self.cluster.deaths, (
                f"{lane} {number}: the session is gone, nobody ended it"
            )
        else:
            self.answered.setdefault(lane, []).append(number)

    def sender(self, process: Process, lane: str, count: int = 2, to: str = "alice") -> None:
        """An actor in the process that sends to one session."""

        def send() -> None:
            for number in range(count):
                self.call(lane, number, lambda message: process.hub.send(to, message))

        send.__name__ = f"sender_{lane}"
        process.actor(send)

    def broadcaster(self, process: Process, lane: str, count: int = 2) -> None:
        """An actor in the process that broadcasts to the lobby."""

        def broadcast() -> None:
            for number in range(count):
                self.call(lane, number, lambda message: process.hub.broadcast("lobby", message))

        broadcast.__name__ = f"broadcaster_{lane}"
        process.actor(broadcast)

    def read(self, name: str) -> list[Any]:
        """All that has come to a client, from the beginning."""
        came = self.texts.setdefault(name, [])
        came.extend(json.loads(text) for text in self.peers[name].received())
        return came

    def check_all(self) -> None:
        """Nothing that was answered is lost, doubled or out of order at a client whose session lives."""
        for name, peer in self.peers.items():
            heard: dict[str, list[int]] = {}
            for said in self.read(name):
                if said["event"] == "n":
                    lane, number = said["payload"]
                    heard.setdefault(lane, []).append(number)
            for lane, numbers in heard.items():
                assert numbers == sorted(set(numbers)), f"{name} heard {numbers} of {lane}"
            if peer.closed() is not None:
                assert self.may_end or self.cluster.deaths, f"{name} was sent away: {peer.closed()}"
                continue
            for lane, numbers in self.answered.items():
                lost = [number for number in numbers if number not in heard.get(lane, [])]
                assert not lost, f"{name} never heard {lost} of {lane}, which were answered"
            for lane, numbers in heard.items():
                made_up = [
                    number
                    for number in numbers
                    if number not in self.answered.get(lane, []) and (lane, number) not in self.doubtful
                ]
                assert not made_up, f"{name} heard {made_up} of {lane}, which had no answer"


def an_application(hub: Hub) -> None:
    """It has every callback, so that their order is seen, and sends back what it gets."""

    @hub.on_connect
    def connected(connection: Connection) -> None: ...

    @hub.on_adopt
    def adopted(connection: Connection) -> None: ...

    @hub.on_release
    def released(connection: Connection) -> None: ...

    @hub.on_disconnect
    def disconnected(connection: Connection, reason: Exception | None) -> None: ...

    @hub.on_message
    def echo(connection: Connection, message: Message) -> None:
        connection.send(message)


def stage(
    cluster: MemoryCluster, *names: str, build: Callable[[Hub], object] = an_application, **options: Any
) -> tuple[Lanes, list[Process]]:
    """Processes that are linked, with alice at the last one of them; the first one has the hub."""
    processes = cluster.processes(*names, build=build, **options)
    lanes = Lanes(cluster)
    lanes.peers["alice"] = processes[-1].dial("/?id=alice")
    cluster.run_until_idle()
    cluster.at_end(lanes.check_all)
    return lanes, processes


def tell_to_stop(cluster: MemoryCluster, process: Process) -> None:
    @cluster.actor
    def server() -> None:
        process.tell_to_stop()


def kill(cluster: MemoryCluster, process: Process) -> None:
    @cluster.actor
    def killer() -> None:
        process.kill()


def dials_until_let_in(cluster: MemoryCluster, lanes: Lanes, name: str, *at: Process) -> None:
    """A client that comes to one process after the other. No answer but 503 sends it away."""

    @cluster.actor
    def client() -> None:
        for process in at:
            try:
                lanes.peers[name] = process.dial(f"/?id={name}")
            except UpgradeRefused as refused:
                is_a_doubt(name, refused)
            except TransportClosed:
                assert cluster.deaths, f"the connection of {name} has ended without a byte"
            else:
                return


def is_a_doubt(name: str, refused: UpgradeRefused) -> None:
    assert refused.status == 503, f"{name} was told {refused.status}"
    assert refused.header("Retry-After"), "a doubt says when to come again"


# -- a move, and what befalls it ----------------------------------------------------------------


def a_move_beside_calls(cluster: MemoryCluster) -> None:
    """The hub moves while both processes send and broadcast."""
    lanes, (one, two) = stage(cluster, "one", "two")
    lanes.broadcaster(one, "here")
    lanes.broadcaster(two, "there")
    tell_to_stop(cluster, one)


def the_old_process_is_killed(cluster: MemoryCluster) -> None:
    """The process that gives its hub away is killed at any step; a worker broadcasts."""
    lanes, (one, two) = stage(cluster, "one", "two")
    lanes.broadcaster(two, "there")
    tell_to_stop(cluster, one)
    kill(cluster, one)


def the_target_is_killed(cluster: MemoryCluster) -> None:
    """The process that takes the hub is killed at any step: before held, the commit, before it goes on."""
    lanes, (one, _, three) = stage(cluster, "one", "two", "three")
    lanes.broadcaster(one, "here", 1)
    tell_to_stop(cluster, one)

    @cluster.actor
    def killer() -> None:
        three.kill()


def the_old_process_is_stopped(cluster: MemoryCluster) -> None:
    """It is stopped at any step, so also between its commit and the lock, and thawed later."""
    lanes, (one, two) = stage(cluster, "one", "two")
    lanes.sender(two, "there", 1)
    tell_to_stop(cluster, one)

    @cluster.actor
    def stopper() -> None:
        one.stop()
        cluster.pause("let it stand")
        one.thaw()


def a_third_process_polls(cluster: MemoryCluster) -> None:
    """The hub moves while a third process looks for it."""
    _, (one, _) = stage(cluster, "one", "two")
    three = cluster.process("three", build=an_application)
    tell_to_stop(cluster, one)

    @cluster.actor
    def starter() -> None:
        three.start()


def a_drain_beside_a_dial_and_a_move(cluster: MemoryCluster) -> None:
    """A worker drains the hub while it moves, and a client comes: what was counted is what there is."""
    lanes, (one, two) = stage(cluster, "one", "two")
    lanes.may_end = True  # bob may be closed with 4503 behind his 101
    counted: list[int] = []
    dials_until_let_in(cluster, lanes, "bob", two)
    tell_to_stop(cluster, one)

    @two.actor
    def operator() -> None:
        with contextlib.suppress(HubUnavailable):
            counted.append(two.hub.drain(accept_resumes=True).left)

    @cluster.at_end
    def no_session_has_begun_behind_it() -> None:
        stats = two.hub.runner.stats()
        if counted:
            assert (stats.draining, stats.sessions) == ("newcomers", counted[0])


# -- dials --------------------------------------------------------------------------------------


def a_dial_beside_a_move(cluster: MemoryCluster) -> None:
    """A client comes to a worker while the hub moves there, and then to the other one."""
    lanes, (one, two) = stage(cluster, "one", "two")
    tell_to_stop(cluster, one)
    dials_until_let_in(cluster, lanes, "bob", two, two)


def a_dial_beside_a_move_that_fails(cluster: MemoryCluster) -> None:
    """The target gets no descriptors, so that everything thaws; a client comes to it meanwhile."""
    lanes, (one, two, three) = stage(cluster, "one", "two", "three")
    three.out_of_descriptors = True
    tell_to_stop(cluster, one)
    dials_until_let_in(cluster, lanes, "bob", two, two)

    @cluster.actor
    def administrator() -> None:
        three.out_of_descriptors = False


def a_dial_and_a_killed_hub(cluster: MemoryCluster) -> None:
    """The hub is killed before and after it has taken a connection, and after its first byte."""
    lanes, (one, two) = stage(cluster, "one", "two")
    dials_until_let_in(cluster, lanes, "bob", two, two, two)
    kill(cluster, one)


# -- calls between freeze and go ----------------------------------------------------------------


def every_call_beside_a_move(cluster: MemoryCluster) -> None:
    """Send, join, leave and kick beside a move: each is made wholly before it or wholly behind it."""
    lanes, (one, two) = stage(cluster, "one", "two")
    lanes.may_end = True
    lanes.sender(one, "here", 1)
    connection = one.hub.get("alice")
    assert connection is not None
    said: list[str] = []

    @one.actor
    def joins() -> None:
        # She may have been kicked before, and the process may have left.
        with contextlib.suppress(ConnectionClosed, HubUnavailable):
            connection.join("attic")
            connection.leave("attic")

    @two.actor
    def kicks() -> None:
        two.hub.kick("alice")
        said.append("kicked")

    @cluster.at_end
    def she_is_gone() -> None:
        assert "kicked" in said
        hub = cluster.the_hub()
        assert hub is not None
        assert hub.run("look", lambda: hub.hub.ids("lobby")) == []
        assert lanes.peers["alice"].closed() is not None

    tell_to_stop(cluster, one)


def close_behind_its_send(cluster: MemoryCluster) -> None:
    """A thread sends and closes beside a move: what it has sent is heard before the close."""
    lanes, (one, two) = stage(cluster, "one", "two")
    lanes.may_end = True

    @two.actor
    def leaves() -> None:
        two.hub.send("alice", Message("bye", 1))
        connection = two.hub.get("alice")
        assert connection is not None
        connection.close()

    @cluster.at_end
    def she_heard_it() -> None:
        assert [said["event"] for said in lanes.read("alice")] == ["bye"]

    tell_to_stop(cluster, one)


# -- handlers -----------------------------------------------------------------------------------


def an_application_that_asks(hub: Hub) -> None:
    """Its handler asks the client, and tells everybody what the answer was."""
    an_application(hub)

    @hub.on_message
    def asks(connection: Connection, message: Message) -> None:
        if message.event == "ask me":
            try:
                answer = connection.request("who?", timeout=30.0)
            except (RequestInDoubt, HubUnavailable, ConnectionClosed) as error:
                answer = type(error).__name__
            connection.send(Message("it was", answer))


def a_handler_inside_a_request(cluster: MemoryCluster) -> None:
    """A handler waits for its client's answer when its session is to be released: the session is carried."""
    lanes, (one, two) = stage(cluster, "one", "two", build=an_application_that_asks)
    alice = lanes.peers["alice"]
    alice.send('{"event": "ask me"}')
    cluster.run_until_idle()
    tell_to_stop(cluster, one)

    @cluster.actor
    def client() -> None:
        while (said := json.loads(alice.receive()))["event"] != "who?":
            pass
        alice.ws.send(json.dumps({"re": said["id"], "payload": "alice"}))

    @cluster.at_end
    def the_handler_has_its_answer() -> None:
        said = lanes.read("alice")
        assert [one["payload"] for one in said if one["event"] == "it was"] == ["alice"], said


def a_killed_process_with_a_carried_session(cluster: MemoryCluster) -> None:
    """The hub has left a process in which a handler still runs; that process is killed at any step."""
    lanes, (one, two) = stage(cluster, "one", "two", build=an_application_that_asks)
    lanes.may_end = True
    lanes.peers["alice"].send('{"event": "ask me"}')
    cluster.run_until_idle()
    tell_to_stop(cluster, one)
    kill(cluster, one)


def a_last_word_before_the_lock(cluster: MemoryCluster) -> None:
    """A carried session's handler returns while the target has the commit, and waits for the hub's lock."""
    let_go = cluster.threading.Event()

    def build(hub: Hub) -> None:
        an_application(hub)

        @hub.on_message
        def takes_long(connection: Connection, message: Message) -> None:
            if message.event == "wait":
                let_go.wait()

    lanes, (one, two) = stage(cluster, "one", "two", build=build)
    lanes.peers["alice"].send('{"event": "wait"}')
    cluster.run_until_idle()
    one.tell_to_stop()
    assert cluster.wait_until(lambda: two.role is Role.RECEIVING)
    with cluster.hold("member of two: *"):
        # The lock is free, and the thread that is to take it stands still.
        assert cluster.wait_until(lambda: HUB not in cluster.host.held)
        let_go.set()
        cluster.advance(1.0)
    cluster.settle()
    lanes.peers["alice"].send('{"event": "still here"}')
    cluster.run_until_idle()

    @cluster.at_end
    def nothing_happened() -> None:
        assert [said["event"] for said in lanes.read("alice")] == ["wait", "still here"]


def a_close_behind_the_release(cluster: MemoryCluster) -> None:
    """A session is released, and closed before everything stands still: it stays, and ends where it was."""
    lanes, (one, _) = stage(cluster, "one", "two")
    lanes.may_end = True
    connection = one.hub.get("alice")
    assert connection is not None
    with cluster.hold("mover of one: tell the hub"):
        one.tell_to_stop()
        assert cluster.wait_until(lambda: cluster.seen.last[connection.life] == "on_release")
        one.run("close", connection.close)
    cluster.settle()


def a_move_fails_behind_its_releases(cluster: MemoryCluster) -> None:
    """Two sessions are released, one of them while its handler runs; the target gets no descriptors."""
    lanes, (one, two) = stage(cluster, "one", "two", build=an_application)
    lanes.peers["bob"] = one.dial("/?id=bob")
    cluster.run_until_idle()
    two.out_of_descriptors = True
    lanes.broadcaster(two, "there", 1)
    tell_to_stop(cluster, one)

    @cluster.actor
    def administrator() -> None:
        two.out_of_descriptors = False


# -- a hub that dies ----------------------------------------------------------------------------


def a_killed_hub_and_its_client_back(cluster: MemoryCluster) -> None:
    """A worker broadcasts, and the hub is killed; its client comes back to the next hub."""
    lanes, (one, two) = stage(cluster, "one", "two")
    lanes.broadcaster(two, "there")
    kill(cluster, one)

    @cluster.at_end
    def she_comes_back() -> None:
        alice = lanes.peers["alice"]
        if alice.closed() is None:
            return
        with pytest.raises(UpgradeRefused) as refused:
            alice.resume_at(two)
        assert refused.value.status == 410, "the life is over, and it is known"


def two_moves_and_an_asker(cluster: MemoryCluster) -> None:
    """A thread of a worker waits for a client; the hub moves twice, the second time to that worker."""
    lanes, (one, two, three) = stage(cluster, "one", "two", "three")
    alice = lanes.peers["alice"]
    answers: list[Any] = []

    @two.actor
    def asker() -> None:
        connection = two.hub.get("alice")
        assert connection is not None
        answers.append(connection.request("who?", timeout=5.0))

    @cluster.actor
    def server() -> None:
        one.tell_to_stop()
        cluster.scheduler.pause("wait for the first move", lambda: three.has_hub)
        three.tell_to_stop()

    @cluster.actor
    def client() -> None:
        said = json.loads(alice.receive())
        alice.ws.send(json.dumps({"re": said["id"], "payload": "alice"}))

    @cluster.at_end
    def the_asker_has_its_answer() -> None:
        assert answers == ["alice"]
