"""Limits of the machine that thousands of sessions run into: raised, or said in words."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumehub.runtime import limits


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[tuple[int, int]]:
    """Whatever a test does to the limit of this process, it is as before afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def machine(root: Path, **numbers: int | str) -> str:
    """A tree with the kernel's files in it."""
    names = {
        "somaxconn": "proc/sys/net/core/somaxconn",
        "pids": "sys/fs/cgroup/pids.max",
        "threads": "proc/sys/kernel/threads-max",
    }
    for name, number in numbers.items():
        path = root / names[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n")
    return str(root)


def test_a_machine_with_room_is_told_nothing(tmp_path: Path) -> None:
    root = machine(tmp_path, somaxconn=4096, pids="max", threads=100_000)
    assert limits.prepare(10, 2048, root=root) == []


def test_the_soft_limit_of_descriptors_is_raised_without_a_word(tmp_path: Path) -> None:
    """Most systems give 1024 and allow far more."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    assert limits.prepare(300, 10, root=str(tmp_path)) == []
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300 + limits.DESCRIPTORS_BESIDE


def test_a_limit_that_is_higher_is_left_alone(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits.prepare(1, 10, root=str(tmp_path))
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ({"somaxconn": 128}, "128 connections may wait to be accepted, not 2048"),
        ({"pids": 400}, "400 threads are allowed"),
        ({"threads": 400}, "400 threads are allowed"),
    ],
    ids=["a short queue of connections", "few threads for this group", "few threads for all"],
)
def test_what_only_an_administrator_can_raise_is_said(
    tmp_path: Path, numbers: dict[str, int], says: str
) -> None:
    (sentence,) = limits.prepare(500, 2048, root=machine(tmp_path, **numbers))
    assert says in sentence


def test_too_few_descriptors_are_said_with_how_far_they_go(
    tmp_path: Path, descriptors: tuple[int, int]
) -> None:
    _, hard = descriptors
    if hard == resource.RLIM_INFINITY:
        hard = 10**7
    (sentence,) = limits.prepare(hard, 10, root=str(tmp_path))
    assert f"enough for about {hard - limits.DESCRIPTORS_BESIDE} sessions" in sentence
