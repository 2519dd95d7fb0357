"""A hub moves over a real link: sockets as descriptors, sessions as bytes. Clients notice nothing."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from resumehub import Connection, Hub, Message
from resumehub.cluster.moves import move_messages as m
from resumehub.cluster.moves import move_source
from resumehub.cluster.moves.move_parts import HubMoved, HubNotMoved
from resumehub.errors import RequestInDoubt
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import WebSocketClient, connect
from tests.cluster.linked_hubs import LinkedHubs
from tests.cluster.two_hubs import clients, echo, payload
from tests.contract.peers import Gate
from tests.support import PATIENCE, Call, Progress

MOVES = 20
CLIENTS = 8


def silent(runtime: SystemRuntime) -> Hub:
    options: dict[str, Any] = {"send_buffer": 100_000, "send_buffer_bytes": 1 << 26}  # nothing is dropped
    return Hub(lambda request: ("lobby", request.args["id"], {"n": 0}), _runtime=runtime, **options)


def chat(runtime: SystemRuntime) -> Hub:
    hub = silent(runtime)
    hub.on_message(echo)
    return hub


def said(client: WebSocketClient, value: object) -> object:
    """What comes back to what the client says."""
    client.send(json.dumps({"payload": value}))
    return payload(client)


def end(two: LinkedHubs, *everybody: WebSocketClient) -> None:
    for client in everybody:
        client.close()
    two.close()


def test_clients_that_talk_all_the_time_do_not_notice() -> None:
    two, stop = LinkedHubs(chat), threading.Event()
    everybody, progress = clients(two, CLIENTS), Progress(CLIENTS)

    def talk(client: WebSocketClient) -> int:
        number = 0
        while not stop.is_set():
            assert said(client, number) == number
            number += 1
            progress.note(everybody.index(client))
        return number

    talking = [Call(lambda client=client: talk(client)) for client in everybody]
    for _ in range(MOVES):
        progress.wait()
        outcome = two.move()
        assert isinstance(outcome, HubMoved)
        assert (outcome.sessions, outcome.ended) == (CLIENTS, ())
    stop.set()
    assert all(call.result() for call in talking)
    end(two, *everybody)


def test_broadcasts_are_wholly_before_a_move_or_wholly_behind_it() -> None:
    two, stop = LinkedHubs(chat), threading.Event()
    everybody, progress = clients(two, CLIENTS), Progress(2)

    def shout(name: str) -> int:
        number = 0
        while not stop.is_set():
            text = f"{name}{number}"
            two.call(lambda hub, text=text: hub.broadcast("lobby", Message("n", text)))  # type: ignore[misc]
            number += 1
            progress.note("ab".index(name))
        return number

    def listen(client: WebSocketClient) -> list[object]:
        heard: list[object] = []
        while (text := payload(client)) != "end":
            heard.append(text)
        return heard

    shouting = [Call(lambda name=name: shout(name)) for name in "ab"]
    listening = [Call(lambda client=client: listen(client)) for client in everybody]
    for _ in range(MOVES):
        progress.wait()
        assert isinstance(two.move(), HubMoved)
    stop.set()
    counts = [call.result() for call in shouting]
    two.hub.broadcast("lobby", Message("n", "end"))
    heard = [call.result() for call in listening]
    assert all(one == heard[0] for one in heard), "one order for all"
    for name, count in zip("ab", counts, strict=True):
        mine = [text for text in heard[0] if str(text).startswith(name)]
        assert mine == [f"{name}{number}" for number in range(count)]
    end(two, *everybody)


def test_history_and_statistics_go_along() -> None:
    """Whoever enters the room later gets what was said before the move; each frame counts in one process."""

    def with_history(runtime: SystemRuntime) -> Hub:
        return Hub(lambda request: ("lobby", request.args["id"]), history={"lobby": 5}, _runtime=runtime)

    two = LinkedHubs(with_history)
    [alice] = clients(two, 1)
    for number in range(3):
        two.hub.broadcast("lobby", Message("n", number))
    assert [payload(alice) for _ in range(3)] == [0, 1, 2]
    two.move()
    with connect(two.hub, "/?id=late") as late:
        assert [payload(late) for _ in range(3)] == [0, 1, 2]
        old, new = two.processes[1].hub.stats(), two.hub.stats()
        assert (old.sessions, old.accepted) == (0, 0)
        assert (new.sessions, new.accepted) == (2, 6)
    end(two, alice)


def test_a_session_whose_handler_runs_is_carried() -> None:
    """It goes with its socket: it is written to, its Pings are answered, its input waits for the handler."""
    gate, story = Gate(), list[object]()

    def slow(runtime: SystemRuntime) -> Hub:
        hub = silent(runtime)
        name = f"process {len(story)}"
        story.append(name)

        @hub.on_message
        def on_message(connection: Connection, message: Message) -> None:
            story.append((name, message.payload))
            if message.payload == "wait":
                gate.hold()
                connection.data["n"] += 1
            connection.send(message)

        hub.on_adopt(lambda connection: story.append((name, "adopt", connection.data["n"])))
        hub.on_release(lambda connection: story.append((name, "release")))
        return hub

    two = LinkedHubs(slow)
    [alice] = clients(two, 1)
    alice.send('{"payload": "wait"}')
    gate.wait_reached()
    outcome = two.move(seconds=2.0)
    assert isinstance(outcome, HubMoved)
    assert outcome.carried == 1
    two.hub.send("0", Message("n", "while it runs"))
    assert payload(alice) == "while it runs"
    alice.ping(b"?")
    assert alice.wait_for_pong()
    alice.send('{"payload": "behind"}')
    gate.open()
    assert [payload(alice), payload(alice)] == ["wait", "behind"]
    assert story[2:] == [
        ("process 0", "wait"),
        ("process 0", "release"),
        ("process 1", "adopt", 1),
        ("process 1", "behind"),
    ]
    end(two, alice)


def test_a_hub_does_not_come_back_while_a_handler_of_before_still_runs() -> None:
    gate = Gate()

    def slow(runtime: SystemRuntime) -> Hub:
        hub = chat(runtime)
        hub.on_message(lambda connection, message: gate.hold() if message.payload == "wait" else None)
        return hub

    two = LinkedHubs(slow)
    [alice] = clients(two, 1)
    assert said(alice, "wait") == "wait"
    gate.wait_reached()
    assert isinstance(two.move(seconds=2.0), HubMoved)
    outcome = two.move(seconds=2.0)
    assert isinstance(outcome, HubNotMoved)
    assert "still runs handlers" in outcome.because
    gate.open()
    assert said(alice, 1) == 1
    assert isinstance(two.move(), HubMoved)
    assert said(alice, 2) == 2
    end(two, alice)


def test_a_carried_session_ends_when_the_old_process_dies() -> None:
    gate, ended = Gate(), list[str]()

    def slow(runtime: SystemRuntime) -> Hub:
        hub = chat(runtime)
        hub.on_message(lambda connection, message: gate.hold())
        hub.on_disconnect(lambda connection, error: ended.append(type(error).__name__))
        return hub

    two = LinkedHubs(slow)
    [alice] = clients(two, 1)
    assert said(alice, 1) == 1
    gate.wait_reached()
    assert isinstance(two.move(seconds=2.0), HubMoved)
    two.links[-1][0].close()
    assert alice.receive_close()[0] == 1011
    assert two.hub.get("0") is None
    gate.open()
    alice.sock.close()
    two.close()
    assert ended == ["HandlerError"]


def test_a_thread_that_asks_a_client_gets_its_answer_through_the_link() -> None:
    two = LinkedHubs(chat)
    [alice] = clients(two, 1)
    handle = two.hub.get("0")
    assert handle is not None
    asking = Call(lambda: handle.request("how are you?", timeout=None))
    question = json.loads(alice.receive(PATIENCE))
    assert isinstance(two.move(), HubMoved)
    alice.send(json.dumps({"event": "how are you?", "payload": "fine", "re": question["id"]}))
    assert asking.result() == "fine"
    end(two, alice)


def test_a_thread_that_asks_is_in_doubt_when_the_new_process_dies() -> None:
    two = LinkedHubs(chat)
    [alice] = clients(two, 1)
    handle = two.hub.get("0")
    assert handle is not None
    asking = Call(lambda: handle.request("how are you?", timeout=None))
    alice.receive(PATIENCE)
    assert isinstance(two.move(), HubMoved)
    two.links[-1][1].close()
    with pytest.raises(RequestInDoubt):
        asking.result()
    end(two, alice)


def ends_the_link(handlers: Any, at: type) -> Callable[[], None]:
    """From now on a message of this class ends the link before it is handled; return what undoes that."""
    handle = handlers[at]

    def instead(link: Any, message: Any, descriptors: Any) -> None:
        link.close()
        handle(link, message, descriptors)

    handlers[at] = instead
    return lambda: handlers.update({at: handle})


@pytest.mark.parametrize(
    "at",
    [m.MoveOffer, m.MoveAccepted, m.SessionsAhead, m.SessionsMove, m.SessionsHeld, m.RestMoves, m.MoveHeld],
    ids=lambda at: at.__name__,
)
def test_a_link_that_ends_before_the_commit_costs_nothing(at: type) -> None:
    """The old process goes on at the byte where it was, and the hub moves at the next attempt."""
    two = LinkedHubs(chat)
    everybody = clients(two, 3)
    source, target = two.processes[0].source.handlers, two.processes[1].target.handlers
    undo = ends_the_link(source if at in source else target, at)
    outcome = two.move()
    assert isinstance(outcome, HubNotMoved)
    assert [said(client, 1) for client in everybody] == [1, 1, 1]
    two.hub.broadcast("lobby", Message("n", 2))
    assert [payload(client) for client in everybody] == [2, 2, 2]
    assert two.processes[1].was_dropped.wait(PATIENCE)
    undo()
    assert isinstance(two.move(), HubMoved)
    assert [said(client, 3) for client in everybody] == [3, 3, 3]
    end(two, *everybody)


def test_a_target_that_hangs_is_given_up_and_drops_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stopped while everything is frozen: the clients do not wait for the end of the whole time."""
    monkeypatch.setattr(move_source, "PATIENCE", 0.05)
    two, gate = LinkedHubs(chat), Gate()
    [alice] = clients(two, 1)
    handlers = two.processes[1].target.handlers
    hold = handlers[m.SessionsMove]

    def hang(*arguments: Any) -> None:
        gate.hold()
        hold(*arguments)

    handlers[m.SessionsMove] = hang  # type: ignore[index]
    outcome = two.move()
    assert outcome == HubNotMoved("it does not answer")
    assert said(alice, 1) == 1
    gate.open()
    assert two.processes[1].was_dropped.wait(PATIENCE)
    assert said(alice, 2) == 2
    handlers[m.SessionsMove] = hold  # type: ignore[index]
    monkeypatch.undo()
    assert isinstance(two.move(), HubMoved)
    assert said(alice, 3) == 3
    end(two, alice)


