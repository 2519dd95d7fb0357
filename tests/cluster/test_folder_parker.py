"""What a member asks to park its hub and to adopt: the door, the hub's end, handlers that call the hub."""

from __future__ import annotations

from pathlib import Path

from resumehub import Hub
from resumehub.clock import now
from resumehub.cluster.door import Door
from resumehub.cluster.folder import Folder
from resumehub.cluster.parking.disk import Disk
from resumehub.cluster.parking.folder_parker import FolderParker
from resumehub.testing import connect
from tests.cluster.restarts import Nowhere
from tests.support import PATIENCE, Call, Recorder, from_query


def made(door: Door | None = None) -> tuple[Hub, Door, FolderParker]:
    hub = Hub(from_query)
    door = door or Door(hub.runner.runtime)
    return hub, door, FolderParker(hub.runner, door, Nowhere(), 1 << 20, Disk())


def test_a_hub_is_adopted_served_parked_and_closed(tmp_path: Path) -> None:
    """Given an empty folder and then a parked session, then the door says where the hub is all the time."""
    folder = Folder(str(tmp_path))
    hub, door, parker = made()
    recorder = Recorder(hub)
    assert not door.here
    assert parker.adopt(folder).parked == 0
    assert door.here
    ws = connect(hub, "/?room=lobby&id=u1")
    recorder.wait_for("connect")
    answering = Call(ws.receive_close)
    done = parker.park(folder, now() + PATIENCE)
    assert (done.parked, done.ended, done.why) == (1, 0, "")
    assert not door.here
    assert hub.closing
    assert answering.result()[0] == 1012
    ws.sock.close()

    hub, door, parker = made()
    there: list[object] = []

    @hub.on_start
    def on_start(started: Hub) -> None:
        assert door.enter()  # a call of a handler: the hub is here by then
        there.append(started.count("lobby"))
        door.leave()

    recorder = Recorder(hub)
    assert parker.adopt(folder).parked == 1
    recorder.wait_for("drop")
    assert there == [1]
    assert door.here
    assert hub.close(PATIENCE).complete


def test_a_hub_that_never_started_is_parked_at_once(tmp_path: Path) -> None:
    """Given a process that is told to stop before it served, then there is no file."""
    hub, _, parker = made()
    assert parker.park(Folder(str(tmp_path)), now() + PATIENCE).parked == 0
    assert list(tmp_path.iterdir()) == []
    assert hub.closing
