"""A ``Publisher``: from cron, a shell, a worker of a task queue, forked before its first use or behind it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from resumehub import ConnectionNotFound, Hub, Message
from resumehub.cli import main
from resumehub.cluster import LocalCluster, Publisher
from resumehub.errors import HubUnavailable
from resumehub.testing import UpgradeRefused, WebSocketClient, connect
from tests.support import PATIENCE, read, with_users


class Chat:
    """A hub in this process, its folder, a publisher with a line to it, and clients."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.cluster = LocalCluster(folder, timeout=PATIENCE)
        self.hub = Hub(with_users, cluster=self.cluster, refusal_delay=0.0, **options)
        self.hub.start()
        assert self.hub.member is not None
        self.hub.member.place(PATIENCE)
        self.publisher = Publisher(self.cluster)
        self.clients: list[WebSocketClient] = []

    def open(self, connection_id: str, user: str = "") -> WebSocketClient:
        self.clients.append(connect(self.hub, f"/?id={connection_id}&user={user or connection_id}"))
        return self.clients[-1]

    def leave(self) -> None:
        self.publisher.close()
        for ws in self.clients:
            ws.sock.close()
        self.hub.end_all("the test is over")
        self.hub.close(PATIENCE)


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Callable[..., Chat]]:
    made: list[Chat] = []

    def make(**options: Any) -> Chat:
        made.append(Chat(tmp_path / "chat", **options))
        return made[-1]

    yield make
    for one in made:
        one.leave()


def in_a_child(do: Callable[[], None]) -> None:
    """Do it in a forked child; what it raises fails here."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            do()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_it_sends_broadcasts_and_kicks(chat: Callable[..., Chat]) -> None:
    """Results and errors are those of the hub."""
    c = chat()
    ada, ben = c.open("ada"), c.open("ben", user="ada")
    c.publisher.send("ada", Message("n", 1))
    c.publisher.broadcast(["lobby", "nowhere"], Message("n", 2), exclude="ben")
    assert c.publisher.send_to_user("ada", Message("n", 3)) == 2
    assert c.publisher.send_to_user("nobody", Message("n", 3)) == 0
    assert [read(ada) for _ in range(3)] == [("n", 1), ("n", 2), ("n", 3)]
    assert read(ben) == ("n", 3)
    c.publisher.kick("ben")
    assert c.hub.get("ben") is None
    for call in (lambda: c.publisher.kick("ben"), lambda: c.publisher.send("ben", Message("n"))):
        with pytest.raises(ConnectionNotFound):
            call()


def test_what_it_broadcasts_is_kept_in_the_history(chat: Callable[..., Chat]) -> None:
    """It does not know which rooms have one: the hub says so, and its function is asked there."""
    c = chat(history=lambda room_id: 2 if room_id == "lobby" else 0)
    c.open("early")
    for number in range(3):
        c.publisher.broadcast("lobby", Message("n", number), exclude=["ada"])
    c.publisher.broadcast("lobby", Message("n", "for all"))
    assert [c.open("ben").receive(), c.open("ada").receive()] == [
        '{"event":"n","payload":2,"history":true}',
        '{"event":"n","payload":"for all","history":true}',
    ]


def test_before_its_first_call_nothing_is_opened(tmp_path: Path) -> None:
    """A module may build it, before any fork."""
    threads = threading.active_count()
    Publisher(LocalCluster(tmp_path / "chat"))
    assert threading.active_count() == threads
    assert not (tmp_path / "chat").exists()


def test_without_a_hub_and_without_parked_sessions_there_are_no_sessions(tmp_path: Path) -> None:
    """At once: nobody waits for the timeout."""
    publisher = Publisher(LocalCluster(tmp_path / "chat", timeout=PATIENCE * 10))
    publisher.broadcast("lobby", Message("n"))
    assert publisher.send_to_user("ada", Message("n")) == 0
    with pytest.raises(ConnectionNotFound):
        publisher.send("ada", Message("n"))
    with pytest.raises(ConnectionNotFound):
        publisher.kick("ada")


def test_with_parked_sessions_and_no_hub_it_is_told_to_call_again(tmp_path: Path) -> None:
    publisher = Publisher(LocalCluster(tmp_path / "chat", timeout=0.01))
    publisher.broadcast("lobby", Message("n"))
    (tmp_path / "chat" / "parked").touch()
    with pytest.raises(HubUnavailable, match="it may be called again") as caught:
        publisher.broadcast("lobby", Message("n"))
    assert caught.value.sent is False


@pytest.mark.parametrize("used", ["before the fork", "not before the fork"])
def test_it_is_safe_over_a_fork(chat: Callable[..., Chat], used: str) -> None:
    """A prefork pool: each child has a line of its own, and so has the parent, which goes on."""
    c = chat()
    ws = c.open("ada")
    if used == "before the fork":
        c.publisher.send("ada", Message("n", "parent"))
        assert read(ws) == ("n", "parent")
    for number in range(2):
        in_a_child(lambda number=number: c.publisher.send("ada", Message("n", number)))  # type: ignore[misc]
        assert read(ws) == ("n", number)
    c.publisher.send("ada", Message("n", "parent again"))
    assert read(ws) == ("n", "parent again")


CRON = """
import sys
from resumehub import Hub, Message
from resumehub.cluster import LocalCluster, Publisher
cluster = LocalCluster(sys.argv[1])
if sys.argv[2] == "cron":
    Publisher(cluster).send("ada", Message("n", "cron"))
