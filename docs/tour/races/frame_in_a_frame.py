"""A socket takes what fits, so a large message goes out in several writes. Between two of them the thread
that sends Pings comes along. Its frame stands inside the other one: the client takes it for text, and the
text that follows for a frame. It closes the connection with 1002, or reads nonsense.

python-websockets/websockets#1432, invisibleroads/socketIO-client#210 and paullouisageneau/libdatachannel#664
are this, each with a keepalive Ping; in miguelgrinberg/flask-sock#85 the maintainer says what to do.

The sockets here are real. Only that the kernel's buffer is nearly full is played: each write takes at most 16
bytes.
"""

from __future__ import annotations

import socket

from resumehub.testing import Exhaustive, explore

TITLE = "A frame inside another frame"
SOURCES = [
    "python-websockets/websockets#1432",
    "invisibleroads/socketIO-client#210",
    "paullouisageneau/libdatachannel#664",
]
LANES = ["application", "heartbeat", "the line"]
LOOK = "beat"
SCHEDULE = "x001"
ERROR = "the client reads"
STRATEGY = Exhaustive(None)

MESSAGE = b"\x81\x1d" + b"the score is 3:2 for the city"
PING = b"\x89\x04beat"

# -- broken ---------------------------------------------------------------------------


class Connection:
    """The server's end of a WebSocket; any thread may send."""

    def __init__(self, lab):
        self.lab = lab
        self.socket, self.client = socket.socketpair()

    def send(self, frame):
        while frame:
            taken = self.write_what_fits(frame)
            frame = frame[taken:]

    def write_what_fits(self, data):
        self.lab.pause("write what fits")
        taken = self.socket.send(data[:16])
        self.lab.note(f"the line: {data[:taken]}")
        return taken


# -- fixed ----------------------------------------------------------------------------


class ConnectionWithALock(Connection):
    """Whoever has begun a frame is alone until its last byte is out."""

    def __init__(self, lab):
        super().__init__(lab)
        self.writing = lab.threading.Lock()

    def send(self, frame):
        with self.writing:
            super().send(frame)


# -- scene ----------------------------------------------------------------------------


def frames(data):
    """What a client makes of bytes: (first byte, payload) for each frame."""
    while data:
        size = data[1] if len(data) > 1 else 0
        yield data[0], data[2 : 2 + size]
        data = data[2 + size :]


def scene(lab, connection):
    @lab.actor
    def application():
        connection.send(MESSAGE)

    @lab.actor
    def heartbeat():
        connection.send(PING)

    @lab.at_end
    def the_client_reads_what_was_sent():
        with connection.socket, connection.client as client:
            read = list(frames(client.recv(4096)))
        assert sorted(read) == [*frames(MESSAGE), *frames(PING)], f"the client reads {read}"


def broken(lab):
    scene(lab, Connection(lab))


def fixed(lab):
    scene(lab, ConnectionWithALock(lab))


# -- end ------------------------------------------------------------------------------

if __name__ == "__main__":
    explore(broken)
