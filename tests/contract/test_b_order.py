"""The order of a session's callbacks, and which of them may run at the same time (B1, B2)."""

from __future__ import annotations

import itertools
import threading
from collections import Counter

import pytest

from resumehub import Connection, DuplicateConnectionId, Message, TransportLost
from tests.contract.peers import Gate, handled_all, heard_all
from tests.support import PATIENCE, read, text

HOOKS = ("on_connect", "on_message", "on_transport_drop", "on_transport_restore", "on_disconnect")


@pytest.mark.contract("B1")
def test_the_callbacks_of_a_session_tell_its_life_in_order(stage) -> None:
    """connect, messages, drop, restore, messages, drop, and at last disconnect, once."""
    s = stage()
    ws = s.open()
    ws.send(text("one"))
    handled_all(s, ws)
    connection = s.drop(ws)
    again = s.resume(ws)
    again.send(text("two"))
    handled_all(s, again)
    s.drop(again, count=2)

    s.clock.advance(30)

    assert connection.wait_closed(20)
    assert s.recorder.hooks() == ["connect", "message", "drop", "restore", "message", "drop", "disconnect"]


@pytest.mark.contract("B1")
def test_a_connect_that_is_followed_by_nothing_is_still_followed_by_one_disconnect(stage) -> None:
    """The shortest life: a client that leaves at once."""
    s = stage()

    s.open().close()

    s.recorder.wait_for("disconnect")
    assert s.recorder.hooks() == ["connect", "disconnect"]


@pytest.mark.contract("B1")
def test_a_takeover_is_a_drop_and_a_restore(stage) -> None:
    """A handler that counts who is reachable needs both, although no moment was without a transport."""
    s = stage()
    ws = s.open()

    again = s.resume(ws)
    again.send(text("hello"))
    s.recorder.wait_for("message")

    assert s.recorder.events[:3] == [("connect", "u1", None), ("drop", "u1", None), ("restore", "u1", None)]
    assert s.recorder.hooks() == ["connect", "drop", "restore", "message"]


@pytest.mark.contract("B1")
def test_without_a_resume_window_there_is_neither_drop_nor_restore(stage) -> None:
    """With resume_window=0 a lost transport is the end, and the only thing one hears of."""
    s = stage(resume_window=0)
    ws = s.open()
    connection = s.hub.get("u1")

    ws.drop()

    assert isinstance(s.recorder.wait_for("disconnect"), TransportLost)
    assert connection.wait_closed(20)
    s.open().close()
    s.recorder.wait_for("disconnect", count=2)
    assert s.recorder.hooks() == ["connect", "disconnect", "connect", "disconnect"]


@pytest.mark.contract("B1")
def test_the_callbacks_of_a_session_never_overlap(stage) -> None:
    """Handlers need no lock for what belongs to one session, whichever thread they run on."""
    s = stage()
    inside, overlaps, threads = Counter(), [], set()

    def visit(connection: Connection, *detail: object) -> None:
        inside[connection.id] += 1
        threads.add(threading.get_ident())
        # Sending gives the interpreter every reason to run another thread meanwhile.
        for _ in range(20):
            s.hub.rooms()
        if inside[connection.id] != 1:
            overlaps.append(connection.id)
        inside[connection.id] -= 1

    for hook in HOOKS:
        getattr(s.hub, hook)(visit)
    ws = s.open()

    for count in range(1, 21):
        for number in range(5):
            ws.send(text("n", number))
        again = s.resume(ws)  # the old transport is alive: a takeover while its messages are handled
        ws, old = again, ws
        s.recorder.wait_for("restore", count=count)
        assert old.receive_close() == (4101, "superseded")
    s.hub.kick("u1")

    s.recorder.wait_for("disconnect")
    assert not overlaps
    assert len(threads) > 1, "the callbacks all ran on one thread: nothing was tried"


@pytest.mark.contract("B1")
def test_several_handlers_of_a_hook_run_in_order_of_registration(stage) -> None:
    """What is registered first may prepare what is registered later."""
    s = stage()
    ran: list[tuple[str, int]] = []
    for hook, number in itertools.product(HOOKS, (1, 2)):
        getattr(s.hub, hook)(lambda *arguments, note=(hook, number): ran.append(note))
    ws = s.open()
    ws.send(text("hello"))
    s.recorder.wait_for("message")

    s.resume(ws).close()

    [connection] = s.recorder.connections
    assert connection.wait_closed(PATIENCE)
    order = ("on_connect", "on_message", "on_transport_drop", "on_transport_restore", "on_disconnect")
    assert ran == list(itertools.product(order, (1, 2)))


