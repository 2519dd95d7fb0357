"""The 503 that a worker writes by itself on a connection that it wanted to pass on and that is its own
again.

The 101 was made already and has gone nowhere, so this is the client's first byte. It knows no WebSocket: a
worker never speaks it. Called on threads of links, and on request threads. Read next: ``dial_client.py``.
"""

from __future__ import annotations

import contextlib
import json
import socket

from ...protocol.retry_later import SOON

_FLAGS = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def _made(body: str) -> bytes:
    kind = ("Content-Type: application/problem+json",) if body else ()
    head = (
        "HTTP/1.1 503 Service Unavailable",
        *kind,
        f"Content-Length: {len(body)}",
        f"Retry-After: {SOON}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "\r\n".join([*head, "", body]).encode()


RESPONSE = _made(
    json.dumps(
        {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "The server cannot decide about this connection at the moment.",
        }
    )
)
"""All of its bytes."""

WITHOUT_BODY = _made("")
"""The same for a hub with ``problem_details=False``."""


def refuse_and_close(sock: socket.socket, response: bytes) -> None:
    """Answer the client, end its connection for every process that has a copy of it, and close ours.

    ``response``: one of the two above.
    The connection must be ours alone. Raises: nothing. Blocks: never; a client that does not read gets less.
    """
    with contextlib.suppress(OSError):
        sock.send(response, _FLAGS)
        sock.shutdown(socket.SHUT_WR)
        # Input that nobody has read would turn the end into a reset, which can overtake the answer.
        sock.recv(65536, _FLAGS)
    sock.close()
