"""The same with real sockets and real threads: a client that talks all the time does not notice its moves.

Both ways of reading: a few threads for all connections, and a thread for each. The hubs share a process here;
what a second process would get is a duplicate of the socket and the bytes of the state.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from queue import Queue

import pytest

from resumehub import Connection, Hub, Message
from resumehub.errors import NotMovable
from resumehub.incoming.shared_reader import SharedReader
from resumehub.runtime.system import SystemRuntime
from resumehub.server.moving import adopt_session, export_session
from resumehub.session.serial_queue import SerialQueue
from resumehub.session.session_state import SessionState, decode, encode
from resumehub.testing import connect
from resumehub.transport.sockets import PlainSocket
from tests.contract.peers import Gate
from tests.support import PATIENCE, Call, Progress

MOVES = 40


class TwoHubs:
    """A session is in the first of them; ``move`` makes the other one the first."""

    def __init__(self, *, share: bool) -> None:
        self.runtimes = [SystemRuntime(share=share), SystemRuntime(share=share)]
        self.hubs = [self._hub(runtime) for runtime in self.runtimes]
        self.handled: list[int] = []
        for hub in self.hubs:
            hub.on_message(self._echo)
            hub.runner.start()

    def _hub(self, runtime: SystemRuntime) -> Hub:
        return Hub(lambda request: ("lobby", "alice"), subprotocols=["chat"], _runtime=runtime)

    def _echo(self, connection: Connection, message: Message) -> None:
        self.handled.append(message.payload)
        connection.send(message)

    def move(self) -> SessionState:
        loop, other = self.hubs[0].runner.loop, self.hubs[1].runner.loop
        assert loop is not None
        assert other is not None
        departure = export_session(loop, self.runtimes[0], "alice")
        assert departure.transport is not None
        sock = departure.transport.pollable
        assert sock is not None
        stream = PlainSocket(sock.dup(), self.runtimes[1], movable=True)
        departure.transport.release()
        adopt_session(other, self.runtimes[1], decode(encode(departure.state)), stream)
        self.hubs.reverse()
        self.runtimes.reverse()
        return departure.state

    def close(self) -> None:
        for hub in self.hubs:
            report = hub.close(PATIENCE)
            assert report.complete, report.stuck


@pytest.mark.parametrize("share", [False, True], ids=["a reader each", "shared readers"])
def test_a_client_that_talks_all_the_time_does_not_notice(share: bool) -> None:
    two = TwoHubs(share=share)
    stop, progress = threading.Event(), Progress(1)
    with connect(two.hubs[0], "/") as alice:

        def talk() -> int:
            number = 0
            while not stop.is_set() or number % 2:
                # Two at a time, so that one is behind the other when the session is fenced.
                alice.send(json.dumps({"payload": number}) if number % 2 else f'{{"payload":{number}}}')
                if number % 2:
                    assert [json.loads(alice.receive())["payload"] for _ in range(2)] == [number - 1, number]
                    progress.note(0)
                number += 1
            return number

        talking = Call(talk)
        for _ in range(MOVES):
            progress.wait()
            two.move()
        stop.set()
        count = talking.result()
        assert two.handled == list(range(count))
        alice.ping(b"still there?")
        assert alice.wait_for_pong()
    two.close()


@pytest.mark.parametrize("share", [False, True], ids=["a reader each", "shared readers"])
def test_a_client_that_does_not_read_gets_all_in_the_end(share: bool) -> None:
    """A writer thread waits for it each time it moves."""
    two = TwoHubs(share=share)
    texts = [f"{number} " + "x" * 20_000 for number in range(30)]
    with connect(two.hubs[0], "/", buffer=4096) as alice:
        alice.stop_reading()
        for text in texts:
            two.hubs[0].send("alice", Message("n", text))
            two.move()
        alice.go_on_reading()
        assert [json.loads(alice.receive())["payload"] for _ in texts] == texts
    two.close()


@pytest.mark.parametrize(("offer", "chosen"), [([], ""), (["else", "chat"], "chat")])
def test_the_subprotocol_goes_along(offer: list[str], chosen: str) -> None:
    two = TwoHubs(share=True)
    with connect(two.hubs[0], "/", subprotocols=offer):
        states = [two.move(), two.move()]
        assert [state.transport and state.transport.subprotocol for state in states] == [chosen, chosen]
    two.close()


def test_it_leaves_when_the_callbacks_of_the_session_before_it_have_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The id had another session, whose handler still runs, and whose on_disconnect waits."""
    two, gate, ended, held = TwoHubs(share=True), Gate(), [], threading.Event()
    hold = SerialQueue.hold

    def hold_and_tell(self: SerialQueue, told: Callable[[], None]) -> None:
        hold(self, told)
        held.set()

    monkeypatch.setattr(SerialQueue, "hold", hold_and_tell)
    two.hubs[0].on_message(lambda connection, message: gate.hold())
    two.hubs[0].on_disconnect(lambda connection, error: ended.append(connection.id))
    with connect(two.hubs[0], "/") as first:
        first.send('{"payload":1}')
        gate.wait_reached()
        two.hubs[0].kick("alice")
    with connect(two.hubs[0], "/") as second:
        moving = Call(two.move)
        assert held.wait(PATIENCE)
        gate.open()
        moving.result()
        assert ended == ["alice"]
        second.send('{"payload":2}')
        assert json.loads(second.receive())["payload"] == 2
    two.close()


