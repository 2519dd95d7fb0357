"""F8: nothing is left of a session that has ended, in whatever process it was, and however it ended.

All that the processes lead to is walked: no text of a session may be found, and no container may have grown
from one round of sessions to the next.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resumehub import Connection, Hub, HubUnavailable, Message
from resumehub.cluster.calls import call_server
from resumehub.cluster.moves.move_parts import HubMoved, HubNotMoved
from resumehub.errors import ConnectionClosed, RequestInDoubt, RequestTimeout
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import FakeClock
from tests.cluster.cluster_calls import Client
from tests.cluster.gate import until
from tests.cluster.what_is_left import Held, held
from tests.cluster.whole_cluster import WholeCluster
from tests.support import PATIENCE, Call, with_users

MARK = "remembered-"
"""In each id, room, user, message and in the data of each session."""

WINDOW, ASKED_FOR = 30.0, 5.0


class Lives:
    """The application, in all processes; and what its hubs' clocks say."""

    def __init__(self) -> None:
        self.clocks: dict[Hub, FakeClock] = {}
        self._changed = threading.Condition()
        self._count: dict[tuple[str, str], int] = {}

    def make(self, runtime: SystemRuntime) -> Hub:
        clock = FakeClock()
        hub = Hub(with_users, _runtime=runtime, clock=clock, refusal_delay=0.0, resume_window=WINDOW)
        self.clocks[hub] = clock
        hub.on_connect(self._connected)
        hub.on_transport_drop(lambda connection, error: self.note("drop", connection.id))
        hub.on_disconnect(lambda connection, error: self.note("disconnect", connection.id))

        @hub.on_message
        def on_message(connection: Connection, message: Message) -> None:
            message.defer()
            self.note("asked", connection.id)

        return hub

    def _connected(self, connection: Connection) -> None:
        connection.data = {"who": f"{MARK}data"}
        self.note("connect", connection.id)

    def note(self, hook: str, connection_id: str) -> None:
        with self._changed:
            self._count[hook, connection_id] = self._count.get((hook, connection_id), 0) + 1
            self._changed.notify_all()

    def wait_for(self, hook: str, connection_id: str, count: int = 1) -> None:
        with self._changed:
            assert self._changed.wait_for(
                lambda: self._count.get((hook, connection_id), 0) >= count, PATIENCE
            ), f"{hook} of {connection_id}"


class One:
    """A session with all that a session can have, and threads that wait for its client."""

    def __init__(self, cluster: WholeCluster, name: str, *, v1: bool) -> None:
        self.cluster, self.lives = cluster, cluster.handled
        self.id = f"{MARK}{name}-{'v1' if v1 else 'plain'}"
        self.client = Client(cluster, self.id, room=f"{MARK}{name}", v1=v1)
        self.lives.wait_for("connect", self.id)
        handle, here = cluster.caller.get(self.id), cluster.hub.get(self.id)
        assert handle is not None
        assert here is not None
        handle.join(f"{MARK}more")
        self.client.say(json.dumps({"event": f"{MARK}event", "id": f"{MARK}one"}))
        self.lives.wait_for("asked", self.id)
        self.waiting = [
            self._asks(handle),
            self._asks(here),
            Call(lambda: _in_doubt(lambda: handle.wait_closed(PATIENCE))),
        ]
        for _ in range(2):
            assert "id" in self.client.next()
        cluster.caller.broadcast(f"{MARK}more", Message(f"{MARK}news"))
        cluster.caller.send(self.id, Message(f"{MARK}news"))

    def _asks(self, connection: Connection) -> Call:
        return Call(lambda: _in_doubt(lambda: connection.request(f"{MARK}ask", timeout=ASKED_FOR)))

    # -- how it ends ------------------------------------------------------------------------

    def leave(self) -> None:
        self.client.ws.send_close(1000)

    def kick(self) -> None:
        self.cluster.caller.kick(self.id)

    def expire(self) -> None:
        self.client.ws.drop()
        self.lives.wait_for("drop", self.id)
        self.clock.advance(WINDOW + 1.0)

    def be_displaced(self) -> None:
        """By another client of its id, which leaves."""
        newcomer = Client(self.cluster, self.id, room=self.id, v1=self.client.v1)
        self.lives.wait_for("connect", self.id, 2)
        newcomer.ws.send_close(1000)
        self.lives.wait_for("disconnect", self.id, 2)
        newcomer.ws.sock.close()
        self.cluster.clients.remove(newcomer)

    @property
    def clock(self) -> FakeClock:
        clock: FakeClock = self.lives.clocks[self.cluster.hub]
        return clock

    def forget(self) -> None:
        """It has ended: nobody waits for it, and its client is gone."""
        self.lives.wait_for("disconnect", self.id)
        self.client.ws.sock.close()
        self.cluster.clients.remove(self.client)
        while any(call.is_under_way() for call in self.waiting):
            self.cluster.holders[0].server.tick()
        for call in self.waiting:
            call.result()


