"""The lab: what it checks, whose hub it takes, and what is left of it, which is nothing."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable

import flask
import pytest

from resumehub import Hub, HubClosed, Message
from resumehub.testing import Deadlock, Lab, OutOfControl, TransportClosed, connect
from resumehub.testing import scheduler as kernel
from resumehub.testing.lab_checks import CallbackOrder
from tests.support import from_query, text


def play(scene: Callable[[Lab], None]) -> None:
    with Lab() as lab:
        scene(lab)


# -- a hub that another module has built ------------------------------------------------------


def test_a_hub_that_was_built_elsewhere_can_be_adopted_again_and_again() -> None:
    """A module's own hub, then: each lab gets it as new, and afterwards it is as it was."""
    hub = Hub(from_query)
    greeted: list[str] = []
    hub.on_connect(lambda connection: greeted.append(connection.id))
    before = dict(vars(hub)) | {"_lock": None}
    for _ in range(2):
        with Lab() as lab:
            lab.adopt(hub)
            lab.dial("/?id=alice").close()
    assert greeted == ["alice", "alice"]
    assert vars(hub) | {"_lock": None} == before
    with connect(hub, "/?id=bob") as bob:
        hub.kick("bob")
        assert bob.receive_close() == (1000, "kicked")
    assert hub.close().complete
    with Lab() as lab, pytest.raises(ValueError, match="this hub has been used already"):
        lab.adopt(hub)


def test_an_application_that_mounts_the_hub_is_adopted_with_it() -> None:
    app = flask.Flask("shop")
    hub = Hub()

    @app.get("/ws", websocket=True)
    def ws() -> object:
        return hub.upgrade(flask.request, "lobby", "alice")

    with Lab() as lab:
        lab.adopt(hub, app)
        lab.dial("/ws")
        assert hub.get("alice") is None or hub.get("alice").room_id == "lobby"


# -- what is checked ---------------------------------------------------------------------------


def test_an_invariant_is_checked_after_every_step() -> None:
    def scene(lab: Lab) -> None:
        hub = lab.open()
        alice = lab.dial("/?id=alice")

        @lab.invariant
        def is_connected() -> str | None:
            connection = hub.get("alice")
            return "alice is suspended" if connection and connection.suspended else None

        lab.run_until_idle()
        alice.drop()
        lab.run_until_idle()

    with pytest.raises(AssertionError, match="alice is suspended"):
        play(scene)


def test_the_end_is_checked_before_the_hub_is_closed() -> None:
    checked: list[object] = []
    with Lab() as lab:
        hub = lab.open()
        lab.dial("/?id=alice")
        lab.at_end(lambda: checked.append(hub.get("alice").suspended))
    assert checked == [False]
    with pytest.raises(HubClosed):
        hub.send("alice", Message())


def test_an_assertion_in_a_handler_fails_the_test() -> None:
    """In life a handler that raises costs its transport; in a test one wants to know."""

    def scene(lab: Lab) -> None:
        hub = lab.open()

        @hub.on_connect
        def refuse(connection) -> None:
            raise AssertionError("not like this")

        lab.dial("/?id=alice")
        lab.run_until_idle()

    with pytest.raises(AssertionError, match="not like this"):
        play(scene)


def test_a_bug_that_the_hub_only_logs_fails_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    def scene(lab: Lab) -> None:
        hub = lab.open()
        lab.dial("/?id=alice")

        def trip(connection_id: str, life: str) -> None:
            raise KeyError(connection_id)

        lab.run_until_idle()
        monkeypatch.setattr(hub.runner.loop.machine, "_kick", trip)
        hub.kick("alice")

    with pytest.raises(AssertionError, match=r"the hub could not handle Kick; please report this: KeyError"):
        play(scene)


def test_what_a_handler_returns_is_the_answer() -> None:
    """The lab looks on, and changes nothing."""

    def scene(lab: Lab) -> None:
        hub = lab.open()
        hub.on_message(lambda connection, message: message.payload + 1)
        alice = lab.dial("/?id=alice")
        lab.run_until_idle()
        alice.send('{"event": "n", "payload": 41, "id": "1"}')
        lab.run_until_idle()
        assert json.loads(alice.receive()) == {"event": "n", "payload": 42, "re": "1"}

    play(scene)


def test_callbacks_out_of_order_fail_the_test() -> None:
    """Whatever the scenario does: connect first, disconnect last, never two at a time."""

    def scene(lab: Lab) -> None:
        hub = lab.open()
        lab.dial("/?id=alice")
        lab.run_until_idle()
        for handler in hub.runner.handlers["on_transport_restore"]:
            handler(hub.get("alice"))
        lab.dial("/?id=bob")
        lab.run_until_idle()

    with pytest.raises(CallbackOrder, match="on_transport_restore of 'alice' behind on_connect"):
        play(scene)


def test_callbacks_of_one_id_at_the_same_time_fail_the_test() -> None:
    def scene(lab: Lab) -> None:
        hub = lab.open()
        hub.on_message(lambda connection, message: lab.pause("take its time"))
        alice = lab.dial("/?id=alice")
        lab.run_until_idle()
        alice.send(text("n", 1))
        lab.run_until("reader of alice: take its time")

        @lab.actor
        def another() -> None:
            for handler in hub.runner.handlers["on_transport_drop"]:
                handler(hub.get("alice"), None)

        lab.step("another")

    with pytest.raises(CallbackOrder, match="on_transport_drop of 'alice' while on_message of it is running"):
        play(scene)


