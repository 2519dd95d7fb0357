"""Real workers that share a folder: whoever is dialled and whoever speaks, there is one hub."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.counting import Crowd
from tests.cluster.gate import until
from tests.cluster.harness import Cluster, Setup
from tests.cluster.members import Ours, Theirs
from tests.cluster.verdict import NOTHING

FLASK = Setup(workers=3, flask=True)


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    """Three workers with threads, and views in Flask."""
    with Cluster(FLASK) as cluster:
        cluster.wait_until_serving()
        yield cluster


def test_dials_at_all_workers_reach_one_hub(three) -> None:
    """Six clients, two at each worker: their callbacks run in one process, and each worker counts all."""
    clients: list[Ours | Theirs] = []
    try:
        for pid in three.workers():
            clients.append(Ours(three, f"o-{pid}", room="dials", opener=three.opener_at(pid)))
            clients.append(Theirs(three, f"t-{pid}", room="dials", sock=three.socket_at(pid)))
        for client in clients:
            client.wait_connected()
            until(lambda client=client: three.journal.has("connect", client.name), "on_connect")

        connected = [note for note in three.journal.notes("connect") if note.words[0][2:].isdigit()]
        dialled = {note.pid for note in three.journal.notes("dial") if note.words[0][2:].isdigit()}
        counts = [three.get_at(pid, "/count?room=dials")[1]["count"] for pid in three.workers()]
        assert {note.pid for note in connected} == {three.hub_pid()}
        assert len(connected) == len(clients)
        assert dialled == set(three.workers())
        assert counts == [6, 6, 6]
    finally:
        for client in clients:
            client.close()


def test_views_of_all_workers_reach_everybody(three) -> None:
    """Each worker's view broadcasts to a room whose members came in by all workers; nothing is missed."""
    with Crowd(three, ours=3, theirs=3, room="views") as crowd:
        for pid in three.workers():
            for _ in range(3):
                assert three.get_at(pid, "/broadcast?room=views")[0] == 200
        crowd.wait_until(echoes=20, requests=40)
        verdict = crowd.verdict()

    assert verdict.counts == NOTHING, verdict
    assert verdict.troubles == []
    assert verdict.speakers == set(three.workers())
    assert len(verdict.hub_pids) == 1
    assert set(verdict.statuses) == {"200"}


@pytest.mark.contract("F1")
def test_a_resume_at_another_worker_goes_on(three) -> None:
    """A client loses its connection and dials each worker in turn: same session, nothing lost or doubled."""
    workers = three.workers()
    opener = three.opener_at(workers[0])
    with Crowd(three, ours=0, theirs=1, room="resume") as crowd:
        wanderer = Ours(three, "wanderer", room="resume", opener=opener)
        crowd.add(wanderer)
        wanderer.wait_connected()
        for dial, pid in enumerate([*workers[1:], workers[0]], start=1):
            crowd.wait_until(echoes=3)
            opener.pid = pid
            three.get_at(three.hub_pid(), "/cut?name=wanderer")
            until(lambda dial=dial: three.journal.count("restore", "wanderer") == dial, "the resume")
        crowd.wait_until(echoes=3)
        verdict = crowd.verdict()

    assert verdict.counts == {**NOTHING, "dials": 3}, verdict
    assert verdict.troubles == []
    assert three.journal.count("connect", "wanderer") == 1
    dialled = [note.pid for note in three.journal.notes("dial") if note.words[0] == "wanderer"]
    assert dialled == [*workers, workers[0]]


def test_a_kick_from_another_worker_ends_the_session(three) -> None:
    """The view runs elsewhere; the client has its close frame, and the next one may have the id."""
    with Crowd(three, ours=1, theirs=0, views=0, room="kick") as crowd:
        crowd.wait_until(echoes=1)
        (member,) = crowd.members
        assert three.get_at(three.other_worker(), f"/kick?name={member.name}")[0] == 200
        until(lambda: member.ended, "the client to be told")
        crowd.renew(member).wait_connected()
        crowd.wait_until(echoes=3)

        assert crowd.verdict().counts == NOTHING
