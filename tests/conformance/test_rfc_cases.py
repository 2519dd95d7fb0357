"""RFC 6455 and RFC 7692, section by section: what a server has to do, through a real socket and a real WSGI
server.

A row is a section, what happens, and what comes back. Each has a hub that echoes, and a connection that is
read to its end. The same rules are tried in depth elsewhere: tests/transport/ for bytes without a socket,
tests/contract/ for the handshake, and Autobahn's cases for both (docs/reference/conformance.md).
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from resumehub import Connection, Hub, Message
from resumehub.testing import client_frame
from resumehub.testing.wire import parse
from tests.contract.hub_servers import Server
from tests.contract.raw_client import ACCEPT, HANDSHAKE, Headers, Wire, head
from tests.support import PATIENCE

LIMIT = 1000
BYE = client_frame("close", b"\x03\xe8")
DEFLATE = "permessage-deflate"


class Raw:
    """A codec that sends text as text and bytes as bytes."""

    def encode(self, message: Message) -> str | bytes:
        data: str | bytes = message.payload
        return data

    def decode(self, data: str | bytes) -> Message:
        return Message(payload=data)


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server with a hub that sends back what it gets."""
    options = {"resume_window": 0, "ping_interval": None, "max_message_size": LIMIT, "compression": True}
    with Hub(lambda request: ("lobby", None), codec=Raw(), subprotocols=("chat",), **options) as hub:

        @hub.on_message
        def echo(connection: Connection, message: Message) -> None:
            connection.send(message)

        server = Server(hub)
        yield server.port
        server.close()


def opened(port: int, headers: Headers | None = None) -> Wire:
    wire = Wire(port)
    wire.sock.settimeout(PATIENCE)
    return wire.send(head("GET", "/", HANDSHAKE | (headers or {})))


def read_to_end(sock: socket.socket) -> bytes:
    data = b""
    while more := sock.recv(65536):
        data += more
    return data


# -- RFC 6455 §4: the opening handshake ---------------------------------------------------

OPENING: dict[str, tuple[Headers, int]] = {
    "4.2.1-2 Host is missing": ({"Host": None}, 400),
    "4.2.1-3 Upgrade is in other letters": ({"Upgrade": "WebSocket"}, 101),
    "4.2.1-3 Upgrade names another protocol too": ({"Upgrade": "websocket, h2c"}, 400),
    "4.2.1-4 Connection has more than one token": ({"Connection": "keep-alive, Upgrade"}, 101),
    "4.2.1-4 Connection has no upgrade": ({"Connection": "keep-alive"}, 400),
    "4.2.1-5 the key has 15 bytes": ({"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAA"}, 400),
    "4.2.1-5 the key is missing": ({"Sec-WebSocket-Key": None}, 400),
    "4.2.1-6 the version is missing": ({"Sec-WebSocket-Version": None}, 400),
    "4.2.2-4 the version is another one": ({"Sec-WebSocket-Version": "8"}, 426),
    "4.2.2-4 the origin is another one": ({"Origin": "http://elsewhere.test"}, 403),
    "4.2.2-5 the subprotocol is known": ({"Sec-WebSocket-Protocol": "other, chat"}, 101),
    "4.2.2-5 no subprotocol is known": ({"Sec-WebSocket-Protocol": "other"}, 101),
    "9.1 the extension is unknown": ({"Sec-WebSocket-Extensions": "x-other; a=1"}, 101),
    "9.1 the extensions can't be parsed": ({"Sec-WebSocket-Extensions": ";;=,"}, 101),
}


@pytest.mark.parametrize("case", OPENING)
def test_the_opening_handshake(port: int, case: str) -> None:
    headers, status = OPENING[case]
    wire = opened(port, headers)
    with wire.sock:
        reply = wire.reply()
        assert reply.status == status
        if status == 426:
            assert reply.header("Sec-WebSocket-Version") == "13", "4.4"
        if status == 101:
            assert reply.header("Sec-WebSocket-Accept") == ACCEPT, "4.2.2-5"
            chosen = "chat" if "chat" in str(headers.get("Sec-WebSocket-Protocol")) else None
            assert reply.header("Sec-WebSocket-Protocol") == chosen, "4.2.2-5"
            assert reply.header("Sec-WebSocket-Extensions") is None, "9.1"
            wire.send(BYE)
            assert [str(frame) for frame in parse(reply.body + read_to_end(wire.sock))[0]] == ["close 1000"]


# -- RFC 6455 §5 to §8: frames ------------------------------------------------------------


@dataclass(frozen=True)
class Frames:
    """``told``: what the server writes until the end, in short. A code alone: a Close with it, and any
    reason."""

    sent: bytes
    told: tuple[str | int, ...]