def test_a_request_whose_handler_runs_is_answered_through_the_old_process() -> None:
    """Both ways: what the handler returns, and a reply to a request that was deferred."""
    gate, deferred = Gate(), list[Message]()

    def slow(runtime: SystemRuntime) -> Hub:
        hub = silent(runtime)

        @hub.on_message
        def on_message(connection: Connection, message: Message) -> object:
            if message.payload == "later":
                message.defer()
                deferred.append(message)
                return None
            gate.hold()
            return "at last"

        return hub

    two = LinkedHubs(slow)
    [alice] = clients(two, 1)
    alice.send('{"payload": "later", "id": "1"}')
    alice.send('{"payload": "now", "id": "2"}')
    gate.wait_reached()
    outcome = two.move(seconds=2.0)
    assert isinstance(outcome, HubMoved)
    assert outcome.carried == 1
    deferred[0].reply("as promised")
    answer = json.loads(alice.receive(PATIENCE))
    assert (answer["re"], answer["payload"]) == ("1", "as promised")
    gate.open()
    answer = json.loads(alice.receive(PATIENCE))
    assert (answer["re"], answer["payload"]) == ("2", "at last")
    with pytest.raises(RuntimeError, match="answered already"):
        deferred[0].reply("twice")
    end(two, alice)


