"""The inspector in a process that does not hold the hub: it shows and does the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resumehub import Hub
from resumehub.cluster.calls.inspecting import inspect
from resumehub.cluster.greetings import Greeting, Welcome, answer
from resumehub.cluster.moves.move_parts import HubMoved
from resumehub.errors import HubUnavailable
from resumehub.inspector import Inspector, questions
from resumehub.server.looks import LifeAsked, LifeSeen
from resumehub.session.recent import What
from tests.cluster.calling import Pair, pair
from tests.cluster.cluster_calls import Client, Handled
from tests.cluster.whole_cluster import WholeCluster
from tests.inspector.operator_stage import Operator

__all__ = ["pair"]


class OtherProcess:
    """A worker with an inspector, whose member is told where the hub is by a test."""

    def __init__(self, process: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        process.member.calls = process.calls
        monkeypatch.setattr(process.hub, "member", process.member)
        monkeypatch.setattr(questions, "nodes", lambda hub: None)
        self.operator = Operator(process.hub)


def linked(pair: Any, *, inspects: bool = True) -> Pair:
    """A hub with an inspector and a worker; the hub's process says whether it answers inspectors."""
    made: Pair = pair(ping_interval=None, resume_window=30.0)
    Inspector(made.stage.hub, authorize=bool) if made.stage.hub.runner.loop is None else None
    made.link.peer = replace(made.link.peer, inspects=inspects)
    return made


def test_a_worker_shows_and_ends_the_sessions_of_the_hub(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = linked(pair)
    stage, operator = made.stage, OtherProcess(made.worker, monkeypatch).operator
    ws = stage.open("u1", room="attic", query="&user=ada")
    stage.open("u2", query="&user=ben")
    stage.recorder.wait_for("connect", count=2)
    assert "2 sessions of 2 shown" in operator.text("/sessions")
    assert "attic 1" in operator.text("/rooms")
    stage.drop(ws)
    life = stage.hub.get("u1").life
    seen = operator.text(f"/session/{life}")
    assert "u1 suspended" in seen
    assert "connection lost (1006)" in seen
    assert "Its grace window was ended." in operator.do(life, "expire")
    assert "It was kicked." in operator.do(stage.hub.get("u2").life, "kick")
    assert "0 sessions of 0 shown" in operator.text("/sessions")
    assert "no client came back in its grace window" in operator.text("/ended")
    assert operator.get("/session/nobody").status_code == 404


@pytest.mark.contract("F7")
def test_a_hub_of_the_release_before_is_not_asked_what_it_would_not_know(
    pair: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would end the link, and with it all calls of the worker."""
    made = linked(pair, inspects=False)
    operator = OtherProcess(made.worker, monkeypatch).operator
    with pytest.raises(HubUnavailable, match=r"release 0\.2\.0, which answers no inspector"):
        inspect(made.worker.member, LifeAsked("x"))
    page = operator.get("/sessions")
    assert page.status_code == 503
    assert "release 0.2.0" in page.text
    assert not made.link.ended
    assert made.hub.count("lobby") == 0


@pytest.mark.contract("F7")
def test_a_hub_says_whether_it_answers_inspectors() -> None:
    """Release 0.2.0 says nothing of it."""
    mine = Greeting("a" * 32, 1, "threads", "chat", inspects=True)
    welcome = answer(mine, mine, "life")
    assert isinstance(welcome, Welcome)
    assert Welcome.from_bytes(welcome.to_bytes()).greeting().inspects
    old = b'{"process":"a","pid":1,"kind":"threads","application":"","hub_life":"b"}'
    assert not Welcome.from_bytes(old).greeting().inspects


class Recorded(Handled):
    """The application, with an inspector in each process."""

    def make(self, runtime: Any) -> Hub:
        hub = super().make(runtime)
        Inspector(hub, authorize=bool)
        return hub


def test_behind_a_move_the_list_of_a_session_begins_anew_and_says_so(tmp_path: Path) -> None:
    """What was before is in the process that the hub has left."""
    cluster = WholeCluster(str(tmp_path), Recorded())
    try:
        client = Client(cluster, "u1")
        connection = cluster.hub.get("u1")
        assert connection is not None
        before = cluster.hub
        life = connection.life
        assert isinstance(cluster.move(), HubMoved)
        seen = questions.life(cluster.hub, life)
        assert isinstance(seen, LifeSeen)
        assert [event.what for event in seen.events] == [What.MOVED_IN]
        ((who, events),) = before.runner.recorder.ended()
        assert (who.name, [event.what for event in events.copy()]) == ("u1", [What.BEGAN, What.MOVED_OUT])
        assert client.hello
    finally:
        cluster.close()
