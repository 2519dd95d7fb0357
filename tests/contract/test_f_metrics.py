"""Each process counts, and the sums are right, whatever moves, fails to move and is parked (F12, F11)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resumehub import Connection, ConnectionNotFound, Counters, Hub, Message
from resumehub.clock import now
from resumehub.cluster.folder import Folder
from resumehub.cluster.moves.hub_mover import WholeHubMover
from resumehub.cluster.moves.move_parts import HubMoved, HubNotMoved
from resumehub.cluster.parking.parking import adopt, park
from resumehub.core.cluster.passing import DialRules
from resumehub.errors import HubUnavailable
from resumehub.metrics import CountersSnapshot, sum_snapshots
from resumehub.runtime.system import SystemRuntime
from resumehub.server.hub_arrival import HubArrival
from resumehub.testing import WebSocketClient, connect
from resumehub.wsgi.session_lookup import NoVerdict
from tests.cluster.calling import Pair, Process, pair
from tests.cluster.linked_hubs import LinkedHubs
from tests.cluster.restarts import Nowhere
from tests.cluster.worker_beside import WorkerBeside
from tests.contract.peers import Gate, until
from tests.support import PATIENCE, Call

__all__ = ["pair"]


class Counted(LinkedHubs):
    """Two processes that count."""

    def __init__(self) -> None:
        self.of: dict[int, Counters] = {}
        self.gate = Gate()
        super().__init__(self._make)

    def _make(self, runtime: SystemRuntime) -> Hub:
        counters = Counters()
        hub = Hub(lambda request: ("lobby", request.args["id"]), metrics=counters, _runtime=runtime)
        self.of[id(hub)] = counters

        @hub.on_message
        def hear(connection: Connection, message: Message) -> None:
            if message.event == "hold":
                self.gate.hold()

        return hub

    def snapshots(self) -> list[CountersSnapshot]:
        """Of the process that holds the hub, and of the other one, which is checked with it."""
        found = []
        for process in self.processes:
            counted = self.of[id(process.hub)].snapshot()
            assert counted["connections"] == process.hub.stats().sessions, "here is what is counted"
            assert counted["connections"] == balance(counted)
            assert counted["rooms"] == process.hub.stats().rooms
            found.append(counted)
        return found

    def wait_for_sessions(self, count: int) -> None:
        while self.hub.stats().sessions != count:
            self.processes[0].runtime.event("an end").wait(0.001)


def balance(counted: CountersSnapshot) -> int:
    closed = sum(counted["connections_closed"].values())
    moved = counted["connections_moved_in"] - counted["connections_moved_out"]
    return counted["connections_opened"] - closed + moved


@pytest.mark.contract("F12", "F11")
def test_opened_less_closed_and_in_less_out_is_what_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """In each process, after a move, one that fails, one with a carried session, and ends in between."""
    two = Counted()
    everybody = [connect(two.hub, f"/?id={number}") for number in range(3)]
    here, there = two.snapshots()
    assert (here["connections_opened"], here["connections"], there["connections"]) == (3, 3, 0)

    assert isinstance(two.move(), HubMoved)
    here, there = two.snapshots()
    assert (here["connections_moved_in"], here["connections"]) == (3, 3)
    assert (there["connections_moved_out"], there["connections"], there["rooms"]) == (3, 0, 0)

    with monkeypatch.context() as patched:
        patched.setattr(HubArrival, "hold", refuse)
        assert isinstance(two.move(), HubNotMoved)
    here, there = two.snapshots()
    assert (here["connections_moved_out"], here["connections"], there["connections"]) == (0, 3, 0)

    everybody.pop().close()
    two.wait_for_sessions(2)
    everybody[0].send('{"event": "hold"}')
    two.gate.wait_reached()
    moved = two.move(1.0)
    assert isinstance(moved, HubMoved)
    assert moved.carried == 1
    two.snapshots()
    two.gate.open()
    for client in everybody:
        client.close()
    two.wait_for_sessions(0)
    here, there = two.snapshots()
    total = sum_snapshots([here, there])
    assert (total["connections_opened"], total["connections_closed"]["normal"]) == (3, 3)
    assert (total["connections_moved_out"], total["connections_moved_in"]) == (5, 5)
    assert (total["connections"], total["rooms"]) == (0, 0)
    ledger = [process.hub.stats() for process in two.processes]
    assert sum(one.accepted for one in ledger) == total["messages_sent"] == 0
    two.close()


def refuse(*_: Any, **__: Any) -> None:
    raise ValueError("it can't be held")


@pytest.mark.contract("F12", "F11")
def test_what_is_parked_is_out_and_not_yet_in(stage: Callable[..., Any], tmp_path: Path) -> None:
    """Out less in, over all processes, is what is in the file; the frames that wait go along with it."""
    folder = Folder(str(tmp_path))
    first, second = stage(metrics=Counters()), stage(metrics=Counters())
    for name in ("u1", "u2", "u3"):
        first.open(name)
    first.recorder.wait_for("connect", count=3)
    first.drop(first.clients[0])
    first.hub.send("u1", Message("n", 1))
    first.hub.kick("u3")
    accepted = first.hub.stats().accepted

    park(first.hub.runner, folder, until=now() + PATIENCE, park_bytes=1 << 30, elsewhere=Nowhere())
    before = first.metrics.snapshot()
    assert (before["connections_opened"], before["connections_moved_out"], before["connections"]) == (3, 2, 0)
    total = sum_snapshots([before, second.metrics.snapshot()])
    assert total["connections_moved_out"] - total["connections_moved_in"] == 2

    adopt(second.hub.runner, folder)
    after = second.metrics.snapshot()
    assert (after["connections_moved_in"], after["connections"]) == (2, second.hub.stats().sessions)
    stats = first.hub.stats(), second.hub.stats()
    assert sum(one.accepted for one in stats) == accepted == 1
    assert (stats[0].held, stats[1].held) == (0, 1)


@pytest.mark.contract("F12")
def test_a_member_is_told_how_long_each_part_of_a_move_took(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Release and freeze by the old process, adoption by the new one; what each says is what was measured.

    Of the sessions that could not move twenty are named in the log, however many there are.
    """
    two = Counted()
    client: WebSocketClient = connect(two.hub, "/?id=ada")
    old, new = two.processes
    mover = WholeHubMover(old.hub.runner, old.door, old, Nowhere(), {})
    outcome = HubMoved(7, 2, (("x", "why"),) * 25, 0.25, 0.5)
    monkeypatch.setattr("resumehub.cluster.moves.move_source.MoveSource.move", lambda *_: outcome)
    done = mover.move(None, "life", 0.0)
    monkeypatch.undo()
    assert (done.moved, done.carried, done.ended, done.release, done.freeze) == (7, 2, 25, 0.25, 0.5)
    assert caplog.messages[:20] == ["a session could not move, and ends: x (why)"] * 20
    assert caplog.messages[20:] == ["sessions that could not move either, and end: 5 more"]

    began = now()
    came: list[Any] = []
    go = new.target.go
    monkeypatch.setattr(new.target, "go", lambda: came.append(go()) or came[0])
    moved = two.move()
    assert isinstance(moved, HubMoved)
    took = now() - began
    assert moved.released_in >= 0
    assert moved.paused_for > 0
    assert 0 < came[0].seconds < took
    assert moved.released_in + moved.paused_for <= took
    assert came[0].sessions == 1
    client.close()
    two.close()


