"""Keeps the package's log from the terminal while a target runs: damaged input is logged, and there is much
of it.

Used by ``snapshots.py``, ``control.py`` and ``handshake.py``. Read next: ``snapshots.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Kept(logging.Handler):
    """Formats each line, since that may fail, too; keeps the last ones."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def quiet() -> Iterator[list[str]]:
    """Inside, the log of the package goes into the list that this gives, and nowhere else."""
    logger = logging.getLogger("resumehub")
    handler = _Kept()
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
