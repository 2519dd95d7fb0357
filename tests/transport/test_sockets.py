"""What a real socket does that no clause speaks of: resets, forks, small packets."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from collections.abc import Callable, Iterator

import pytest

from resumehub.testing import client_frame
from resumehub.transport.base import DataReceived, Ended, PingReceived
from resumehub.transport.sockets import PlainSocket, TlsSocket
from tests.transport import transport_kinds
from tests.transport.conformance import receive
from tests.transport.transport_kinds import RUNTIME, SocketBench, tcp_pair, tls_pair

KINDS: dict[str, Callable[[], SocketBench]] = {
    "a socketpair": transport_kinds.socketpair_bench,
    "loopback TCP": transport_kinds.tcp_bench,
    "TLS": transport_kinds.tls_bench,
}


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest) -> Iterator[SocketBench]:
    made = KINDS[request.param]()
    yield made
    made.leave()


def reset(sock: socket.socket) -> None:
    """Hang up in the way that the other side gets an error for."""
    if sock.family == socket.AF_UNIX:
        return sock.close()  # with unread input
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return socket.socket.close(sock)


def test_a_reset_is_told_from_an_end_of_input(bench: SocketBench) -> None:
    """After it writing is in vain, too, so nobody need try to say goodbye."""
    bench.transport.write([bench.transport.encode_ping()])
    reset(bench.peer)
    (end,) = receive(bench, 1)
    assert isinstance(end, Ended)
    assert end.reset or not bench.tells_resets


def test_a_client_that_hung_up_with_a_reset_has_hung_up(bench: SocketBench) -> None:
    bench.transport.write([bench.transport.encode_ping()])
    reset(bench.peer)
    assert bench.transport.has_hung_up()


def test_input_is_read_by_many_small_steps_too(bench: SocketBench) -> None:
    """A look at whether the peer is there may come at any moment before the reader starts."""
    wire = client_frame("ping", b"?") + client_frame("text", b"hello")
    told = []
    for byte in wire:
        bench.peer.sendall(bytes([byte]))
        assert not bench.transport.has_hung_up()
    while len(told) < 2:
        told += bench.transport.receive()
    assert told == [PingReceived(b"?"), DataReceived("hello", 5)]


def test_a_forked_child_forgets_without_a_word(bench: SocketBench) -> None:
    """Its copy of the descriptor goes; the parent's connection is not ended, not even politely."""
    parents = os.dup(bench.descriptor())
    bench.transport.after_fork_in_child()
    assert not bench.holds_descriptor()
    bench.peer.setblocking(False)
    with pytest.raises((BlockingIOError, ssl.SSLWantReadError)):
        bench.peer.recv(100)
    os.close(parents)


@pytest.mark.parametrize("kind", ["plain", "TLS"])
def test_small_messages_are_not_held_back(kind: str) -> None:
    """Nagle's algorithm would have the second of two wait for the peer's acknowledgement."""
    if kind == "plain":
        ours, theirs = tcp_pair()
        PlainSocket(ours, RUNTIME)
    else:
        ours, theirs = tls_pair()
        TlsSocket(ours, RUNTIME, ours.close)
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    ours.close()
    theirs.close()
