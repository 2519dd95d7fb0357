"""From an address to a connected byte stream: names, TCP, TLS.

No socket ever gets a timeout: when the machine's deadline has come, the driver shuts the socket down, and so
the thread that waits on it returns. A thread that waits for a name server can't be freed like this: it stays
until the server answers, and the result is thrown away. What waits here is a step (``steps.py``) of a
transport (``transport.py``).
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from ..runtime.base import Runtime
from ..transport.sockets import ByteStream, PlainSocket, TlsSocket
from .address import Address
from .steps import Steps, carry_out


class Guard(Protocol):
    """Called with each socket as soon as it exists, so that it can be aborted. Raises ``Aborted``.

    ``left``: it is about to connect, and so many addresses are left behind it; None: it is connected.
    """

    def __call__(self, sock: socket.socket, left: int | None = None) -> None: ...


#: Family, kind, protocol, canonical name, address: as ``socket.getaddrinfo`` gives it.
ResolvedAddress = tuple[int, int, int, str, Any]


class Opener(Protocol):
    """Give a connected stream socket, in blocking mode, to ``host`` and ``port``. Raises: OSError; Aborted.

    A step of the transport's: on an event loop it may give something to await for that socket.
    """

    def __call__(self, host: str, port: int, guard: Guard) -> Any: ...


class AddressOrder:
    """Which of a name's addresses a dial begins with. One object for each client; any thread.

    A dial that comes to nothing may have ended at an address that is dead: one that answers nothing, or takes
    TCP and never says a word. So the next dial begins behind that one. Where a session was had, the next dial
    begins.
    """

    def __init__(self) -> None:
        self._last: object = None
        self._worked = False

    def order(self, addresses: Sequence[ResolvedAddress]) -> list[ResolvedAddress]:
        """The addresses, as the resolver gave them, in the order in which they are to be tried."""
        places = [where for *_, where in addresses]
        if self._last not in places:
            return list(addresses)
        first = places.index(self._last) + (not self._worked)
        return [*addresses[first:], *addresses[:first]]

    def trying(self, where: object) -> None:
        """This one is dialled now; until it has worked, it counts as failed."""
        self._last, self._worked = where, False

    def worked(self) -> None:
        """The one that was tried last has given a connection to the server's session."""
        self._worked = True


class TcpOpener:
    """Over TCP: each address of the name, one after the other. ``resolve``: as ``socket.getaddrinfo``."""

    def __init__(
        self,
        runtime: Runtime,
        order: AddressOrder | None = None,
        resolve: Callable[[str, int], Any] | None = None,
    ) -> None:
        self._runtime = runtime
        self._order = order or AddressOrder()
        self._resolve = resolve or _resolve

    def __call__(self, host: str, port: int, guard: Guard) -> socket.socket:
        return carry_out(self.steps(host, port, guard))

    def steps(self, host: str, port: int, guard: Guard) -> Steps[socket.socket]:
        """The same, step by step."""
        failure: OSError = OSError(f"{host} has no address")
        addresses = self._order.order((yield partial(self._resolve, host, port)))
        for left, address in zip(reversed(range(len(addresses))), addresses, strict=True):
            family, kind, protocol, _, where = address
            sock = socket.socket(family, kind, protocol)
            try:
                guard(sock, left)
                self._order.trying(where)
                yield from self._connect(sock, where)
                return sock
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
        raise failure

    def _connect(self, sock: socket.socket, where: object) -> Steps[None]:
        sock.setblocking(False)
        number = sock.connect_ex(where)  # type: ignore[arg-type]
        if number in (errno.EINPROGRESS, errno.EINTR, errno.EAGAIN):
            yield partial(self._runtime.wait_writable, sock)
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))
        sock.getpeername()  # raises if the socket was shut down meanwhile, which SO_ERROR does not tell
        sock.setblocking(True)


def _resolve(host: str, port: int) -> Sequence[ResolvedAddress]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def open_stream(
    address: Address, opener: Opener, context: ssl.SSLContext | None, runtime: Runtime, guard: Guard
) -> Steps[ByteStream]:
    """Connect, and speak TLS where ``address`` says so. Raises: OSError (ssl.SSLError is one); Aborted."""
    sock: socket.socket = yield partial(opener, address.host, address.port, guard)
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
        yield partial(_shake_hands, tls, runtime)
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
