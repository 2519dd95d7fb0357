"""A lab's run depends on the order of its threads, and not on how long the machine takes for them."""

from __future__ import annotations

import itertools

import pytest

from resumehub.testing import Lab
from tests.support import text


def a_session(seconds_a_look: float, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the threads of a hub do. At each look of any of them at the real clock, it has moved so far."""
    times = itertools.count(1)

    def late() -> float:
        return next(times) * seconds_a_look

    monkeypatch.setattr("resumehub.server.watcher.now", late)
    monkeypatch.setattr("resumehub.clock.now", late)
    with Lab(share=True) as lab:
        hub = lab.open(ping_interval=None)
        hub.on_message(lambda connection, message: connection.send(message))
        alice = lab.dial("/?id=alice")
        lab.run_until_idle()
        for _ in range(3):
            lab.expire("watcher")
            alice.send(text("n", 1))
            lab.run_until_idle()
        hub.kick("alice")
        lab.run_until_idle()
    return [str(step) for step in lab.scheduler.trace]


def test_a_run_on_a_slow_machine_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert a_session(1e-6, monkeypatch) == a_session(10.0, monkeypatch)
