"""What all processes of a cluster write down, line by line, in one file: it outlives each of them.

The application (``numbered_app.py``) writes, the harness reads. A line is one write with O_APPEND, so lines
of different processes are never mixed, and what a process has written is there when it is killed. Any thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OPTIONS = "RESUMEHUB_NUMBERED"
"""The environment variable with the application's options, as JSON."""


def pad(number: int) -> str:
    """What goes with a number, so that frames have many sizes, and damage is seen."""
    return "x" * (number * 37 % 211)


@dataclass(frozen=True, slots=True)
class Note:
    """One line: which process wrote it, what happened, and the words that say more."""

    pid: int
    what: str
    words: tuple[str, ...]


class JournalWriter:
    """Appends notes. One for each process; a forked child may go on with its parent's."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def note(self, what: str, *words: object) -> None:
        """Write one line. A word has no space in it."""
        line = " ".join(map(str, (os.getpid(), what, *words)))
        os.write(self._descriptor, f"{line}\n".encode())


class Journal:
    """Reads the notes of all processes, in the order in which they were written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def size(self) -> int:
        """Bytes; it only grows."""
        return self.path.stat().st_size if self.path.exists() else 0

    def notes(self, *whats: str) -> Iterator[Note]:
        """All notes, or those of these kinds."""
        if not self.path.exists():
            return
        for line in self.path.read_text().splitlines():
            pid, what, *words = line.split(" ")
            if not whats or what in whats:
                yield Note(int(pid), what, tuple(words))

    def has(self, what: str, *words: object) -> bool:
        """Whether such a note begins with these words."""
        wanted = tuple(map(str, words))
        return any(note.words[: len(wanted)] == wanted for note in self.notes(what))

    def count(self, what: str, *words: object) -> int:
        """How many notes there are of this kind that begin with these words."""
        wanted = tuple(map(str, words))
        return sum(note.words[: len(wanted)] == wanted for note in self.notes(what))
