"""A dial at a worker while the hub dies, moves, is stopped or has no descriptor: over real sockets and links.

Each story holds one message still where it matters: the hub's end of a link is served by the test.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from resumehub import Hub
from resumehub.cluster.dials import dial_messages as m
from resumehub.cluster.dials.plain_refusal import RESPONSE, WITHOUT_BODY
from resumehub.cluster.greetings import Refused
from resumehub.cluster.link import NO_DESCRIPTOR, Link, close_all
from resumehub.core.cluster.dial_events import NotTakenBecause
from resumehub.core.cluster.passing import DialRules
from resumehub.core.commands import Register
from resumehub.incoming.dialled import Dialled
from resumehub.reasons import RefusalReason
from resumehub.transport.websocket import Handshake
from resumehub.wsgi.session_lookup import NoVerdict
from tests.cluster.worker_beside import RULES, WorkerBeside
from tests.contract.hub_servers import HandshakeMetrics
from tests.contract.peers import until
from tests.contract.raw_client import HANDSHAKE, Client, Reply, masked
from tests.support import PATIENCE, Call

Handler = Callable[[Link, Any, Sequence[int]], None]

HEAD = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


class DialStage:
    """A hub, a worker, and one client whose connection the worker has taken away from its server."""

    def __init__(self, rules: DialRules = RULES, *, problem_details: bool = True) -> None:
        self.metrics = HandshakeMetrics()
        self.hub = Hub(metrics=self.metrics, problem_details=problem_details)
        self.hub.runner.start()
        self.worker = WorkerBeside(self.hub, rules, linked=False)
        self.client, self._theirs = socket.socketpair()
        self.client.settimeout(PATIENCE)
        self._is_passed = False

    def link(self, hub_life: str = "one", **handlers: Handler) -> tuple[Link, Link]:
        """A link whose hub's end is served by the hub, but for the handlers of these messages."""
        ours, theirs = self.worker.link_up(
            hub_life, {getattr(m, kind): one for kind, one in handlers.items()}
        )
        return ours, theirs

    def dial(self, read_ahead: bytes = b"") -> None:
        """Pass the client's connection on, as the worker does when its server has written the 101."""
        self._is_passed = True
        environ = {f"HTTP_{name.upper().replace('-', '_')}": str(value) for name, value in HANDSHAKE.items()}
        self.worker.client.pass_on(
            Dialled(
                self._theirs,
                read_ahead,
                Handshake(environ, (), compression=False),
                HEAD,
                Register(transport=0, connection_id="u1", room_id="lobby", life="a" * 32),
                {"name": "Ada"},
            )
        )

    def all_that_comes(self) -> bytes:
        """What the client reads until the end of its connection."""
        return b"".join(iter(lambda: self.client.recv(65536), b""))

    def is_quiet(self) -> bool:
        """Whether the client has been told nothing, and its connection is open."""
        return select.select([self.client], [], [], 0)[0] == []

    def talks(self) -> None:
        """The client is let in, and its session is served."""
        assert self.client.recv(len(HEAD), socket.MSG_WAITALL) == HEAD
        Client(self.client, Reply(101, [], b"")).ping()
        connection = self.hub.get("u1")
        assert connection is not None
        assert connection.data == {"name": "Ada"}

    def leave(self) -> None:
        self.client.close()
        if not self._is_passed:
            self._theirs.close()
        self.worker.leave()
        assert self.hub.close(PATIENCE).complete


@pytest.fixture
def stage() -> Iterator[DialStage]:
    one = DialStage()
    yield one
    one.leave()


def dies(link: Link, message: m.DialPass, descriptors: Sequence[int]) -> None:
    """What the kernel does when the hub is killed."""
    close_all(descriptors)
    link.close()


def says_taken_and_dies(link: Link, message: m.DialPass, descriptors: Sequence[int]) -> None:
    assert link.send_now(m.DialTaken(message.number))
    dies(link, message, descriptors)


