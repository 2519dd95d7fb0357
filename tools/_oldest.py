"""The oldest versions that setup.cfg allows of what applications share with resumehub, in their own folder.

    python tools/_oldest.py FOLDER

installs them into FOLDER with pip, once for each set of versions, and prints what is there. With FOLDER as
``PYTHONPATH`` they hide the newer ones of the virtual environment, also in the servers that tests start.
``tools/test --oldest`` does that. Exits with 1, and says why, where a version is not the one asked for.
"""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]

SHARED_EXTRAS = ("flask", "gunicorn", "prometheus")
"""Extras whose packages come alone: that of OpenTelemetry would have to match the SDK of the tests."""


def pins(setup: Path = ROOT / "setup.cfg") -> dict[str, str]:
    """The lower bound of each package: ``{"werkzeug": "3.0", ...}``. Raises: ValueError if one has none."""
    parser = configparser.ConfigParser()
    parser.read(setup, encoding="utf-8")
    lines = parser["options"]["install_requires"].split()
    for extra in SHARED_EXTRAS:
        lines += parser["options.extras_require"][extra].split()
    found: dict[str, str] = {}
    for line in lines:
        bound = re.fullmatch(r"([\w-]+)>=([\d.]+)(?:,.*)?", line)
        if bound is None:
            raise ValueError(f"{setup.name} names no oldest version in {line!r}: write {line}>=1.0, say")
        found[bound[1]] = bound[2]
    return found


def install(folder: Path) -> None:
    """Fill the folder, unless it has these versions. Raises: CalledProcessError if pip fails."""
    wanted = [f"{name}=={version}" for name, version in pins().items()]
    stamp = folder / ".installed"
    if not stamp.exists() or stamp.read_text("utf-8").split() != wanted:
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "--upgrade", "--target", str(folder), *wanted], check=True)
        stamp.write_text("\n".join(wanted), "utf-8")


def is_version(there: str, wanted: str) -> bool:
    """Whether a version is the one that was asked for: 3.0 is 3.0.0 too."""
    return re.fullmatch(rf"{re.escape(wanted)}(\.0)*", there) is not None


def main() -> int:
    folder = Path(sys.argv[1])
    install(folder)
    there = {one.name.lower().replace("_", "-"): one.version for one in distributions(path=[str(folder)])}
    print(", ".join(f"{name} {version}" for name, version in sorted(there.items())))
    wrong = [
        f"{name} is {there.get(name)} in {folder}, not {version}: remove the folder, and try again"
        for name, version in pins().items()
        if not is_version(there.get(name, ""), version)
    ]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
