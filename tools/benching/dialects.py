"""What is said over the socket: how each kind of server is dialled, greeted and talked to, as bytes.

A ``Dialect`` makes requests and masked frames beforehand, so that the load process has as little as possible
to do while it measures, and reads greetings: what a server says before it is ready. It knows no socket and
no clock. Used by ``dial.py`` and ``crowd.py``. Read next: ``contenders.py``.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field

from .texts import SIZE, text

CONTINUATION, TEXT, CLOSE, PING, PONG = 0, 1, 8, 9, 10
FIN, COMPRESSED = 0x80, 0x40


def masked(opcode: int, payload: bytes, *, flags: int = FIN) -> bytes:
    """A client's frame, under a mask of zeros: the server has to unmask it all the same.

    ``flags``: the first four bits, ``FIN`` for a whole message (RFC 6455 §5.2).
    """
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes((flags | opcode,)) + length + b"\0\0\0\0" + payload


def split(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole frames of a server in ``data`` (opcode, payload), and the rest."""
    frames = []
    at, end = 0, len(data)
    while end - at >= 2:
        size, begin = data[at + 1], at + 2
        if size == 126:
            if end - at < 4:
                break
            size, begin = struct.unpack_from("!H", data, at + 2)[0], at + 4
        if end - begin < size:
            break
        frames.append((data[at] & 15, data[begin : begin + size]))
        at = begin + size
    return frames, data[at:]


@dataclass
class Who:
    """One client, over all of its connections."""

    name: str
    #: How many messages it has handled, and the token to resume with: what resumehub wants to know.
    received: int = 0
    token: str = ""
    known: bool = False


@dataclass
class Greeting:
    """What a server's words before it is ready come to."""

    ready: bool = False
    answer: bytes = b""
    messages: int = 0


@dataclass
class Dialect:
    """Plain WebSocket: ready with the 101, and every message is one frame of ``SIZE`` bytes."""

    #: Whether all that a server sends are such frames, so that counting bytes is counting messages.
    uniform: bool = True
    #: Whether a client that comes back is the one that it was.
    resumes: bool = False
    say: bytes = field(init=False)
    all: bytes = field(init=False)
    leave: bytes = field(default=masked(CLOSE, b"\x03\xe8"), init=False)
    wire_size: int = field(default=SIZE + 2, init=False)

    def __post_init__(self) -> None:
        self.say, self.all = (masked(TEXT, self.text(event).encode()) for event in ("say", "all"))

    def text(self, event: str) -> str:
        return text(event)

    def path(self, who: Who) -> str:
        return "/ws"

    def headers(self, who: Who) -> str:
        return ""

    def request(self, who: Who) -> bytes:
        return (
            f"GET {self.path(who)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{self.headers(who)}\r\n"
        ).encode()

    def upgraded(self, who: Who) -> Greeting:
        """The 101 has come."""
        who.known = True
        return Greeting(ready=True)

    def heard(self, who: Who, opcode: int, payload: bytes) -> Greeting:
        """A frame has come while the client is not ready, or counts one by one."""
        message = opcode == TEXT and len(payload) == SIZE
        who.received += message
        return Greeting(messages=int(message))


class Resumehub(Dialect):
    """resumehub, plain: a client that comes back says how much it has."""

    def __init__(self) -> None:
        super().__init__(resumes=True)

    def path(self, who: Who) -> str:
        return f"/ws?id={who.name}" + (f"&resume=true&received={who.received}" if who.known else "")


class ResumehubV1(Resumehub):
    """resumehub.v1: a ``$hello`` comes first, and messages are acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.uniform = False

    def headers(self, who: Who) -> str:
        token = f", resumehub.token.{who.token}" if who.known else ""
        return f"Sec-WebSocket-Protocol: resumehub.v1{token}\r\n"

    def upgraded(self, who: Who) -> Greeting:
        return Greeting()

    def heard(self, who: Who, opcode: int, payload: bytes) -> Greeting:
        if who.known and len(payload) == SIZE:
            who.received += 1
            return Greeting(messages=1)
        if opcode != TEXT or b'"$hello"' not in payload:
            return Greeting()
        who.known = True
        who.token = json.loads(payload)["payload"]["token"]
        return Greeting(ready=True, answer=self.ack(who))

    @staticmethod
    def ack(who: Who) -> bytes:
        return masked(TEXT, b'{"event":"$ack","payload":{"received":%d}}' % who.received)


class SocketIO(Dialect):
    """Socket.IO over WebSocket: Engine.IO opens, then the client asks for the namespace."""

    def path(self, who: Who) -> str:
        return "/socket.io/?EIO=4&transport=websocket"

    def text(self, event: str) -> str:
        frame = '42["%s","%s"]'
        return frame % (event, "x" * (SIZE - len(frame % (event, ""))))

    def upgraded(self, who: Who) -> Greeting:
        return Greeting()

    def heard(self, who: Who, opcode: int, payload: bytes) -> Greeting:
        if payload.startswith(b"0{"):
            return Greeting(answer=masked(TEXT, b"40"))
        if payload.startswith(b"40"):
            who.known = True
            return Greeting(ready=True)
        return super().heard(who, opcode, payload)
