"""``Dialled``: a connection that was taken from the WSGI server, and what the hub must know of it. A value.

Made by ``wsgi/upgrade.py`` on request threads, when the checks have passed and the 101 is to be written. Read
next: ``wsgi/session_lookup.py``, ``take``.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

from ..core.commands import Register
from ..transport.websocket import Handshake


@dataclass(frozen=True, slots=True)
class Dialled:
    """A client's connection, on which nothing has been written.

    ``sock``: in blocking mode, and nobody else uses it. ``read_ahead``: what the server has read of it behind
    the request. ``handshake_response``: the head of the 101, as the framework has made it. ``data``: for a
    new session's ``connection.data``.
    """

    sock: socket.socket
    read_ahead: bytes
    handshake: Handshake
    handshake_response: bytes
    registration: Register
    data: Any
