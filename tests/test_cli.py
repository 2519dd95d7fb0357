"""``python -m resumehub``: what it says, what it refuses, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.browser import DemoServer, demo  # noqa: F401  (a fixture)

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 20.0


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "resumehub", *arguments],
        cwd=ROOT,
        # A narrow terminal would break lines in the middle of what the tests look for.
        env={**os.environ, "COLUMNS": "300"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_help_names_every_option_with_its_unit_and_default() -> None:
    """Whoever asks for help needs no second page to start the demo."""
    result = run("serve", "--help")

    assert (result.returncode, result.stderr) == (0, "")
    options = re.split(r"\n  (?=--)", result.stdout)
    lines = {option.split()[0]: " ".join(option.split()) for option in options}
    assert "default: 127.0.0.1" in lines["--host"]
    assert "default: 8000" in lines["--port"]
    assert "answer to this name" in lines["--allow-host"]
    for option, default in (
        ("--resume-window", "30 s"),
        ("--ping-interval", "20 s"),
        ("--write-timeout", "10 s"),
    ):
        assert f"{option} SECONDS" in lines[option]
        assert f"default: {default}" in lines[option]
    assert "--send-buffer MESSAGES" in lines["--send-buffer"]
    assert "default: 256" in lines["--send-buffer"]
    assert "default: replace" in lines["--on-duplicate"]
    assert "--verbose" in lines
    assert "gunicorn, which tools/serve installs by itself" in lines["--workers"]


def test_help_without_a_command_lists_the_commands() -> None:
    result = run("--help")

    assert result.returncode == 0
    assert "serve the demo" in result.stdout


def test_version_is_one_line() -> None:
    result = run("--version")

    assert result.returncode == 0
    assert re.fullmatch(r"resumehub \S.*\n", result.stdout)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "COMMAND"),
        (["sing"], "invalid choice"),
        (["serve", "--port", "80x"], "'80x' is not a port: give a whole number from 0 to 65535"),
        (["serve", "--port", "65536"], "'65536' is not a port"),
        (["serve", "--resume-window", "-1"], "'-1' is not a number of seconds"),
        (["serve", "--write-timeout", "nan"], "'nan' is not a number of seconds"),
        (["serve", "--ping-interval", "often"], "'often' is not a number of seconds"),
        (["serve", "--ping-interval", "3"], "--ping-interval"),
        (["serve", "--write-timeout", "0"], "--write-timeout"),
        (["serve", "--send-buffer", "0"], "'0' is not a number of messages"),
        (["serve", "--workers", "0"], "'0' is not a number of workers from 1 to 16"),
        (["serve", "--workers", "2", "--resume-window", "-1"], "'-1' is not a number of seconds"),
        (["serve", "--workers", "2", "--ping-interval", "3"], "--ping-interval"),
        (["serve", "--on-duplicate", "perhaps"], "'perhaps'"),
        (["serve", "--host", "no-such-host.invalid"], "'no-such-host.invalid' is not an address"),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else "",
)
def test_bad_usage_is_told_in_one_line_with_exit_code_2(arguments: list[str], says: str) -> None:
    """A wrong value is the caller's mistake: one clear line, no traceback, nothing started."""
    result = run(*arguments)

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "error: " in result.stderr
    assert says in result.stderr


def test_a_port_in_use_is_told_in_one_line_with_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port))

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert f"port {port} on 127.0.0.1 is in use" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_it_in_order(demo: Callable[..., DemoServer], number: signal.Signals) -> None:  # noqa: F811
    """Ctrl-C and SIGTERM close the hub and the port, and exit with 0."""
    server = demo()
    assert urllib.request.urlopen(server.url, timeout=PATIENCE).status == 200

    code, out, err = server.stop(number)

    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "Closed."
    port = int(server.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def test_a_signal_ends_it_while_sessions_are_open(demo: Callable[..., DemoServer]) -> None:  # noqa: F811
    """An open WebSocket does not hold the server up: it is told 1001 and let go."""
    server = demo()
    port = int(server.url.rstrip("/").rpartition(":")[2])
    reason = (1001).to_bytes(2, "big") + b"server shutting down"
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock,
        sock.makefile("rb") as answer,
    ):
        sock.sendall(
            b"GET /ws?room=r&name=Ada&id=0123456789abcdef HTTP/1.1\r\nHost: localhost\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        assert answer.readline().startswith(b"HTTP/1.1 101 ")
        server.terminate()
        received = b""
        while not received.endswith(reason):
            received += answer.read(1)
        # The peer answers the close, as a browser does: it is what the server waits for.
        sock.sendall(b"\x88\x80" + bytes(4))

        code, _, err = server.stop()

    assert (code, err) == (0, "")
    assert received.endswith(bytes([0x88, len(reason)]) + reason)


@pytest.mark.parametrize(
    ("options", "name", "status"),
    [
        ((), "127.0.0.1:8000", 200),
        ((), "evil.example", 403),
        (("--host", "0.0.0.0"), "192.168.7.7:8000", 200),
        (("--host", "0.0.0.0"), socket.gethostname(), 200),
        (("--host", "0.0.0.0"), "evil.example", 403),
        (("--allow-host", "Demo.Example"), "demo.example", 200),
    ],
    ids=str,
)
def test_it_answers_to_the_names_that_were_asked_for(
    options: tuple[str, ...], name: str, status: int
) -> None:
    """Addresses and this machine's own name do for a LAN; any other name is allowed by an option."""
    server = DemoServer(*options)
    port = int(server.url.rstrip("/").rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock,
        sock.makefile("rb") as answer,
    ):
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        first = answer.readline()

    code, _, _ = server.stop()

    assert (first.split()[1], code) == (str(status).encode(), 0)


@pytest.mark.parametrize(("host", "warns"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])
def test_it_warns_when_others_can_reach_it(host: str, warns: bool) -> None:
    """The demo believes everybody's name: fine for one's own machine, worth a warning elsewhere."""
    server = DemoServer("--host", host)

    code, _, err = server.stop()

    assert code == 0
    assert ("can be reached from other machines" in err) is warns
    assert "0.0.0.0" not in server.url