def sound(*sent: bytes, told: tuple[str, ...] = ()) -> Frames:
    """The connection lives on; then the client closes it."""
    return Frames(b"".join(sent) + BYE, (*told, "close 1000"))


def fails(code: int, *sent: bytes, told: tuple[str, ...] = ()) -> Frames:
    """The server fails the connection, and reads nothing that comes behind."""
    return Frames(b"".join(sent) + client_frame("text", b"behind it"), (*told, code))


HELLO = client_frame("text", b"hello")
BEGUN = client_frame("text", b"hel", fin=False)
REST = client_frame("continuation", b"lo")

CASES: dict[str, Frames] = {
    "5.1 a frame that is not masked": fails(1002, client_frame("text", b"hello", mask=None)),
    "5.1 a ping that is not masked": fails(
        1002, HELLO, client_frame("ping", mask=None), told=("text hello",)
    ),
    "5.2 the second reserved bit": fails(1002, client_frame("text", b"x", rsv=2)),
    "5.2 the third reserved bit": fails(1002, client_frame("text", b"x", rsv=1)),
    "5.2 the first reserved bit without its extension": fails(1002, client_frame("text", b"x", rsv=4)),
    "5.2 the first reserved opcode of data": fails(1002, client_frame(3, b"x")),
    "5.2 the last reserved opcode of data": fails(1002, client_frame(7, b"x")),
    "5.2 the first reserved opcode of control": fails(1002, client_frame(11)),
    "5.2 the last reserved opcode of control": fails(1002, client_frame(15)),
    "5.2 a length of 125 bytes": sound(client_frame("text", b"x" * 125), told=("text " + "x" * 125,)),
    "5.2 a length of 126 bytes": sound(client_frame("text", b"x" * 126), told=("text " + "x" * 126,)),
    "5.2 a length in more bytes than it needs": fails(1002, client_frame("text", b"x", length_bytes=2)),
    "5.2 a length in eight bytes that fits into two": fails(1002, client_frame("text", b"x", length_bytes=8)),
    "5.2 the highest bit of a length": fails(1002, client_frame("text", length=1 << 63, length_bytes=8)),
    "5.3 a key of zeros": sound(client_frame("text", b"hello", mask=bytes(4)), told=("text hello",)),
    "5.3 another key for each frame": sound(
        client_frame("text", b"a", mask=b"abcd"),
        client_frame("text", b"b", mask=b"\xff\0\xff\0"),
        told=("text a", "text b"),
    ),
    "5.4 two fragments": sound(BEGUN, REST, told=("text hello",)),
    "5.4 empty fragments": sound(
        client_frame("text", fin=False),
        client_frame("continuation", fin=False),
        client_frame("continuation"),
        told=("text",),
    ),
    "5.4 a ping between fragments": sound(
        BEGUN, client_frame("ping", b"?"), REST, told=("pong ?", "text hello")
    ),
    "5.4 a continuation of nothing": fails(1002, client_frame("continuation", b"x")),
    "5.4 a continuation of a whole message": fails(
        1002, HELLO, client_frame("continuation"), told=("text hello",)
    ),
    "5.4 a message inside a message": fails(1002, BEGUN, HELLO),
    "5.4 a character that is cut by a frame": sound(
        client_frame("text", b"\xe2\x82", fin=False), client_frame("continuation", b"\xac"), told=("text €",)
    ),
    "5.5 a control frame of 125 bytes": sound(client_frame("ping", b"x" * 125), told=("pong " + "x" * 125,)),
    "5.5 a control frame of 126 bytes": fails(1002, client_frame("ping", b"x" * 126)),
    "5.5 a control frame in fragments": fails(1002, client_frame("ping", b"x", fin=False)),
    "5.5.1 a close without a body": Frames(client_frame("close"), ("close 1005",)),
    "5.5.1 a close with a code": Frames(client_frame("close", b"\x03\xe8"), ("close 1000",)),
    "5.5.1 a close with a code of the application": Frames(
        client_frame("close", b"\x0f\xa0"), ("close 4000",)
    ),
    "5.5.1 a close of one byte": Frames(client_frame("close", b"\x03"), (1002,)),
    "5.5.1 a close whose reason is no UTF-8": Frames(client_frame("close", b"\x03\xe8\xff"), (1007,)),
    "5.5.1 a message behind a close": Frames(BYE + HELLO, ("close 1000",)),
    "5.5.2 a ping without a payload": sound(client_frame("ping"), told=("pong",)),
    "5.5.3 a pong has the payload of its ping": sound(
        client_frame("ping", b"\0\xff"), told=("pong \0\ufffd",)
    ),
    "5.5.3 a pong that nobody asked for": sound(client_frame("pong", b"hi"), HELLO, told=("text hello",)),
    "5.6 text": sound(HELLO, told=("text hello",)),
    "5.6 bytes": sound(client_frame("binary", b"\x01\x02"), told=("binary \x01\x02",)),
    "6.1 messages come back in their order": sound(
        *(client_frame("text", b"%d" % number) for number in range(9)),
        told=tuple(f"text {number}" for number in range(9)),
    ),
    "7.4.1 1001": Frames(client_frame("close", b"\x03\xe9"), ("close 1001",)),
    "7.4.1 1005 may not be sent": Frames(client_frame("close", b"\x03\xed"), (1002,)),
    "7.4.1 1006 may not be sent": Frames(client_frame("close", b"\x03\xee"), (1002,)),
    "7.4.1 1015 may not be sent": Frames(client_frame("close", b"\x03\xf7"), (1002,)),
    "7.4.1 1009 for a message that is too large": fails(1009, client_frame("binary", bytes(LIMIT + 1))),
    "7.4.1 1009 for fragments that are too large together": fails(
        1009, client_frame("binary", bytes(LIMIT), fin=False), client_frame("continuation", b"x")
    ),
    "7.4.2 999 is no code": Frames(client_frame("close", b"\x03\xe7"), (1002,)),
    "7.4.2 3000 is for libraries": Frames(client_frame("close", b"\x0b\xb8"), ("close 3000",)),
    "7.4.2 5000 is no code": Frames(client_frame("close", b"\x13\x88"), (1002,)),
    "8.1 text that is no UTF-8": fails(1007, client_frame("text", b"\xc0\xaf")),
    "8.1 half of a surrogate pair": fails(1007, client_frame("text", b"\xed\xa0\x80")),
    "8.1 a character that has no end": fails(1007, client_frame("text", b"\xe2\x82")),
    "8.1 in the first of several fragments": fails(1007, client_frame("text", b"\xff", fin=False)),
    "8.1 bytes need be no UTF-8": sound(client_frame("binary", b"\xff"), told=("binary \ufffd",)),
}