def test_a_transport_that_the_hub_never_forgets_fails_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    def scene(lab: Lab) -> None:
        hub = lab.open()
        lab.dial("/?id=alice")
        monkeypatch.setattr(hub.runner.loop.effect_runner, "release", lambda number: None)

    with pytest.raises(AssertionError, match=r"the hub is closed, but it still has transports \[1\]"):
        play(scene)


def test_an_exception_in_an_actor_reaches_the_test() -> None:
    def scene(lab: Lab) -> None:
        lab.open()

        @lab.actor
        def divides() -> None:
            print(1 / 0)

    with pytest.raises(ZeroDivisionError):
        play(scene)


def test_an_actor_that_never_ends_is_a_deadlock() -> None:
    def scene(lab: Lab) -> None:
        lab.open()

        @lab.actor
        def patient() -> None:
            lab.threading.Event().wait()

    with pytest.raises(Deadlock, match="patient never ends: it is about to wait for an event"):
        play(scene)


def test_an_actor_that_waits_with_a_timeout_waits_no_longer_than_anything_can_happen() -> None:
    with Lab() as lab:
        hub = lab.open()
        lab.dial("/?id=alice")
        lab.run_until_idle()
        connection = hub.get("alice")

        @lab.actor
        def waits() -> None:
            lab.note(f"over: {connection.wait_closed(5)}")

        lab.play()
        assert lab.notes == ["over: False"]


def test_a_hub_that_cannot_be_closed_fails_the_test() -> None:
    def scene(lab: Lab) -> None:
        hub = lab.open()
        hub.on_connect(lambda connection: lab.threading.Event().wait())
        lab.dial("/?id=alice")

    with pytest.raises(AssertionError, match=r"the hub cannot be closed(.|\n)*wait for an event of the appl"):
        play(scene)


def test_what_the_hub_logs_can_be_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    with Lab() as lab:
        hub = lab.open()

        @hub.on_message
        def fail(connection, message) -> None:
            raise ValueError("no")

        lab.dial("/?id=alice").send(text("n", 1))
        lab.run_until_idle()
        assert [record.getMessage() for record in lab.log if record.levelno >= logging.ERROR] == [
            "a handler of on_message raised for 'alice'"
        ]
    assert "a handler of on_message raised for 'alice'" in caplog.text


def test_a_lab_that_is_given_up_logs_nothing_about_it(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that was inside a wait has not failed: its run is over."""

    def scene(lab: Lab) -> None:
        hub = lab.open()
        hub.on_connect(lambda connection: connection.close())
        lab.dial("/?id=alice")
        lab.run_until("reader of alice: wait for the hub's answer")
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        play(scene)
    assert caplog.text == ""


# -- whatever the test does --------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        "reader of alice: start",
        "reader of alice: wait for input",
        "hub: take*",
        "writer of alice: start",
        "watcher: start",
    ],
    ids=lambda place: place.replace(":", ","),
)
def test_nothing_is_left_of_a_lab_wherever_its_threads_are(place: str) -> None:
    """The threads and sockets that are still there fail this test."""

    def scene(lab: Lab) -> None:
        hub = lab.open()
        lab.hold(place)
        try:
            lab.dial("/?id=alice").send(text("n", 1))
            lab.run_until_idle()
            hub.kick("alice")
            lab.run_until_idle()
        except (Deadlock, TransportClosed):
            pass
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        play(scene)


def test_a_knock_that_never_goes_on_leaves_nothing_either() -> None:
    def scene(lab: Lab) -> None:
        lab.open()
        lab.knock("/?id=alice")
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        play(scene)
    with Lab() as lab:
        lab.open()
        lab.knock("/?id=alice")


def test_two_labs_do_not_disturb_each_other() -> None:
    with Lab() as one, Lab() as two:
        hubs = [lab.open() for lab in (one, two)]
        peers = [lab.dial("/?id=alice") for lab in (one, two)]
        hubs[0].kick("alice")
        assert peers[0].wait_closed() == (1000, "kicked")
        two.run_until_idle()
        assert hubs[1].get("alice") is not None


def test_a_thread_of_the_scenarios_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[Exception] = []
    with Lab() as lab:
        hub = lab.open()
        lab.dial("/?id=alice")
        lab.run_until_idle()

        def kick() -> None:
            try:
                hub.kick("alice")
            except OutOfControl as error:
                errors.append(error)

        thread = threading.Thread(target=kick, name="my own")
        thread.start()
        thread.join()
    assert "thread 'my own' uses the hub, and the lab does not control it" in str(errors[0])


def test_a_lock_of_the_scenarios_own_is_named_when_it_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "PATIENCE", 0.3)
    lock = threading.Lock()

    def scene(lab: Lab) -> None:
        lab.open()

        @lab.actor
        def application() -> None:
            with lock:
                pass

        with lock:
            lab.play()

    with pytest.raises(OutOfControl, match="application has not come to a stop"):
        play(scene)


def test_the_system_can_run_out_of_threads() -> None:
    """What a hub does then can be seen without exhausting a machine."""
    with Lab() as lab:
        hub = lab.open()
        hub.on_transport_drop(lambda connection, error: lab.note(f"{connection.id} dropped"))
        alice = lab.dial("/?id=alice")
        lab.run_until_idle()
        lab.runtime.out_of_threads = True
        alice.drop()
        lab.run_until_idle()
        assert lab.notes == ["alice dropped"]  # on the spare thread
        [line] = [record.getMessage() for record in lab.log]
        assert line.startswith("the system starts no more threads")
        lab.runtime.out_of_threads = False
