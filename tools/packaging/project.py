"""What belongs to the project, what setup.cfg says of it, and in which places its version stands.

Knows files, and runs nothing but git. ``tests/test_packaging.py`` asks it, too. Read next: ``archives.py``.
"""

from __future__ import annotations

import configparser
import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PASSING = {"__pycache__", "node_modules", "build", "dist"}
"""Folders that commands leave behind; with those whose name begins with a dot."""

UNRELEASED = "## [Unreleased]\n"


def files_of(root: Path) -> set[str]:
    """The files of the project, as paths below ``root``: those that git knows, with those that it would add.

    In an unpacked sdist: all that is there, but for what commands leave behind.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if (root / ".git").exists() and listed.returncode == 0:
        return {name for name in listed.stdout.split("\0") if name and (root / name).is_file()}
    paths = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    belong = {path.as_posix() for path in paths if not any(map(is_left_behind, path.parts[:-1]))}
    return belong - {"PKG-INFO"}


def is_left_behind(folder: str) -> bool:
    return folder in PASSING or folder.endswith(".egg-info") or (folder[0] == "." and folder != ".ci")


def setup_of(root: Path) -> configparser.ConfigParser:
    """setup.cfg."""
    parser = configparser.ConfigParser()
    parser.read(root / "setup.cfg", encoding="utf-8")
    return parser


def requirements_of(root: Path, extra: str = "") -> list[str]:
    """What is installed with the package, or with one extra of it: ``["werkzeug>=3.0", …]``."""
    if extra:
        return setup_of(root)["options.extras_require"][extra].split()
    return setup_of(root)["options"]["install_requires"].split()


def extras_of(root: Path) -> list[str]:
    """The extras that are for users; ``test`` is for the tests of the project itself."""
    return [extra for extra in setup_of(root)["options.extras_require"] if extra != "test"]


# -- the version ------------------------------------------------------------------------


def places_of_version(root: Path) -> dict[str, list[str]]:
    """File → the versions that stand in it. The one in setup.cfg decides."""
    package = json.loads((root / "resumehub" / "static" / "package.json").read_text("utf-8"))
    page = (root / "docs" / "reference" / "versions.md").read_text("utf-8")
    security = (root / "SECURITY.md").read_text("utf-8")
    changes = (root / "CHANGELOG.md").read_text("utf-8")
    return {
        "setup.cfg": [setup_of(root)["metadata"]["version"]],
        "resumehub/static/package.json": [package["version"]],
        "docs/reference/versions.md": re.findall(r"This is (\d\S+):", page),
        "SECURITY.md": re.findall(r"^\| (\d+\.\d+)\.x \| yes", security, re.MULTILINE),
        "CHANGELOG.md": re.findall(r"^## \[(\d\S+)\]", changes, re.MULTILINE)[:1],
    }


def name_version(root: Path, version: str, date: str) -> list[str]:
    """Write a new version into each of its places, and give the changelog's entries to it.

    ``date``: the day of the release, as 2026-11-30. Returns the files that have changed.
    Raises: ValueError for a version or date of another form, one that is not newer, or an empty changelog.
    """
    before = setup_of(root)["metadata"]["version"]
    if not re.fullmatch(r"\d+\.\d+\.\d+", version) or not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        raise ValueError(f"a version is like 0.3.0, and a date like 2026-11-30, not {version!r} and {date!r}")
    if numbers(version) <= numbers(before):
        raise ValueError(f"{version} is not newer than {before}, which setup.cfg has")
    major, minor, _ = numbers(version)
    old, new = ".".join(before.split(".")[:2]), f"{major}.{minor}"
    changes = [
        ("setup.cfg", f"version = {before}", f"version = {version}"),
        ("resumehub/static/package.json", f'"version": "{before}"', f'"version": "{version}"'),
        ("docs/reference/versions.md", f"This is {before}:", f"This is {version}:"),
        ("docs/reference/versions.md", next_minor(before), next_minor(version)),
        ("docs/reference/versions.md", f"({before} to ", f"({version} to "),
        ("docs/reference/versions.md", f" to {next_patch(before)})", f" to {next_patch(version)})"),
        ("docs/reference/versions.md", pin(before), pin(version)),
        ("SECURITY.md", f"| {old}.x | yes", f"| {new}.x | yes"),
        ("SECURITY.md", f"| before {old} |", f"| before {new} |"),
        ("CHANGELOG.md", UNRELEASED, f"{UNRELEASED}\n## [{version}] - {date}\n"),
    ]
    texts = {file: (root / file).read_text("utf-8") for file, _, _ in changes}
    for file, was, becomes in changes:
        if texts[file].count(was) != 1:
            raise ValueError(f"{file} has to have {was.strip()!r} once")
        texts[file] = texts[file].replace(was, becomes)
    if not re.search(rf"^## \[{re.escape(version)}\] - {date}\n\n### ", texts["CHANGELOG.md"], re.MULTILINE):
        raise ValueError("CHANGELOG.md has nothing under [Unreleased]: what would users see?")
    for file, text in texts.items():
        (root / file).write_text(text, "utf-8")
    return sorted(texts)


def numbers(version: str) -> tuple[int, int, int]:
    major, minor, patch = map(int, version.split("."))
    return major, minor, patch


def next_minor(version: str) -> str:
    major, minor, _ = numbers(version)
    return f"({major}.{minor} to {major}.{minor + 1})"


def next_patch(version: str) -> str:
    major, minor, patch = numbers(version)
    return f"{major}.{minor}.{patch + 1}"


def pin(version: str) -> str:
    major, minor, _ = numbers(version)
    return f"resumehub>={major}.{minor},<{major}.{minor + 1}"
