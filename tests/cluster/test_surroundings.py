"""What is seen of gunicorn's master in /proc, with a /proc that the test makes up, and in the real one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resumehub.cluster.surroundings import children_of, look_around, started_at
from resumehub.core.cluster.stopping import Surroundings

MASTER = 100


class Proc:
    """A /proc in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.children(MASTER)

    def children(self, pid: int, *children: int) -> None:
        task = self.path / str(pid) / "task" / str(pid)
        task.mkdir(parents=True, exist_ok=True)
        (task / "children").write_text("".join(f"{child} " for child in children))

    def listens(self, *inodes: int) -> None:
        folder = self.path / str(MASTER) / "fd"
        folder.mkdir(exist_ok=True)
        for number, inode in enumerate(inodes):
            (folder / str(number)).symlink_to(f"socket:[{inode}]")

    def environment(self, pid: int, *settings: bytes) -> None:
        (self.path / str(pid)).mkdir(exist_ok=True)
        (self.path / str(pid) / "environ").write_bytes(b"\0".join(settings))

    def look(self, *known: int) -> Surroundings:
        return look_around(MASTER, {7}, lambda: known, str(self.path))


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def test_a_reload_keeps_the_listeners(proc: Proc) -> None:
    proc.listens(6, 7)
    proc.children(MASTER, 1, 2, 3)

    assert proc.look(1, 2) == Surroundings(full_stop=False, coming=1)


def test_a_full_stop_closes_them_and_its_other_workers_do_not_come(proc: Proc) -> None:
    proc.listens(6)
    proc.children(MASTER, 1, 2)

    assert proc.look(1) == Surroundings(full_stop=True, coming=0)


def test_a_worker_that_has_ended_and_is_not_replaced_yet_is_coming(proc: Proc) -> None:
    """Two that end after so many requests: the first has ended, and its master has not heard of it."""
    proc.listens(7)
    proc.children(MASTER, 1, 2)
    for pid, state in ((1, "S"), (2, "Z")):
        (proc.path / str(pid)).mkdir()
        (proc.path / str(pid) / "stat").write_text(f"{pid} (python) {state} 100")

    def look() -> int | None:
        seen = str(proc.path)
        return look_around(MASTER, {7}, lambda: (1, 2), seen, workers=2, members=lambda: members).coming

    members = {1, 2}

    assert look() == 1
    proc.children(MASTER, 1)
    assert look() == 1
    (proc.path / "2" / "stat").write_text("2 (python) R 100")
    proc.children(MASTER, 1, 2)
    assert look() == 0
    members = {1}  # the other one has left, and is about to end
    assert look() == 1


def test_a_new_master_comes_in_a_full_stop_too(proc: Proc) -> None:
    """SIGUSR2, then SIGTERM before the new workers are ready."""
    proc.listens()
    proc.children(MASTER, 1, 2, 3)
    proc.environment(2, b"PATH=/bin", b"GUNICORN_PID=99")
    proc.environment(3, b"PATH=/bin", b"GUNICORN_PID=100")

    assert proc.look(1) == Surroundings(full_stop=True, coming=1)


def test_a_master_that_is_gone_stops(proc: Proc) -> None:
    assert look_around(4, {7}, lambda: (), str(proc.path)) == Surroundings(full_stop=True, coming=None)


def test_who_becomes_a_member_between_the_two_looks_is_not_coming(proc: Proc) -> None:
    proc.listens(7)
    proc.children(MASTER, 1, 2)
    members = [1]

    def known() -> list[int]:
        return [*members, 2]

    assert look_around(MASTER, {7}, known, str(proc.path)).coming == 0


def test_the_real_proc_knows_this_process() -> None:
    me = os.getpid()

    assert started_at(me) > 0.0
    assert started_at(0) == 0.0
    assert children_of(me) is not None
