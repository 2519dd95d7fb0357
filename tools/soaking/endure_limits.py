"""More scenes of an endurance run: limits, full hubs, slow and dead peers, bad input, drain, observers.

As ``endure_scenes.py``. Read next: ``endure_app.py``, which has the hubs that they are played on.
"""

from __future__ import annotations

import json
import socket
import struct

from websockets.frames import Frame, Opcode

from resumehub import Message
from tests.contract.raw_client import HANDSHAKE, PLAIN, head

from .endure_bench import Bench, Peer, expect, until


def full_hub(b: Bench) -> None:
    """In a full hub the longest suspended session makes room; a hub that refuses keeps it."""
    away, gone = b.raw("full"), b.raw("full")
    expect(b.refused("full"), 503, "a newcomer where all are connected")
    away.drop()
    b.wait_suspended("full", 1)
    newcomer = b.dial("full")
    expect(b.stats("full")["sessions"], 2, "sessions of a full hub")
    newcomer.close()
    gone.leave()
    keeper = b.raw("strict"), b.raw("strict")
    keeper[0].drop()
    b.wait_suspended("strict", 1)
    expect(b.refused("strict"), 503, "a newcomer to a hub that keeps its sessions")
    late = b.dial("strict", reject="close")
    expect(b.closed(late)[0], 4503, "the same with reject=close")
    keeper[1].leave()
    for hub in ("full", "strict"):
        for name in b.names:
            b.do(hub, "kick", name=name)


def overflow(b: Bench) -> None:
    """A client that reads slowly loses broadcasts, and is told which; what is sent to it alone is refused."""
    room = b.name()
    slow, quick = b.peer("narrow", room=room, client={"slow": 0.02}), b.peer("narrow", room=room)
    sent = 0
    for _ in range(6):
        b.do("narrow", "broadcast", to=room, count=15, first=sent + 1)
        sent += 15
        _wait_total(quick, room, sent)
    _wait_total(slow, room, sent)
    for peer in (slow, quick):
        expect(
            peer.rows[room].received + peer.missed,
            sent,
            f"broadcasts that came, or were missed, of {peer.name}",
        )
        expect(peer.rows[room].duplicated + peer.rows[room].reordered, 0, "broadcasts out of order")
    quick.wait_for(b.do("narrow", "say", name=quick.name, count=200))


def _wait_total(peer: Peer, room: str, count: int) -> None:
    until(lambda: peer.total(room) >= count, f"{count} messages to have come, or be missed")


def deaf(b: Bench) -> None:
    """A peer that reads nothing: its buffer overflows, its connection is given up, its session goes on."""
    room, name = b.name(), b.name()
    peer = b.raw("narrow", room=room, name=name, small=True)
    before = b.stats("narrow")["dropped"]
    b.do("narrow", "broadcast", to=room, count=100, size=60_000)
    until(lambda: b.stats("narrow")["dropped"] > before, "an overflow")
    until(lambda: b.stats("narrow")["suspended"], "the peer to be given up")
    peer.drop()
    b.do("narrow", "kick", name=name)


def throttle(b: Bench) -> None:
    """A client that sends more than its rate is read no faster, and loses nothing."""
    before = b.stats("slow")["sums"]["readings_paused"]
    peer = b.peer("slow")
    peer.say(100)
    peer.wait_for(0)
    assert b.stats("slow")["sums"]["readings_paused"] > before, "no pause"


def crowd_at_the_gate(b: Bench) -> None:
    """Who connects too often is told 429, or 4503, and gets in later."""
    statuses = [b.refused("gate") for _ in range(8)]
    assert 101 in statuses, f"nobody got in: {statuses}"
    assert 429 in statuses, f"nobody was refused: {statuses}"
    if b.refused("gate") == 429:
        late = b.dial("gate", reject="close")
        assert b.closed(late)[0] in (4503, 1000), late.close_code
    until(lambda: b.refused("gate") == 101, "the gate to open again")


def over_budget(b: Bench) -> None:
    """Beyond the budget of all buffers the longest suspended session ends first."""
    names = [b.name(), b.name()]
    for number, name in enumerate(names):
        b.raw("budget", name=name).drop()
        b.wait_suspended("budget", number + 1)
    room = "home"
    b.do("budget", "broadcast", to=room, count=1, size=40_000)
    until(lambda: b.stats("budget")["sessions"] == 1, "one session to give way")
    expect(b.do("budget", "look", room=room)["ids"], [names[1]], "who stays")
    b.do("budget", "kick", name=names[1])


