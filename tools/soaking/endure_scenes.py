"""The scenes of an endurance run: drops, ends, rooms, users, requests. Each takes a second.

A scene is a function of a ``Bench``, and raises AssertionError when something is not as it is documented.
What it leaves connected, ``Bench.settle`` ends. All of them: ``SCENES`` in ``endure_run.py``. Read next:
``endure_bench.py``, ``endure_limits.py`` for the other half.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from resumehub import RequestFailed, RequestInDoubt, RequestTimeout

from .endure_bench import Bench, Peer, expect, until
from .faults import plan
from .proxy import HOST, Proxy

_NUMBERS = 20
_PLAIN = {"plain": True}


def talk(b: Bench) -> None:
    """Two kinds of our client, and one of websockets, send and get numbers."""
    peers = [b.peer("main"), b.peer("main"), b.peer("main", client=_PLAIN)]
    ws = b.dial("main")
    ws.send('{"event": "say", "payload": 5}')
    for peer in peers:
        peer.order(_NUMBERS)
        peer.say(_NUMBERS)
    for peer in peers:
        peer.wait_for(_NUMBERS)
    for _ in range(5):
        assert '"n"' in str(ws.recv(timeout=10))
    ws.close()
    expect(ws.close_code, 1000, "the end of a client of websockets")


def cut(b: Bench) -> None:
    """Sessions lose their connection three times in the middle of their talk, and go on."""
    peers = [b.peer("main"), b.peer("main"), b.peer("main", client=_PLAIN)]
    for done in (1, 2, 3):
        for peer in peers:
            peer.order(_NUMBERS)
            peer.say(_NUMBERS if not peer.plain else 0)
            if peer.plain:
                peer.wait_for(_NUMBERS * done)  # it sends no order twice
            expect(b.do("main", "cut", name=peer.name), True, "a transport to cut")
        for peer in peers:
            peer.wait_back(done)
            peer.wait_for(_NUMBERS * done)
    for peer in peers:
        expect(peer.calls["drop"], peer.calls["restore"], f"callbacks of {peer.name}")


def storm(b: Bench) -> None:
    """A proxy breaks each of three connections four times, at any byte."""
    seed = b.random.randrange(1 << 30)
    with Proxy(
        (HOST, b.server.port), 3, lambda door, dial: plan(seed, door, dial) if dial else None, 4
    ) as proxy:
        kinds: list[dict[str, Any]] = [{}, {}, _PLAIN]
        peers = [
            b.peer("main", client=kind, port=port) for kind, port in zip(kinds, proxy.ports, strict=True)
        ]
        sent = dict.fromkeys(peers, 0)
        for peer in peers:
            b.do("main", "cut", name=peer.name)
        for _ in range(8):
            for peer in peers:
                peer.say(3)
                sent[peer] = b.do("main", "say", name=peer.name, count=3)
            b.pause(0.05)
        proxy.calm()
        b.tally["faults of the network"] += proxy.counts().total()
        for peer, count in sent.items():
            peer.wait_for(count)
        b.settle()  # without the proxy nobody could say good-bye


def expire(b: Bench) -> None:
    """A session is not fetched in time: what it had expires, and all ways to come back say so."""
    before = b.stats("brief")["expired"]
    name = b.name()
    b.raw("brief", name=name).drop()
    b.wait_suspended("brief", 1)
    b.do("brief", "say", name=name, count=3)
    b.wait_empty("brief")
    expect(b.stats("brief")["expired"] - before, 3, "expired messages")
    expect(b.refused("brief", name=name, resume="true"), 410, "a resume behind the end")
    late = b.dial("brief", name=name, resume="true", reject="close")
    expect(b.closed(late), (4100, "session expired"), "the same with reject=close")
    here = b.dial("brief", name=name)
    for other, status in ((name, 204), (b.name(), 410)):
        path = b.url("brief", name=other, resume="true").split("/", 3)[3]
        expect(b.server.get("/" + path)[0], status, "a preflight")
    expect(b.server.get("/brief/ws?name=" + name)[0], 426, "a plain GET")
    here.close()


def expire_of_ours(b: Bench) -> None:
    """Our client comes back too late, and is told."""
    peer = b.peer("brief")
    peer.say(5)
    peer.wait_for(0)
    there, peer.url = peer.url, f"ws://{HOST}:1/"  # nobody listens
    b.do("brief", "cut", name=peer.name)
    b.wait_empty("brief")
    peer.url = there
    assert peer.client.wait_closed(20), "the client was not told"
    expect(peer.calls["expired"], 1, "on_session_expired")


def kick(b: Bench) -> None:
    """kick and kick_user end sessions behind what was sent before."""
    user = b.name()
    peers = [b.peer("main"), b.peer("main", user=user), b.peer("main", user=user)]
    for peer in peers:
        b.do("main", "say", name=peer.name, count=5)
    b.do("main", "kick", name=peers[0].name)
    b.do("main", "kick_user", user=user)
    expect(b.do("main", "kick", name=peers[0].name), "ConnectionNotFound", "a second kick")
    for peer in peers:
        assert peer.client.wait_closed(20), f"{peer.name} was not told that it is kicked"
        expect(peer.row.received, 5, "messages before the kick")
        expect(
            (getattr(peer.error, "code", 0), getattr(peer.error, "reason", "")), (1000, "kicked"), "the end"
        )


def supersede(b: Bench) -> None:
    """A newer connection takes the session; a newcomer with the same id ends it, or is refused."""
    name = b.name()
    first = b.dial("main", name=name)
    second = b.dial("main", name=name, resume="true")
    expect(b.closed(first), (4101, "superseded"), "the older connection")
    third = b.dial("main", name=name)
    expect(b.closed(second), (1000, "duplicate connection id"), "the session that was replaced")
    third.close()
    holder = b.dial("strict", name=name)
    expect(b.refused("strict", name=name), 409, "an id in use")
    late = b.dial("strict", name=name, reject="close")
    expect(b.closed(late), (4409, "connection id in use"), "the same with reject=close")
    holder.close()


def rooms(b: Bench) -> None:
    """Sessions join and leave rooms; broadcasts reach those who are there, once; newcomers get a history."""
    home, other, story = b.name(), b.name(), b.name()
    news = f"news{b.number % 8}"  # a hub keeps the history of a room behind its last member
    peers = [b.peer("main", room=home) for _ in range(3)]
    b.do("main", "broadcast", to=home, count=10)
    b.do("main", "broadcast", to=news, of=story, count=7)
    for peer in peers[:2]:
        expect(peer.client.request("join", other), None, "the answer to a join")
    b.do("main", "broadcast", to=other, count=10, but=peers[1].name)
    expect(peers[0].client.request("leave", other), None, "the answer to a leave")
    b.do("main", "broadcast", to=other, count=5, first=11)
    peers[2].client.request("join", news)
    b.do("main", "broadcast", to=news, of=story, count=3, first=8)
    expect(b.do("main", "look", room=home)["ids"], [peer.name for peer in peers], "the members of a room")
    expect(b.do("main", "look", room=other)["count"], 1, "the members of another one")
    for peer in peers:
        peer.wait_for(10, of=home)
    peers[0].wait_for(10, of=other)
    peers[1].wait_for(5, of=other)
    peers[2].wait_for(5 + 3, of=story)
    for peer, room, count in ((peers[0], other, 10), (peers[1], other, 5)):
        expect(peer.rows[room].received, count, f"broadcasts of a room to {peer.name}")
    expect(peers[2].history, 5, "the history of a room that nobody was in")
    late = b.peer("main", room=home)
    late.client.request("join", news)
    late.wait_for(5, of=story)
    expect(late.history, 5, "the history of a newcomer")


def users(b: Bench) -> None:
    """What is sent to a user reaches all of his sessions, and nobody resumes those of another one."""
    user, name = b.name(), b.name()
    peers = [b.peer("main", user=user) for _ in range(2)]
    away = b.raw("main", user=user, name=name)
    away.drop()
    b.wait_suspended("main", 1)
    expect(b.do("main", "send_to_user", to=user, count=10), 3, "the sessions of a user")
    expect(b.do("main", "send_to_user", to=b.name()), 0, "the sessions of nobody")
    expect(b.refused("main", name=name, user=b.name(), resume="true"), 403, "a resume of another's")
    thief = b.dial("main", name=name, resume="true", reject="close")
    expect(b.closed(thief), (4403, "forbidden"), "the same with reject=close")
    back = b.dial("main", name=name, user=user, resume="true")
    for number in range(1, 11):
        assert f'"{user}",{number},' in str(back.recv(timeout=10)), f"not number {number}"
    back.close()
    for peer in peers:
        peer.wait_for(10, of=user)


def requests(b: Bench) -> None:
    """Requests both ways: answered, refused, failed, deferred, too many."""
    peer = b.peer("main")
    for number in range(5):
        expect(peer.client.request("echo", number), {"of": number}, "an answer")
        expect(peer.client.request("later", number), {"of": number}, "an answer that was deferred")
    expect(peer.client.request("add", 1), 2, "an answer to a payload with a type")
    for event, payload, code in (
        ("refuse", None, "no"),
        ("nobody", None, "unknown_event"),
        ("add", "one", "invalid_payload"),
    ):
        try:
            peer.client.request(event, payload)
        except RequestFailed as failed:
            expect(failed.code, code, f"the refusal of {event}")
        else:
            raise AssertionError(f"{event} was answered")
    expect(
        b.do("main", "ask", name=peer.name, event="echo", count=5, timeout=10),
        {"answered": 5},
        "requests down",
    )
    expect(peer.client.request("ask", ["echo", 5, 10]), {"answered": 5}, "requests down, out of a handler")


def doubts(b: Bench) -> None:
    """Requests that have no answer in time, or whose session ends before."""
    peer = b.peer("main")
    expect(
        b.do("main", "ask", name=peer.name, event="never", count=2, timeout=0.1), {"timeout": 2}, "asked down"
    )
    try:
        peer.client.request("never", timeout=0.1)
    except RequestTimeout:
        pass
    else:
        raise AssertionError("a request that nobody answers was answered")
    ws = b.dial("main")
    for number in range(9):
        ws.send(json.dumps({"event": "never", "id": str(number)}))
    assert "too_many_requests" in str(ws.recv(timeout=10)), "more than max_requests"
    ends: list[str] = []
    threads = [
        threading.Thread(target=_in_doubt, args=(peer, ends)),
        threading.Thread(
            target=lambda: ends.extend(
                b.do("main", "ask", name=peer.name, event="never", count=1, timeout=20)
            )
        ),
    ]
    open_before = b.stats("main")["requests"]
    for thread in threads:
        thread.start()
    until(lambda: b.stats("main")["requests"] >= open_before + 2, "both to have asked")
    b.do("main", "kick", name=peer.name)
    for thread in threads:
        thread.join()
    expect(sorted(ends), ["in doubt", "internal_error"], "requests of a session that was kicked")


def _in_doubt(peer: Peer, ends: list[str]) -> None:
    try:
        peer.client.request("never", timeout=20)
    except RequestInDoubt:
        ends.append("in doubt")
    except RequestFailed as failed:
        ends.append(failed.code)


def answers_over_drops(b: Bench) -> None:
    """Requests in both directions are handled once and answered, though the connection is lost meanwhile."""
    peer = b.peer("main")
    answers: list[object] = []
    thread = threading.Thread(
        target=lambda: answers.extend(peer.client.request("echo", n, timeout=20) for n in range(20))
    )
    thread.start()
    for _ in range(3):
        b.do("main", "cut", name=peer.name)
        expect(
            b.do("main", "ask", name=peer.name, event="echo", count=3, timeout=20),
            {"answered": 3},
            "asked down",
        )
    thread.join()
    expect(answers, [{"of": number} for number in range(20)], "answers over three drops")


def generated(b: Bench) -> None:
    """Ids that the hub makes: v1 clients come back by their token, plain ones end with their connection."""
    peer = b.peer("main", name="")
    for done in (1, 2):
        b.do("main", "cut", name=peer.name)
        peer.wait_back(done)
        expect(peer.client.request("id"), peer.name, "the id that the hub made")
    peer.order(_NUMBERS)
    peer.wait_for(_NUMBERS)
    expect(b.refused("main", name=peer.name), 409, "the id brought back")
    ws = b.dial("main", name="")
    ws.send('{"event": "id", "id": "1"}')
    assert '"re":"1"' in str(ws.recv(timeout=10)), "no answer"
    ws.socket.shutdown(2)
