"""A hub that stops with nobody to move to, and the next one: what all of them see (F2, F4, F8, F11)."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resumehub import Admission, Connection, Message
from resumehub.clock import now
from resumehub.cluster.folder import Folder
from resumehub.cluster.parking import parking
from resumehub.cluster.parking.disk import Disk
from resumehub.cluster.parking.parking import AdoptReport, ParkReport, adopt, park
from resumehub.errors import ConnectionNotFound, TransportLost
from resumehub.session import session_state
from resumehub.testing import UpgradeRefused
from tests.cluster.failing_disk import FailingDisk
from tests.cluster.restarts import Nowhere
from tests.contract.peers import Gate
from tests.contract.v1_client import dial
from tests.support import Stage, read, text


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path))


def parked(s: Stage, folder: Folder, *, seconds: float = 20.0, **how: Any) -> ParkReport:
    """The hub of ``s`` is told to stop, and nobody else is there."""
    how = {"park_bytes": 1 << 30, **how}
    return park(s.hub.runner, folder, until=now() + seconds, elsewhere=Nowhere(), **how)


def adopted(s: Stage, folder: Folder, disk: Disk | None = None) -> AdoptReport:
    """The hub of ``s`` starts."""
    listen(s)
    return adopt(s.hub.runner, folder, disk=disk)


def listen(s: Stage) -> None:
    """Have the recorder write down the hooks of a move, too."""
    s.hub.on_start(lambda hub: s.recorder.note("start", "", None))
    s.hub.on_stop(lambda hub: s.recorder.note("stop", "", None))
    s.hub.on_adopt(lambda connection: s.recorder.note("adopt", connection.id, None))
    s.hub.on_release(lambda connection: s.recorder.note("release", connection.id, None))


def entered(s: Stage, connection_id: str = "u1") -> Any:
    """A plain client comes in, and its on_connect has run."""
    before = s.recorder.hooks().count("connect")
    ws = s.open(connection_id)
    s.recorder.wait_for("connect", count=before + 1)
    return ws


def came_back(s: Stage, connection_id: str = "u1") -> Any:
    """A plain client resumes."""
    ws = s.open(connection_id, query="&resume=true")
    s.recorder.wait_for("restore", connection_id)
    return ws


@pytest.mark.contract("C5", "F2")
def test_a_client_is_told_1012_and_finds_its_session_in_the_next_hub(stage: Any, folder: Folder) -> None:
    """Given a client, when the hub is parked, then what was sent comes first, and its session goes on."""
    first, second = stage(), stage()
    listen(first)
    ws = entered(first)
    first.say("u1", 1, 2)
    assert parked(first, folder).parked == 1
    assert [read(ws), read(ws)] == [("n", 1), ("n", 2)]
    assert ws.receive_close() == (1012, "service restart")
    assert ws.wait_for_eof()
    assert first.hub.stats().sessions == 0

    assert adopted(second, folder).adopted == 1
    assert os.listdir(folder.path) == []
    assert second.hub.count("lobby") == 1
    second.hub.broadcast("lobby", Message("n", 3))
    again = came_back(second)
    assert read(again) == ("n", 3)
    assert first.recorder.hooks() == ["start", "connect", "stop", "release"]
    assert second.recorder.hooks() == ["start", "adopt", "drop", "restore"]
    error = second.recorder.wait_for("drop")
    assert isinstance(error, TransportLost)
    assert (error.code, error.reason) == (1012, "service restart")


@pytest.mark.contract("F2", "F4")
def test_what_no_handler_has_begun_with_is_sent_again_and_handled_once(stage: Any, folder: Folder) -> None:
    """Given messages that come while the hub is parked, then none is handled there, and each once here."""
    first, second = stage(), stage()
    client = dial(first)
    client.say(1, 2)
    first.recorder.wait_for("message", count=2)

    @first.hub.on_release
    def on_release(connection: Connection) -> None:
        client.say(3, 4)
        client.ws.ping()
        assert client.ws.wait_for_pong()  # the hub has read them

    assert parked(first, folder).parked == 1
    adopted(second, folder)
    client.s = second
    client = client.resume()
    assert client.hello["received"] == 2
    client.say(3, 4)
    second.recorder.wait_for("message", count=2)
    handled = [one.recorder.events for one in (first, second)]
    assert [[m.payload for h, _, m in events if h == "message"] for events in handled] == [[1, 2], [3, 4]]


@pytest.mark.contract("F4")
def test_what_a_v1_client_has_not_acknowledged_comes_again(stage: Any, folder: Folder) -> None:
    """Given a v1 client that has handled one message of three, then it gets the other two, in order."""
    first, second = stage(), stage()
    client = dial(first)
    first.say("u1", 1, 2, 3)
    assert client.take(1) == [1]
    parked(first, folder)
    adopted(second, folder)
    second.say("u1", 4)
    client.s = second
    assert client.resume().take(3) == [2, 3, 4]


@pytest.mark.contract("F8")
def test_no_token_can_be_read_from_the_file(stage: Any, folder: Folder) -> None:
    """Given a parked session, then its file opens nothing, and its client's token does."""
    first, second = stage(), stage()
    client = dial(first)
    parked(first, folder)
    written = Path(folder.parked).read_bytes()
    key, _, secret = client.token.partition(".")
    assert key.encode() in written
    assert secret.encode() not in written
    adopted(second, folder)
    kept = second.hub.runner.look("u1", "", 0).seen.credentials.tokens
    client.s = second
    for wrong in (kept.newest, f"{key}.{'x' * 32}"):
        with pytest.raises(UpgradeRefused, match="403"):
            client.resume(token=wrong)
    client.resume()


