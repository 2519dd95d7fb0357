"""A member takes the hub, tells where it is, and leaves; it is refused what would do harm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resumehub import Hub, HubClosed
from resumehub.cluster import LocalCluster
from resumehub.cluster.dials.dial_client import DialClient
from resumehub.cluster.member_parts import Here, Linked
from resumehub.cluster.moves.move_parts import HubMoved, HubNotMoved
from resumehub.cluster.moves.move_source import MoveSource
from resumehub.cluster.readiness import Readiness, role_name
from resumehub.cluster.record_lock import HUB
from resumehub.core.cluster.membership import Role
from resumehub.errors import ClusterError, HubUnavailable
from resumehub.testing import FakeClock, MemoryCluster
from tests.contract.peers import until
from tests.support import PATIENCE


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    hub = Hub(cluster=LocalCluster(tmp_path / "chat"))
    yield hub
    hub.close()


def test_a_process_alone_takes_the_hub(hub: Hub) -> None:
    assert hub.member is not None
    hub.start()
    place = hub.member.place(PATIENCE)

    assert isinstance(place, Here)
    assert place.hub_life == hub.member.hub_life != ""
    ready = hub.ready()
    assert isinstance(ready, Readiness)
    assert (ready.serving, ready.hub_here, ready.draining) == (True, True, False)
    assert hub.stats().role == "hub"


@pytest.mark.parametrize("name", ["a worker", "the hub"])
def test_the_parts_are_told_once_that_the_process_leaves_while_its_links_are_there(name: str) -> None:
    with MemoryCluster() as cluster:
        processes = cluster.processes("the hub", "a worker")
        leaver = next(one for one in processes if one.name == name)
        told: list[int] = []
        assert leaver.hub.member is not None
        leaver.hub.member.parts.leavers.append(lambda: told.append(sum(not link.ended for link in links)))
        links = cluster.host.links
        leaver.tell_to_stop()
        cluster.settle()
        cluster.advance(1.0)
        assert leaver.role is Role.GONE
        assert told == [2]


def test_the_role_of_a_process_is_a_word_of_the_reference() -> None:
    """Whatever it is to its cluster at the moment."""
    assert {role.name: role_name(role) for role in Role} == {
        **dict.fromkeys(("HUB", "MOVING", "PARKING"), "hub"),
        **dict.fromkeys(("IDLE", "GONE"), "outside"),
        **dict.fromkeys(("LOOKING", "HEIR", "ADOPTING", "RECEIVING", "TAKING"), "starting"),
        "WORKER": "worker",
    }


def test_a_relative_folder_is_resolved_once_and_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When the hub is built, wherever the process is when it starts; an absolute one is not talked about."""
    monkeypatch.chdir(tmp_path)
    hub = Hub(cluster=LocalCluster("chat"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    hub.start()
    hub.start()
    assert hub.member is not None
    hub.member.place(PATIENCE)
    hub.close()
    absolute = Hub(cluster=LocalCluster(tmp_path / "chat"))
    absolute.start()
    absolute.close()

    said = [line for line in caplog.messages if "absolute path" in line]
    where = tmp_path / "chat"
    assert said == [
        f"the cluster's folder 'chat' is {where}: give the absolute path, the same in each process"
    ]


def test_ready_says_since_when(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the hub here, of one in another process, of one that is silent, and of none."""
    member = hub.member
    assert member is not None
    hub.start()
    member.place(PATIENCE)
    clock = FakeClock(member.whereabouts._since + 300.0)
    monkeypatch.setattr("resumehub.cluster.whereabouts.now", clock.monotonic)
    assert hub.ready().detail == "this process has held the hub for 300 s"

    links = member._links
    assert links is not None
    links.last_hub_pid = 77
    member.whereabouts.set(Linked(SimpleNamespace(ended=False), "life"))
    clock.advance(40.0)
    assert hub.ready().detail == "process 77 holds the hub, and there has been a link to it for 40 s"
    monkeypatch.setattr(DialClient, "suspect", True)
    monkeypatch.setattr(DialClient, "silent_for", 12.34)
    assert hub.ready().detail == "process 77, which holds the hub, has not answered for 12.3 s"
    assert not hub.ready().serving
    monkeypatch.undo()
    monkeypatch.setattr("resumehub.cluster.whereabouts.now", clock.monotonic)
    member.whereabouts.set_nowhere("it has left this process")
    clock.advance(5.0)
    member.whereabouts.set_nowhere("no process holds it yet")
    assert hub.ready().detail == "no process has been known to hold the hub for 5 s: no process holds it yet"


def test_before_the_start_a_process_takes_no_part(hub: Hub, tmp_path: Path) -> None:
    """Nothing is made: a shell that imports the application leaves no trace."""
    assert hub.member is not None
    assert hub.ready()
    with pytest.raises(HubUnavailable, match=r"call hub\.start\(\)") as caught:
        hub.member.place(0.0)
    assert caught.value.sent is False
    assert not (tmp_path / "chat").exists()


def test_on_start_and_on_stop_run_in_the_process_of_the_hub(tmp_path: Path) -> None:
    hub, seen = Hub(cluster=LocalCluster(tmp_path / "chat")), []
    hub.on_start(lambda it: seen.append(("start", it)))
    hub.on_stop(lambda it: seen.append(("stop", it)))
    hub.start()
    assert hub.member is not None
    hub.member.place(PATIENCE)
    hub.close()

    assert seen == [("start", hub), ("stop", hub)]


def test_a_closed_hub_gives_the_folder_to_the_next(tmp_path: Path) -> None:
    for _ in range(2):
        hub = Hub(cluster=LocalCluster(tmp_path / "chat"))
        hub.start()
        assert hub.member is not None
        assert isinstance(hub.member.place(PATIENCE), Here)
        assert hub.close(PATIENCE).complete
        assert os.listdir(tmp_path / "chat") == ["lock"]
        with pytest.raises(HubClosed):
            hub.start()


def test_handlers_come_before_the_start(hub: Hub) -> None:
    hub.start()
    with pytest.raises(RuntimeError, match=r"hub\.on_message comes too late: .* where the hub is built"):
        hub.on_message(lambda connection, message: None)


def test_a_folder_that_cannot_be_used_is_told_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "chat"
    folder.mkdir()
    folder.chmod(0o777)
    hub = Hub(cluster=LocalCluster(folder))

    with pytest.raises(ClusterError, match=str(folder)):
        hub.start()
    hub.close()


def test_a_hub_whose_lock_file_is_removed_makes_another_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another process would make one, and lock that. Whoever cleans up takes the socket along."""
    folder = tmp_path / "chat"
    hub = Hub(cluster=LocalCluster(folder))
    hub.start()
    assert hub.member is not None
    hub.member.place(PATIENCE)
    os.unlink(folder / "hub")
    os.unlink(folder / "lock")

    until((folder / "lock").exists)
    until((folder / "hub").exists)
    assert hub.ready()
    assert "this process holds the hub in the one that is there" in caplog.text
    hub.close()


def test_a_hub_that_finds_a_second_one_parks_and_leaves(caplog: pytest.LogCaptureFixture) -> None:
    """The file of the lock was removed, and somebody was quicker than the look once a second."""
    with MemoryCluster() as cluster:
        one, two = cluster.processes("one", "two")
        alice = one.dial("/?id=alice")
        cluster.run_until_idle()
        cluster.host.remove_lock_file()
        cluster.host.held[HUB] = stranger = cluster.process("stranger")
        assert cluster.wait_until(lambda: one.role is Role.GONE)
        assert alice.wait_closed()[0] == 1012
        assert "another process holds a second hub in a new one" in caplog.text
        stranger.kill()
        cluster.settle()
        assert cluster.the_hub() is two
        alice.resume_at(two)


def test_a_hub_does_not_move_to_a_file_that_a_second_one_has_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, just before the target of a move locks its byte: it could never take the hub's."""
    with MemoryCluster() as cluster:
        one, two = cluster.processes("one", "two")
        alice = one.dial("/?id=alice")
        cluster.run_until_idle()
        stranger, move = cluster.process("stranger"), MoveSource.move

        def move_too_late(self: MoveSource, *how: Any) -> HubMoved | HubNotMoved:
            cluster.host.remove_lock_file()
            cluster.host.held[HUB] = stranger
            return move(self, *how)

        monkeypatch.setattr(MoveSource, "move", move_too_late)
        one.tell_to_stop()
        assert cluster.wait_until(lambda: one.role is Role.PARKING)
        assert alice.wait_closed()[0] == 1012
        stranger.kill()
        cluster.settle()
        assert cluster.the_hub() is two
        alice.resume_at(two)


def test_a_forked_child_takes_no_part(hub: Hub) -> None:
    hub.start()
    assert hub.member is not None
    hub.member.place(PATIENCE)
    child = os.fork()
    if not child:
        fine = not hub.member.started and not hub.runner.sealed
        os._exit(0 if fine else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert isinstance(hub.member.place(PATIENCE), Here), "the parent goes on"


def test_end_all_ends_all_sessions_and_not_the_hub(hub: Hub) -> None:
    hub.start()
    assert hub.member is not None
    hub.member.place(PATIENCE)

    assert hub.end_all("the chat is over") == 0
    assert hub.ready()


def test_gunicorns_master_lets_go_before_it_forks(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """``hub.start()`` at the import of an application that is preloaded: its workers begin anew."""
    hub.start()
    assert hub.member is not None
    hub.member.place(PATIENCE)
    monkeypatch.setattr("resumehub.cluster.member.is_gunicorn_master", lambda: True)

    hub.member.before_fork()

    assert "must hold no hub" in caplog.text
    assert not hub.member.started
    hub.on_message(lambda connection, message: None)  # nothing is sealed
    hub.start()
    assert isinstance(hub.member.place(PATIENCE), Here)
