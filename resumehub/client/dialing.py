"""From an address to a connected byte stream: names, TCP, TLS.

No socket ever gets a timeout: when the machine's deadline has come, the driver shuts the socket down, and so
the thread that waits on it returns. A thread that waits for a name server can't be freed like this: it stays
until the server answers, and the result is thrown away. Run by the thread of a transport (``transport.py``).
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

from ..runtime.base import Runtime
from ..transport.sockets import ByteStream, PlainSocket, TlsSocket
from .address import Address

#: Called with each socket as soon as it exists, so that it can be aborted. Raises ``Aborted``.
Guard = Callable[[socket.socket], None]


class Aborted(Exception):
    """The dial has been given up meanwhile."""


class Opener(Protocol):
    """Give a connected stream socket, in blocking mode, to ``host`` and ``port``. Raises: OSError."""

    def __call__(self, host: str, port: int, guard: Guard) -> socket.socket: ...


class TcpOpener:
    """Over TCP: each address of the name, one after the other."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def __call__(self, host: str, port: int, guard: Guard) -> socket.socket:
        failure: OSError = OSError(f"{host} has no address")
        for family, kind, protocol, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            try:
                guard(sock)
                self._connect(sock, where)
                return sock
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
        raise failure

    def _connect(self, sock: socket.socket, where: object) -> None:
        sock.setblocking(False)
        number = sock.connect_ex(where)  # type: ignore[arg-type]
        if number in (errno.EINPROGRESS, errno.EINTR, errno.EAGAIN):
            self._runtime.wait_writable(sock)
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))
        sock.getpeername()  # raises if the socket was shut down meanwhile, which SO_ERROR does not tell
        sock.setblocking(True)


def open_stream(
    address: Address, opener: Opener, context: ssl.SSLContext | None, runtime: Runtime, guard: Guard
) -> ByteStream:
    """Connect, and speak TLS where ``address`` says so. Raises: OSError (ssl.SSLError is one); Aborted."""
    sock = opener(address.host, address.port, guard)
    try:
        guard(sock)
        if not address.secure:
            return PlainSocket(sock, runtime)
        assert context is not None, "wss has a context"
        sock.setblocking(False)
        tls = context.wrap_socket(sock, server_hostname=address.host, do_handshake_on_connect=False)
    except BaseException:
        sock.close()
        raise
    try:
        guard(tls)
        _shake_hands(tls, runtime)
        return TlsSocket(tls, runtime, tls.close)
    except BaseException:
        tls.close()
        raise


def _shake_hands(tls: ssl.SSLSocket, runtime: Runtime) -> None:
    while True:
        try:
            return tls.do_handshake()
        except ssl.SSLWantReadError:
            runtime.wait_readable(tls)
        except ssl.SSLWantWriteError:
            runtime.wait_writable(tls)