@pytest.mark.parametrize("case", CASES)
def test_frames(port: int, case: str) -> None:
    """7.1.1 in each of them: the server closes TCP first, when the closing handshake is over or it has
    failed."""
    wire = opened(port)
    with wire.sock:
        reply = wire.reply()
        wire.send(CASES[case].sent)
        frames, rest = parse(reply.body + read_to_end(wire.sock))
    told: list[str | int] = [str(frame) for frame in frames]
    if isinstance(CASES[case].told[-1], int):
        told[-1] = frames[-1].code
    assert tuple(told) == CASES[case].told
    assert rest == b""


# -- RFC 7692: permessage-deflate ---------------------------------------------------------

OFFERS = {
    "7.1 a plain offer": (DEFLATE, DEFLATE),
    "7.1 an unknown parameter": (f"{DEFLATE}; x=1", None),
    "7.1 a parameter twice": (f"{DEFLATE}; server_no_context_takeover; server_no_context_takeover", None),
    "7.1 the second offer, when the first is declined": (f"{DEFLATE}; x=1, {DEFLATE}", DEFLATE),
    "7.1.1.1 server_no_context_takeover": (f"{DEFLATE}; server_no_context_takeover",) * 2,
    "7.1.1.2 client_no_context_takeover": (f"{DEFLATE}; client_no_context_takeover",) * 2,
    "7.1.2.1 server_max_window_bits": (f"{DEFLATE}; server_max_window_bits=10",) * 2,
    "7.1.2.1 server_max_window_bits without a value": (f"{DEFLATE}; server_max_window_bits", None),
    "7.1.2.1 server_max_window_bits of 16": (f"{DEFLATE}; server_max_window_bits=16", None),
    "7.1.2.1 a leading zero": (f"{DEFLATE}; server_max_window_bits=09", None),
    "7.1.2.2 client_max_window_bits with a value": (f"{DEFLATE}; client_max_window_bits=10",) * 2,
    "7.1.2.2 client_max_window_bits without one": (
        f"{DEFLATE}; client_max_window_bits",
        f"{DEFLATE}; client_max_window_bits=15",
    ),
}


