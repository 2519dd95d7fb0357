"""``LocalCluster`` is a checked value, and ``Hub(cluster=…)`` takes one for each folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resumehub import Hub
from resumehub.cluster import LocalCluster


@pytest.mark.parametrize(
    ("arguments", "kind", "named"),
    [
        ({"folder": 7}, TypeError, "folder"),
        ({"folder": b"/var"}, TypeError, "folder"),
        ({"folder": ""}, ValueError, "folder"),
        ({"folder": "/a\0b"}, ValueError, "folder"),
        ({"name": 7}, TypeError, "name"),
        ({"name": ""}, ValueError, "name"),
        ({"name": "a\nb"}, ValueError, "name"),
        ({"name": "n" * 256}, ValueError, "name"),
        ({"timeout": "2"}, TypeError, "timeout"),
        ({"timeout": True}, TypeError, "timeout"),
        ({"timeout": 0}, ValueError, "timeout"),
        ({"timeout": float("inf")}, ValueError, "timeout"),
        ({"park_bytes": 1.5}, TypeError, "park_bytes"),
        ({"park_bytes": 0}, ValueError, "park_bytes"),
        ({"drain_on_exit": 1}, TypeError, "drain_on_exit"),
    ],
)
def test_a_wrong_option_is_named_with_its_value(arguments, kind, named) -> None:
    with pytest.raises(kind) as caught:
        LocalCluster(**{"folder": "/var/lib/chat", **arguments})

    assert f"LocalCluster({named})" in str(caught.value)
    value = arguments[named]
    assert repr(value)[:10] in str(caught.value)


def test_it_is_a_value() -> None:
    one, other = LocalCluster("/var/lib/chat"), LocalCluster(Path("/var/lib/chat"))

    assert one == other
    assert hash(one) == hash(other)
    assert (one.name, one.timeout, one.park_bytes, one.drain_on_exit) == (None, 2.0, 1 << 30, False)


def test_a_relative_folder_is_resolved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cluster = LocalCluster("chat")
    monkeypatch.chdir("/")

    assert cluster.folder == os.path.join(tmp_path, "chat")


def test_a_process_has_one_hub_on_a_folder(tmp_path: Path) -> None:
    """Also where the two name the folder differently; a closed one makes room."""
    (tmp_path / "chat").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "chat")
    first = Hub(cluster=LocalCluster(tmp_path / "chat"))

    with pytest.raises(RuntimeError, match=r"has a Hub on the folder '.*link' already"):
        Hub(cluster=LocalCluster(tmp_path / "link"))

    first.close()
    Hub(cluster=LocalCluster(tmp_path / "link")).close()


def test_another_folder_is_another_hub(tmp_path: Path) -> None:
    hubs = [Hub(cluster=LocalCluster(tmp_path / name)) for name in ("one", "two")]

    for hub in hubs:
        hub.close()


def test_what_is_no_cluster_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"cluster must be a resumehub\.cluster\.LocalCluster.*'/var"):
        Hub(cluster="/var/lib/chat")  # type: ignore[arg-type]


def test_compression_does_not_go_with_a_cluster(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"compression=True does not go with cluster="):
        Hub(cluster=LocalCluster(tmp_path), compression=True)