def test_a_suspended_session_moves_and_is_resumed_where_it_is() -> None:
    two = LinkedHubs(chat)
    [alice] = clients(two, 1)
    dropped = threading.Event()
    two.hub.on_transport_drop(lambda connection, error: dropped.set())
    alice.drop()
    assert dropped.wait(PATIENCE)
    two.hub.send("0", Message("n", "before"))
    assert isinstance(two.move(), HubMoved)
    two.hub.send("0", Message("n", "behind"))
    with connect(two.hub, "/?id=0&resume=true") as again:
        assert [payload(again) for _ in range(2)] == ["before", "behind"]
    two.close()


def test_a_client_that_does_not_read_gets_all_in_the_end() -> None:
    """Half of a message is written at each move, and a writer thread waits for the peer."""
    two = LinkedHubs(chat)
    texts = [f"{number} " + "x" * 20_000 for number in range(20)]
    with connect(two.hub, "/?id=0", buffer=4096) as alice:
        alice.stop_reading()
        for text in texts:
            two.hub.send("0", Message("n", text))
            assert isinstance(two.move(), HubMoved)
        alice.go_on_reading()
        assert [payload(alice) for _ in texts] == texts
    two.close()


def test_a_session_whose_data_is_no_json_stays_and_ends() -> None:
    """1012, and the report says why; all others move."""
    two = LinkedHubs(chat)
    everybody = clients(two, 3)
    handle = two.hub.get("1")
    assert handle is not None
    handle.data = {"n": (1, 2)}
    outcome = two.move()
    assert isinstance(outcome, HubMoved)
    assert outcome.sessions == 2
    [(name, because)] = outcome.ended
    assert name == "1"
    assert "connection.data['n'] is a tuple" in because
    assert everybody[1].receive_close() == (1012, "service restart")
    everybody[1].sock.close()
    assert [said(client, 1) for client in (everybody[0], everybody[2])] == [1, 1]
    end(two, everybody[0], everybody[2])


