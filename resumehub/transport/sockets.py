"""Bytes over a connected socket: blocking reads, writes that never block, a kill switch.

Two kinds: ``PlainSocket`` owns a TCP or Unix socket. ``TlsSocket`` borrows one that a WSGI server
speaks TLS on; OpenSSL's objects are not safe to share, so each call is made under one lock, on
a non-blocking socket, and waits happen outside of it. Neither sets a timeout, ever: a deadline
acts by ``abort``. They know nothing of WebSocket. Used by ``websocket.py``.
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

# How much is asked for at once: little while a client says little, since thousands wait, each with a
# buffer of that size; more as soon as it was not enough.
IDLE_RECEIVE_BYTES = 2 * 1024
RECEIVE_BYTES = 16 * 1024

# As a plain number: the constants are an enumeration, whose "|" costs half as much as the system call.
_DONT_WAIT = int(socket.MSG_DONTWAIT)
_LOOK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)
_FLAGS = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

# IOV_MAX is 1024 on Linux; a longer list is an error, not a short write.
_MAX_PIECES = 512

_MAKING_BELLS = make_lock()


class ByteStream(Protocol):
    """What ``WebSocketTransport`` needs of a connection."""

    #: Whether bytes that were refused must be offered again, unchanged, before any others.
    sticky: bool
    #: Whether ``part`` is possible (clause T12).
    movable: bool

    @property
    def pollable(self) -> socket.socket | None:
        """The socket that becomes readable when there is input; None where that says too little (TLS)."""

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
    """Nothing is read any more: ``part`` was called."""


class PlainSocket:
    """A connected stream socket that is ours alone, in blocking mode.

    ``movable``: threads that block here can be freed by ``part``; each read then costs a system call more.
    """

    sticky = False

    def __init__(self, sock: socket.socket, runtime: Runtime, *, movable: bool = False) -> None:
        self._sock = self.pollable = sock
        self._runtime = runtime
        self.movable = movable
        self._parted = False
        # Made once a thread is about to block: where a few threads read for all, that is never.
        self._bell: Bell | None = None
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # Without it, a small frame behind another waits for an ACK: up to 40 ms.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self, size: int) -> bytes:
        """Wait for input; ``b""`` is its end. Raises ``OSError`` (the connection is reset), PartedError."""
        if not self.movable:
            self._runtime.before_receive(self._sock)
            return self._sock.recv(size)
        while True:
            self._runtime.wait_readable(self._sock, self._own_bell())
            try:
                return self.receive_now(size)
            except BlockingIOError:
                continue  # a stray wake-up, or the bell of a ``part`` that was undone

    def receive_now(self, size: int) -> bytes:
        """The same without waiting. Raises ``BlockingIOError`` when there is nothing."""
        if self._parted:
            raise PartedError
        return self._sock.recv(size, _DONT_WAIT)

    def send(self, pieces: Sequence[bytes | memoryview]) -> int:
        """Give the kernel what it takes, at once; 0 if that is nothing. Raises ``OSError``."""
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
            with _MAKING_BELLS:  # a reader and a writer may both be about to wait
                bell = self._bell = self._bell or self._runtime.bell()
            # ``part`` looks for a bell behind setting the flag: one of the two sees the other.
            if self._parted:
                bell.ring()
        return bell

    def finish_writing(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def has_hung_up(self) -> bool:
        return _hung_up(self._sock)

    def abort(self) -> None:
        """Shut the connection down both ways; the descriptor stays ours until ``release``."""
        if not self._parted:
            _shutdown(self._sock)

    def part(self) -> None:
        """Free the threads that wait, and leave the connection alone from now on."""
        assert self.movable, "the threads that read it could not be freed"
        self._parted = True
        if self._bell is not None:
            self._bell.ring()

    def rejoin(self) -> None:
        """Undo ``part``; no thread waits here."""
        self._parted = False
        if self._bell is not None:
            self._bell.silence()

    def release(self) -> None:
        self._sock.close()
        if self._bell is not None:
            self._bell.close()

    def after_fork_in_child(self) -> None:
        """In a forked child: close our copy of the descriptor; the parent's connection lives on."""
        self.release()


class TlsSocket:
    """A TLS socket of the WSGI server's, lent to us while its request thread waits in ours."""

    sticky = True
    movable = False
    # The kernel knows nothing of the bytes that OpenSSL has decrypted and holds.
    pollable = None

    def __init__(self, sock: ssl.SSLSocket, runtime: Runtime, give_back: Callable[[], None]) -> None:
        self._sock = sock
        self._runtime = runtime
        self._give_back = give_back
        self._lock = runtime.lock()
        self._write_waits_for_input = False
        self._looked_at = b""  # read by ``has_hung_up``, for ``receive``
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
        raise AssertionError("nobody waits for a socket that is not pollable")

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
        """Not possible without ending TLS both ways; the close deadline does it."""

    def has_hung_up(self) -> bool:
        # A good-bye (close_notify) looks like input to the kernel, and OpenSSL lets nobody peek.
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
        raise AssertionError("the state of a TLS connection cannot be taken along")

    rejoin = part

    def release(self) -> None:
        self._give_back()

    def after_fork_in_child(self) -> None:
        # Not SSLSocket.close(), which is the same today but is free to say good-bye tomorrow.
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
    # SSLSocket.shutdown drops its OpenSSL object, and whoever is inside a call would go on in the
    # clear; the plain socket's shutdown only ends the connection.
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        pass
