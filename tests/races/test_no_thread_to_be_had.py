"""The system has no more threads to give, at the worst moment.

The orders: a socket has been handed over and no thread can be started to read it, to write its close frame,
to run its callbacks, or to read in place of a reader that is stuck. A hub that does not catch the error
keeps a session that no thread serves, or a socket that no thread closes. Ours has the work done by a thread
that exists; where each transport has a reader of its own, it gives up the one that gets none. All moments at
which a thread may be missing: ``test_any_thread_is_missing.py``.
"""

from __future__ import annotations

import contextlib

import pytest

from resumehub.runtime.system import SystemRuntime
from resumehub.testing import TransportClosed, UpgradeRefused
from tests.contract.peers import Gate, fill, heard_all, rock, until
from tests.support import PATIENCE, read, text


class ShortOfThreads(SystemRuntime):
    """Refuses to start threads of some roles, so many times each."""

    def __init__(self, **refusals: int) -> None:
        self.refusals = refusals

    def spawn(self, name, run, *, daemon=True):
        role = name.split("-")[-2]
        if self.refusals.get(role, 0) > 0:
            self.refusals[role] -= 1
            raise RuntimeError("can't start new thread")
        return super().spawn(name, run, daemon=daemon)


@pytest.mark.parametrize("refusals", [1, 2], ids=["but to close it", "not even to close it"])
def test_nobody_to_read_a_new_connection_costs_its_transport(stage, refusals):
    """The session is suspended like after any drop; its callbacks run; its client comes back."""
    runtime = ShortOfThreads(reader=refusals)
    one = stage(_runtime=runtime)
    with pytest.raises(TransportClosed, match="1006"):
        one.open()
    one.recorder.wait_for("drop")
    assert one.recorder.hooks() == ["connect", "drop"]

    again = one.open()
    one.recorder.wait_for("restore")
    one.say("u1", "welcome back")
    assert read(again) == ("n", "welcome back")


@pytest.mark.parametrize("refusals", [1, 2], ids=["but to close it", "not even to close it"])
def test_nobody_to_read_one_that_is_to_be_refused_costs_nothing_else(stage, refusals):
    """It may or may not get the close frame that it came for; its socket goes, and the others stay."""
    runtime = ShortOfThreads()
    one = stage(_runtime=runtime, on_duplicate="reject")
    ws = one.open()
    one.recorder.wait_for("connect")
    runtime.refusals["reader"] = refusals
    with contextlib.suppress(TransportClosed):
        refused = one.open(query="&reject=close")
        one.clock.advance(1)
        assert refused.receive_close(PATIENCE)[0] in (4409, 1006)
    one.say("u1", "still here")
    assert read(ws) == ("n", "still here")


def test_nobody_to_write_a_close_frame_leaves_it_to_the_watcher(stage):
    """The session ends as it should, the peer reads why, and the id is free."""
    runtime = ShortOfThreads(writer=1)
    one = stage(_runtime=runtime)
    ws = one.open()
    one.recorder.wait_for("connect")
    one.hub.kick("u1")
    assert ws.receive_close(PATIENCE) == (1000, "kicked")
    assert one.recorder.wait_for("disconnect") is None
    one.open()


def test_nobody_to_write_to_slow_peers_leaves_them_all_to_the_watcher(stage):
    """One that reads again is not held up by one that does not; each gets all, and then its close frame."""
    runtime = ShortOfThreads(writer=100)
    one = stage(_runtime=runtime, send_buffer_bytes=4 << 20)
    slow, quick = one.open("u1"), one.open("u2")
    one.recorder.wait_for("connect", count=2)
    for name in ("u1", "u2"):
        fill(one, connection_id=name)
        one.hub.kick(name)
    assert [read(quick)[0] for _ in range(20)] == ["fill"] * 20
    assert quick.receive_close(PATIENCE) == (1000, "kicked")
    assert [read(slow)[0] for _ in range(20)] == ["fill"] * 20
    assert slow.receive_close(PATIENCE) == (1000, "kicked")


