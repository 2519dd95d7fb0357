"""A hub moves while handlers run, or just behind their releases."""

from __future__ import annotations

import json

from resumehub import Connection, ConnectionClosed, Hub, HubUnavailable, Message, RequestInDoubt
from resumehub.cluster.record_lock import HUB
from resumehub.core.cluster.membership import Role
from resumehub.testing import MemoryCluster
from tests.cluster.memory_scenes.stage import an_application, kill, stage, tell_to_stop


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


def clients_that_ask_beside_a_move(cluster: MemoryCluster) -> None:
    """Clients ask while the hub moves; a handler answers with what it returns, or another thread later."""
    later: list[Message] = []
    names: list[str] = []
    too_late: set[str] = set()

    def build(hub: Hub) -> None:
        an_application(hub)

        @hub.on_message
        def answers(connection: Connection, message: Message) -> object:
            if message.payload % 2:
                return message.payload + 10
            message.defer()
            later.append(message)
            names.append(connection.id)
            return None

    lanes, (one, _) = stage(cluster, "one", "two", build=build, v1=True)
    asking = {name: lanes.peers[name].ws for name in ("alice", "vera")}
    tell_to_stop(cluster, one)

    @cluster.actor
    def clients() -> None:
        for number in range(2):
            for ws in asking.values():
                ws.send(json.dumps({"event": "ask", "id": str(number), "payload": number}))

    @cluster.actor
    def answerer() -> None:
        for count in range(len(asking)):
            cluster.scheduler.pause("answer", lambda count=count: len(later) > count)  # type: ignore[misc]
            try:
                later[count].reply(later[count].payload + 10)
            except HubUnavailable:  # this process has left the cluster meanwhile
                too_late.add(names[count])

    @cluster.at_end
    def each_has_its_answers_once() -> None:
        for name in asking:
            answers = sorted((one["re"], one.get("payload")) for one in lanes.read(name) if "re" in one)
            assert answers == [("0", 10), ("1", 11)][name in too_late :], f"{name} heard {answers}"
