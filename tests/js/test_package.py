"""The JavaScript client as people get it out of the installed package."""

from __future__ import annotations

import configparser
import json
from pathlib import Path

import pytest

from resumehub.cli import main

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "resumehub" / "static"


def test_the_package_for_bundlers_has_the_version_of_the_project() -> None:
    project = configparser.ConfigParser()
    project.read(ROOT / "setup.cfg", "utf-8")
    package = json.loads((STATIC / "package.json").read_text("utf-8"))

    assert package["version"] == project["metadata"]["version"]
    for file in package["files"]:
        assert (STATIC / file).is_file()


@pytest.mark.parametrize("arguments, file", [([], "resumehub.js"), (["--types"], "resumehub.d.ts")])
def test_the_command_line_prints_the_client(
    capfdbinary: pytest.CaptureFixture[bytes], arguments: list[str], file: str
) -> None:
    """``python -m resumehub client-js > resumehub.js`` is a way to get it."""
    assert main(["client-js", *arguments]) == 0

    assert capfdbinary.readouterr().out == (STATIC / file).read_bytes()
