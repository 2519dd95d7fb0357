"""A handler sleeps in ``receive`` until there is news. The reader thread gets the client's close frame. It
rings the bell, answers the frame, and then notes that the connection is closed. The handler is up at the
first of these: it looks, finds the connection open, and goes to sleep again. Nobody will ring any more.

miguelgrinberg/simple-websocket#18: a server hung in ``receive`` after the client had left. The same order of
two lines, in another language: rerun-io/ewebsock#70.
"""

from __future__ import annotations

from resumehub.testing import Exhaustive, explore

TITLE = "Woken too early"
SOURCES = ["miguelgrinberg/simple-websocket#18", "rerun-io/ewebsock#70"]
LANES = ["handler", "reader", "the connection"]
LOOK = "ring the bell"
SCHEDULE = "x01"
ERROR = "handler never ends"
STRATEGY = Exhaustive(None)

# -- broken ---------------------------------------------------------------------------


class ConnectionClosed(Exception):
    """The client has left."""


class Connection:
    """What a handler reads messages from."""

    def __init__(self, lab):
        self.lab = lab
        self.connected = True
        self.messages = []
        self.bell = lab.threading.Event()

    def receive(self):
        while self.is_connected() and not self.messages:
            self.bell.wait()
            self.bell.clear()
        if self.messages:
            return self.messages.pop(0)
        raise ConnectionClosed

    def close_frame_came(self):
        self.lab.note("the connection: ring the bell")
        self.bell.set()
        self.lab.pause("answer the close frame")
        self.lab.note("the connection: is closed")
        self.connected = False

    def is_connected(self):
        self.lab.note(f"the connection: open? {'yes' if self.connected else 'no'}")
        return self.connected


# -- fixed ----------------------------------------------------------------------------


class ConnectionWithACondition(Connection):
    """The change and the bell are one step under a lock; so are the look and falling asleep."""

    def __init__(self, lab):
        super().__init__(lab)
        self.changed = lab.threading.Condition()

    def receive(self):
        with self.changed:
            while self.is_connected() and not self.messages:
                self.changed.wait()
            if self.messages:
                return self.messages.pop(0)
        raise ConnectionClosed

    def close_frame_came(self):
        self.lab.pause("answer the close frame")
        with self.changed:
            self.lab.note("the connection: is closed")
            self.connected = False
            self.changed.notify_all()


# -- scene ----------------------------------------------------------------------------


def scene(lab, connection):
    @lab.actor
    def handler():
        try:
            connection.receive()
        except ConnectionClosed:
            lab.note("say good-bye")

    @lab.actor
    def reader():
        connection.close_frame_came()


def broken(lab):
    scene(lab, Connection(lab))


def fixed(lab):
    scene(lab, ConnectionWithACondition(lab))


# -- end ------------------------------------------------------------------------------

if __name__ == "__main__":
    explore(broken)
