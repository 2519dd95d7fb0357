"""The folder of a cluster: made, checked, and every error about it a sentence that says what to do."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from resumehub.cluster.folder import Folder, file_system_of, open_folder
from resumehub.errors import ClusterError

MOUNTS = """\
20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
21 20 0:5 / /run rw shared:2 - tmpfs tmpfs rw
22 20 0:6 / /srv/two\\040words rw - nfs4 server:/export rw
23 22 8:2 / /srv/two\\040words/disk rw master:3 - xfs /dev/sdb1 rw
24 21 0:7 / /run rw - overlay overlay rw
no mount at all
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Callable[[str], str]:
    """Makes a list of mounts in which ``tmp_path`` is on the file system of this kind."""

    def make(kind: str) -> str:
        file = tmp_path / "mountinfo"
        file.write_text(f"20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 0:6 / {tmp_path} rw - {kind} x rw\n")
        return str(file)

    return make


def error_of(path: Path | str, **how: str) -> str:
    """What ``open_folder`` says is wrong; it names the folder."""
    with pytest.raises(ClusterError) as caught:
        open_folder(path, **how)
    assert str(path) in str(caught.value)
    assert caught.value.folder == str(path)
    return str(caught.value)


def test_a_folder_is_made_for_this_user_only(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "chat")

    assert folder == Folder(str(tmp_path / "chat"))
    assert stat.S_IMODE(os.stat(folder.path).st_mode) == 0o700
    assert open_folder(tmp_path / "chat") == folder, "a second process finds it"


def test_every_file_in_it_has_a_name_of_its_own() -> None:
    folder = Folder("/var/lib/chat")
    names = [folder.lock, folder.socket, folder.new_socket("12345678"), folder.parked, folder.parking]
    names.append(folder.adopting)

    assert len(set(names)) == len(names)
    assert {os.path.dirname(name) for name in names} == {"/var/lib/chat"}


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    assert "does not exist: make it first" in error_of(tmp_path / "no" / "chat")
    (tmp_path / "file").touch()
    assert "is a file: give the path of a folder" in error_of(tmp_path / "file")
    assert "can't be made (Not a directory): make it, with mode 0700" in error_of(tmp_path / "file" / "chat")


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "chat"
    path.mkdir()
    path.chmod(mode)

    assert f"(mode {mode:04o}): chmod 0700 {path}" in error_of(path)


def test_a_folder_that_others_may_read_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "chat"
    path.mkdir()
    path.chmod(0o755)

    assert open_folder(path) == Folder(str(path))


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "chat"
    path.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)

    assert "let all processes of a cluster run as the user that owns it" in error_of(path)


def test_a_folder_that_this_process_may_not_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a read-only file system too; root may write anywhere, so the answer is the test's."""
    path = tmp_path / "chat"
    path.mkdir(0o500)
    monkeypatch.setattr(os, "access", lambda path, mode: False)

    assert "this process may not write to" in error_of(path)


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    """Counted in bytes, at the longest name in it, before anything is made."""
    room = 107 - len("/hub.12345678")
    fits = tmp_path / ("x" * (room - len(str(tmp_path)) - 1))
    too_long = Path(f"{fits}y")
    umlauts = tmp_path / ("ü" * ((room - len(str(tmp_path))) // 2 + 1))

    assert f"has {room + 1} bytes, and the system allows {room}" in error_of(too_long)
    assert len(str(umlauts)) < room
    assert f"the system allows {room}" in error_of(umlauts)
    assert not too_long.exists()
    assert open_folder(fits) == Folder(str(fits))


def test_a_relative_path_is_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it is logged, once, is the member's: ``test_member.py``."""
    monkeypatch.chdir(tmp_path)

    assert open_folder("chat") == Folder(str(tmp_path / "chat"))


def test_a_link_leads_to_the_folder_itself(tmp_path: Path) -> None:
    """So that two processes that write the path differently have one cluster."""
    (tmp_path / "link").symlink_to(tmp_path / "chat")

    assert open_folder(tmp_path / "link") == Folder(str(tmp_path / "chat"))


@pytest.mark.parametrize("path", ["", "with\0zero"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ClusterError, match="the folder of a cluster is a path, not"):
        open_folder(path)


def test_a_folder_of_a_network_is_refused(tmp_path: Path, mounts: Callable[[str], str]) -> None:
    said = error_of(tmp_path / "chat", mounts=mounts("nfs4"))

    assert "on a file system of a network (nfs4), which other hosts may share" in said


@pytest.mark.parametrize(
    ("kind", "forgets"), [("tmpfs", "a reboot forgets"), ("overlay", "the end of this container forgets")]
)
def test_a_folder_that_forgets_is_told_of(
    kind: str, forgets: str, tmp_path: Path, mounts: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = open_folder(tmp_path / "chat", mounts=mounts(kind))
    assert caplog.records == [], "said by the process that holds the hub"
    folder.warn_if_it_forgets(mounts(kind))

    (record,) = caplog.records
    assert f"is on {kind}: {forgets} parked sessions" in record.getMessage()


def test_a_folder_on_a_disk_is_not_talked_about(
    tmp_path: Path, mounts: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    open_folder(tmp_path / "chat", mounts=mounts("ext4")).warn_if_it_forgets(mounts("ext4"))
    open_folder(tmp_path / "chat", mounts=str(tmp_path / "there is none"))

    assert caplog.records == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/chat", "ext4"),
        ("/", "ext4"),
        ("/run/chat", "overlay"),
        ("/runner", "ext4"),
        ("/srv/two words/chat", "nfs4"),
        ("/srv/two words/disk", "xfs"),
    ],
)
def test_the_file_system_is_the_one_that_is_mounted_deepest_and_last(
    path: str, kind: str, tmp_path: Path
) -> None:
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTS)

    assert file_system_of(path, str(file)) == kind


def test_what_killed_processes_left_behind_is_deleted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = open_folder(tmp_path)
    for name in ("lock", "hub", "hub.12345678", "parked", "parked.new", "parked.read", "hub.txt", "notes"):
        (tmp_path / name).touch()

    folder.tidy()

    assert {path.name for path in tmp_path.iterdir()} == {"lock", "hub", "parked", "hub.txt", "notes"}
    (record,) = caplog.records
    assert "what it had not adopted is lost" in record.getMessage()
    folder.tidy()
    assert len(caplog.records) == 1
