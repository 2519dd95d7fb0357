"""A process leaves its cluster: what it has passed to the hub, who asks it to leave, and for what it waits.

The hub is elsewhere: its end of the links is played by the test, in the same process.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.sync.client import connect

from resumehub import Connection, Hub, Message
from resumehub.cluster import LocalCluster
from resumehub.cluster.dials.dial_messages import DialPass, DialTaken
from resumehub.cluster.dials.plain_refusal import RESPONSE
from resumehub.cluster.folder import open_folder
from resumehub.cluster.greetings import Greeting, Refused, Welcome, answer
from resumehub.cluster.link import Link, close_all
from resumehub.cluster.link_listener import LinkListener
from resumehub.cluster.member_messages import MemberStatus
from resumehub.cluster.parts import Parts
from resumehub.cluster.stop_watch import StopWatch
from resumehub.core.cluster.membership import Role
from resumehub.core.cluster.stopping import Kind, Surroundings
from resumehub.core.commands import Register
from resumehub.incoming.dialled import Dialled
from resumehub.runtime.system import SystemRuntime
from resumehub.transport.websocket import Handshake
from tests.cluster.links import a_greeting
from tests.contract.hub_servers import Server
from tests.contract.peers import until
from tests.contract.raw_client import HANDSHAKE
from tests.support import PATIENCE, from_query

LIFE = "1" * 32
HEAD = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


class PlayedHub:
    """The hub's end: it takes links, keeps what is passed to it, and answers when the test says so."""

    def __init__(self, folder: Path) -> None:
        self.welcomes = True
        self.links: list[Link] = []
        self.passed: queue.Queue[tuple[DialPass, Sequence[int]]] = queue.Queue()
        self.leaves, self.ended = threading.Event(), threading.Event()
        self._listener = LinkListener(
            open_folder(folder),
            self._greet,
            {MemberStatus: self._status, DialPass: self._pass},
            self.links.append,
            lambda link: self.ended.set(),
            SystemRuntime(),
        )
        self._listener.start()

    def _greet(self, theirs: Greeting) -> Welcome | Refused:
        if not self.welcomes:
            return Refused("not_now", "it is moving")
        return answer(a_greeting(1, "hub", ""), theirs, LIFE)

    def _status(self, link: Link, status: MemberStatus, _: Sequence[int]) -> None:
        if not status.ready:
            self.leaves.set()

    def _pass(self, link: Link, message: DialPass, descriptors: Sequence[int]) -> None:
        self.passed.put((message, descriptors))

    def next_passed(self) -> tuple[DialPass, socket.socket]:
        """What a worker passes, and the hub's own descriptor of the client's connection."""
        message, [number] = self.passed.get(timeout=PATIENCE)
        return message, socket.socket(fileno=number)

    def close(self) -> None:
        self._listener.close()
        for link in self.links:
            link.close()
        while not self.passed.empty():
            close_all(self.passed.get()[1])


class Leaving:
    """A worker of that hub, and one client that has dialled it."""

    def __init__(self, tmp_path: Path, *, welcomes: bool = True) -> None:
        self.there = PlayedHub(tmp_path / "chat")
        self.there.welcomes = welcomes
        self.hub = Hub(cluster=LocalCluster(tmp_path / "chat"))
        self.hub.start()
        assert self.hub.member is not None
        self.member = self.hub.member
        if welcomes:
            self.member.place(PATIENCE)
        self.client, theirs = socket.socketpair()
        self.client.settimeout(PATIENCE)
        environ = {f"HTTP_{name.upper().replace('-', '_')}": str(value) for name, value in HANDSHAKE.items()}
        dialled = Dialled(
            theirs,
            b"",
            Handshake(environ, (), compression=False),
            HEAD,
            Register(transport=0, connection_id="u1", room_id="lobby", life="a" * 32),
            {},
        )
        self.member.dials.client.pass_on(dialled)
        assert self.copies == 1

    @property
    def copies(self) -> int:
        return self.member.dials.client.copies

    def drain(self, timeout: float) -> threading.Thread:
        thread = threading.Thread(target=self.hub.drain, args=[timeout])
        thread.start()
        return thread

    def answer(self) -> bytes:
        """What the client reads until the end of its connection."""
        return b"".join(iter(lambda: self.client.recv(65536), b""))

    def close(self) -> None:
        self.client.close()
        self.there.close()
        assert self.hub.close(PATIENCE).complete


@pytest.fixture
def leaving(tmp_path: Path) -> Iterator[Leaving]:
    one = Leaving(tmp_path)
    yield one
    one.close()


# -- what was passed on -----------------------------------------------------------------------


def test_it_stays_until_the_hub_has_taken_what_was_passed(leaving: Leaving) -> None:
    message, theirs = leaving.there.next_passed()
    thread = leaving.drain(PATIENCE)
    assert leaving.there.leaves.wait(PATIENCE)
    assert not leaving.there.ended.is_set()
    leaving.there.links[0].send(DialTaken(message.number))
    thread.join(PATIENCE)

    assert leaving.there.ended.wait(PATIENCE)
    assert leaving.copies == 0
    theirs.sendall(HEAD)
    assert leaving.client.recv(len(HEAD), socket.MSG_WAITALL) == HEAD
    theirs.close()


