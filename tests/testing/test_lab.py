"""The lab: a whole hub, its threads and its clients, one step at a time."""

from __future__ import annotations

import re
from pathlib import Path

import flask
import pytest

from resumehub import Hub, Message
from resumehub.testing import SEAMS, Deadlock, Lab, UpgradeRefused
from tests.support import text


def noting(lab: Lab, hub: Hub) -> Hub:
    hub.on_connect(lambda connection: lab.note("connect"))
    hub.on_message(lambda connection, message: lab.note(f"message {message.payload}"))
    hub.on_transport_drop(lambda connection, error: lab.note("drop"))
    hub.on_transport_restore(lambda connection: lab.note("restore"))
    hub.on_disconnect(lambda connection, error: lab.note("disconnect"))
    return hub


# -- a life without threads of its own ---------------------------------------------------------


def test_a_session_lives_and_dies_in_the_lab() -> None:
    """The real hub, its real threads and sockets; and nothing happens unless the test lets it."""
    with Lab() as lab:
        hub = noting(lab, lab.open())
        alice = lab.dial("/?id=alice")
        assert lab.notes == []
        lab.run_until_idle()
        assert lab.notes == ["connect"]

        alice.send(text("n", 1))
        assert lab.notes == ["connect"]
        lab.run_until_idle()
        alice.drop()
        lab.run_until_idle()
        assert lab.notes == ["connect", "message 1", "drop"]

        hub.send("alice", Message("n", 2))
        alice = alice.resume()
        assert alice.receive() == '{"event":"n","payload":2}'
        alice.drop()
        lab.run_until_idle()
        lab.advance(30)
        lab.run_until_idle()
        assert lab.notes[-3:] == ["restore", "drop", "disconnect"]
        assert hub.get("alice") is None


def test_a_client_leaves_with_a_close_frame_and_waits_for_the_answer() -> None:
    with Lab() as lab:
        noting(lab, lab.open())
        alice = lab.dial("/?id=alice")
        alice.close()
        assert alice.wait_closed() == (1000, "")
        lab.run_until_idle()
        assert lab.notes == ["connect", "disconnect"]


def test_each_thread_can_be_stepped() -> None:
    with Lab() as lab:
        lab.open()
        lab.dial("/?id=alice").drop()
        lab.run_until_idle()
        with pytest.raises(LookupError, match="no thread 'reader of bob' in the lab; there are hub, watcher"):
            lab.step("reader of bob")
        bob = lab.dial("/?id=bob")
        lab.run_until_idle()
        bob.send(text("n", 1))
        assert lab.step("reader of bob")
        assert not lab.step("hub")  # it has nothing to do
        while lab.step():
            pass
        assert lab.positions().splitlines()[0] == "  hub: take the next command"


def test_a_frozen_line_is_half_open_until_it_thaws() -> None:
    with Lab() as lab:
        hub = noting(lab, lab.open(ping_interval=20, write_timeout=10))
        alice = lab.dial("/?id=alice")
        lab.run_until_idle()
        alice.freeze()
        alice.send(text("n", 1))
        hub.send("alice", Message("n", 2))
        lab.run_until_idle()
        assert lab.notes == ["connect"]
        assert alice.received() == []
        lab.advance(19)
        alice.thaw()
        assert alice.received() == ['{"event":"n","payload":2}']
        lab.run_until_idle()
        assert lab.notes == ["connect", "message 1"]
        alice.freeze()
        lab.advance(21)  # pinged at 10, when she had said nothing, and again at 30
        lab.run_until_idle()
        assert lab.notes == ["connect", "message 1", "drop"]


def test_a_client_that_stops_reading_is_given_up() -> None:
    with Lab() as lab:
        hub = noting(lab, lab.open(ping_interval=None, write_timeout=10))
        alice = lab.dial("/?id=alice", buffer=4096)
        lab.run_until_idle()
        alice.stop_reading()
        for _ in range(20):
            hub.send("alice", Message("n", "x" * 2000))
        lab.run_until_idle()
        assert lab.task("writer of alice").where == "wait for the peer to read"
        assert alice.received() == []
        lab.advance(10)
        lab.run_until_idle()
        assert lab.notes == ["connect", "drop"]


def test_a_client_may_send_more_than_the_line_holds() -> None:
    """It waits like any thread of the lab for the hub to read."""
    with Lab() as lab:
        noting(lab, lab.open(max_message_size=1 << 20))
        alice = lab.dial("/?id=alice")
        for _ in range(3):
            alice.send(text("n", "x" * (1 << 19)))
        lab.run_until_idle()
        assert len(lab.notes) == 4


# -- seams -------------------------------------------------------------------------------------


def test_one_can_stand_between_the_pre_check_and_the_hub() -> None:
    """The race that close code 4100 exists for, in five lines."""
    with Lab() as lab:
        noting(lab, lab.open())
        alice = lab.dial("/?id=alice")
        lab.run_until_idle()
        alice.drop()
        lab.run_until_idle()

        knock = alice.knock_to_resume()  # 101: the session is there
        lab.advance(30)  # it expires
        late = knock.go_on()  # the socket reaches the hub

        assert late.wait_closed() == (4100, "session expired")
        assert lab.notes == ["connect", "drop", "disconnect"]


