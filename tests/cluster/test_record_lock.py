"""Who holds the hub, between real processes: the kernel keeps the lock."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from resumehub.cluster.folder import Folder, open_folder
from resumehub.cluster.record_lock import HEIR, HUB, RecordLock
from resumehub.errors import ClusterError
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import FakeClock

OTHER = """
import os, sys
from resumehub.cluster.folder import Folder
from resumehub.cluster import record_lock
from resumehub.cluster.record_lock import HEIR, HUB, RecordLock
from resumehub.runtime.system import SystemRuntime
lock = RecordLock(Folder(sys.argv[1]), SystemRuntime())
for line in sys.stdin:
    print(eval(line), flush=True)
"""


class Other:
    """A second process with a lock of the same folder: it evaluates what the test says."""

    def __init__(self, folder: Folder) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER, folder.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )

    def does(self, expression: str) -> str:
        self._end("stdin").write(f"{expression}\n")
        self._end("stdin").flush()
        return self._end("stdout").readline().strip()

    def leave(self) -> None:
        self.process.kill()
        self.process.wait()
        self._end("stdin").close()
        self._end("stdout").close()

    def _end(self, name: str) -> IO[str]:
        end: IO[str] = getattr(self.process, name)
        return end


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return open_folder(tmp_path)


@pytest.fixture
def lock(folder: Folder) -> Iterator[RecordLock]:
    made = RecordLock(folder, SystemRuntime())
    yield made
    made.close()


@pytest.fixture
def other(folder: Folder) -> Iterator[Other]:
    made = Other(folder)
    yield made
    made.leave()


def test_one_process_holds_the_hub(lock: RecordLock, other: Other) -> None:
    assert other.does("lock.take_hub()") == "True"

    assert not lock.take_hub()
    assert lock.holder() == other.process.pid
    assert lock.is_held_by_other(HUB)
    assert not lock.is_held_by_other(HEIR), "it has given the heir's byte back"


def test_the_hub_of_a_killed_process_is_free(lock: RecordLock, other: Other) -> None:
    other.does("lock.take_hub()")
    other.leave()

    assert lock.holder() is None
    assert lock.take_hub()
    assert lock.holder() == os.getpid()
    assert lock.take_hub(), "it has it already"


def test_the_heir_gets_the_hub_and_nobody_else(folder: Folder, lock: RecordLock, other: Other) -> None:
    """A third process that tries all the time does not win it (with one byte it won 154 of 300)."""
    third = Other(folder)
    try:
        lock.take_hub()
        assert other.does("lock.try_take(HEIR)") == "True"
        assert third.does("lock.take_hub()") == "False"
        lock.release(HUB)
        assert third.does("lock.take_hub()") == "False"
        assert not lock.take_hub()
        assert other.does("lock.try_take(HUB)") == "True"
        assert other.does("lock.release(HEIR)") == "None"
        assert third.does("lock.take_hub()") == "False"
        assert third.does("lock.holder()") == str(other.process.pid)
    finally:
        third.leave()


def test_who_finds_the_hub_taken_lets_the_heir_go(lock: RecordLock, other: Other) -> None:
    """Between the look and the lock another one may take it."""
    other.does("lock.try_take(HUB)")
    assert not lock.take_hub()
    assert not lock.holds(HEIR)
    assert other.does("lock.is_held_by_other(HEIR)") == "False"


def test_a_forked_child_never_holds_it_and_does_not_drop_it(lock: RecordLock, other: Other) -> None:
    lock.take_hub()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, f"{lock.holds(HUB)} {lock.take_hub()}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)

    assert os.read(reading, 100) == b"False False"
    assert other.does("lock.holder()") == str(os.getpid())
    os.close(reading)


def test_a_process_opens_it_once(folder: Folder, lock: RecordLock) -> None:
    """To open and close it a second time would let go what the first one holds."""
    lock.take_hub()
    with pytest.raises(RuntimeError, match="this process has a hub in the folder"):
        RecordLock(folder, SystemRuntime())
    lock.close()
    RecordLock(folder, SystemRuntime()).close()


def test_a_cleaner_that_removes_the_file_is_noticed(folder: Folder, lock: RecordLock) -> None:
    lock.take_hub()
    assert lock.is_the_file()
    os.unlink(folder.lock)
    assert not lock.is_the_file()
    Path(folder.lock).touch()
    assert not lock.is_the_file(), "another file with the name"


def test_a_hub_goes_over_to_the_file_that_is_there_now(folder: Folder, lock: RecordLock) -> None:
    """Who opens the name afterwards finds the hub taken, and the heir's byte free."""
    lock.take_hub()
    os.unlink(folder.lock)
    assert lock.renew()
    assert lock.is_the_file()
    assert (lock.holds(HUB), lock.holds(HEIR)) == (True, False)
    assert lock.renew(), "it is the file: to close a second descriptor of it would let the hub go"
    late = Other(folder)
    try:
        assert late.does("lock.take_hub()") == "False"
        assert late.does("lock.holder()") == str(os.getpid())
        assert late.does("lock.try_take(HEIR)") == "True"
    finally:
        late.leave()


def test_a_hub_keeps_its_lock_where_another_process_was_first(folder: Folder, lock: RecordLock) -> None:
    """It does not take away what the other one has."""
    lock.take_hub()
    os.unlink(folder.lock)
    first = Other(folder)
    try:
        assert first.does("lock.try_take(HEIR)") == "True"
        assert not lock.renew()
        assert (lock.holds(HUB), lock.holds(HEIR)) == (True, False)
        assert first.does("lock.try_take(HUB)") == "True"
    finally:
        first.leave()


def test_a_worker_goes_over_with_nothing(folder: Folder, lock: RecordLock, other: Other) -> None:
    assert other.does("lock.is_the_file()") == "True"
    os.unlink(folder.lock)
    assert lock.renew()
    assert other.does("lock.take_hub()") == "True", "it has the old file"
    assert lock.take_hub()


def test_a_lock_that_can_not_be_opened_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ClusterError, match=f"the lock of the cluster's folder {tmp_path} can't be opened"):
        RecordLock(open_folder(tmp_path), SystemRuntime())
    assert not (tmp_path / "elsewhere").exists()


def test_another_process_sees_since_when_the_hub_is_held_and_when_it_was_alive(
    folder: Folder, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of one that is stopped: the kernel keeps both. They end with the lock."""
    clock = FakeClock(5000.0)
    monkeypatch.setattr("resumehub.cluster.record_lock.now", clock.monotonic)
    lock = RecordLock(folder, SystemRuntime())
    seen = "(lambda sign: sign and (sign.pid, sign.held_for, sign.silent_for))(lock.sign())"
    assert other.does("setattr(record_lock, 'now', lambda: 5090.0)") == "None"
    assert other.does(seen) == "None"
    lock.sign_of_life()
    assert other.does(seen) == "None", "it holds nothing"
    assert lock.take_hub()
    assert other.does(seen) == f"({os.getpid()}, 90.0, 90.0)"
    for seconds in (1.0, 29.0, 30.0):
        clock.advance(seconds)
        lock.sign_of_life()
    assert other.does(seen) == f"({os.getpid()}, 90.0, 30.0)"
    lock.release(HUB)
    assert other.does(seen) == "None"
    assert other.does("lock.take_hub()") == "True"
    clock.advance(40.0)
    sign = lock.sign()
    assert sign is not None
    assert (sign.pid, sign.held_for, sign.silent_for) == (other.process.pid, 10.0, 10.0)
    lock.close()
