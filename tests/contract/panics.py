"""Code of the application that raises: what it raises, when, and how a hub shows that it serves all the same.

Extensions written in Rust raise an exception that is no ``Exception``.
"""

from __future__ import annotations

import pytest

from resumehub import Message
from tests.contract.peers import Ledger
from tests.support import Stage, read, text


class Panic(BaseException):
    """As pyo3's PanicException: no ``Exception``."""


RAISED = [
    pytest.param(Panic, id="a panic"),
    pytest.param(SystemExit, id="SystemExit"),
    pytest.param(KeyboardInterrupt, id="KeyboardInterrupt"),
    pytest.param(ValueError, id="an exception"),
]


class Trap:
    """Raises when it is sprung, until it has been released."""

    def __init__(self, error: type[BaseException]) -> None:
        self._error = error
        self.set = False
        self.times = 0

    def spring(self) -> None:
        if self.set:
            self.times += 1
            raise self._error("secret detail")


def metrics_that_raise(method: str, trap: Trap) -> Ledger:
    """A collector with a trap in one method."""
    ledger = Ledger()
    setattr(ledger, method, lambda *arguments: trap.spring())
    return ledger


def serves(s: Stage, newcomer: str = "next") -> None:
    """A new client is let in, heard and answered, and is reached by a broadcast."""
    assert s.hub.ready()
    ws = s.open(newcomer)
    s.recorder.wait_for("connect", newcomer)
    before = len([event for event in s.recorder.events if event[:2] == ("message", newcomer)])
    ws.send(text("n", "are you there?"))
    assert s.recorder.wait_for("message", newcomer, before + 1) == Message("n", "are you there?")
    s.hub.broadcast("lobby", Message("n", "for all"))
    assert read(ws) == ("n", "for all")
    ws.close()
