"""The server says its last words and closes. To the one who closes everything is in order: the messages were
sent, a close frame with code and reason too, and then the socket was closed. But "sent" means "handed
to the thread that writes". The client sees the close frame before the message that explains it, or a
line that breaks off in the middle (1006), and no reason at all.

socketio/engine.io#294 flushed the write buffer before the close, after messages had been lost this way.
gorilla/websocket#281: of a thousand connections, some fifty lose what was sent before the close.
"""

from __future__ import annotations

from props import Queue, Socket

from resumehub.testing import explore

TITLE = "The last words that nobody hears"
SOURCES = ["socketio/engine.io#294", "gorilla/websocket#281"]
LANES = ["game", "lobby", "outbox", "writer", "client"]
LOOK = "the socket is closed"
SCHEDULE = "x0001"
ERROR = "of ['your game is over', 'close 1000'] the client got"

# -- broken ---------------------------------------------------------------------------


class Connection:
    """Whoever sends does not wait for a slow client: a thread of its own writes what is in the outbox."""

    def __init__(self, lab, socket):
        self.socket = socket
        self.outbox = Queue(lab, "outbox")

    def send(self, frame):
        self.outbox.put(frame)

    def write(self):
        """What the writer thread does."""
        while self.socket.open:
            self.put_on_the_wire(self.outbox.get())

    def put_on_the_wire(self, frame):
        try:
            self.socket.send(frame)
        except BrokenPipeError:
            pass  # the client has gone: nobody to tell

    def close(self):
        self.socket.send("close 1000")
        self.socket.close()


# -- fixed ----------------------------------------------------------------------------


class ConnectionWithOneWriter(Connection):
    """Closing is something to be written, too: it waits in line, and who has written it closes the socket."""

    def put_on_the_wire(self, frame):
        super().put_on_the_wire(frame)
        if frame == "close 1000":
            self.socket.close()

    def close(self):
        self.send("close 1000")


# -- scene ----------------------------------------------------------------------------


def scene(lab, connection_type):
    socket = Socket(lab, "the socket")
    connection = connection_type(lab, socket)
    lab.threading.Thread(target=connection.write, name="writer").start()
    lab.run_until_idle()

    over = lab.threading.Event()

    @lab.actor
    def game():
        connection.send("your game is over")
        over.set()

    @lab.actor
    def lobby():
        over.wait()
        connection.close()

    @lab.at_end
    def the_client_has_heard_it():
        said = ["your game is over", "close 1000"]
        assert socket.received == said, f"of {said} the client got {socket.received}"


def broken(lab):
    scene(lab, Connection)


def fixed(lab):
    scene(lab, ConnectionWithOneWriter)


# -- end ------------------------------------------------------------------------------

if __name__ == "__main__":
    explore(broken)