class Peer:
    """A client that keeps to what was agreed, in both directions."""

    def __init__(self, answer: str | None) -> None:
        self.forgets = "server_no_context_takeover" in (answer or "")
        self.window = -10 if "server_max_window_bits=10" in (answer or "") else -15
        self._deflater = zlib.compressobj(wbits=-10 if "client_max_window_bits=10" in (answer or "") else -15)
        self._inflater = zlib.decompressobj(self.window)

    def packed(self, data: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
        return (self._deflater.compress(data) + self._deflater.flush(flush))[:-4]

    def frame(self, data: bytes) -> bytes:
        return client_frame("text", self.packed(data), rsv=4)

    def read(self, wire: bytes) -> list[object]:
        """Texts that came compressed, as str; as bytes what came otherwise; at last the code of the Close."""
        told: list[object] = []
        while wire:
            size, begin = wire[1], 2
            if size == 126:
                size, begin = int.from_bytes(wire[2:4]), 4
            payload, first = wire[begin : begin + size], wire[0]
            wire = wire[begin + size :]
            if first == 0xC1:
                if self.forgets:
                    self._inflater = zlib.decompressobj(self.window)
                told.append(self._inflater.decompress(payload + b"\0\0\xff\xff").decode())
            else:
                told.append(int.from_bytes(payload[:2]) if first == 0x88 else payload)
        return told


@pytest.mark.parametrize("case", OFFERS)
def test_what_is_agreed_on_compression(port: int, case: str) -> None:
    """And it is kept to: two messages that are alike come back, by the window and the context that was
    agreed."""
    offer, answer = OFFERS[case]
    wire = opened(port, {"Sec-WebSocket-Extensions": offer})
    with wire.sock:
        reply = wire.reply()
        assert reply.status == 101, "an offer is declined, and never an error"
        assert reply.header("Sec-WebSocket-Extensions") == answer
        peer, text = Peer(answer), "hello hello hello " * 20
        frame = client_frame("text", text.encode())
        wire.send((peer.frame(text.encode()) * 1 if answer else frame) + frame + BYE)
        told = peer.read(reply.body + read_to_end(wire.sock))
    assert told == [text if answer else text.encode()] * 2 + [1000]


PEER = Peer(None)
ABC = PEER.packed(b"abc" * 50)

COMPRESSED: dict[str, tuple[bytes, list[object]]] = {
    "6 control frames are never compressed": (client_frame("ping", b"x", rsv=4), [1002]),
    "6.1 the bit belongs to the first fragment": (
        client_frame("text", ABC[:2], fin=False, rsv=4) + client_frame("continuation", ABC[2:]),
        ["abc" * 50],
    ),
    "6.1 the bit on a continuation": (
        client_frame("text", ABC[:2], fin=False, rsv=4) + client_frame("continuation", ABC[2:], rsv=4),
        [1002],
    ),
    "6.2 a message that is not compressed": (client_frame("text", b"plain"), ["plain"]),
    "6.2 a ping inside a compressed message": (
        client_frame("text", ABC[:2], fin=False, rsv=4)
        + client_frame("ping")
        + client_frame("continuation", ABC[2:]),
        [b"", "abc" * 50],
    ),
    "7.2.2 bytes that nothing inflates": (client_frame("text", b"\xff" * 20, rsv=4), [1007]),
    "7.2.2 text that is no UTF-8 when it is inflated": (
        client_frame("text", Peer(None).packed(b"\xff"), rsv=4),
        [1007],
    ),
    "7.2.3.2 the context goes on": (
        client_frame("text", ABC, rsv=4) + client_frame("text", PEER.packed(b"abc" * 50), rsv=4),
        ["abc" * 50] * 2,
    ),
    "7.2.3.3 a block that is not compressed": (
        b"\xc1\x8b\0\0\0\0\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        ["Hello"],
    ),
    "7.2.3.4 a final block": (b"\xc1\x88\0\0\0\0\xf3\x48\xcd\xc9\xc9\x07\x00\x00", ["Hello"]),
    "7.2.3.5 two blocks": (
        b"\xc1\x8d\0\0\0\0\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        ["Hello"],
    ),
    "7.2.3.6 an empty message": (b"\xc1\x81\0\0\0\0\x00", [""]),
    "8 a message that grows beyond the limit": (
        client_frame("text", Peer(None).packed(bytes(LIMIT + 1)), rsv=4),
        [1009],
    ),
}


@pytest.mark.parametrize("case", COMPRESSED)
def test_compressed_messages(port: int, case: str) -> None:
    sent, expected = COMPRESSED[case]
    wire = opened(port, {"Sec-WebSocket-Extensions": DEFLATE})
    with wire.sock:
        reply = wire.reply()
        wire.send(sent + BYE)
        told = Peer(DEFLATE).read(reply.body + read_to_end(wire.sock))
    assert told == (expected if isinstance(expected[-1], int) else [*expected, 1000])