def test_a_hub_that_dies_meanwhile_leaves_the_answer_to_it(leaving: Leaving) -> None:
    _, theirs = leaving.there.next_passed()
    thread = leaving.drain(PATIENCE)
    assert leaving.there.leaves.wait(PATIENCE)
    theirs.close()
    leaving.there.close()
    thread.join(PATIENCE)

    assert leaving.answer() == RESPONSE
    assert leaving.copies == 0


def test_when_its_time_is_over_the_hub_alone_has_the_connection(leaving: Leaving) -> None:
    """A hub that is slow, or stopped, takes it when it goes on: nothing is written, nothing is shut."""
    _, theirs = leaving.there.next_passed()
    leaving.drain(0.2).join(PATIENCE)

    assert leaving.there.ended.wait(PATIENCE)
    assert leaving.copies == 0
    theirs.sendall(HEAD)
    assert leaving.client.recv(len(HEAD), socket.MSG_WAITALL) == HEAD
    theirs.close()


def test_what_no_hub_was_there_for_is_answered_503(tmp_path: Path) -> None:
    leaving = Leaving(tmp_path, welcomes=False)
    leaving.drain(0.2).join(PATIENCE)

    assert leaving.answer() == RESPONSE
    assert leaving.copies == 0
    leaving.close()


# -- who asks ---------------------------------------------------------------------------------


def server_of(told_to_quit: bool = False) -> Any:
    """gunicorn's worker, told to stop, whose main thread runs on."""
    return SimpleNamespace(
        told_to_stop=True,
        told_to_quit=told_to_quit,
        graceful_timeout=30.0,
        master=1,
        kind=Kind.THREADS,
        threads=4,
        workers=2,
        is_stuck=False,
        keep_alive=lambda: None,
        close=lambda: None,
    )


def test_close_in_an_exit_hook_of_a_worker_does_not_wait_for_its_own_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hook runs in the main thread, for whose end a worker that is told to stop waits otherwise."""
    there = PlayedHub(tmp_path / "chat")
    hub = Hub(cluster=LocalCluster(tmp_path / "chat"))
    monkeypatch.setattr("resumehub.cluster.member.find_gunicorn", server_of)
    hub.start()
    assert hub.member is not None
    hub.member.place(PATIENCE)
    assert there.leaves.wait(PATIENCE)
    report = hub.close(PATIENCE)

    assert hub.member.loop is not None
    assert hub.member.loop.role is Role.GONE
    assert report.complete
    there.close()


def test_close_in_an_exit_hook_leaves_the_hub_the_time_of_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new worker is still importing: the hub waits for it, and the hook returns. So nobody is parked."""
    around = [Surroundings(full_stop=False, coming=1)]
    monkeypatch.setattr("resumehub.cluster.stop_watch.look_around", lambda *_, **__: around[0])
    server = server_of()
    server.told_to_stop, server.listeners = False, frozenset()
    hub = Hub(from_query, cluster=LocalCluster(tmp_path / "chat"))
    monkeypatch.setattr("resumehub.cluster.member.find_gunicorn", lambda: server)
    hub.start()
    serving = Server(hub.wsgi_app)
    with connect(f"ws://127.0.0.1:{serving.port}/?room=lobby&id=u1", compression=None):
        until(lambda: hub.count("lobby") == 1)
        server.told_to_stop = True
        report = hub.close(0.3)
        assert not report.complete
        assert {name for name, _ in report.stuck} >= {"resumehub-member"}
        assert not (tmp_path / "chat" / "parked").exists()
        around[0] = Surroundings(full_stop=True, coming=0)  # it will not come
        until(lambda: (tmp_path / "chat" / "parked").exists())
        assert hub.close(PATIENCE).complete
    serving.close()


@pytest.mark.parametrize(
    ("quits", "drains", "closes"),
    [(True, False, True), (True, True, False), (False, False, False)],
    ids=["SIGINT", "SIGINT, drain_on_exit", "SIGTERM"],
)
def test_who_is_to_end_at_once_closes_its_hub(
    tmp_path: Path, quits: bool, drains: bool, closes: bool
) -> None:
    """As without a cluster, unless ``drain_on_exit`` asks for more."""
    cluster = LocalCluster(tmp_path / "chat", drain_on_exit=drains)
    setting: Any = SimpleNamespace(server=server_of(quits), cluster=cluster, parts=Parts())
    order = StopWatch(setting, SimpleNamespace()).order()  # type: ignore[arg-type]

    assert order is not None
    assert order.as_without_a_cluster is closes


@pytest.mark.contract("C8")
def test_close_in_a_handler_returns_at_once_and_parks_behind_it(tmp_path: Path) -> None:
    """The handler's own session is written down, too: it does not run any more by then."""
    reports: list[Any] = []
    hub = Hub(from_query, cluster=LocalCluster(tmp_path / "chat"))

    @hub.on_message
    def close(connection: Connection, message: Message) -> None:
        reports.append(hub.close(PATIENCE))

    hub.start()
    server = Server(hub.wsgi_app)
    with connect(f"ws://127.0.0.1:{server.port}/?room=lobby&id=u1", compression=None) as client:
        client.send('{"event":"close"}')
        until(lambda: bool(reports))
        assert hub.close(PATIENCE).complete
    server.close()

    [(name, stack)] = reports[0].stuck
    assert not reports[0].complete
    assert "reports.append" in stack
    assert (tmp_path / "chat" / "parked").exists()