def _in_doubt(what: Callable[[], object]) -> None:
    try:
        what()
    except (RequestInDoubt, RequestTimeout, ConnectionClosed, HubUnavailable):
        pass


THREADS = re.compile(r"Condition\._|ThreadGroup\._|LeaderFollowers\._|WeakValueDictionary\.data|^dict")
"""Containers in which threads are; and what holds nothing itself."""

OF_A_KIND = 8
"""Sessions of one kind that end in one way, in two rounds."""

BOUNDED = frozenset({"Deadlines._heap"})
"""What may grow: deadlines that were cancelled go when 64 of them are there."""

WAYS: dict[str, Callable[[One], None]] = {
    "leave": One.leave,
    "kick": One.kick,
    "expire": One.expire,
    "be displaced": One.be_displaced,
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[WholeCluster]:
    made = WholeCluster(str(tmp_path), Lives())
    yield made
    made.close()


def begin(cluster: WholeCluster, name: str) -> list[tuple[str, One]]:
    """Sessions of both kinds, one for each way to end."""
    return [(way, One(cluster, f"{name}-{way}", v1=v1)) for way in WAYS for v1 in (False, True)]


def end(ones: list[tuple[str, One]]) -> None:
    for way, one in ones:
        WAYS[way](one)
    for _, one in ones:
        one.forget()


def fail_to_move(cluster: WholeCluster) -> None:
    """The other process is killed when it has everything but the commit."""
    cluster.before_commit = lambda: cluster.linked.links[-1][1].close()
    assert isinstance(cluster.move(), HubNotMoved)
    cluster.before_commit = lambda: None
    assert cluster.linked.processes[1].was_dropped.wait(PATIENCE)


def move(cluster: WholeCluster) -> None:
    assert isinstance(cluster.move(), HubMoved)


def a_round(cluster: WholeCluster, number: int) -> None:
    """Sessions that end where they began, behind a failed move, and behind a move; askers give up, too."""
    end(begin(cluster, f"{number}-here"))
    ones = begin(cluster, f"{number}-thawed")
    fail_to_move(cluster)
    end(ones)
    ones = begin(cluster, f"{number}-moved")
    move(cluster)
    end(ones)
    ones = begin(cluster, f"{number}-late")
    before = cluster.hub
    move(cluster)
    cluster.handled.clocks[before].advance(ASKED_FOR + 1.0)
    end(ones)


def look(cluster: WholeCluster, *, frames: bool = True) -> Held:
    """At all of the processes, and nothing of the test's."""
    processes = [*cluster.holders, cluster.worker, cluster.other_worker]
    parts = [(one.hub, one.calls, one.member) for one in processes]
    sides = [(one.door, one.source, one.target) for one in cluster.linked.processes]
    but = [cluster, cluster.handled, *(process._ends for process in processes)]
    return held([*parts, *sides, cluster.publisher], MARK, but=but, frames=frames)


def settle(cluster: WholeCluster) -> None:
    """Workers have confirmed all answers, a minute has passed for those that have gone, and all deadlines."""
    for process in (cluster.worker, cluster.other_worker, cluster.holders[1]):
        for _ in range(2):
            process.hub.count("nowhere")
    for hub, clock in cluster.handled.clocks.items():
        if hub.runner.loop is not None:
            clock.advance(1000.0)
    for process in cluster.holders:
        process.server.tick()


@pytest.mark.contract("F8")
def test_nothing_is_left_of_sessions_that_have_ended(
    cluster: WholeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However they ended, wherever they were; and nothing grows with their number."""
    monkeypatch.setattr(call_server, "KEEP", 0.0)
    a_round(cluster, 0)
    settle(cluster)
    first = look(cluster, frames=False)
    a_round(cluster, 1)
    a_round(cluster, 2)
    settle(cluster)
    second = look(cluster)
    assert second.named == []
    grown = second.sizes - first.sizes  # a thread more in a pool, for example, is no leak
    assert {name: by for name, by in grown.items() if by >= OF_A_KIND and name not in BOUNDED} == {}


def forget_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dictionary from which nobody takes anything out."""
    monkeypatch.setattr(
        "resumehub.server.registry._key", lambda session: "" if session.is_over else session.life
    )


def keep_the_last_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has moved a hub knows its sessions for ever."""
    monkeypatch.setattr(
        "resumehub.cluster.moves.move_source._Attempt.__delattr__", lambda attempt, name: None
    )


def keep_askers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is over stays in the table of the hub."""
    monkeypatch.setattr("resumehub.session.asking.Askers._end", lambda *of: None)


@pytest.mark.contract("F8")
@pytest.mark.parametrize("leak", [forget_nothing, keep_the_last_move, keep_askers])
def test_a_leak_is_found(
    cluster: WholeCluster, monkeypatch: pytest.MonkeyPatch, leak: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """The test above can fail."""
    leak(monkeypatch)
    ones = begin(cluster, "leaking")
    move(cluster)
    end(ones)
    settle(cluster)
    assert look(cluster).named != []


def expire_all(ones: list[tuple[str, One]]) -> None:
    """Nobody comes back."""
    while ones:
        _, one = ones.pop()
        one.clock.advance(WINDOW + 1.0)
        one.forget()


@pytest.mark.contract("F8")
def test_nothing_is_left_of_sessions_that_were_parked(
    cluster: WholeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the process that has parked them, nor, when they have expired, here or there."""
    monkeypatch.setattr(call_server, "KEEP", 0.0)
    ones = begin(cluster, "parked")
    old = cluster.holders[0]
    cluster.park(lambda: [one.client.read_to_the_end() for _, one in ones])
    assert "parked" in cluster.files()
    assert cluster.adopt() == len(ones)
    expire_all(ones)
    old.server.tick()  # as its member does, until the process ends
    until(lambda: not old.server.passed_on, "late answers to have found their way, or none")
    parts, but = [old.hub, old.calls, old.member], [cluster, cluster.handled, old._ends]
    assert held(parts, MARK, but=but, frames=False).named == []
    settle(cluster)
    assert look(cluster).named == []
    assert [name for name in cluster.files() if "park" in name] == []


@pytest.mark.contract("F8", "E3")
def test_a_request_whose_asker_gave_up_behind_a_move_is_open_no_longer(cluster: WholeCluster) -> None:
    """The thread waits in the process that has asked; the session is in the next one, and lives."""
    one = One(cluster, "asked", v1=True)
    before = cluster.hub
    move(cluster)
    session = cluster.hub.runner.registry().sessions[one.id]
    assert len(session.own_requests) == 2
    cluster.handled.clocks[before].advance(ASKED_FOR + 1.0)
    while len(session.own_requests):
        assert any(call.is_under_way() for call in one.waiting)
    one.kick()
    one.forget()


@pytest.mark.contract("F8")
def test_every_place_that_holds_a_session_is_on_the_page(cluster: WholeCluster) -> None:
    """What grows with each session that begins, or moves, is what the table names."""
    move(cluster)  # so that both processes have a hub that runs
    end(begin(cluster, "warm"))
    before = look(cluster, frames=False).sizes
    ones = begin(cluster, "new")
    grown = set(more(look(cluster, frames=False).sizes, before))
    move(cluster)
    grown |= set(more(look(cluster, frames=False).sizes, before))
    page = (Path(__file__).parents[2] / "docs/reference/cluster-files.md").read_text("utf-8")
    table = page.partition("\n| where | what of it")[2].partition("\n\n")[0]
    rows = [row for row in table.splitlines() if "(not compared)" not in row]
    said = {name for row in rows for name in re.findall(r"`(\w+\.\w+)`", row)}
    assert grown == said
    end(ones)


def more(now: Counter[str], before: Counter[str]) -> Counter[str]:
    """What has grown by at least one for each session of a kind."""
    grown = now - before
    return Counter(
        {
            name: by
            for name, by in grown.items()
            if by >= 4 and name not in BOUNDED and not THREADS.search(name)
        }
    )
