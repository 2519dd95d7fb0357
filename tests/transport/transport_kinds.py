"""Every kind of transport with a peer at its other end, for the conformance suite and the tests beside it."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Sequence
from functools import cache

import trustme
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import FrameDecoder, Opcode

from resumehub.runtime.system import SystemRuntime
from resumehub.testing import MemoryTransport, ScriptedPeer, WireFrame, client_frame, memory_pair
from resumehub.testing.wire import parse
from resumehub.transport.base import CloseReceived, DataReceived, Failed, PingReceived, PongReceived, Received
from resumehub.transport.sockets import PlainSocket, TlsSocket
from resumehub.transport.websocket import Handshake, WebSocketTransport
from tests.support import PATIENCE
from tests.transport.conformance import MAX_MESSAGE_SIZE

RUNTIME = SystemRuntime()


class SocketBench:
    """The real transport over a socket; the peer is the socket's other end and speaks raw bytes."""

    can_finish = True
    tells_resets = True
    heir: WebSocketTransport | None = None

    def __init__(self, transport: WebSocketTransport, ours: socket.socket, theirs: socket.socket) -> None:
        self.transport = transport
        self.peer = theirs
        self._sock = ours
        self._wire = b""
        self._parsed: list[WireFrame] = []
        theirs.settimeout(PATIENCE)

    def send(self, *said: str | bytes | Received) -> None:
        self.peer.sendall(b"".join(map(frame_for, said)))

    def send_in_fragments(self, pieces: Sequence[str], ping: bytes | None = None) -> None:
        self.peer.sendall(fragments([piece.encode() for piece in pieces], ping))

    def send_bad(self, code: int) -> None:
        bad = {
            1002: client_frame(3),
            1007: client_frame("text", b"\xff"),
            1009: client_frame("binary", bytes(MAX_MESSAGE_SIZE + 1)),
        }
        self.peer.sendall(bad[code])

    def hang_up(self) -> None:
        self.peer.close()

    def read_frames(self, count: int) -> list[WireFrame]:
        while len(frames := self._frames()) < count:
            assert self._read(), f"the end after {frames}"
        return frames

    def read_to_end(self) -> list[WireFrame]:
        while self._read():
            pass
        return self._frames()

    def successor(self) -> WebSocketTransport:
        copy = PlainSocket(self._sock.dup(), RUNTIME, movable=True)
        self.heir = WebSocketTransport(copy, MAX_MESSAGE_SIZE, (), self.transport.unread())
        return self.heir

    def descriptor(self) -> int:
        return self._sock.fileno()

    def holds_descriptor(self) -> bool:
        return self.descriptor() >= 0

    def leave(self) -> None:
        self.peer.close()
        self._sock.close()
        if self.heir is not None:
            self.heir.release()

    def _read(self) -> bool:
        data = self.peer.recv(1 << 20)
        self._wire += data
        return bool(data)

    def _frames(self) -> list[WireFrame]:
        more, self._wire = parse(self._wire)
        self._parsed += more
        return self._parsed


class CompressedBench(SocketBench):
    """The same with permessage-deflate agreed."""

    def _frames(self) -> list[WireFrame]:
        deflate = PerMessageDeflate()
        deflate.finalize("permessage-deflate")
        decoder = FrameDecoder(True, [deflate])
        decoder.receive_bytes(self._wire)
        frames: list[WireFrame] = []
        data = b""
        while (part := decoder.process_buffer()) is not None:
            data += part.payload
            if not frames or part.opcode is not Opcode.CONTINUATION:
                kind = part.opcode.name.lower()
            if part.frame_finished:
                frames.append(WireFrame(kind, data))
                data = b""
        return frames


class TlsBench(SocketBench):
    """The same through a TLS socket of the server's. The peer says good-bye, as browsers do."""

    can_finish = False
    tells_resets = False  # some versions of Python's ssl take one for an end of input

    def hang_up(self) -> None:
        self.peer.setblocking(False)
        with contextlib.suppress(OSError):  # close_notify is out; the answer is not waited for
            self.peer.unwrap()
        self.peer.close()