def compress(b: Bench) -> None:
    """Compressed messages both ways, small ones and large ones."""
    for size in (0, 30_000):
        with b.dial("packed", compression="deflate") as ws:
            assert ws.protocol.extensions, "no compression"
            text = "abc" * (size // 3)
            ws.send(json.dumps({"event": "echo", "id": "1", "payload": text}))
            expect(json.loads(ws.recv(timeout=10))["payload"], {"of": text}, "an echo")
    peer = b.peer("packed")
    peer.order(30)
    peer.say(30)
    peer.wait_for(30)


def dead_peer(b: Bench) -> None:
    """A peer that answers no ping is given up, and its session expires."""
    before = b.stats("brief")["sums"]["heartbeat_failures"]
    peer = b.raw("brief")
    until(lambda: b.stats("brief")["sums"]["heartbeat_failures"] > before, "the heartbeat to fail")
    b.wait_empty("brief")
    peer.drop()


def drain(b: Bench) -> None:
    """A drained hub keeps its sessions, refuses newcomers, and takes them again behind undrain."""
    peer = b.peer("main")
    try:
        for strictly in (False, True):
            left = b.do("main", "drain", strictly=1)["left"] if strictly else b.do("main", "drain")["left"]
            expect(left, 1, "the sessions of a drained hub")
            expect(b.do("main", "ready"), False, "ready")
            expect(b.refused("main"), 503, "a newcomer")
            late = b.dial("main", reject="close")
            expect(b.closed(late)[0], 4503, "the same with reject=close")
            peer.order(5)
            peer.wait_for(10 if strictly else 5)
            if not strictly:
                b.do("main", "cut", name=peer.name)
                until(lambda: peer.calls["restore"], "a resume while the hub is drained")
    finally:
        b.do("main", "undrain")
    expect(b.do("main", "ready"), True, "ready")
    expect(b.refused("main"), 101, "a newcomer behind undrain")


def observers(b: Bench) -> None:
    """The inspector, Prometheus, the trace and stats look at a hub that works."""
    peer = b.peer("main")
    peer.order(10)
    for path in ("/", "/sessions", "/ended", "/nothing"):
        status, body = b.server.get("/main/inspector" + path)
        expect(status, 404 if path == "/nothing" else 200, f"the inspector's {path}")
        assert path != "/sessions" or peer.name.encode() in body, "the inspector does not show a session"
    status, body = b.server.get("/main/metrics")
    expect(status, 200, "/main/metrics")
    assert b'resumehub_sessions{state="connected"}' in body, "Prometheus is told of no session"
    assert b.get("/books")["hubs"]["main"]["trace"], "nothing is in the trace"
    peer.wait_for(10)


def bad_requests(b: Bench) -> None:
    """Whatever is no handshake is refused; what connect raises is an answer."""
    here = "/main/ws?name=" + b.name()
    for method, target, headers, status in (
        ("GET", here, {**HANDSHAKE, "Sec-WebSocket-Key": "short"}, 400),
        ("GET", here, {**HANDSHAKE, "Sec-WebSocket-Version": "12"}, 426),
        ("GET", here, {**HANDSHAKE, "Origin": "https://evil.example"}, 403),
        ("GET", here + "&resume=true&resume=true", HANDSHAKE, 400),
        ("GET", here + "&received=many", HANDSHAKE, 400),
        ("GET", here + "&room=", HANDSHAKE, 400),
        ("POST", here, {**PLAIN, "Content-Length": "0"}, 405),
        ("GET", here + "&refuse=401", HANDSHAKE, 401),
        ("GET", here + "&refuse=403", HANDSHAKE, 403),
        ("GET", here + "&refuse=500", HANDSHAKE, 500),
    ):
        wire = b.wire().send(head(method, target, headers))
        expect(wire.reply().status, status, f"{method} {target}")
        wire.sock.close()
    for data in (b"GET /main/ws HT", b"\x00" * 100 + b"\r\n\r\n", head("GET", here, HANDSHAKE)[:-20]):
        b.wire().send(data).sock.close()


def bad_frames(b: Bench) -> None:
    """Whatever breaks the protocol ends a connection, with a code that says so; the session waits."""
    for frames, code in (
        (Frame(Opcode.TEXT, b"\xff").serialize(mask=True), 1007),
        (Frame(Opcode.TEXT, b"{}").serialize(mask=False), 1002),
        (b"\xf1" + b"\x80" * 5, 1002),
        (Frame(Opcode.TEXT, b"x" * 70_000).serialize(mask=True), 1009),
    ):
        name = b.name()
        peer = b.raw("main", name=name)
        peer.sock.sendall(frames)
        expect(peer.closed()[0], code, "the close code")
        peer.drop()
        until(lambda: b.stats("main")["suspended"], "the session to wait")
        b.do("main", "kick", name=name)
    before = b.stats("main")["undecodable"]
    with b.dial("main") as ws:
        for text in ("", "[]", '{"payload": NaN}', '{"event": 1}', "[" * 500, b"binary"):
            ws.send(text)
        ws.send('{"event": "$nothing"}')
        ws.send('{"event": "echo", "id": "1"}')
        assert '"re":"1"' in str(ws.recv(timeout=10)), "no answer behind bad messages"
    expect(b.stats("main")["undecodable"] - before, 7, "messages that can't be decoded")


def raising(b: Bench) -> None:
    """Handlers that raise: 1011; the session waits, but for on_connect."""
    peer = b.peer("main")
    peer.client.send(Message("boom"))
    until(lambda: peer.calls["restore"], "the session to come back behind an error")
    peer.order(5)
    peer.wait_for(5)
    newcomer = b.dial("main", raises="connect")
    expect(b.closed(newcomer), (1011, "handler error"), "a session whose on_connect raises")


def codes(b: Bench) -> None:
    """What a client closes with decides about its session; the server's own close ends it."""
    for code, stays in ((1000, False), (1001, True), (3000, True)):
        name = b.name()
        b.dial("main", name=name).close(code)
        if stays:
            b.wait_suspended("main", 1)
            b.do("main", "kick", name=name)
        b.wait_empty("main")
    peer = b.peer("main")
    peer.client.send(Message("close"))
    assert peer.client.wait_closed(20), "the client was not told"
    expect(getattr(peer.error, "code", 0), 1000, "the server's close")


def half_a_frame(b: Bench) -> None:
    """A peer stops in the middle of a frame, of a handshake, of a close; each is cleaned up."""
    name = b.name()
    peer = b.raw("main", name=name)
    peer.sock.sendall(b"\x81\xfe\x10")
    peer.drop()
    b.wait_suspended("main", 1)
    b.do("main", "kick", name=name)
    silent = b.raw("brief")
    b.do("brief", "kick", name=b.names[-1])  # it never answers the close frame
    b.wait_empty("brief")
    silent.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    silent.sock.close()
