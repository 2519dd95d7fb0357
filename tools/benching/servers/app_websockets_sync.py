"""websockets, its threading server: to reach everybody, a loop of ``send``."""

from __future__ import annotations

import socket

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as make_server

from ..texts import for_all

present: set[ServerConnection] = set()


def ws(link: ServerConnection) -> None:
    present.add(link)
    try:
        for text in link:
            if not for_all(text):
                link.send(text)
                continue
            for other in list(present):
                try:
                    other.send(text)
                except ConnectionClosed:
                    pass
    finally:
        present.discard(link)


def serve(sock: socket.socket) -> None:
    with make_server(ws, sock=sock, compression=None, ping_interval=None) as server:
        server.serve_forever()
