"""websockets, its asyncio server, with its own ``broadcast``."""

from __future__ import annotations

import asyncio
import socket

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.asyncio.server import serve as make_server

from ..texts import for_all

present: set[ServerConnection] = set()


async def ws(link: ServerConnection) -> None:
    present.add(link)
    try:
        async for text in link:
            if for_all(text):
                broadcast(present, text)
            else:
                await link.send(text)
    finally:
        present.discard(link)


async def run(sock: socket.socket) -> None:
    async with make_server(ws, sock=sock, backlog=4096, compression=None, ping_interval=None) as server:
        await server.serve_forever()


def serve(sock: socket.socket) -> None:
    asyncio.run(run(sock))