def test_an_on_join_that_waits_for_a_handler_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called in the hub to which the session has moved, and in no other."""
    two, gate, told, held = TwoHubs(share=True), Gate(), Queue[tuple[int, str, str]](), threading.Event()
    hold = SerialQueue.hold

    def hold_and_tell(self: SerialQueue, tell: Callable[[], None]) -> None:
        hold(self, tell)
        held.set()

    for number, hub in enumerate(two.hubs):
        hub.on_join(lambda connection, room_id, reason, number=number: told.put((number, room_id, reason)))
    two.hubs[0].on_message(lambda connection, message: gate.hold())
    with connect(two.hubs[0], "/") as alice:
        alice.send('{"payload":1}')
        gate.wait_reached()
        connection = two.hubs[0].get("alice")
        assert connection is not None
        connection.join("news")
        monkeypatch.setattr(SerialQueue, "hold", hold_and_tell)
        moving = Call(two.move)
        assert held.wait(PATIENCE)
        gate.open()
        state = moving.result()
        assert [(hook.hook, hook.room_id, hook.reason) for hook in state.hooks] == [
            ("on_join", "news", "join")
        ]
        assert [told.get(timeout=PATIENCE) for _ in range(2)] == [
            (0, "lobby", "connect"),
            (1, "news", "join"),
        ]
    two.close()


def test_a_session_that_cannot_leave_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fenced, and let go again: input, output and callbacks are as before."""
    two = TwoHubs(share=True)
    with connect(two.hubs[0], "/") as alice:
        [io] = two.hubs[0].runner.loop.transports  # type: ignore[union-attr]
        monkeypatch.setattr(io, "what_keeps_it", lambda: "the test says so")
        for number in range(3):
            with pytest.raises(NotMovable, match="the test says so"):
                two.move()
            alice.send(json.dumps({"payload": number}))
            assert json.loads(alice.receive())["payload"] == number
    two.close()


def test_a_session_for_which_nothing_waits_takes_no_thread_until_its_client_speaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With ten thousand silent clients a turn for each would hold up those that talk."""
    two, turns, take = TwoHubs(share=True), list[int](), SharedReader.take
    with connect(two.hubs[0], "/") as alice:
        alice.send('{"payload":0}')
        assert json.loads(alice.receive())["payload"] == 0
        monkeypatch.setattr(
            SharedReader, "take", lambda self, me: (turns.append(self.number), take(self, me))[1]
        )
        two.move()
        assert not turns
        alice.send('{"payload":1}')
        assert json.loads(alice.receive())["payload"] == 1
        assert len(turns) == 1
    two.close()