else:
    hub = Hub(cluster=cluster)
    hub.send("ada", Message("n", "shell"))
    assert hub.ids("lobby") == ["ada"]
    assert not hub.member.started
"""


@pytest.mark.parametrize("what", ["cron", "shell"])
def test_a_process_of_its_own_sends_and_ends(chat: Callable[..., Chat], what: str) -> None:
    """A cron job with a Publisher; a shell that imports the application, with its Hub, and never serves."""
    c = chat()
    ws = c.open("ada")
    arguments = [sys.executable, "-c", CRON, c.cluster.folder, what]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert read(ws) == ("n", what)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("/var/lib/chat",), "must be a resumehub.cluster.LocalCluster"),
        ((LocalCluster("/var/lib/chat"), object()), "an object with encode and decode"),
    ],
)
def test_what_is_no_cluster_and_no_codec_is_refused(arguments: tuple[Any, ...], problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        Publisher(*arguments)


def test_ids_of_a_wrong_type_are_refused(tmp_path: Path) -> None:
    publisher: Any = Publisher(LocalCluster(tmp_path / "chat"))
    for call in (
        lambda: publisher.send(7, Message("n")),
        lambda: publisher.broadcast([7], Message("n")),
        lambda: publisher.broadcast("lobby", Message("n"), exclude=[7]),
        lambda: publisher.send_to_user(7, Message("n")),
        lambda: publisher.kick(7),
    ):
        with pytest.raises(TypeError, match="must be a str, not int"):
            call()


def test_it_drains_the_hub_and_undoes_it(chat: Callable[..., Chat]) -> None:
    """For the hook that an orchestrator runs before a stop, outside of the application's processes."""
    made = chat()
    made.open("ada")
    assert made.publisher.drain() == 1
    assert made.hub.stats().draining == "newcomers"
    with pytest.raises(UpgradeRefused):
        made.open("ben")
    assert made.publisher.drain(accept_resumes=False) == 1
    assert made.hub.stats().draining == "all"
    assert made.publisher.undrain() == 1
    made.open("ben")


def test_the_commands_drain_and_undrain(
    chat: Callable[..., Chat], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = chat()
    made.open("ada")
    folder = str(tmp_path / "chat")
    assert main(["drain", folder]) == 0
    assert made.hub.stats().draining == "newcomers"
    assert main(["drain", folder, "--refuse-resumes"]) == 0
    assert made.hub.stats().draining == "all"
    assert main(["undrain", folder]) == 0
    assert made.hub.stats().draining == ""
    assert capsys.readouterr().out.splitlines() == [
        "drained; 1 sessions are here",
        "drained; 1 sessions are here",
        "undrained; 1 sessions are here",
    ]


def test_a_hub_that_nobody_holds_cannot_be_drained(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    publisher = Publisher(LocalCluster(tmp_path / "chat", timeout=0.1))
    with publisher, pytest.raises(HubUnavailable, match="no process holds it"):
        publisher.drain()
    assert main(["drain", str(tmp_path / "nowhere")]) == 2
    assert "there is no folder" in capsys.readouterr().err