def test_rooms_users_and_data_go_along(stage: Any, folder: Folder) -> None:
    """Given a session in two rooms with a user and data, then the next hub knows all of that at once."""
    wanted = Admission("lobby", "u1", {"name": "Ada", "tags": [1, None]}, "ada")
    first, second = stage(lambda request: wanted), stage(lambda request: wanted)
    entered(first)
    connection = first.hub.get("u1")
    connection.join("news")
    parked(first, folder)
    adopted(second, folder)
    there = second.hub.get("u1")
    assert (there.rooms, there.user, there.data) == (("lobby", "news"), "ada", wanted.data)
    assert second.hub.send_to_user("ada", Message("n", 1)) == 1
    assert sorted(second.hub.rooms()) == ["lobby", "news"]
    assert read(came_back(second)) == ("n", 1)


def test_the_history_of_the_rooms_goes_along(stage: Any, folder: Folder) -> None:
    """Given a room with a history, then who enters it in the next hub gets that history."""
    first, second = stage(history={"lobby": 5}), stage(history={"lobby": 5})
    entered(first)
    first.hub.broadcast("lobby", Message("n", "said before"))
    parked(first, folder)
    adopted(second, folder)
    assert read(second.open("u2")) == ("n", "said before")


def test_windows_begin_when_the_next_hub_is_ready(stage: Any, folder: Folder) -> None:
    """Given a client that was away for 29 of 30 seconds, then it has 30 from the adoption on."""
    first, second = stage(), stage()
    first.drop(entered(first))
    first.clock.advance(29)
    parked(first, folder)
    adopted(second, folder)
    second.clock.advance(29.9)
    assert second.hub.get("u1") is not None
    second.clock.advance(0.2)
    error = second.recorder.wait_for("disconnect")
    assert second.recorder.hooks() == ["start", "adopt", "disconnect"]
    assert error.code == 1006  # why it was lost, before the hub was parked


