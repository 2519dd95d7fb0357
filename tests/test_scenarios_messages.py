"""Messages in both directions, as an application sees them: order, rooms, full buffers, many threads."""

from __future__ import annotations

import threading

import pytest

from resumehub import ConnectionNotFound, Counters, HubClosed, Message, SendBufferFull
from tests.support import PATIENCE, read, text


def test_send(stage) -> None:
    """A message goes to the one session it is for, by id or by its connection, whole."""
    s = stage()
    ada, bob = s.open("ada"), s.open("bob")
    payload = {"text": "grüß dich 👋", "n": [1, 2.5, None, True]}

    s.hub.send("ada", Message("hello", payload))
    s.hub.get("ada").send(Message("again"))
    s.hub.send("bob", Message(payload="only payload"))

    assert [read(ada), read(ada)] == [("hello", payload), ("again", None)]
    assert read(bob) == ("", "only payload")


def test_broadcast_stays_in_its_room(stage) -> None:
    """A broadcast reaches every session of its room, but those excluded, and nobody elsewhere."""
    s = stage()
    ada, bob, eve = s.open("ada", room="tea"), s.open("bob", room="tea"), s.open("eve", room="coffee")

    s.hub.broadcast("tea", Message("to all of tea"))
    s.hub.broadcast("tea", Message("not to bob"), exclude=["bob"])
    s.hub.broadcast("tea", Message("not to ada"), exclude=[s.hub.get("ada")])
    s.hub.broadcast("nobody is here", Message("unheard"))
    for room in ("tea", "coffee"):
        s.hub.broadcast(room, Message("end"))

    assert [read(ada)[0] for _ in range(3)] == ["to all of tea", "not to bob", "end"]
    assert [read(bob)[0] for _ in range(3)] == ["to all of tea", "not to ada", "end"]
    assert read(eve)[0] == "end"


def test_send_to_unknown_id(stage) -> None:
    """Sending to somebody who is not there is an error that names the id: never there, or not any more."""
    s = stage()
    ws = s.open("ada")
    ws.close()
    s.recorder.wait_for("disconnect", "ada")

    for name in ("ada", "nobody"):
        with pytest.raises(ConnectionNotFound) as raised:
            s.hub.send(name, Message("hello"))
        assert raised.value.connection_id == name


def test_broadcast_after_close(stage) -> None:
    """A closed hub refuses to broadcast, to send and to kick, and has nobody in any room."""
    s = stage()
    ws = s.open("ada")
    connection = s.hub.get("ada")
    ws.sock.close()

    assert s.hub.close(PATIENCE).complete

    with pytest.raises(HubClosed):
        s.hub.broadcast("lobby", Message("anybody?"))
    with pytest.raises(HubClosed):
        s.hub.send("ada", Message("ada?"))
    with pytest.raises(HubClosed):
        connection.send(Message("ada?"))
    with pytest.raises(HubClosed):
        s.hub.kick("ada")
    assert s.hub.connections("lobby") == []
    assert s.hub.rooms() == []


def test_send_buffer_full(stage) -> None:
    """A full buffer refuses the newest message and keeps the others; a resume makes room again."""
    s = stage(send_buffer=3)
    ws = s.open("ada")
    s.drop(ws, "ada")
    s.say("ada", 1, 2, 3)

    with pytest.raises(SendBufferFull) as raised:
        s.say("ada", "too much")

    assert (raised.value.connection_id, raised.value.frames) == ("ada", 3)
    again = s.resume(ws)
    assert [read(again) for _ in range(3)] == [("n", 1), ("n", 2), ("n", 3)]
    s.say("ada", 4)
    assert read(again) == ("n", 4)


