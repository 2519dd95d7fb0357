"""flask-sock: to reach everybody, a loop of ``ws.send``."""

from __future__ import annotations

from flask import Flask
from flask_sock import Sock
from simple_websocket import ConnectionClosed, Server

from ..texts import for_all

app = Flask(__name__)
sock = Sock(app)
present: set[Server] = set()


@sock.route("/ws")
def ws(link: Server) -> None:
    present.add(link)
    try:
        while True:
            text = link.receive()
            if not for_all(text):
                link.send(text)
                continue
            for other in list(present):
                try:
                    other.send(text)
                except (ConnectionClosed, OSError):
                    pass
    finally:
        present.discard(link)
