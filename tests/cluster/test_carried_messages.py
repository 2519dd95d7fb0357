"""What becomes of a carried session's messages that are about to start, have failed, or are answered late."""

from __future__ import annotations

import json

import pytest

from resumehub import Connection, Hub, Message
from resumehub.core.cluster.membership import Role
from resumehub.runtime.system import SystemRuntime
from resumehub.session.elsewhere import Seal
from resumehub.session.inbound_fence import InboundFence
from resumehub.testing import MemoryCluster, Process
from tests.cluster.memory_scenes.stage import V1
from tests.contract.test_d_v1_rejected import Started
from tests.support import Call

ABOUT_TO_START = "reader of one*: lock the inbound fence of vera"


class Stage:
    """Two linked processes; the first one has the hub, and vera is at the second.

    ``seen``: the messages that were handled, and whether in the first process.
    """

    def __init__(self, cluster: MemoryCluster, *, v1: bool = True, **options: object) -> None:
        self.cluster = cluster
        self.seen: list[tuple[str, bool]] = []
        self.let_go = cluster.threading.Event()
        self.one, self.two = cluster.processes("one", "two", build=self.build, **options)
        self.vera = self.two.dial("/?id=vera", subprotocols=[V1] if v1 else [])
        cluster.run_until_idle()

    def build(self, hub: Hub) -> None:
        @hub.on_message
        def handler(connection: Connection, message: Message) -> str | None:
            self.seen.append((message.event, hub is self.one.hub))
            if message.event == "wait":
                self.let_go.wait()
                return "late"
            elif message.event == "fail":
                raise LookupError("on purpose")
            return None

    def say(self, *events: str) -> None:
        for event in events:
            self.vera.send(f'{{"event": "{event}"}}')
        self.cluster.run_until_idle()

    def move(self, seconds: float = 4.0) -> None:
        """The first process is told to stop; what it waits for takes longer than it waits."""
        self.one.tell_to_stop()
        self.cluster.advance(seconds)

    def events(self) -> list[str]:
        return [event for event, _ in self.seen]

    def handled(self, process: Process) -> int:
        """How many messages of vera's the hub says that it has handled."""
        hub = process.hub.runner.loop
        assert hub is not None
        return hub.registry.sessions["vera"].inbound_fence.handled


@pytest.mark.contract("F2")
@pytest.mark.parametrize("v1", [False, True], ids=["plain", "v1"])
def test_a_message_that_is_about_to_start_starts_in_one_process(v1: bool) -> None:
    """It does not count when the session is written down, so it starts and counts where that goes on."""
    with MemoryCluster(stop_at_locks=True) as cluster:
        stage = Stage(cluster, v1=v1)
        with cluster.hold(ABOUT_TO_START) as hold:
            stage.say("first", "behind")
            assert hold.caught
            stage.move()
        cluster.settle()
        cluster.run_until_idle()
        assert stage.two.has_hub
        stage.say("after")
        assert stage.seen == [("first", False), ("behind", False), ("after", False)]
        assert stage.handled(stage.two) == 3


@pytest.mark.contract("F2")
def test_it_starts_here_if_the_move_fails() -> None:
    with MemoryCluster(stop_at_locks=True) as cluster:
        stage = Stage(cluster)
        stage.two.out_of_descriptors = True
        with cluster.hold(ABOUT_TO_START) as hold:
            stage.say("first", "behind")
            assert hold.caught
            stage.move()
        cluster.advance(1.0)
        assert stage.events()[:1] == ["first"]
        stage.two.out_of_descriptors = False
        cluster.settle()
        stage.say("after")
        cluster.advance(1.0)
        assert stage.events() == ["first", "behind", "after"]
        assert stage.handled(stage.two) == 3


@pytest.mark.contract("F2")
@pytest.mark.parametrize("goes", [False, True], ids=["stays", "goes"])
def test_a_message_waits_while_its_session_is_written_down(goes: bool) -> None:
    runtime = SystemRuntime()
    fence, seal = InboundFence(runtime.lock("a fence"), 4), Seal(runtime.event("the end of a move"))
    fence.attach(1)
    fence.seal(seal)
    message = Started(1)
    start = Call(lambda: fence.start(message))
    assert start.is_under_way()
    assert fence.handled == 0
    if goes:
        fence.shut()
    else:
        fence.seal(None)
    seal.open(None)
    assert start.result() is not goes
    assert message.is_started is not goes


@pytest.mark.contract("F2")
@pytest.mark.parametrize("at", ["lock the inbound fence of vera", "lock the outbox of vera"])
def test_a_client_that_reads_no_answer_is_dropped_wherever_its_session_is(at: str) -> None:
    """A request is refused since its answer finds no room, while the session is written down."""
    with MemoryCluster(stop_at_locks=True) as cluster:
        stage = Stage(cluster, send_buffer=2, max_requests=1)
        for number in range(3):
            stage.vera.send(f'{{"event": "ask", "id": "{number}"}}')
        cluster.run_until_idle()
        assert stage.events() == ["ask"] * 3
        with cluster.hold(f"reader of one*: {at}") as hold:
            stage.vera.send('{"event": "ask", "id": "4"}')
            cluster.run_until_idle()
            assert hold.caught
            stage.move()
        cluster.settle()
        cluster.advance(1.0)
        assert stage.two.has_hub
        connection = stage.two.hub.get("vera")
        assert connection is not None
        assert connection.suspended
        assert stage.events() == ["ask"] * 3


@pytest.mark.contract("F2")
def test_a_client_that_came_back_does_not_pay_for_an_error_before() -> None:
    """A handler has raised, the client has resumed; later its session is carried, and nothing is wrong."""
    with MemoryCluster() as cluster:
        stage = Stage(cluster, v1=False)
        stage.say("fail")
        assert stage.vera.wait_closed()[0] == 1011
        stage.vera = stage.two.dial("/?id=vera&resume=true")
        cluster.run_until_idle()
        stage.say("wait")
        stage.move()
        assert stage.two.has_hub
        stage.let_go.set()
        cluster.settle()
        stage.say("after")
        assert stage.vera.closed() is None
        assert stage.events() == ["fail", "wait", "after"]


@pytest.mark.contract("F2")
def test_the_answer_of_a_handler_that_returns_late_comes_from_the_other_hub() -> None:
    with MemoryCluster() as cluster:
        stage = Stage(cluster, v1=False)
        stage.say('wait", "id": "7')
        stage.move()
        assert stage.two.has_hub
        stage.let_go.set()
        cluster.settle()
        cluster.run_until_idle()
        assert json.loads(stage.vera.receive()) == {"event": "wait", "re": "7", "payload": "late"}


@pytest.mark.contract("F2")
def test_an_answer_that_reaches_the_session_no_more_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The handler returns when its process takes no part in the cluster any more."""
    with MemoryCluster() as cluster:
        stage = Stage(cluster, v1=False)
        stage.say('wait", "id": "7')
        stage.move(20.0)
        assert stage.one.role is Role.GONE
        stage.let_go.set()
        cluster.run_until_idle()
        cluster.advance(5.0)
        assert "the answer to a request of 'vera' is lost: the hub does not answer" in caplog.text