def test_a_passed_connection_is_served_with_what_was_read_ahead(stage: DialStage) -> None:
    got: list[Any] = []
    stage.hub.on_message(lambda connection, message: got.append(message.payload))
    stage.link()
    stage.dial(masked('{"payload":1}'))
    stage.talks()
    until(lambda: got == [1])
    until(lambda: stage.worker.client.copies == 0)


def test_a_hub_that_dies_before_it_has_taken_leaves_the_answer_to_the_worker(stage: DialStage) -> None:
    stage.link(DialPass=dies)
    stage.dial()
    assert stage.all_that_comes() == RESPONSE
    assert stage.metrics.refused == [(503, "hub_away")]


def test_a_hub_that_dies_once_it_has_taken_ends_the_connection_without_a_word(stage: DialStage) -> None:
    """The 101 may have been on its way: a byte of the worker's could stand behind it."""
    stage.link(DialPass=says_taken_and_dies)
    stage.dial()
    assert stage.all_that_comes() == b""
    assert stage.metrics.refused == []


def test_the_worker_says_nothing_when_it_cannot_read_whether_the_hub_has_taken(stage: DialStage) -> None:
    """The hub has: its client is served, and notices nothing."""

    def takes_behind_rubbish(link: Link, message: m.DialPass, descriptors: Sequence[int]) -> None:
        # The worker does not read yet: both of them wait for it.
        link.send(Refused("code", "no worker expects this"))
        stage.worker.server.handlers[m.DialPass](link, message, descriptors)

    ours, _ = stage.worker.link_up("one", {m.DialPass: takes_behind_rubbish}, reads=False)
    stage.dial()
    stage.talks()
    stage.worker.read(ours)
    until(lambda: stage.worker.client.copies == 0)
    Client(stage.client, Reply(101, [], b"")).ping()


def test_a_worker_that_does_not_read_keeps_its_connection(stage: DialStage) -> None:
    """The hub can't say that it has taken it, so it has not; later it says so."""
    ours, theirs = stage.worker.link_up(reads=False)
    theirs.stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    while theirs.send_now(m.DialLater(0)):
        pass
    stage.dial()
    until(lambda: theirs.waiting_bytes)
    stage.worker.read(ours)
    assert stage.all_that_comes() == RESPONSE


def test_a_hub_without_a_descriptor_takes_nothing(stage: DialStage) -> None:
    def none_arrived(link: Link, message: m.DialPass, descriptors: Sequence[int]) -> None:
        close_all(descriptors)
        stage.worker.server.handlers[m.DialPass](link, message, (NO_DESCRIPTOR,))

    stage.link(DialPass=none_arrived)
    stage.dial()
    assert stage.all_that_comes() == RESPONSE
    assert stage.metrics.refused == [(503, "no_descriptors")]


def test_nobody_touches_the_connection_while_the_hub_is_slow(stage: DialStage) -> None:
    """It is stopped with the connection in its queue, time passes, it goes on, and takes it."""
    _, theirs = stage.worker.link_up(serves=False)
    stage.dial()
    for _ in range(10):
        stage.worker.client.tick()
    assert stage.worker.client.copies == 1
    assert stage.is_quiet()
    stage.worker.serve_hub(theirs)
    stage.talks()


def test_a_dial_that_comes_while_the_hub_is_about_to_move_waits_for_it(stage: DialStage) -> None:
    """Its question as well as its connection."""
    asked = threading.Event()

    def look(link: Link, message: Any, descriptors: Sequence[int]) -> None:
        stage.worker.server.handlers[m.DialLook](link, message, descriptors)
        asked.set()

    stage.link(DialLook=look)
    assert stage.worker.hub_door.freeze()
    looking = Call(lambda: stage.worker.lookup.look("u1", "", None))
    assert asked.wait(PATIENCE)
    stage.dial()
    until(lambda: stage.worker.server.held)
    stage.worker.hub_door.thaw()
    stage.talks()
    while looking.is_under_way():
        stage.worker.client.tick()
    looking.result()