@pytest.mark.contract("F12")
def test_a_hub_that_does_not_answer_is_counted_until_it_does(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By the worker: one silence, however many dials, and how long it was; the log says that it is over."""
    caplog.set_level(logging.INFO)
    time = 100.0
    monkeypatch.setattr("resumehub.cluster.dials.dial_client.now", lambda: time)
    counters = Counters()
    hub = Hub(metrics=counters)
    hub.runner.start()
    worker = WorkerBeside(hub, DialRules(most_waiting=0, brief_wait=0.01), linked=False)
    _, theirs = worker.link_up(serves=False)
    for _ in range(2):
        with pytest.raises(NoVerdict):
            worker.lookup.look("u1", "", None)
    time += 7.0
    assert worker.client.silent_for == 7.0
    assert (counters.snapshot()["hub_silent"], counters.snapshot()["hub_silences"]) == (1, 1)
    assert counters.snapshot()["hub_silent_seconds"] == 0

    worker.serve_hub(theirs)
    until(lambda: not counters.snapshot()["hub_silent"])
    assert (counters.snapshot()["hub_silences"], counters.snapshot()["hub_silent_seconds"]) == (1, 7.0)
    assert worker.client.silent_for == 0
    until(lambda: "dials here are served again, after 7.0 s" in caplog.text)
    worker.leave()
    assert hub.close(PATIENCE).complete


@pytest.mark.contract("F12")
def test_calls_of_a_worker_that_wait_are_counted(pair: Callable[..., Pair]) -> None:
    """While they wait, and when they are over: answered, also by an exception, or not. Not those at home."""
    p = pair(metrics=Counters())
    counters = p.worker.hub.runner.metrics = Counters()
    assert p.hub.count("lobby") == 0
    with pytest.raises(ConnectionNotFound):
        p.hub.send("nobody", Message("n", 1))
    p.worker.knows_nothing()
    waiting = Call(lambda: p.hub.count("lobby"))
    until(lambda: counters.snapshot()["calls_waiting"])
    before = counters.snapshot()
    assert (before["calls_waiting"], before["calls"], before["calls_unanswered"]) == (1, 2, 0)
    p.worker.link_to(p.holder)
    assert waiting.result() == 0
    after = counters.snapshot()
    assert (after["calls_waiting"], after["calls"], after["calls_unanswered"]) == (0, 3, 0)
    assert after["call_seconds"] > 0
    alone = Process(3, Hub(metrics=(lost := Counters())), timeout=0.01)
    with pytest.raises(HubUnavailable):
        alone.hub.count("lobby")
    assert (lost.snapshot()["calls"], lost.snapshot()["calls_unanswered"]) == (1, 1)
    alone.leave()
    assert p.stage.hub.count("lobby") == 0
    assert p.stage.metrics.snapshot()["calls"] == 0
