"""All sessions of a hub go to another one, while clients talk and threads broadcast: nobody notices."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from resumehub import Connection, Hub, Message
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import WebSocketClient
from tests.cluster.two_hubs import TwoHubs, clients, echo, payload
from tests.support import PATIENCE, Call, Progress

MOVES = 15
CLIENTS = 8


def chat(runtime: SystemRuntime) -> Hub:
    options: dict[str, Any] = {"send_buffer": 100_000, "send_buffer_bytes": 1 << 26}  # nothing is dropped
    hub = Hub(lambda request: ("lobby", request.args["id"]), _runtime=runtime, **options)
    hub.on_message(echo)
    return hub


@pytest.mark.parametrize("share", [False, True], ids=["a reader each", "shared readers"])
def test_clients_that_talk_all_the_time_do_not_notice(share: bool) -> None:
    """Both ways, moves there and back: nothing lost, doubled or reordered, and no client dials."""
    two, stop = TwoHubs(chat, share=share), threading.Event()
    everybody, progress = clients(two, CLIENTS), Progress(CLIENTS)

    def talk(client: WebSocketClient) -> int:
        number = 0
        while not stop.is_set():
            # Two at a time, so that one is behind the other when everything is frozen.
            for text in (number, number + 1):
                client.send(json.dumps({"payload": text}))
            assert [payload(client) for _ in range(2)] == [number, number + 1]
            number += 2
            progress.note(everybody.index(client))
        return number

    talking = [Call(lambda client=client: talk(client)) for client in everybody]
    for _ in range(MOVES):
        progress.wait()
        assert two.move(PATIENCE).staying == []
    stop.set()
    assert all(call.result() for call in talking)
    assert two.hub.count("lobby") == CLIENTS
    for client in everybody:
        client.close()
    two.close()


def test_broadcasts_of_several_threads_keep_one_order_for_all() -> None:
    two, stop = TwoHubs(chat), threading.Event()
    everybody, progress = clients(two, CLIENTS), Progress(3)

    def shout(name: str) -> int:
        number = 0
        while not stop.is_set():
            two.broadcast("lobby", Message("n", f"{name}{number}"))
            number += 1
            progress.note("abc".index(name))
        return number

    def listen(client: WebSocketClient) -> list[object]:
        heard: list[object] = []
        while (text := payload(client)) != "end":
            heard.append(text)
        return heard

    shouting = [Call(lambda name=name: shout(name)) for name in "abc"]
    listening = [Call(lambda client=client: listen(client)) for client in everybody]
    for _ in range(MOVES):
        progress.wait()
        two.move()
    stop.set()
    counts = [call.result() for call in shouting]
    two.broadcast("lobby", Message("n", "end"))
    heard = [call.result() for call in listening]
    assert all(one == heard[0] for one in heard), "one order for all"
    for name, count in zip("abc", counts, strict=True):
        mine = [text for text in heard[0] if str(text).startswith(name)]
        assert mine == [f"{name}{number}" for number in range(count)], "none lost, doubled or reordered"
    for client in everybody:
        client.close()
    two.close()


def test_a_handle_that_was_kept_goes_on_in_the_other_hub() -> None:
    """send, join, leave, close and the looks, of a handle whose session has left."""
    two = TwoHubs(chat)
    [alice] = clients(two, 1)
    handle = two.hub.get("0")
    assert isinstance(handle, Connection)
    two.move()
    handle.send(Message("n", 1))
    assert payload(alice) == 1
    handle.join("news")
    assert handle.rooms == ("lobby", "news")
    two.broadcast("news", Message("n", 2))
    assert payload(alice) == 2
    handle.leave("news")
    assert two.hub.count("news") == 0
    assert not handle.suspended
    assert not handle.closed
    handle.close()
    assert alice.receive_close() == (1000, "")
    alice.sock.close()
    assert handle.wait_closed(PATIENCE)
    assert handle.closed
    two.close()
