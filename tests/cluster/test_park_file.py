"""The file in which sessions wait: what a cut, damage, a full disk or a kill costs, and no more than that."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from resumehub.cluster.folder import Folder
from resumehub.cluster.parking.disk import Disk
from resumehub.cluster.parking.park_file import (
    HISTORY,
    SESSION,
    ParkHead,
    Record,
    Written,
    forget_park,
    take_park,
    write_park,
)
from resumehub.errors import ClusterError
from tests.cluster.failing_disk import Died, FailingDisk

HEAD = ParkHead(1000.5, "hub life", "1.0")
RECORDS = [Record(SESSION, bytes([65 + at]) * (at * 7), at) for at in range(6)]
LARGE = 1 << 30


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path))


def parked(folder: Folder, disk: Disk | None = None, *, limit: int = LARGE) -> Written:
    return write_park(disk or Disk(), folder, HEAD, RECORDS, limit=limit)


def adopted(folder: Folder, disk: Disk | None = None) -> list[bytes]:
    """What a hub that starts gets of the file."""
    disk = disk or Disk()
    reader = take_park(disk, folder)
    if reader is None:
        return []
    assert reader.head == HEAD
    found = [record.data for record in reader.records]
    forget_park(disk, folder)
    return found


def data(count: int) -> list[bytes]:
    return [record.data for record in RECORDS[:count]]


def test_what_is_parked_is_adopted_in_order_and_only_once(folder: Folder) -> None:
    """Given parked sessions, when two hubs start in turn, then the first has all, and no file is left."""
    assert parked(folder).kept == [0, 1, 2, 3, 4, 5]
    assert os.listdir(folder.path) == ["parked"]
    assert os.stat(folder.parked).st_mode & 0o777 == 0o600
    assert adopted(folder) == data(6)
    assert adopted(folder) == []
    assert os.listdir(folder.path) == []


def test_a_record_has_its_kind(folder: Folder) -> None:
    """The history of rooms is beside the sessions."""
    write_park(Disk(), folder, HEAD, [Record(SESSION, b"s"), Record(HISTORY, b"h")], limit=LARGE)
    reader = take_park(Disk(), folder)
    assert reader is not None
    assert [(record.kind, record.data) for record in reader.records] == [(SESSION, b"s"), (HISTORY, b"h")]


def test_a_file_that_is_cut_off_anywhere_gives_its_whole_records(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    """Given a file that ends after any byte, then what is whole is adopted, and the log says what is lost."""
    written = Path(folder.parked)
    parked(folder)
    whole = written.read_bytes()
    before = 0
    for size in range(len(whole)):
        caplog.clear()
        written.write_bytes(whole[:size])
        found = adopted(folder)
        assert found == data(len(found))
        assert len(found) >= before
        before = len(found)
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert folder.parked in caplog.text
    assert before == 6  # only the end is missing


def test_a_damaged_byte_costs_one_record_or_those_behind_it(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    """Given a file with one wrong byte anywhere, then nothing wrong is adopted, and the log says so."""
    written = Path(folder.parked)
    parked(folder)
    whole = written.read_bytes()
    wanted = data(6)
    lost_one = 0
    for at in range(len(whole)):
        caplog.clear()
        written.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        found = adopted(folder)
        assert all(one in wanted for one in found)
        assert found == [one for one in wanted if one in found]
        lost_one += len(found) == 5
        assert caplog.records or at >= len(whole) - 4, at  # there is nothing in the end to be damaged
    assert lost_one > sum(map(len, wanted)) / 2


@pytest.mark.parametrize("room", range(0, 300, 3))
@pytest.mark.parametrize("piece", [None, 7])
def test_a_full_disk_costs_what_has_no_room(folder: Folder, room: int, piece: int | None) -> None:
    """Given a disk that takes so many bytes, then the report and the file agree on who is kept."""
    try:
        written = parked(folder, FailingDisk(room=room, piece=piece))
    except ClusterError as error:
        said = str(error)
    else:
        assert sorted(written.kept + list(written.left_out)) == list(range(6))
        assert all("No space left" in why for why in written.left_out.values())
        assert adopted(folder) == data(len(written.kept))
        return
    assert "No space left on device" in said
    assert folder.parked in said
    assert adopted(folder) == []
    assert os.listdir(folder.path) == []


def test_park_bytes_bounds_the_file(folder: Folder) -> None:
    """Given a bound, then the file is not larger, and what has no room is named with the bound."""
    parked(folder)
    whole = os.stat(folder.parked).st_size
    for limit in range(120, whole + 1):
        written = parked(folder, limit=limit)
        assert os.stat(folder.parked).st_size <= limit
        assert adopted(folder) == [RECORDS[key].data for key in written.kept]
        assert all(f"park_bytes ({limit})" in why for why in written.left_out.values())
    assert written.kept == [0, 1, 2, 3, 4, 5]


def test_what_comes_too_late_is_left_out(folder: Folder) -> None:
    """Given time for three sessions, then three are kept."""
    times = iter([True, True, True, False, False, False])
    written = write_park(Disk(), folder, HEAD, RECORDS, limit=LARGE, in_time=lambda: next(times))
    assert written.kept == [0, 1, 2]
    assert written.left_out == dict.fromkeys([3, 4, 5], "the time was over")


def operations(folder: Folder) -> tuple[int, int]:
    """How many operations of the disk parking has, and adopting."""
    parking, adopting = FailingDisk(), FailingDisk()
    parked(folder, parking)
    adopted(folder, adopting)
    return len(parking.done), len(adopting.done)


@pytest.mark.parametrize("behind", [False, True])
def test_a_process_that_dies_while_it_parks_has_parked_all_or_nothing(folder: Folder, behind: bool) -> None:
    """Given a kill before or behind any step, then the next hub has all sessions or none, and tidies up."""
    for at in range(operations(folder)[0]):
        disk = FailingDisk(at, dies=True, behind=behind)
        with pytest.raises(Died):
            parked(folder, disk)
        renamed = "rename" in disk.done and (behind or disk.done[-1] != "rename")
        folder.tidy()
        assert adopted(folder) == data(6 if renamed else 0)
        assert os.listdir(folder.path) == []


@pytest.mark.parametrize("behind", [False, True])
def test_an_error_while_it_parks_leaves_the_file_that_the_report_says(
    folder: Folder, behind: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Given an error at any step, then whoever is said to be kept is in the file, and nobody else."""
    for at in range(operations(folder)[0]):
        disk = FailingDisk(at, behind=behind and at != 0)
        try:
            kept = parked(folder, disk).kept
        except ClusterError:
            kept = []
            if behind and disk.done[at] == "rename":  # no file system does that: it is named, and is whole
                os.unlink(folder.parked)
        assert not disk.open_files
        assert adopted(folder) == [RECORDS[key].data for key in kept]
        assert os.listdir(folder.path) == []