class MemoryBench:
    """The transport in memory and its scripted peer."""

    can_finish = True

    def __init__(self, transport: MemoryTransport, peer: ScriptedPeer) -> None:
        self.transport = transport
        self.peer = peer

    def send(self, *said: str | bytes | Received) -> None:
        self.peer.send(*said)

    def send_in_fragments(self, pieces: Sequence[str], ping: bytes | None = None) -> None:
        pings = [PingReceived(ping)] * (len(pieces) - 1) if ping is not None else []
        self.peer.send(*pings, "".join(pieces))

    def send_bad(self, code: int) -> None:
        self.peer.fail(code)

    def hang_up(self) -> None:
        self.peer.hang_up()

    def read_frames(self, count: int) -> list[WireFrame]:
        self.peer.window = None
        return self.peer.wait_for_frames(count, PATIENCE)

    def read_to_end(self) -> list[WireFrame]:
        assert self.peer.wait_until(lambda peer: peer.write_finished, PATIENCE)
        return self.peer.frames

    def successor(self) -> MemoryTransport:
        return self.transport.successor()

    def holds_descriptor(self) -> bool:
        return not self.peer.released

    def leave(self) -> None:
        pass


# -- making them -------------------------------------------------------------------------------


def socketpair_bench() -> SocketBench:
    ours, theirs = socket.socketpair()
    return SocketBench(
        WebSocketTransport(PlainSocket(ours, RUNTIME, movable=True), MAX_MESSAGE_SIZE), ours, theirs
    )


def tcp_bench() -> SocketBench:
    ours, theirs = tcp_pair()
    return SocketBench(
        WebSocketTransport(PlainSocket(ours, RUNTIME, movable=True), MAX_MESSAGE_SIZE), ours, theirs
    )


def compressed_bench() -> CompressedBench:
    ours, theirs = socket.socketpair()
    transport = handshake("permessage-deflate").transport(PlainSocket(ours, RUNTIME), MAX_MESSAGE_SIZE, b"")
    return CompressedBench(transport, ours, theirs)


def tls_bench() -> TlsBench:
    ours, theirs = tls_pair()
    return TlsBench(WebSocketTransport(TlsSocket(ours, RUNTIME, ours.close), MAX_MESSAGE_SIZE), ours, theirs)


def memory_bench() -> MemoryBench:
    return MemoryBench(*memory_pair(max_message_size=MAX_MESSAGE_SIZE, window=200_000))


def stateful_memory_bench() -> MemoryBench:
    return MemoryBench(*memory_pair(max_message_size=MAX_MESSAGE_SIZE, window=200_000, stateful=True))


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    return ours, theirs


@cache
def _contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("chat.test").configure_cert(server)
    authority.configure_trust(client)
    return server, client


def tls_pair() -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """A server's TLS socket, not blocking, as ``borrow_socket`` leaves it, and a client's, blocking."""
    server, client = _contexts()
    ours, theirs = tcp_pair()
    ours.setblocking(False)
    theirs.setblocking(False)
    ours_tls = server.wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
    theirs_tls = client.wrap_socket(theirs, server_hostname="chat.test", do_handshake_on_connect=False)
    waiting = [theirs_tls, ours_tls]
    while waiting:
        end = waiting.pop(0)
        try:
            end.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            waiting.append(end)
    theirs_tls.setblocking(True)
    return ours_tls, theirs_tls


def handshake(extensions: str) -> Handshake:
    """A handshake in which the client offered ``extensions`` and the server agreed to compression."""
    environ = {
        "HTTP_HOST": "chat.test",
        "HTTP_CONNECTION": "Upgrade",
        "HTTP_UPGRADE": "websocket",
        "HTTP_SEC_WEBSOCKET_VERSION": "13",
        "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
        "HTTP_SEC_WEBSOCKET_EXTENSIONS": extensions,
    }
    made = Handshake(environ, (), compression=True)
    assert dict(made.headers)["Sec-WebSocket-Extensions"].startswith("permessage-deflate")
    return made


# -- bytes -------------------------------------------------------------------------------------


def frame_for(said: str | bytes | Received) -> bytes:
    match said:
        case str():
            return client_frame("text", said.encode())
        case bytes():
            return client_frame("binary", said)
        case PingReceived(payload):
            return client_frame("ping", payload)
        case PongReceived():
            return client_frame("pong")
        case CloseReceived(code, reason):
            return client_frame("close", b"" if code == 1005 else code.to_bytes(2) + reason.encode())
        case DataReceived() | Failed():
            raise TypeError("say str or bytes; break the protocol with send_bad")
    raise TypeError(f"nothing to send: {said!r}")


def fragments(pieces: Sequence[bytes], ping: bytes | None = None, kind: str = "text") -> bytes:
    """One message in pieces; ``ping``: the payload of a Ping between each two."""
    wire = b""
    for at, piece in enumerate(pieces):
        last = at == len(pieces) - 1
        wire += client_frame(kind if at == 0 else "continuation", piece, fin=last)
        if ping is not None and not last:
            wire += client_frame("ping", ping)
    return wire
