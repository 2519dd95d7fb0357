"""What the hub's process knows of its workers: who of them could take the hub."""

from __future__ import annotations

import errno
from pathlib import Path
from unittest.mock import Mock

import pytest

from resumehub.clock import now
from resumehub.cluster import member_links
from resumehub.cluster.folder import open_folder
from resumehub.cluster.link_listener import LinkListener, connect
from resumehub.cluster.member_links import SILENT, MemberLinks
from resumehub.cluster.member_messages import MemberStatus
from resumehub.cluster.parts import Parts
from resumehub.cluster.whereabouts import Whereabouts
from resumehub.runtime.system import SystemRuntime
from tests.cluster.links import a_greeting
from tests.contract.peers import until
from tests.support import PATIENCE


def test_a_hub_that_could_not_listen_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk was full, say: until then no other process reaches the hub, and one line says so."""
    folder, runtime = open_folder(tmp_path / "chat"), SystemRuntime()
    links = MemberLinks(
        folder, a_greeting(1), Parts(), Whereabouts(runtime, folder.path), runtime, lambda event: None
    )
    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(LinkListener, "start", Mock(side_effect=full))
        links.listen("1" * 32)
        links.listen_again()
    assert caplog.messages == [
        f"no process can reach the hub of {folder.path}: [Errno 28] No space left on device; "
        "it is tried again each second"
    ]

    links.listen_again()
    link, _ = connect(folder, a_greeting(2), runtime, PATIENCE)
    assert caplog.messages[1:] == [f"processes can reach the hub of {folder.path} again"]
    links.hush()
    links.listen_again()
    assert not (tmp_path / "chat" / "hub").exists(), "who has no hub does not listen"
    link.finish("the test is over")


def test_a_worker_that_has_fallen_silent_is_no_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stopped, say: a move to it would fail again and again, beside others that are ready."""
    folder, runtime = open_folder(tmp_path / "chat"), SystemRuntime()
    where = Whereabouts(runtime, folder.path)
    links = MemberLinks(folder, a_greeting(1), Parts(), where, runtime, lambda event: None)
    links.listen("1" * 32)
    stopped, _ = connect(folder, a_greeting(2), runtime, PATIENCE)
    stopped.send(MemberStatus(True, 100, 0))
    until(lambda: len(links.candidates()) == 1)
    later = now() + SILENT
    assert links.candidates()[0].ready

    monkeypatch.setattr(member_links, "now", lambda: later)
    assert not links.candidates()[0].ready

    other, _ = connect(folder, a_greeting(3), runtime, PATIENCE)
    other.send(MemberStatus(True, 100, 0))
    until(lambda: [one.ready for one in links.candidates()] == [False, True])
    links.hush()
    stopped.finish("the test is over")
    other.finish("the test is over")