def test_nobody_to_write_to_a_peer_that_never_reads_still_has_a_deadline(stage):
    """The watcher tries again and again; after ``write_timeout`` the hub gives the peer up."""
    runtime = ShortOfThreads(writer=100)
    one = stage(_runtime=runtime, ping_interval=None)
    one.open()
    one.recorder.wait_for("connect")
    rock(one)
    until(lambda: runtime.refusals["writer"] < 100)
    one.clock.advance(10)
    one.recorder.wait_for("drop")


@pytest.mark.parametrize("refusals", [1, 100], ids=["at first", "at all"])
def test_nobody_to_run_callbacks_makes_them_wait_for_the_spare_thread(stage, refusals):
    runtime = ShortOfThreads(callbacks=refusals)
    one = stage(_runtime=runtime, resume_window=30)
    for name in ("u1", "u2"):
        one.drop(one.open(name), name)
    one.clock.advance(30)
    for name in ("u1", "u2"):
        one.recorder.wait_for("disconnect", name)


def test_spare_threads_run_callbacks_side_by_side(stage):
    """Where no thread can be started at the end, one callback that is stuck must not hold up all others."""
    runtime = ShortOfThreads(callbacks=100)
    runtime.spare_threads = 3
    one = stage(_runtime=runtime)
    stuck = Gate()
    one.hub.on_transport_drop(stuck.hold)
    for name in ("u1", "u2", "u3"):
        one.open(name).drop()
    for _ in range(3):
        stuck.wait_reached()
    stuck.open()


def test_nobody_to_stand_in_for_a_stuck_reader_leaves_its_transport_as_it_is(stage):
    """Its pings are answered when the handler has returned; the watcher has asked for a thread until then."""
    runtime = ShortOfThreads()
    one = stage(_runtime=runtime)
    stuck = Gate()
    one.hub.on_message(stuck.hold)
    ws = one.open()
    one.recorder.wait_for("connect")
    runtime.refusals["reader"] = 100
    ws.send(text("n", 1))
    stuck.wait_reached()
    until(lambda: runtime.refusals["reader"] < 99)
    one.clock.advance(60)  # with no thread to read, no Pong is overdue

    stuck.open()
    heard_all(ws)
    assert one.recorder.hooks() == ["connect", "message"]


def test_a_thread_that_can_be_had_again_stands_in_for_the_stuck_reader(stage):
    """The watcher asks at each look."""
    runtime = ShortOfThreads()
    one = stage(_runtime=runtime)
    stuck = Gate()
    one.hub.on_message(stuck.hold)
    ws = one.open()
    one.recorder.wait_for("connect")
    runtime.refusals["reader"] = 1
    ws.send(text("n", 1))
    stuck.wait_reached()
    heard_all(ws)
    assert runtime.refusals["reader"] == 0
    stuck.open()


def test_a_shortage_is_one_line_in_the_log(stage, caplog):
    """Not a traceback for each session, although threads can be had now and then."""
    runtime = ShortOfThreads(writer=3)
    one = stage(_runtime=runtime)
    clients = {name: one.open(name) for name in ("u1", "u2", "u3")}
    one.recorder.wait_for("connect", count=3)
    for name, ws in clients.items():
        one.hub.kick(name)
        assert ws.receive_close(PATIENCE) == (1000, "kicked")
    [record] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "starts no more threads" in record.getMessage()
    assert "TasksMax=" in record.getMessage()
    assert record.exc_info is None


@pytest.mark.parametrize("role", ["hub", "watcher", "spare"])
def test_a_hub_that_cannot_start_answers_503_and_tries_again(stage, role):
    """Nothing is left behind by the attempt."""
    one = stage(_runtime=ShortOfThreads(**{role: 1}))
    with pytest.raises(UpgradeRefused) as refused:
        one.open()
    assert refused.value.status == 503
    assert refused.value.header("Retry-After")
    one.open()
    one.recorder.wait_for("connect")
