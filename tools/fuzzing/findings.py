"""What was found: told apart by where it was raised, made smaller, and kept as files that the tests replay.

A file has the name of its target, a few letters of its hash, and in it a line that says what is wrong, then
the bytes in hexadecimal. Read next: ``running.py``; tests/fuzz/test_found_inputs.py, which replays the files.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .targets import Target

FOUND = Path(__file__).resolve().parents[2] / "tests/fuzz/found"
"""The folder of the repository in which found inputs are kept."""

TRIES = 400
"""So many smaller inputs are tried for one that was found."""


@dataclass(frozen=True)
class Finding:
    target: str
    data: bytes
    what: str

    @property
    def name(self) -> str:
        return f"{self.target}-{hashlib.sha256(self.data).hexdigest()[:10]}.txt"


def fault_of(target: Target, data: bytes) -> tuple[str, str] | None:
    """Where the target raises for ``data``, and what; None: everything holds."""
    try:
        target.run(data)
    except Exception as error:  # (whatever it is, it is the finding)
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{type(error).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}"
        return place, " ".join(f"{type(error).__name__}: {error}".split())
    return None


def smaller(target: Target, data: bytes) -> bytes:
    """The smallest input that was found to fail at the same place, by leaving bytes out and by setting them
    to 0."""
    found = fault_of(target, data)
    assert found is not None, "it fails"
    place, tries = found[0], TRIES

    def fails(candidate: bytes) -> bool:
        other = fault_of(target, candidate)
        return other is not None and other[0] == place

    size = max(len(data) // 2, 1)
    while size and tries > 0:
        changed = False
        for candidate in _candidates(data, size):
            tries -= 1
            if tries < 0:
                break
            if candidate != data and fails(candidate):
                data, changed = candidate, True
                break
        if not changed:
            size //= 2
    return data


def _candidates(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(len(data) - size, -1, -size):
        yield data[:at] + data[at + size :]
    for at in range(0, len(data) - size + 1, size):
        if any(data[at : at + size]):
            yield data[:at] + bytes(size) + data[at + size :]


def save(folder: Path, target: Target, data: bytes) -> Path:
    """Make it smaller, and write it into ``folder``. It is one of the tests when it lies in ``FOUND``."""
    data = smaller(target, data)
    fault = fault_of(target, data)
    assert fault is not None, "a smaller one fails, too"
    found = Finding(target.name, data, fault[1][:300])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / found.name
    path.write_text("\n".join([f"# {found.what}", *textwrap.wrap(data.hex(), 100)]) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> tuple[str, bytes]:
    """The target and the input of a kept file. Raises: ValueError if it is none."""
    text = re.sub(r"^#.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return path.name.partition("-")[0], bytes.fromhex("".join(text.split()))


def kept(folder: Path = FOUND) -> list[Path]:
    return sorted(folder.glob("*.txt"))
