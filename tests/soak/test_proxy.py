"""The proxy of the soak, over real sockets: each fault does what it is called, and nothing else.

Here the test is both the client and the server. What leaks fails the test, as everywhere.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import pytest

from tools.soaking.faults import WHOLE, Fault, Kind, Place
from tools.soaking.proxy import HOST, Proxy

PATIENCE = 20.0
"""A hang guard."""

REQUEST = b"GET /ws?name=a HTTP/1.1\r\n\r\n"
RESUME = b"GET /ws?name=a&resume=true HTTP/1.1\r\n\r\n"
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


@dataclass
class Net:
    """A proxy with one door, and a server behind it that has not accepted yet."""

    proxy: Proxy
    listener: socket.socket

    @contextmanager
    def dial(self) -> Iterator[tuple[socket.socket, socket.socket]]:
        """Both ends of a new connection."""
        with socket.create_connection((HOST, self.proxy.ports[0]), PATIENCE) as client:
            server, _ = self.listener.accept()
            server.settimeout(PATIENCE)
            with closing(server):
                yield client, server


@contextmanager
def net(*faults: Fault | None) -> Iterator[Net]:
    """The dials meet these faults, one after the other; those that come later meet none."""
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(PATIENCE)
        plan = dict(enumerate(faults))
        with Proxy(listener.getsockname(), 1, lambda door, dial: plan.get(dial), 10) as proxy:
            yield Net(proxy, listener)


def everything(sock: socket.socket) -> bytes:
    """What comes until the peer has closed; ConnectionResetError if it does so rudely."""
    data = b""
    while part := sock.recv(1 << 16):
        data += part
    return data


def exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        assert part, f"closed after {data!r}"
        data += part
    return data


def is_silent(sock: socket.socket) -> bool:
    """Neither bytes nor an end have come."""
    return not select.select([sock], [], [], 0)[0]


def test_without_a_fault_all_passes_and_so_does_the_end() -> None:
    """Bytes both ways, more than fit into a buffer, then each side's end-of-file."""
    much = b"x" * (1 << 20)
    with net() as n, n.dial() as (client, server):
        client.sendall(REQUEST)
        assert exactly(server, len(REQUEST)) == REQUEST
        server.sendall(ANSWER)
        assert exactly(client, len(ANSWER)) == ANSWER

        client.sendall(much)
        assert exactly(server, len(much)) == much
        client.shutdown(socket.SHUT_WR)
        assert everything(server) == b""
        server.sendall(b"last words")
        server.close()
        assert everything(client) == b"last words"


def test_a_cut_in_the_request() -> None:
    """The server has half a request, and both sides see the end."""
    with net(Fault(Kind.CUT, Place("up", "head", 7))) as n, n.dial() as (client, server):
        client.sendall(REQUEST)

        assert everything(server) == REQUEST[:7]
        assert everything(client) == b""
        assert n.proxy.counts() == {(Kind.CUT, "in the request"): 1}


def test_a_cut_between_the_101_and_the_first_frame() -> None:
    """The client has the 101, and not a byte of what came with it."""
    with net(Fault(Kind.CUT, Place("down", "frames", 0))) as n, n.dial() as (client, server):
        client.sendall(REQUEST)
        server.sendall(ANSWER + b"hello")

        assert everything(client) == ANSWER


def test_a_reset_in_a_frame() -> None:
    """Both sides get an error, behind the bytes that still passed."""
    with net(Fault(Kind.RESET, Place("up", "frames", 2))) as n, n.dial() as (client, server):
        client.sendall(REQUEST + b"frame")

        assert exactly(server, len(REQUEST) + 2) == REQUEST + b"fr"
        for sock in (server, client):
            with pytest.raises(ConnectionResetError):
                sock.recv(1)


def test_half_open_at_the_server() -> None:
    """The client's end is gone; the server is not told and goes on talking to nobody."""
    with net(Fault(Kind.CLIENT_ONLY, Place("up", "frames", 1))) as n, n.dial() as (client, server):
        client.sendall(RESUME + b"ab")
        with pytest.raises(ConnectionResetError):
            everything(client)

        assert exactly(server, len(RESUME) + 1) == RESUME + b"a"
        server.sendall(ANSWER)
        assert is_silent(server)


def test_half_open_at_the_client() -> None:
    """The other way round."""
    with net(Fault(Kind.SERVER_ONLY, Place("down", "frames", 1))) as n, n.dial() as (client, server):
        client.sendall(REQUEST)
        exactly(server, len(REQUEST))
        server.sendall(ANSWER + b"ab")
        with pytest.raises(ConnectionResetError):
            everything(server)

        assert exactly(client, len(ANSWER) + 1) == ANSWER + b"a"
        client.sendall(b"is anybody there?")
        assert is_silent(client)


def test_a_stall_tells_nobody_and_ends_with_the_proxy() -> None:
    """Nothing passes, also not the end of the other side."""
    with net(Fault(Kind.STALL, Place("up", "frames", 0))) as n, n.dial() as (client, server):
        client.sendall(RESUME + b"frame")
        assert exactly(server, len(RESUME)) == RESUME

        server.sendall(ANSWER)
        server.close()

        assert is_silent(client)


def test_the_client_s_bytes_arrive_after_it_has_gone() -> None:
    """What was on its way when the client gave up reaches the server all the same, then the end does."""
    with net(Fault(Kind.LATE, Place("up", "frames", 3))) as n, n.dial() as (client, server):
        client.sendall(RESUME + b"abcdef")
        assert exactly(server, len(RESUME) + 3) == RESUME + b"abc"
        assert is_silent(server)

        client.close()

        assert everything(server) == b"def"


def test_a_drip_delivers_so_many_bytes_and_no_more() -> None:
    """In small pieces; then both sides are reset."""
    with net(Fault(Kind.DRIP, Place("up", "frames", 0), amount=30)) as n, n.dial() as (client, server):
        client.sendall(REQUEST + b"y" * 100)

        assert exactly(server, len(REQUEST) + 30) == REQUEST + b"y" * 30
        with pytest.raises(ConnectionResetError):
            server.recv(1)


def test_a_dial_is_overtaken_by_the_next() -> None:
    """Its request reaches the server when the later one has been answered."""
    with net(Fault(Kind.OVERTAKEN, Place("up", "head", WHOLE))) as n, n.dial() as (first, old):
        first.sendall(RESUME)
        with pytest.raises(ConnectionResetError):
            first.recv(1)

        with n.dial() as (second, new):
            second.sendall(REQUEST)
            assert exactly(new, len(REQUEST)) == REQUEST
            assert is_silent(old)
            new.sendall(ANSWER)

            assert exactly(old, len(RESUME)) == RESUME
            assert exactly(second, len(ANSWER)) == ANSWER


def test_nothing_strikes_in_the_calm() -> None:
    """A soak ends with a network that works: faults that have not struck do not."""
    with net(Fault(Kind.RESET, Place("up", "frames", 0))) as n, n.dial() as (client, server):
        n.proxy.calm()
        client.sendall(REQUEST + b"frame")

        assert exactly(server, len(REQUEST) + 5) == REQUEST + b"frame"
        assert not n.proxy.counts()
