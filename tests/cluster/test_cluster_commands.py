"""``python -m resumehub hub`` and ``cluster``: what they say, and one line for each wrong argument."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from resumehub.cli import main
from resumehub.cluster.folder import Folder
from resumehub.cluster.record_lock import HubSign
from resumehub.cluster_commands import _silent, _stuck
from tests.cluster.test_record_lock import Other

APPLICATION = """
from resumehub import Hub
from resumehub.cluster import LocalCluster
hub = Hub(cluster=LocalCluster({folder!r}))
plain = Hub()
number = 7
"""


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"application_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(APPLICATION.format(folder=str(tmp_path / "chat")))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "path", sys.path)
    return name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "does not say where a Hub is"),
        (":hub", "does not say where a Hub is"),
        (":nothing", "has no nothing"),
        (":number", "is a int, and no Hub"),
        (":plain", "has no cluster="),
    ],
)
def test_hub_says_in_one_line_what_is_wrong(
    name: str, said: str, application: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = application + name if name != ":hub" else name

    assert main(["hub", where]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]


def test_hub_wants_the_folder_of_its_application(
    application: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hub", f"{application}:hub", "--folder", "/var/lib/other"]) == 2
    assert str(tmp_path / "chat") in capsys.readouterr().err


def test_a_module_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hub", "no_such_module_here:hub"]) == 2
    assert "no module no_such_module_here" in capsys.readouterr().err


def test_cluster_of_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", str(tmp_path / "chat")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert not (tmp_path / "chat").exists()


def test_cluster_of_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o700)

    assert main(["cluster", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "no process holds it" in said
    assert "parked   nothing" in said


def test_cluster_says_since_when_a_silent_hub_is_silent() -> None:
    """One that is stopped, one that lives and does not answer, and one of a release that gives no sign."""
    stopped = _silent(77, HubSign(77, 300.4, 12.3), 2.0)
    assert stopped.startswith(
        "hub      process 77 has held it for 300 s, and has given no sign of life for 12 s"
    )
    busy = _silent(77, HubSign(77, 300.4, 0.7), 2.04)
    assert "has held it for 300 s, and lives, and has not answered for 2.0 s" in busy
    assert _silent(77, None, 2.0) == "hub      process 77 holds it, and has not answered for 2.0 s"


def test_cluster_says_that_a_hub_thread_does_not_run() -> None:
    """Its process answers: other threads of it live."""
    assert _stuck(HubSign(77, 300.0, 0.9)) == _stuck(None) == []
    assert "its hub thread has not run for 12 s" in _stuck(HubSign(77, 300.0, 12.3))[0]


def test_cluster_of_a_process_that_holds_the_hub_and_is_not_there_for_anybody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Given a process with the lock, and no socket, then its number and its sign are told."""
    tmp_path.chmod(0o700)
    other = Other(Folder(str(tmp_path)))
    assert other.does("lock.take_hub()") == "True"
    assert main(["cluster", str(tmp_path)]) == 0
    other.leave()
    said = capsys.readouterr().out
    assert f"process {other.process.pid} has held it for " in said