def test_a_session_that_can_not_move_is_named_without_its_secret() -> None:
    """An id that the hub has made opens the session: no log and no report has it."""

    def generated(runtime: SystemRuntime) -> Hub:
        return Hub(lambda request: ("lobby", None), data_codec=None, _runtime=runtime)

    two = LinkedHubs(generated)
    client = connect(two.hub, "/")
    [connection_id] = two.hub.ids("lobby")
    outcome = two.move()
    assert isinstance(outcome, HubMoved)
    [(name, _)] = outcome.ended
    assert name.startswith("session ")
    assert connection_id not in name
    assert client.receive_close() == (1012, "service restart")
    client.sock.close()
    two.close()


def test_sessions_whose_data_belongs_to_their_process_never_move() -> None:
    def own_data(runtime: SystemRuntime) -> Hub:
        return Hub(lambda request: ("lobby", request.args["id"]), data_codec=None, _runtime=runtime)

    two = LinkedHubs(own_data)
    [alice] = clients(two, 1)
    outcome = two.move()
    assert isinstance(outcome, HubMoved)
    assert outcome.ended == (("0", "its data belongs to this process (data_codec=None)"),)
    assert alice.receive_close() == (1012, "service restart")
    alice.sock.close()
    two.close()


def test_a_closing_client_at_the_time_of_the_move_is_closed_as_ever() -> None:
    """Its close frame is answered, by whichever process reads it."""
    two = LinkedHubs(chat)
    everybody = clients(two, 6)
    closing = Call(lambda: [client.close() for client in everybody[:5]])
    for _ in range(10):
        assert isinstance(two.move(), HubMoved)
    closing.result()
    assert all(client.closed == (1000, "") for client in everybody[:5])
    assert said(everybody[5], 1) == 1
    assert two.hub.count("lobby") == 1
    end(two, everybody[5])


def test_a_descriptor_that_is_no_socket_ends_the_move_and_leaks_nothing() -> None:
    two = LinkedHubs(chat)
    source, target = two.link()
    pipe = os.pipe()
    source.send(m.MoveOffer("x", "a life", 1, 1))
    source.send(m.SessionsMove("x", 0, (True,), (False,), (-1,), b"", b""), pipe[:1])
    assert two.processes[1].was_dropped.wait(PATIENCE)
    for one in pipe:
        os.close(one)
    two.close()
