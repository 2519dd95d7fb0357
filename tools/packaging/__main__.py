"""The command: ``tools/package``. Builds, looks at what was built, uses it, and says what it saw.

Ends with 1 at the first thing that is wrong. ``--release`` writes a new version instead. Read next:
``project.py``, ``archives.py``, ``installed.py``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .archives import build, faults_of, in_sdist, in_wheel
from .installed import check_types, test_from_sdist, use_extras, use_oldest, use_plain
from .project import ROOT, name_version
from .running import Failed


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/package",
        description="Build the sdist and the wheel in a temporary folder, and use them as those do who "
        "install them. It takes five minutes or more, and needs the network for what pip installs.",
    )
    parser.add_argument("--keep", metavar="FOLDER", type=Path, help="put what was built here, if all is well")
    parser.add_argument("--quick", action="store_true", help="build, look inside, and use the plain package")
    parser.add_argument(
        "--release",
        nargs=2,
        metavar=("VERSION", "DATE"),
        help="do nothing of all that: write a new version (0.3.0 2027-01-31) where it stands, and give the "
        "entries under [Unreleased] to it",
    )
    return parser


def main() -> int:
    arguments = parser().parse_args()
    if arguments.release:
        try:
            print("\n".join(name_version(ROOT, *arguments.release)))
        except ValueError as error:
            print(f"tools/package --release: {error}", file=sys.stderr)
            return 2
        return 0
    with tempfile.TemporaryDirectory(prefix="resumehub-package-") as folder:
        try:
            check(Path(folder), arguments.quick, arguments.keep)
        except Failed as failure:
            print(f"tools/package: {failure}", file=sys.stderr)
            return 1
    return 0


def check(folder: Path, quick: bool, keep: Path | None) -> None:
    """All steps, in this order, each with its time. Raises: Failed."""
    began = time.monotonic()
    archives = build(ROOT, folder)
    faults = faults_of(archives, ROOT)
    if faults:
        raise Failed("\n".join(faults))
    tell("build", began, f"{archives.sdist.name}: all {len(in_sdist(archives.sdist))} files of the project")
    tell(
        "build",
        began,
        f"{archives.wheel.name}: {len(in_wheel(archives.wheel)[0])} files, those of resumehub/",
    )
    tell("build", began, "twine check --strict: passed")
    steps: dict[str, Callable[[], Iterator[str]]] = {"plain": lambda: use_plain(archives, folder)}
    if not quick:
        steps |= {
            "types": lambda: check_types(archives, folder, ROOT),
            "extras": lambda: use_extras(archives, folder, ROOT),
            "oldest": lambda: use_oldest(archives, folder, ROOT),
            "sdist": lambda: test_from_sdist(archives, folder),
        }
    for name, step in steps.items():
        began = time.monotonic()
        for line in step():
            tell(name, began, line)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        for archive in (archives.sdist, archives.wheel):
            print(f"kept: {shutil.copy2(archive, keep)}")


def tell(step: str, began: float, line: str) -> None:
    print(f"{step:7}{time.monotonic() - began:6.1f} s  {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