@pytest.mark.contract("B2")
@pytest.mark.parametrize("end", ["it is displaced", "it is kicked", "its client leaves", "it expires"])
def test_a_new_session_waits_for_the_goodbye_of_the_one_before(stage, gate, end) -> None:
    """`del users[id]` of the old session can't remove what the new one has put there."""
    s = stage()
    users: dict[str, Connection] = {}

    @s.hub.on_connect
    def enter(connection: Connection) -> None:
        users[connection.id] = connection

    @s.hub.on_disconnect
    def leave(connection: Connection, error: object) -> None:
        gate.hold()
        del users[connection.id]

    ws = s.open()
    if end == "it is kicked":
        s.hub.kick("u1")
    elif end == "its client leaves":
        ws.close()
    elif end == "it expires":
        s.drop(ws)
        s.clock.advance(30)
    new = s.open()
    gate.wait_reached()
    # The new transport's first act is to run what it may, so all that could go wrong has by now.
    new.send(text("hello"))
    heard_all(new)
    hooks = s.recorder.hooks("u1")
    assert hooks.count("connect") == 1
    assert hooks[-1] == "disconnect"

    gate.open()

    s.recorder.wait_for("message")
    assert s.recorder.hooks("u1")[-3:] == ["disconnect", "connect", "message"]
    assert users == {"u1": s.hub.get("u1")}


@pytest.mark.contract("B2")
def test_other_ids_do_not_wait(stage, gate) -> None:
    """One user's slow clean-up is nobody else's business."""
    s = stage()
    s.hub.on_disconnect(lambda connection, error: gate.hold() if connection.id == "slow" else None)
    s.open("slow")
    s.hub.kick("slow")
    gate.wait_reached()

    quick = s.open("quick")
    quick.send(text("hello"))
    s.recorder.wait_for("message", "quick")
    s.drop(quick, "quick")
    s.resume(quick).close()
    s.recorder.wait_for("disconnect", "quick")

    assert s.recorder.hooks("quick") == ["connect", "message", "drop", "restore", "disconnect"]


@pytest.mark.contract("B2")
def test_sessions_that_displace_each_other_queue_up_and_each_gets_its_whole_life(stage) -> None:
    """Also one that was displaced before its on_connect could run."""
    s = stage()
    gate = Gate()
    s.hub.on_connect(lambda connection: gate.hold() if len(s.recorder.connections) == 1 else None)
    s.open()
    gate.wait_reached()
    for _ in range(3):
        s.open()

    gate.open()

    assert isinstance(s.recorder.wait_for("disconnect", count=3), DuplicateConnectionId)
    s.hub.kick("u1")
    s.recorder.wait_for("disconnect", count=4)
    assert s.recorder.hooks() == ["connect", "disconnect"] * 4
    assert len({id(connection) for connection in s.recorder.connections}) == 4


@pytest.mark.contract("B2")
@pytest.mark.parametrize("chatty", [False, True], ids=["that says nothing", "that sends a message each time"])
@pytest.mark.parametrize("how", ["drops and resumes", "takes over"])
def test_a_client_that_comes_and_goes_behind_a_slow_handler_does_not_pile_up_callbacks(
    stage, gate, how, chatty
) -> None:
    """The pairs that wait are merged, and what is left still reads as one life."""
    s = stage()
    s.hub.on_message(lambda connection, message: gate.hold() if message.event == "slow" else None)
    ws = s.open()
    ws.send(text("slow"))
    gate.wait_reached()
    connection = s.hub.get("u1")
    for _ in range(300):
        if how == "drops and resumes":
            s.hub.cut("u1")  # the handler holds the reader: it would see an end only later
            s.clock.advance(0)
            assert connection.suspended
            ws.sock.close()
        ws, old = s.resume(ws), ws
        old.sock.close()
        if chatty:
            ws.send(text("chat"))
            heard_all(ws)

    gate.open()

    s.hub.send("u1", Message("done"))
    assert read(ws) == ("done", None)
    ws.close()
    s.recorder.wait_for("disconnect")
    first, *pairs, last = [hook for hook in s.recorder.hooks() if hook != "message"]
    assert (first, last) == ("connect", "disconnect")
    assert pairs == ["drop", "restore"] * (len(pairs) // 2)
    assert 1 <= len(pairs) // 2 <= 100
    # Only the last transport's message may still start.
    assert s.recorder.hooks().count("message") == (2 if chatty else 1)
