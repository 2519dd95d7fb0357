"""The list of examples in docs/clients/: how each is started, and whether this machine has what it needs.

Installs nothing. Called by ``__main__.py`` and the tests. Read next: ``story.py``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs/clients"


@dataclass(frozen=True)
class Place:
    """How to start an example here, or what is ``missing`` for it."""

    command: tuple[str, ...] = ()
    version: str = ""
    folder: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""


@dataclass(frozen=True)
class Example:
    """``needs``: a module of Python, or a package of npm. ``version``: a command that prints the version.

    ``verdict``: what the example is to be told when its session is gone.
    """

    name: str
    file: str
    verdict: str
    command: tuple[str, ...] = ()
    needs: str = ""
    version: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    install: str = ""

    def found(self, python: str, node_modules: str) -> Place:
        """Where it can be played. Starts programs that print a version."""
        path = str(FOLDER / self.file)
        if self.file.startswith("python_"):
            said = _output(python, "-c", _VERSION.format(self.needs))
            return Place((python, path), said) if said else Place(missing=f"needs {self.needs} from PyPI")
        if self.file.endswith(".mjs"):
            return self._in_node(path, Path(node_modules).resolve())
        said = _output(*self.version, environment=self.environment).partition("\n")[0]
        if not said:
            return Place(missing=f"needs {self.install}")
        return Place((*self.command, path), said, environment=self.environment)

    def _in_node(self, path: str, modules: Path) -> Place:
        node = shutil.which("node")
        if node is None:
            return Place(missing="needs node")
        if not self.needs:
            own = _output(node, "-p", "typeof WebSocket") == "function"
            flags = () if own else ("--experimental-websocket",)
            return Place((node, *flags, path), f"Node {_output(node, '--version').removeprefix('v')}")
        packages = {self.needs, "ws"}
        versions = []
        for package in sorted(packages, key=lambda package: package == "ws"):
            about = modules / package / "package.json"
            if not about.exists():
                return Place(missing=f"needs {package} from npm")
            versions.append(_output(node, "-p", f"require({str(about)!r}).version"))
        return Place(
            (node, path), ", ws ".join(versions), folder=modules.parent, environment=self.environment
        )


_VERSION = "import importlib.metadata as m, sys; sys.stdout.write(m.version({!r}))"


def _output(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """What a command prints; nothing, if it can't be started or fails."""
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _of_debian(package: str) -> tuple[str, ...]:
    return ("dpkg-query", "--show", "--showformat=${Version}", package)


_GO = {"GOPATH": "/usr/share/gocode", "GO111MODULE": "off", "GOFLAGS": "", "HOME": "/tmp"}

EXAMPLES = (
    Example("Python: websockets", "python_websockets.py", "410", needs="websockets"),
    Example("Python: websocket-client", "python_websocket_client.py", "410", needs="websocket-client"),
    Example("Python: aiohttp", "python_aiohttp.py", "410", needs="aiohttp"),
    Example("Node: ws", "node_ws.mjs", "410", needs="ws"),
    Example("Node: global WebSocket", "node_global.mjs", "4100"),
    Example("Node: reconnecting-websocket", "node_reconnecting.mjs", "4100", needs="reconnecting-websocket"),
    Example(
        "Node: partysocket",
        "node_reconnecting.mjs",
        "4100",
        needs="partysocket",
        environment={"PACKAGE": "partysocket/ws"},
    ),
    Example(
        "Java: java.net.http",
        "Client.java",
        "410",
        command=("java",),
        version=("java", "--version"),
        install="a JDK, 17 or newer",
    ),
    Example(
        "Go: gorilla",
        "gorilla.go",
        "410",
        command=("go", "run"),
        version=_of_debian("golang-github-gorilla-websocket-dev"),
        environment=_GO,
        install="Debian's golang-go and golang-github-gorilla-websocket-dev",
    ),
    Example(
        "C: libsoup",
        "libsoup.py",
        "410",
        command=("/usr/bin/python3",),
        version=_of_debian("gir1.2-soup-3.0"),
        install="Debian's python3-gi and gir1.2-soup-3.0",
    ),
    Example(
        "Perl: Mojolicious",
        "mojolicious.pl",
        "410",
        command=("perl",),
        version=("perl", "-MMojolicious", "-e", "print Mojolicious->VERSION"),
        install="Debian's libmojolicious-perl",
    ),
)