def test_a_hub_that_has_moved_gets_the_connection_in_its_new_place(stage: DialStage) -> None:
    """The old place has held it, and drops its copy; the client notices nothing."""
    ours, theirs = stage.link()
    assert stage.worker.hub_door.freeze()
    stage.dial()
    until(lambda: stage.worker.server.held)
    stage.worker.hub_door.gone()
    assert stage.worker.server.held == 0
    stage.worker.hub_door.arrived()  # the hub of this test has moved to where it was
    stage.link()
    assert stage.is_quiet()
    ours.moved = True
    theirs.close()
    stage.talks()


def test_a_hub_that_moves_to_the_worker_takes_it_there(stage: DialStage) -> None:
    """Along the link, which stays open."""
    stage.link(DialPass=lambda link, message, descriptors: close_all(descriptors))
    stage.dial()
    assert stage.worker.client.copies == 1
    stage.worker.runner.start()
    stage.worker.door.arrived()
    stage.worker.client.on_hub_here("one")
    assert stage.client.recv(len(HEAD), socket.MSG_WAITALL) == HEAD
    until(lambda: "u1" in stage.worker.runner.registry().sessions)
    stage.client.close()
    stage.worker.runner.close(1.0)  # the thread of the link stays until the stage is left


def test_without_a_hub_a_connection_waits_only_so_long() -> None:
    stage = DialStage(DialRules(patience=0.0))
    stage.dial()
    stage.worker.client.tick()
    assert stage.all_that_comes() == RESPONSE
    stage.leave()


@pytest.mark.contract("A1b", "F5")
def test_a_worker_refuses_without_a_body_where_the_hub_is_to() -> None:
    stage = DialStage(problem_details=False)
    stage.link(DialPass=dies)
    stage.dial()
    assert stage.all_that_comes() == WITHOUT_BODY
    assert stage.metrics.refused == [(503, "hub_away")]
    stage.leave()


def test_a_stopped_hub_costs_one_request_thread_one_wait() -> None:
    """From then on clients are refused at once, until the hub has answered what it had missed."""
    stage = DialStage(DialRules(most_waiting=0, brief_wait=0.01))
    _, theirs = stage.worker.link_up(serves=False)
    for why in ("has not answered in time", "has not answered the last question"):
        with pytest.raises(NoVerdict, match=why) as refused:
            stage.worker.lookup.look("u1", "", None)
        assert refused.value.reason is RefusalReason.HUB_SILENT
    assert not stage.worker.lookup.may_refuse_by_close()
    stage.worker.client.set_rules(RULES)
    stage.worker.serve_hub(theirs)
    until(lambda: not stage.worker.client.suspect)
    assert stage.worker.lookup.look("u1", "", None).seen is None
    stage.leave()


def test_a_question_under_way_is_put_to_the_next_hub(stage: DialStage) -> None:
    _, theirs = stage.worker.link_up(serves=False)
    asking = Call(lambda: stage.worker.lookup.look("u1", "", None))
    until(lambda: stage.worker.client.waiting)
    theirs.close()
    stage.link("two")
    assert asking.result().seen is None
    stage.worker.serve_hub(theirs)


def test_the_end_of_the_worker_leaves_to_the_hub_what_it_has(stage: DialStage) -> None:
    """It closes its copy, and says nothing: the hub takes the connection later."""
    _, theirs = stage.worker.link_up(serves=False)
    stage.dial()
    stage.worker.client.stop()
    assert stage.worker.client.copies == 0
    stage.worker.serve_hub(theirs)
    stage.talks()


def test_a_hub_that_closes_takes_nothing(stage: DialStage) -> None:
    stage.link()
    assert stage.hub.close(PATIENCE).complete
    stage.dial()
    assert stage.all_that_comes() == RESPONSE
    assert stage.metrics.refused == [
        (503, NotTakenBecause.HUB_CLOSES.name.lower().replace("closes", "close"))
    ]