def test_slow_consumer_loses_its_oldest_others_nothing(stage) -> None:
    """Who does not read loses the oldest that were not yet on their way; its room mates lose nothing."""
    counters = Counters()
    s = stage(send_buffer=10, metrics=counters)
    slow, healthy = s.open("slow"), s.open("healthy")
    big = "x" * 20_000  # forty fill any socketpair

    for n in range(100):
        s.hub.broadcast("lobby", Message("n", [n, big]))
        assert read(healthy) == ("n", [n, big])
    s.hub.broadcast("lobby", Message("end"))

    numbers = []
    while (message := read(slow))[0] != "end":
        numbers.append(message[1][0])
    lost = [n for n in range(100) if n not in numbers]
    assert numbers == sorted(numbers)
    assert lost == list(range(lost[0], lost[-1] + 1)), "more than one gap"
    assert 0 < lost[0] < 50, "what was on its way already was lost, or nothing was"
    assert lost[-1] in (90, 91), "not the newest ten, one of which may have been begun, were kept"
    assert counters.snapshot()["messages_dropped"]["overflow"] == len(lost)


def test_on_message_order(stage) -> None:
    """Messages are handled in the order they were sent, one after the other, however slow a handler is."""
    s = stage()
    gate = threading.Event()

    @s.hub.on_message
    def slow_at_first(connection, message) -> None:
        if message.payload == 0:
            assert gate.wait(PATIENCE)

    ws = s.open("ada")
    for n in range(60):
        ws.send(text("n", n))
    ws.ping()
    try:
        assert ws.wait_for_pong(1, PATIENCE)  # all sixty have been read
        assert s.recorder.hooks("ada") == ["connect", "message"]
    finally:
        gate.set()
    for n in range(60, 300):
        ws.send(text("n", n))

    s.recorder.wait_for("message", "ada", 300)
    assert [d.payload for h, _, d in s.recorder.events if h == "message"] == list(range(300))
    assert "drop" not in s.recorder.hooks("ada")


def test_concurrent_send_from_many_threads(stage) -> None:
    """Many threads may send at once: no frame is torn or lost, and each thread's own order holds."""
    s = stage(send_buffer=1000)
    ws = s.open("ada")
    threads, each = 8, 100
    start = threading.Barrier(threads)

    def talk(number: int) -> None:
        start.wait(PATIENCE)
        for n in range(each):
            if n % 3:
                s.hub.send("ada", Message(f"thread {number}", n))
            else:
                s.hub.broadcast("lobby", Message(f"thread {number}", n))

    talkers = [threading.Thread(target=talk, args=(number,)) for number in range(threads)]
    for talker in talkers:
        talker.start()
    heard: dict[str, list[int]] = {f"thread {number}": [] for number in range(threads)}
    for _ in range(threads * each):
        event, n = read(ws)
        heard[event].append(n)
    for talker in talkers:
        talker.join(PATIENCE)

    assert heard == {f"thread {number}": list(range(each)) for number in range(threads)}


def test_callbacks_dont_block_the_hub(stage) -> None:
    """While one session's handler hangs, others connect, talk, drop, resume, expire and are kicked."""
    s = stage()
    gate, hanging = threading.Event(), threading.Event()

    @s.hub.on_message
    def hang(connection, message) -> None:
        if message.event == "hang":
            hanging.set()
            assert gate.wait(PATIENCE)
        else:
            connection.send(message)

    stuck = s.open("stuck")
    stuck.send(text("hang"))
    assert hanging.wait(PATIENCE)
    try:
        bob = s.open("bob")
        bob.send(text("echo", 1))
        assert read(bob) == ("echo", 1)
        s.drop(bob, "bob")
        bob = s.resume(bob)
        s.recorder.wait_for("restore", "bob")
        s.hub.kick("bob")
        s.recorder.wait_for("disconnect", "bob")
        eve = s.open("eve")
        s.drop(eve, "eve")
        s.clock.advance(30)
        s.recorder.wait_for("disconnect", "eve")
        s.hub.send("stuck", Message("you still hear me"))
        assert read(stuck)[0] == "you still hear me"
        s.hub.kick("stuck")
        assert stuck.receive_close(PATIENCE) == (1000, "kicked")
        assert "disconnect" not in s.recorder.hooks("stuck")
    finally:
        gate.set()
    s.recorder.wait_for("disconnect", "stuck")
