"""A handler that returns just as another thread has been given its reader's work.

The order: a reader runs a handler that takes long; the watcher gives the right to read to a new thread;
the handler returns, before the new thread has begun or after. A reader that just goes on then reads beside
the new one: two threads take bytes of one stream in turns, and what was one message is two halves of
nonsense. Ours looks whether the right is still its own, and leaves.
"""

from __future__ import annotations

import threading

import pytest

from resumehub.incoming.reader import Reader
from resumehub.runtime.system import SystemRuntime
from tests.contract.peers import Gate
from tests.support import PATIENCE, text


class GoesOn(Reader):
    """Reads on when the handler has returned, although another thread may read, too."""

    def _run_callbacks(self, job=None) -> bool:
        super()._run_callbacks(job)
        return True


class LateReader(SystemRuntime):
    """The second reader thread starts when it is told to."""

    def __init__(self) -> None:
        self.leader_followers = 0
        self.start = threading.Event()

    def spawn(self, name, run, *, daemon=True):
        self.leader_followers += "-reader-" in name
        if self.leader_followers == 2 and "-reader-" in name:
            return super().spawn(name, lambda: (self.start.wait(PATIENCE), run()), daemon=daemon)
        return super().spawn(name, run, daemon=daemon)


@pytest.fixture(autouse=True)
def no_watcher(monkeypatch):
    """Only the test gives the right to read to another thread."""
    monkeypatch.setattr("resumehub.server.watcher.INTERVAL", 10_000.0)


def stuck_in_a_handler(stage, runtime):
    """u1's first message is being handled; its reader, the gate, and the io that they share."""
    one = stage(_runtime=runtime)
    stuck, readers = Gate(), []

    @one.hub.on_message
    def slow(connection, message) -> None:
        readers.append(threading.current_thread())
        if message.payload == 0:
            stuck.hold()

    ws = one.open()
    ws.send(text("n", 0))
    stuck.wait_reached()
    [io] = one.hub.runner.loop.transports
    return one, ws, stuck, readers, io


@pytest.mark.parametrize("begins", ["before the handler returns", "after the handler has returned"])
@pytest.mark.parametrize("reader", [GoesOn, Reader])
def test_only_one_thread_reads(stage, monkeypatch, reader, begins):
    monkeypatch.setattr("resumehub.server.io_threads.Reader", reader)
    runtime = LateReader()
    one, ws, stuck, readers, io = stuck_in_a_handler(stage, runtime)
    if begins.startswith("before"):
        runtime.start.set()
    one.hub.runner.loop.io_threads.stand_in(io)
    ws.send(text("n", 1))
    if begins.startswith("before"):
        ws.ping(b"?")
        assert ws.wait_for_pong(timeout=PATIENCE), "the stand-in reads while the handler is stuck"

    stuck.open()
    if reader is GoesOn:
        one.recorder.wait_for("message", count=2)
        assert readers[0].is_alive(), "it has gone back to reading"
        runtime.start.set()
        return
    readers[0].join(PATIENCE)
    assert not readers[0].is_alive(), "it has left the reading to the other"
    runtime.start.set()
    ws.send(text("n", 2))
    one.recorder.wait_for("message", count=3)
    assert [message.payload for hook, _, message in one.recorder.events if hook == "message"] == [0, 1, 2]


def test_a_stand_in_for_a_handler_that_has_returned_is_not_needed(stage):
    """The watcher has looked, the handler has returned since: the reader keeps its right."""
    runtime = LateReader()
    one, ws, stuck, readers, io = stuck_in_a_handler(stage, runtime)
    stuck.open()
    ws.ping(b"?")
    assert ws.wait_for_pong(timeout=PATIENCE)
    one.hub.runner.loop.io_threads.stand_in(io)
    ws.send(text("n", 1))
    one.recorder.wait_for("message", count=2)
    ws.ping(b"?")
    assert ws.wait_for_pong(2, timeout=PATIENCE)
    assert len(set(readers)) == 1
