"""Commands and virtual environments: each command is bounded, quiet, and tells all when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

PATIENCE = 300.0
"""Seconds that one command may take: an installation over a slow network takes the longest."""


class Failed(Exception):
    """A command failed, or what it made is not right. The text says which, with its output."""


def run(command: list[str], cwd: Path, patience: float = PATIENCE) -> str:
    """Run a command in ``cwd`` and give its output. Blocks: for ``patience`` seconds.

    Raises: Failed.
    """
    shown = " ".join(command)
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=patience,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{shown}\ntook longer than {patience:g} seconds:\n{error.stdout or ''}") from None
    if done.returncode != 0:
        raise Failed(f"{shown}\nended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def environment() -> dict[str, str]:
    """Without what would let a process find the repository's package instead of the installed one."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONWARNINGS": "default",
    }


class Environment:
    """A new virtual environment in ``folder``. It is empty: the pip of this process installs into it."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.folder = folder
        self.python = folder / "bin" / "python"

    def install(self, *requirements: str, constraints: list[str] | None = None) -> None:
        """Raises: Failed."""
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet"]
        if constraints:
            file = self.folder / "constraints.txt"
            file.write_text("\n".join(constraints) + "\n", "utf-8")
            command += ["--constraint", str(file)]
        run([*command, *requirements], cwd=self.folder)
        run([sys.executable, "-m", "pip", "--python", str(self.python), "check"], cwd=self.folder)

    def installed(self) -> dict[str, str]:
        """Name → version of all that is in it."""
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "list", "--format", "json"]
        listed = run(command, cwd=self.folder)
        begin = listed.index("[")
        return {
            one["name"].lower(): one["version"] for one in json.loads(listed[begin : listed.rindex("]") + 1])
        }

    def run(self, *arguments: str, cwd: Path | None = None, patience: float = PATIENCE) -> str:
        """Run this environment's Python. Raises: Failed."""
        return run([str(self.python), *arguments], cwd=cwd or self.folder, patience=patience)