@pytest.mark.parametrize("behind", [False, True])
def test_a_process_that_dies_while_it_adopts_never_gives_a_session_twice(
    folder: Folder, behind: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Given a kill at any step of an adoption, then the next hub has what this one has not begun to read."""
    steps = operations(folder)[1]
    for at in range(steps):
        parked(folder)
        disk = FailingDisk(at, dies=True, behind=behind)
        with pytest.raises(Died):
            adopted(folder, disk)
        taken = "rename" in disk.done and (behind or disk.done[-1] != "rename")
        left = os.path.exists(folder.adopting)
        caplog.clear()
        folder.tidy()
        assert adopted(folder) == data(0 if taken else 6)
        assert ("what it had not adopted is lost" in caplog.text) == left
        assert os.listdir(folder.path) == []


def test_an_error_while_it_adopts_is_told(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """Given an error at any step of an adoption, then a log line or an error names the file."""
    for at in range(operations(folder)[1]):
        caplog.clear()
        parked(folder)
        disk = FailingDisk(at)
        try:
            found = adopted(folder, disk)
        except ClusterError:
            assert adopted(folder) == data(6)  # it is still there
        else:
            assert folder.parked in caplog.text or folder.adopting in caplog.text
            assert found == data(len(found))
        assert not disk.open_files
        adopted(folder)  # and what is left behind is deleted


def test_a_folder_that_can_not_be_written_to_is_named(folder: Folder) -> None:
    """Given a read-only folder, then parking and adopting say so, and what to do."""

    class ReadOnly(Disk):
        def create(self, path: str) -> int:
            raise OSError(30, "Read-only file system")

        def rename(self, old: str, new: str) -> None:
            raise OSError(30, "Read-only file system")

    with pytest.raises(ClusterError, match=r"can't be written down in .*parked \(Read-only file system\)"):
        parked(folder, ReadOnly())
    parked(folder)
    with pytest.raises(ClusterError, match=r"can't be taken \(Read-only file system\).*rename that file"):
        adopted(folder, ReadOnly())


@pytest.mark.parametrize("version", [0, 2, 65535])
def test_a_file_of_another_release_is_told_apart(
    folder: Folder, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Given a file with a header of another version, then the log says which, and nothing is adopted."""
    parked(folder)
    written = Path(folder.parked)
    whole = written.read_bytes()
    written.write_bytes(whole[:4] + version.to_bytes(2) + whole[6:])
    assert adopted(folder) == []
    assert f"version {version}, this one reads 1" in caplog.text


def test_nobody_is_led_elsewhere_by_a_link(folder: Folder, tmp_path: Path) -> None:
    """Given a symbolic link in place of the file, then it is not followed."""
    (tmp_path / "other").write_bytes(b"x")
    os.symlink("other", folder.parking)
    parked(folder)
    assert (tmp_path / "other").read_bytes() == b"x"
    os.unlink(folder.parked)
    os.symlink("other", folder.parked)
    with pytest.raises(ClusterError):
        adopted(folder)