def test_one_can_stand_there_in_a_flask_application_too() -> None:
    app = flask.Flask("shop")

    with Lab() as lab:
        hub = lab.open()

        @app.get("/ws/<name>", websocket=True)
        def ws(name: str) -> object:
            return hub.upgrade(flask.request, "lobby", name)

        lab.app = app
        alice = lab.dial("/ws/alice", name="alice")
        knock = lab.knock("/ws/alice?resume=true", name="alice")
        hub.kick("alice")
        assert alice.wait_closed() == (1000, "kicked")
        assert knock.go_on().wait_closed() == (4100, "session expired")


def test_a_pre_check_that_refuses_says_so_at_once() -> None:
    with Lab() as lab:
        lab.open()
        with pytest.raises(UpgradeRefused) as refused:
            lab.knock("/?id=nobody&resume=true")
        assert refused.value.status == 410
        with pytest.raises(UpgradeRefused):
            lab.dial("/?id=nobody&resume=true")


def test_one_can_stand_between_a_close_frame_and_its_writing() -> None:
    with Lab() as lab:
        hub = lab.open()
        alice = lab.dial("/?id=alice")
        lab.run_until_idle()
        with lab.hold("the close frame is queued", "alice") as seam:
            hub.kick("alice")
            lab.run_until_idle()
            assert [task.name for task in seam.caught] == ["writer of alice"]
            assert alice.closed() is None
            assert hub.get("alice") is None
        assert alice.wait_closed() == (1000, "kicked")


def test_a_place_is_reached_by_the_name_that_is_printed() -> None:
    with Lab() as lab:
        hub = lab.open()
        alice = lab.dial("/?id=alice")
        lab.run_until_idle()
        alice.drop()
        hold = lab.run_until("reader of alice: tell the hub")
        assert not hub.get("alice").suspended
        hold.let_go()
        lab.run_until_idle()
        assert hub.get("alice").suspended


def test_a_place_is_that_of_every_thread_of_the_name_or_of_one() -> None:
    with Lab() as lab:
        lab.open()
        alice = lab.dial("/?id=alice")
        lab.run_until_idle()
        again = alice.resume()
        lab.run_until_idle()
        again.drop()
        second = lab.run_until("reader of alice (2): tell the hub")
        assert [task.name for task in second.caught] == ["reader of alice (2)"]
        second.let_go()
        alice.drop()
        first = lab.run_until("reader of alice: tell the hub")
        assert first.caught


def test_two_may_stand_between_the_pre_check_and_the_hub() -> None:
    """Each goes on by itself."""
    with Lab() as lab:
        hub = noting(lab, lab.open())
        one, two = lab.knock("/?id=alice"), lab.knock("/?id=alice")
        newer = two.go_on()
        older = one.go_on()
        assert newer.wait_closed() == (1000, "duplicate connection id")
        lab.run_until_idle()
        assert older.closed() is None
        assert hub.get("alice") is not None
        assert lab.notes == ["connect", "disconnect", "connect"]


def test_a_place_where_nobody_comes_is_told_with_all_positions() -> None:
    with Lab() as lab:
        lab.open()
        lab.dial("/?id=alice")
        with pytest.raises(
            Deadlock, match=r"no thread came to 'writer of bob: start'(.|\n)*reader of alice: wait"
        ):
            lab.run_until("the close frame is queued", "bob")
        with pytest.raises(
            ValueError, match="'somewhere' is no place: use 'thread: where', or one of 'the pre"
        ):
            lab.hold("somewhere")


def test_an_actor_waits_for_its_cue() -> None:
    """It begins with ``play``, or when the test asks for it by name."""
    with Lab() as lab:
        hub = lab.open()
        alice = lab.dial("/?id=alice")

        @lab.actor
        def kicker() -> None:
            hub.kick("alice")
            lab.note("kicked")

        lab.run_until_idle()
        assert lab.task("kicker").where == "start"
        lab.run_until("kicker: tell the hub")
        assert hub.get("alice") is not None
        lab.scheduler.let_all_go()
        lab.play()
        assert lab.notes == ["kicked"]
        assert alice.closed() == (1000, "kicked")


def test_a_stand_in_reads_while_a_handler_is_stuck() -> None:
    """The watcher looks when the test says that its time has come."""
    with Lab() as lab:
        hub = noting(lab, lab.open())
        gate = lab.threading.Event()
        hub.on_message(lambda connection, message: gate.wait())
        alice = lab.dial("/?id=alice")
        alice.send(text("n", 1))
        lab.run_until_idle()
        for _ in range(2):
            lab.expire("watcher")
            lab.run_until_idle()
        assert lab.task("reader of alice (2)").where == "wait for input"
        alice.close()
        assert alice.wait_closed() == (1000, "")
        gate.set()


def test_every_seam_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "testing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`:]+)` \| `([^`]+: [^`]+)` \|$", page, re.MULTILINE)
    assert dict(rows) == SEAMS


@pytest.mark.parametrize("seam", SEAMS)
def test_every_seam_is_reached(seam: str) -> None:
    """A place that no thread comes to any more has lost its name."""
    with Lab(stop_at_locks=False) as lab:
        hub = lab.open()
        alice = lab.dial("/?id=alice")
        lab.run_until_idle()

        @lab.actor
        def stories() -> None:
            alice.drop()
            lab.pause("see it dropped")
            again = alice.resume()
            hub.kick("alice")
            again.drop()

        with lab.hold(seam, "alice") as hold:
            if seam == "the pre-check has passed":
                assert lab.knock("/?id=alice", name="alice")
            lab.play()
            assert hold.caught
            hold.let_go()
            lab.play()
