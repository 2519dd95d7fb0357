"""Bytes over a connected socket: reads that block, writes that never block, and ``abort``, which ends both.

``PlainSocket`` owns a TCP or Unix socket. ``TlsSocket`` borrows a socket on which a WSGI server speaks TLS.
Threads may not share OpenSSL's objects, so each call is made under one lock, on a non-blocking socket, and
the thread waits outside of the lock. Neither sets a timeout: a deadline acts by ``abort``. Neither knows
anything of WebSocket. Called on the threads that ``base.py`` names. Read next: ``websocket.py``, the caller.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Protocol

from ..runtime.base import Bell, Runtime
from ..runtime.system import make_lock

# How much one read asks for. Little while a client sends little: thousands of threads may wait, each with a
# buffer of that size. More as soon as it was not enough.
IDLE_RECEIVE_BYTES = 2 * 1024
RECEIVE_BYTES = 16 * 1024

# Plain numbers: "|" of the enumeration's members costs half as much as the system call.
_DONT_WAIT = int(socket.MSG_DONTWAIT)
_LOOK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)
_FLAGS = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

# IOV_MAX is 1024 on Linux; a longer list is an error, not a short write.
_MAX_PIECES = 512

_MAKING_BELLS = make_lock()


class ByteStream(Protocol):
    """What ``WebSocketTransport`` needs of a connection."""

    #: Whether bytes that ``send`` did not take must be offered again, unchanged, before any others.
    sticky: bool
    #: Whether ``part`` is possible (clause T12).
    movable: bool

    @property
    def pollable(self) -> socket.socket | None:
        """The socket that becomes readable when there is input; None where this cannot be relied on (TLS)."""

    def receive(self, size: int) -> bytes: ...
    def receive_now(self, size: int) -> bytes: ...
    def send(self, pieces: Sequence[bytes | memoryview]) -> int: ...
    def wait_writable(self) -> None: ...
    def finish_writing(self) -> None: ...
    def has_hung_up(self) -> bool: ...
    def abort(self) -> None: ...
    def part(self) -> None: ...
    def rejoin(self) -> None: ...
    def release(self) -> None: ...
    def after_fork_in_child(self) -> None: ...


class PartedError(Exception):
    """``part`` was called: nothing may be read any more."""


class PlainSocket:
    """A connected stream socket that only this object uses, in blocking mode.

    ``movable``: ``part`` can free the threads that block here. Each read then costs one more system call.
    """

    sticky = False

    def __init__(self, sock: socket.socket, runtime: Runtime, *, movable: bool = False) -> None:
        self._sock = self.pollable = sock
        self._runtime = runtime
        self.movable = movable
        self._parted = False
        # Made when a thread is about to block. Where a few threads read for all transports, that is never.
        self._bell: Bell | None = None
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # Without it, a small frame that follows another waits for TCP's ACK: up to 40 ms.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self, size: int) -> bytes:
        """Wait for input and return it; ``b""`` at its end. Raises: OSError (a reset), PartedError."""
        if not self.movable:
            self._runtime.before_receive(self._sock)
            return self._sock.recv(size)
        while True:
            self._runtime.wait_readable(self._sock, self._own_bell())
            try:
                return self.receive_now(size)
            except BlockingIOError:
                continue  # there was no input after all, or a ``part`` was undone that rang the bell

    def receive_now(self, size: int) -> bytes:
        """The same without waiting. Raises also: BlockingIOError, when there is no input."""
        if self._parted:
            raise PartedError
        return self._sock.recv(size, _DONT_WAIT)

    def send(self, pieces: Sequence[bytes | memoryview]) -> int:
        """Write what the kernel takes now; return how many bytes, perhaps 0. Raises: OSError."""
        try:
            if len(pieces) == 1:
                return self._sock.send(pieces[0], _FLAGS)
            return self._sock.sendmsg(list(pieces)[:_MAX_PIECES], [], _FLAGS)
        except (BlockingIOError, InterruptedError):
            return 0

    def wait_writable(self) -> None:
        self._runtime.wait_writable(self._sock, self._own_bell() if self.movable else None)

    def _own_bell(self) -> Bell:
        bell = self._bell
        if bell is None:
            with _MAKING_BELLS:  # the reader thread and the writer thread may both be about to wait
                bell = self._bell = self._bell or self._runtime.bell()
            # ``part`` sets its flag before it looks for a bell: so one of the two threads sees the other.
            if self._parted:
                bell.ring()
        return bell

    def finish_writing(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def has_hung_up(self) -> bool:
        return _hung_up(self._sock)

    def abort(self) -> None:
        """Shut the connection down both ways; the descriptor stays open until ``release``."""
        if not self._parted:
            _shutdown(self._sock)

    def part(self) -> None:
        """Free the threads that wait here. From now on this object does nothing to the connection."""
        assert self.movable, "part cannot free threads that block in a socket that is not movable"
        self._parted = True
        if self._bell is not None:
            self._bell.ring()

    def rejoin(self) -> None:
        """Undo ``part``. Call it only while no thread waits here."""
        self._parted = False
        if self._bell is not None:
            self._bell.silence()

    def release(self) -> None:
        with contextlib.suppress(OSError):  # other code has closed the descriptor already
            self._sock.close()
        if self._bell is not None:
            self._bell.close()

    def after_fork_in_child(self) -> None:
        """In a forked child: close the child's copy of the descriptor. The parent's connection lives on."""
        self.release()


class TlsSocket:
    """The WSGI server's TLS socket, borrowed while the server's request thread waits in our code."""

    sticky = True
    movable = False
    # OpenSSL may hold decrypted bytes of which the kernel knows nothing.
    pollable = None

    def __init__(self, sock: ssl.SSLSocket, runtime: Runtime, give_back: Callable[[], None]) -> None:
        self._sock = sock
        self._runtime = runtime
        self._give_back = give_back
        self._lock = runtime.lock()
        self._write_waits_for_input = False
        self._looked_at = b""  # what ``has_hung_up`` has read and ``receive`` is to return
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self, size: int) -> bytes:
        while True:
            with self._lock:
                if self._looked_at:
                    data, self._looked_at = self._looked_at, b""
                    return data
                try:
                    return self._sock.recv(size)
                except ssl.SSLWantReadError:
                    wait = self._runtime.wait_readable
                except ssl.SSLWantWriteError:
                    wait = self._runtime.wait_writable
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    return b""
            wait(self._sock)

    def receive_now(self, size: int) -> bytes:
        raise AssertionError("receive_now was called on a socket that is not pollable")

    def send(self, pieces: Sequence[bytes | memoryview]) -> int:
        with self._lock:
            try:
                return self._sock.send(b"".join(pieces))
            except ssl.SSLWantReadError:
                self._write_waits_for_input = True
                return 0
            except ssl.SSLWantWriteError:
                self._write_waits_for_input = False
                return 0

    def wait_writable(self) -> None:
        wait = self._runtime.wait_readable if self._write_waits_for_input else self._runtime.wait_writable
        wait(self._sock)

    def finish_writing(self) -> None:
        """Do nothing: TLS could only be ended both ways. The close deadline ends it."""

    def has_hung_up(self) -> bool:
        # To the kernel, TLS's close_notify looks like input, and OpenSSL cannot peek. So a byte is read.
        with self._lock:
            try:
                self._looked_at = self._looked_at or self._sock.recv(1)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            except OSError:
                return True
            return not self._looked_at

    def abort(self) -> None:
        _shutdown(self._sock)

    def part(self) -> None:
        raise AssertionError("a TLS connection cannot be moved: its state stays in OpenSSL")

    rejoin = part

    def release(self) -> None:
        self._give_back()

    def after_fork_in_child(self) -> None:
        # Not SSLSocket.close(): in a later Python it may send close_notify, which would end the parent's TLS.
        with contextlib.suppress(OSError):
            os.close(self._sock.detach())


def _hung_up(sock: socket.socket) -> bool:
    try:
        return sock.recv(1, _LOOK) == b""
    except (BlockingIOError, InterruptedError):
        return False
    except OSError:
        return True


def _shutdown(sock: socket.socket) -> None:
    # SSLSocket.shutdown drops its OpenSSL object: a thread inside a call would go on in the clear. The
    # plain socket's shutdown only ends the connection.
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        pass