def test_after_a_day_parked_sessions_only_end(
    stage: Any, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a file of the day before yesterday, then each session is adopted, told and ended."""
    first, second = stage(), stage()
    entered(first)
    parked(first, folder)
    later = parking.wall() + 24 * 3600 + 1
    monkeypatch.setattr(parking, "wall", lambda: later)
    assert adopted(second, folder).too_old
    second.clock.advance(0)
    second.recorder.wait_for("disconnect")
    assert second.recorder.hooks() == ["start", "adopt", "drop", "disconnect"]
    with pytest.raises(UpgradeRefused, match="410"):
        second.open(query="&resume=true")


def ends_as_without_a_cluster(s: Stage, ws: Any) -> None:
    """The hub closes: the session that was not parked ends with it."""
    s.hub.close(5.0)
    assert ws.receive_close() == (1001, "server shutting down")
    s.recorder.wait_for("disconnect")


def test_a_session_with_a_handler_that_does_not_return_ends(stage: Any, folder: Folder) -> None:
    """Given a handler that still runs at the end of the time, then its session is named, and ends."""
    s = stage()
    gate = Gate()
    s.hub.on_message(lambda connection, message: gate.hold())
    ws = entered(s)
    ws.send(text("n", 1))
    gate.wait_reached()
    report = parked(s, folder, seconds=2.0)
    gate.open()
    assert report.ended == (("u1", "a handler of it still runs"),)
    ends_as_without_a_cluster(s, ws)


@pytest.mark.parametrize(
    ("options", "connect", "because"),
    [
        ({}, lambda request: ("lobby", None), "no client can resume it"),
        ({"resume_window": 0}, lambda request: ("lobby", "u1"), "no client can resume it"),
        ({"data_codec": None}, lambda request: ("lobby", "u1"), "its data belongs to this process"),
        ({}, lambda request: ("lobby", "u1", {"at": object()}), "connection.data['at'] is an object"),
    ],
    ids=["a generated id", "no window", "no codec", "data that is not JSON"],
)
def test_a_session_that_can_not_be_parked_ends_with_the_reason(
    stage: Any, folder: Folder, options: Any, connect: Callable[[Any], Any], because: str
) -> None:
    """Given a session that nobody could go on with, then the report says why, and it ends as ever."""
    s = stage(connect, **options)
    listen(s)
    ws = entered(s)
    [(_, why)] = parked(s, folder).ended
    assert why.startswith(because)
    ends_as_without_a_cluster(s, ws)
    hooks = s.recorder.hooks()
    assert [hooks[1], hooks[-1]] == ["connect", "disconnect"]
    assert "release" not in hooks or hooks.index("release") < hooks.index("adopt")


def test_what_does_not_fit_into_park_bytes_ends(stage: Any, folder: Folder) -> None:
    """Given room for one session of two, then one is parked, and the other one is told 1001."""
    first, second = stage(), stage()
    small, large = entered(first, "small"), entered(first, "large")
    first.drop(large, "large")
    first.say("large", "x" * 5000)
    report = parked(first, folder, park_bytes=4000)
    assert report.parked == 1
    assert report.ended == (("large", "it does not fit into park_bytes (4000)"),)
    assert small.receive_close()[0] == 1012
    first.hub.close(5.0)
    assert first.recorder.hooks("large") == ["connect", "drop", "disconnect"]
    assert adopted(second, folder).adopted == 1
    assert second.hub.get("small") is not None


@pytest.mark.parametrize("room", [0, None])
def test_a_disk_that_takes_nothing_leaves_the_hub_as_it_was(
    stage: Any, folder: Folder, room: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Given a full disk or one that fails, then the log says so, and the sessions go on until the close."""
    s = stage()
    listen(s)
    ws = entered(s)
    report = parked(s, folder, disk=FailingDisk(room=room, at=None if room == 0 else 4))
    assert report.error is not None
    assert folder.parked in report.error
    assert folder.parked in caplog.text
    s.say("u1", "still here")
    assert read(ws) == ("n", "still here")
    s.recorder.wait_for("adopt")  # on_stop of the close waits for on_start, and for no session
    ends_as_without_a_cluster(s, ws)
    hooks = s.recorder.hooks()
    assert hooks[:6] == ["start", "connect", "stop", "release", "start", "adopt"]
    assert sorted(hooks[6:]) == ["disconnect", "stop"]
    assert os.listdir(folder.path) == []


@pytest.mark.contract("F2")
def test_a_bug_in_the_middle_leaves_no_session_in_two_places(stage: Any, folder: Folder) -> None:
    """Given an error that nobody expects, behind the renaming, then the hub goes on, and no file is left."""

    class Broken(Disk):
        def sync_folder(self, path: str) -> None:
            raise LookupError

    s = stage()
    ws = entered(s)
    with pytest.raises(LookupError):
        parked(s, folder, disk=Broken())
    assert os.listdir(folder.path) == []
    s.say("u1", "still here")
    assert read(ws) == ("n", "still here")


def test_a_session_of_a_later_release_ends_by_name(
    stage: Any, folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Given a file with one session that a later release wrote, then that one ends, and others go on."""
    first, second = stage(), stage()
    entered(first, "known")
    entered(first, "newer")
    versions = iter([session_state.VERSION, session_state.VERSION + 1])
    encode = session_state.encode

    def written(state: Any) -> bytes:
        with monkeypatch.context() as patch:
            patch.setattr(session_state, "VERSION", next(versions))
            return encode(state)

    monkeypatch.setattr("resumehub.server.hub_parking.encode", written)
    assert parked(first, folder).parked == 2
    report = adopted(second, folder)
    assert (report.adopted, report.ended) == (1, 1)
    assert "a parked session ends: the session 'newer' was written by a later release" in caplog.text
    assert second.hub.get("known") is not None


def test_a_handle_that_was_kept_says_that_its_session_is_elsewhere(stage: Any, folder: Folder) -> None:
    """Given a handle, when its session is parked, then it does not look like an ended one's."""
    s = stage()
    entered(s)
    connection = s.hub.get("u1")
    parked(s, folder)
    with pytest.raises(ConnectionNotFound):
        connection.send(Message("n", 1))


@pytest.mark.contract("F11")
def test_the_ledger_goes_along(stage: Any, folder: Folder) -> None:
    """Given frames in all columns, then the sums are where the session is, and add up."""
    first, second = stage(send_buffer=4), stage(send_buffer=4)
    client = dial(first)
    first.say("u1", 1, 2)
    client.take(2)
    client.ack_for_sure()
    client.drop()
    for number in range(7):
        first.hub.broadcast("lobby", Message("n", number))
    before = first.hub.stats()
    parked(first, folder)
    adopted(second, folder)
    columns = ("accepted", "acknowledged", "written", "dropped", "expired", "closed", "held")
    assert [getattr(first.hub.stats(), one) for one in columns] == [0] * 7
    assert [getattr(second.hub.stats(), one) for one in columns] == [getattr(before, one) for one in columns]
    assert before.accepted == before.acknowledged + before.dropped + before.held


@pytest.mark.contract("F2")
def test_a_second_hub_on_the_folder_gets_nothing(stage: Any, folder: Folder) -> None:
    """Given two hubs that start, then one has the sessions."""
    first, second, third = stage(), stage(), stage()
    entered(first)
    parked(first, folder)
    assert adopted(second, folder).adopted == 1
    assert adopted(third, folder).adopted == 0


def test_a_folder_from_which_nothing_can_be_taken(
    stage: Any, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    """Given a read-only folder at the start, then the hub serves, and the log says what is wrong."""

    class ReadOnly(Disk):
        def rename(self, old: str, new: str) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

    first, second = stage(), stage()
    entered(first)
    parked(first, folder)
    report = adopted(second, folder, ReadOnly())
    assert report.error is not None
    assert "can't be taken (Read-only file system)" in caplog.text
    second.open("u2")
    second.recorder.wait_for("connect", "u2")
    assert second.recorder.hooks() == ["start", "connect"]
