"""A WSGI application that takes the client's socket and echoes raw bytes: no WebSocket, no hub.

``/echo`` answers 101 on the socket it has taken, then sends back whatever comes, beginning with
what the server had read ahead; ``bye`` makes it close. ``/echo?N`` gives the server N more bytes of headers
to write. ``/spawn`` starts a child process that is
allowed to inherit every inheritable descriptor and lives until the server stops; ``/fds`` describes
this process's descriptors, one a line; ``/pid`` gives its id, ``/pollers`` what its epolls watch.
Anything else is a plain page.
"""

from __future__ import annotations

import atexit
import os
import select
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from resumehub.errors import SocketUnavailable
from resumehub.wsgi.handover import SUPPORTED, borrow_socket, find_socket, take_socket

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
LAST_WORD = b"bye"


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    match environ["PATH_INFO"]:
        case "/echo":
            return echo(environ, start_response)
        case "/spawn":
            _spawn()
            return page(start_response, "200 OK", "")
        case "/fds":
            return page(start_response, "200 OK", "\n".join(_describe_descriptors()))
        case "/pollers":
            return page(start_response, "200 OK", "\n".join(_describe_pollers()))
        case "/pid":
            return page(start_response, "200 OK", str(os.getpid()))
        case _:
            return page(start_response, "200 OK", "a plain page")


def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    found = find_socket(environ)
    if found is None:
        return page(start_response, "501 Not Implemented", SUPPORTED)
    try:
        if found.swappable:
            taken = take_socket(environ, found)
            threading.Thread(target=echo_plain, args=(taken.sock, taken.leftover), daemon=True).start()
            finish = taken.finish
        else:
            borrowed = borrow_socket(environ, found)
            finish = lambda: None  # noqa: E731
            try:
                echo_tls(borrowed.sock, borrowed.leftover)
            finally:
                borrowed.give_back()
    except SocketUnavailable as error:
        return page(start_response, "501 Not Implemented", str(error))
    headers = [("Upgrade", "echo"), ("Connection", "Upgrade")]
    if environ["QUERY_STRING"]:
        headers.append(("Set-Cookie", "c" * int(environ["QUERY_STRING"])))
    start_response("101 Switching Protocols", headers)
    return NoBody(finish)


def echo_plain(sock: socket.socket, leftover: bytes) -> None:
    with sock, suppress(OSError):  # the client may leave at any moment
        sock.sendall(HEAD)
        for data in incoming(leftover, lambda: sock.recv(65536)):
            sock.sendall(data)


def echo_tls(sock: ssl.SSLSocket, leftover: bytes) -> None:
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each test waits for ACKs
        send_tls(sock, HEAD)
        for data in incoming(leftover, lambda: when_ready(sock, lambda: sock.recv(65536))):
            send_tls(sock, data)


def send_tls(sock: ssl.SSLSocket, data: bytes) -> None:
    while data:
        data = data[when_ready(sock, lambda: sock.send(data)) :]  # noqa: B023


def when_ready(sock: ssl.SSLSocket, call: Callable[[], Any]) -> Any:
    poller = select.poll()
    while True:
        try:
            return call()
        except ssl.SSLWantReadError:
            poller.register(sock, select.POLLIN)
        except ssl.SSLWantWriteError:
            poller.register(sock, select.POLLOUT)
        poller.poll()


def incoming(leftover: bytes, receive: Callable[[], bytes]) -> Iterator[bytes]:
    """Give what came, until end-of-file or the last word."""
    seen = leftover
    if leftover:
        yield leftover
    while not seen.endswith(LAST_WORD) and (data := receive()):
        yield data
        seen = (seen + data)[-len(LAST_WORD) :]


class NoBody:
    """A response without a body; its ``close`` runs ``finish``."""

    def __init__(self, finish: Callable[[], None]) -> None:
        self.close = finish

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


def page(start_response: StartResponse, status: str, text: str) -> Iterable[bytes]:
    body = text.encode()
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def _spawn() -> None:
    wait = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    child = subprocess.Popen(wait, close_fds=False, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    atexit.register(child.communicate)  # closes its standard input, and waits


def _describe_descriptors() -> Iterator[str]:
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            yield f"{name} {os.readlink(f'/proc/self/fd/{name}')}"
        except FileNotFoundError:
            pass  # the listing itself


def _describe_pollers() -> Iterator[str]:
    for name in os.listdir("/proc/self/fdinfo"):
        try:
            text = Path(f"/proc/self/fdinfo/{name}").read_text()
        except FileNotFoundError:
            continue
        yield from (line for line in text.splitlines() if line.startswith("tfd:"))
