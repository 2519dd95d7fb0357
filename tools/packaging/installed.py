"""Installs what was built into empty virtual environments, and uses it there as a user would.

``uses/`` has one program for the plain package, one for each extra (``use_<extra>.py``), and one for the
type checker. Each runs isolated, with warnings as errors, and prints a line about what it saw.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

from .archives import Archives
from .project import extras_of, requirements_of
from .running import Environment, Failed

USES = Path(__file__).parent / "uses"

PLAIN = {"resumehub", "werkzeug", "markupsafe", "simple-websocket", "wsproto", "h11"}
"""The package, its three dependencies, and what those depend on."""

FROM_THE_SDIST = (
    "tests/test_packaging.py",
    "tests/test_message.py",
    "tests/test_codec.py",
    "tests/test_docs_versions.py",
    "tests/test_docs_tables.py",
    "tests/core/test_states.py",
    "tests/contract/test_a_connect.py",
    "tests/contrib/test_flask_routes.py",
    "tests/integration/test_frozen_time.py",
    "tests/js/test_package.py",
)
"""Some of each kind: pure ones, those that read docs/ and tools/, those that start a server."""

PACKAGE = "resumehub is used at"


def use_plain(archives: Archives, folder: Path) -> Iterator[str]:
    """With its dependencies alone. Raises: Failed."""
    environment = Environment(folder / "plain")
    environment.install(str(archives.wheel))
    installed = environment.installed()
    if set(installed) != PLAIN:
        raise Failed(f"installed with the package: {sorted(installed)}, and not {sorted(PLAIN)}")
    yield "installed: " + ", ".join(f"{name} {version}" for name, version in sorted(installed.items()))
    yield from use(environment, "plain")


def use_extras(archives: Archives, folder: Path, root: Path) -> Iterator[str]:
    """Each extra alone. Raises: Failed."""
    for extra in extras_of(root):
        environment = Environment(folder / f"extra-{extra}")
        environment.install(f"resumehub[{extra}] @ {archives.wheel.as_uri()}")
        for line in use(environment, extra):
            yield f"[{extra}] {line}"


def use_oldest(archives: Archives, folder: Path, root: Path) -> Iterator[str]:
    """The extras of applications together, with the oldest versions that setup.cfg allows. Raises: Failed."""
    extras = [extra for extra in extras_of(root) if extra != "docs"]  # the site's own tools move on together
    wanted = requirements_of(root) + [one for extra in extras for one in requirements_of(root, extra)]
    oldest = [re.sub(r"(?:\[.*\])?>=([\d.]+).*", r"==\1", requirement) for requirement in wanted]
    environment = Environment(folder / "oldest")
    environment.install(f"resumehub[{','.join(extras)}] @ {archives.wheel.as_uri()}", constraints=oldest)
    yield "installed: " + ", ".join(sorted(oldest))
    for name in ["plain", *extras]:
        for line in use(environment, name):
            yield f"[{name}] {line}"


def use(environment: Environment, name: str) -> list[str]:
    """Run one program of ``uses/``, and give what it said. Raises: Failed."""
    said = environment.run("-I", "-W", "error", str(USES / f"use_{name}.py"), patience=120)
    return [line for line in said.splitlines() if '" 101 ' not in line and "HTTP/1." not in line]


def check_types(archives: Archives, folder: Path, root: Path) -> Iterator[str]:
    """A user's program, by ``mypy --strict``: the marked lines alone are errors. Raises: Failed."""
    environment = Environment(folder / "types")
    [mypy] = [one for one in requirements_of(root, "test") if one.startswith("mypy")]
    environment.install(str(archives.wheel), mypy)
    program = USES / "use_types.py"
    expected = {
        (number, line.rpartition("# error: ")[2])
        for number, line in enumerate(program.read_text("utf-8").splitlines(), 1)
        if "  # error: " in line
    }
    mypy_and_its_verdict = (
        "import sys; from mypy import api; print(*api.run(sys.argv[1:])[:2]); import resumehub; "
        f"print('{PACKAGE}', resumehub.__file__)"
    )
    said = environment.run("-I", "-c", mypy_and_its_verdict, "--strict", "--no-incremental", str(program))
    found = {
        (int(error[1]), error[2]) for error in re.finditer(r"\.py:(\d+): error: .*\[([\w-]+)\]$", said, re.M)
    }
    if found != expected or not expected or str(environment.folder) not in said.partition(PACKAGE)[2]:
        raise Failed(f"errors expected: {sorted(expected)}, found: {sorted(found)}\n{said}")
    yield f"mypy --strict sees the installed types: {len(expected)} wrong lines are errors, and no other is"


def test_from_sdist(archives: Archives, folder: Path) -> Iterator[str]:
    """Some tests, in the unpacked sdist, with the extra ``test`` installed from it. Raises: Failed."""
    with tarfile.open(archives.sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    [unpacked] = (folder / "unpacked").iterdir()
    environment = Environment(folder / "test")
    environment.install(f"{unpacked}[test]")
    said = environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", *FROM_THE_SDIST, cwd=unpacked)
    yield f"pytest in the unpacked sdist, {len(FROM_THE_SDIST)} files: {said.strip().splitlines()[-1]}"
