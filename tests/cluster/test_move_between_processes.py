"""A hub moves between two real processes, and either of them is killed at each step of the move."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import PATIENCE

ROOT = Path(__file__).parents[2]
CLIENTS = 5


class Child:
    """A process of ``move_process.py``."""

    def __init__(self, role: str, folder: Path, link: tuple[int, int], port: int, kill_at: str = "") -> None:
        arguments = [role, str(folder), *map(str, link), str(port), kill_at]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.move_process", *arguments],
            cwd=ROOT,
            pass_fds=link,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)


class TwoProcesses:
    """The source has some sessions, whose clients are here."""

    def __init__(self, folder: Path, source_dies: str, target_dies: str) -> None:
        folder.mkdir(mode=0o700)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        pairs = [
            socket.socketpair(socket.AF_UNIX, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET)
        ]
        ends = [tuple(pair[end].fileno() for pair in pairs) for end in range(2)]
        self.source = Child("source", folder, (ends[0][0], ends[0][1]), port, source_dies)
        self.target = Child("target", folder, (ends[1][0], ends[1][1]), port, target_dies)
        for pair in pairs:
            for one in pair:
                one.close()
        assert self.source.read() == "listens"
        assert self.target.read() == "waits"
        self.clients = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(CLIENTS)]
        self.source.say(f"accept {CLIENTS}")
        assert self.source.read() == "accepted"

    def echo(self, value: int) -> list[int | None]:
        """What each client hears when it says ``value``; None where its connection is gone."""
        text = json.dumps({"payload": value}).encode()
        frame = bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text
        heard: list[int | None] = []
        for client in self.clients:
            try:
                client.sendall(frame)
                reply = client.recv(1000)
            except ConnectionError:
                reply = b""
            heard.append(json.loads(reply[2:])["payload"] if reply else None)
        return heard

    def close(self) -> None:
        for child in (self.source, self.target):
            child.end()
        for client in self.clients:
            client.close()


def moved(folder: Path, source_dies: str = "", target_dies: str = "") -> TwoProcesses:
    two = TwoProcesses(folder, source_dies, target_dies)
    assert two.echo(1) == [1] * CLIENTS
    two.source.say("move")
    return two


def test_the_hub_goes_to_another_process_with_its_sockets(tmp_path: Path) -> None:
    two = moved(tmp_path / "chat")
    assert two.source.read() == "HubMoved"
    assert two.target.read() == f"adopted {CLIENTS}"
    assert two.echo(2) == [2] * CLIENTS
    two.source.end()
    assert two.echo(3) == [3] * CLIENTS, "the old process has nothing to do with them any more"
    two.close()


@pytest.mark.parametrize("step", ["MoveOffer", "SessionsAhead", "SessionsMove", "RestMoves"])
def test_a_target_that_is_killed_before_the_commit_costs_nothing(tmp_path: Path, step: str) -> None:
    two = moved(tmp_path / "chat", target_dies=step)
    assert two.source.read() == "HubNotMoved"
    assert two.echo(2) == [2] * CLIENTS
    two.close()


def test_a_target_that_is_killed_with_the_commit_in_hand_is_a_hub_that_is_killed(tmp_path: Path) -> None:
    two = moved(tmp_path / "chat", target_dies="MoveCommitted")
    assert two.source.read() == "HubMoved"
    two.target.process.wait(PATIENCE)
    assert two.echo(2) == [None] * CLIENTS, "their sockets are closed with the last process that has them"
    two.close()


@pytest.mark.parametrize("step", ["MoveAccepted", "SessionsHeld", "MoveHeld"])
def test_a_source_that_is_killed_before_the_commit_is_a_hub_that_is_killed(tmp_path: Path, step: str) -> None:
    two = moved(tmp_path / "chat", source_dies=step)
    assert two.target.read() == "dropped"
    assert two.echo(2) == [None] * CLIENTS
    two.close()


def test_a_source_that_is_killed_behind_the_commit_costs_nothing(tmp_path: Path) -> None:
    """It dies before it lets the lock go: the kernel does."""
    two = moved(tmp_path / "chat", source_dies="unlock")
    assert two.target.read() == f"adopted {CLIENTS}"
    assert two.echo(2) == [2] * CLIENTS
    two.close()
