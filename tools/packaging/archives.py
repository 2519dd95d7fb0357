"""Builds the sdist and the wheel, from a copy of the project's files, and looks at what is in them.

The copy has only what belongs to the project, so that nothing which an earlier build has left is packed. The
wheel is built from the sdist: what the sdist lacks, the wheel lacks. Read next: ``installed.py``.
"""

from __future__ import annotations

import shutil
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from .project import files_of, setup_of
from .running import run

MADE_BY_BUILDING = ("PKG-INFO", "resumehub.egg-info/")
"""In an sdist, beside the project's files."""


@dataclass(frozen=True)
class Archives:
    sdist: Path
    wheel: Path


def build(root: Path, folder: Path) -> Archives:
    """Build both into ``folder``/dist, and let twine read them. Raises: Failed."""
    source = folder / "source"
    for name in sorted(files_of(root)):
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, target)
    output = folder / "dist"
    run([sys.executable, "-m", "build", "--outdir", str(output), str(source)], cwd=folder)
    [sdist], [wheel] = output.glob("*.tar.gz"), output.glob("*.whl")
    run([sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel)], cwd=folder)
    return Archives(sdist, wheel)


def in_sdist(sdist: Path) -> set[str]:
    """Its files, without the folder that all of them are in."""
    with tarfile.open(sdist) as archive:
        names = [member.name.partition("/")[2] for member in archive if member.isfile()]
    return {name for name in names if not name.startswith(MADE_BY_BUILDING)}


def in_wheel(wheel: Path) -> tuple[set[str], set[str]]:
    """The files of the package, and those of its metadata without their folder."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    metadata = {name for name in names if ".dist-info/" in name}
    return names - metadata, {name.partition(".dist-info/")[2] for name in metadata}


def faults_of(archives: Archives, root: Path) -> list[str]:
    """What is missing in them, or too much; one sentence each."""
    belong = files_of(root)
    packaged = {name for name in belong if name.startswith("resumehub/")}
    files, metadata = in_wheel(archives.wheel)
    found = [
        ("the sdist lacks", belong - in_sdist(archives.sdist)),
        ("the sdist has, and the project has not,", in_sdist(archives.sdist) - belong),
        ("the wheel lacks", packaged - files),
        ("the wheel has, and resumehub/ has not,", files - packaged),
        ("the wheel's metadata lacks", {"METADATA", "entry_points.txt", "licenses/LICENSE"} - metadata),
    ]
    faults = [f"{what} {', '.join(sorted(names))}" for what, names in found if names]
    version = setup_of(root)["metadata"]["version"]
    expected = f"resumehub-{version}.tar.gz", f"resumehub-{version}-py3-none-any.whl"
    if (archives.sdist.name, archives.wheel.name) != expected:
        faults.append(
            f"built {archives.sdist.name} and {archives.wheel.name}, and not {' and '.join(expected)}"
        )
    return faults
