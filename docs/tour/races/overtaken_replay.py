"""While a client is away, messages wait for it in a backlog. It comes back: the session is connected again,
and its reader writes what waits. Another thread sends, finds the session connected, and writes, too. The new
message arrives before those that had waited: Ada enters room 2, and then leaves room 1.

socketio/socket.io-client#1458, wee-slack/wee-slack#264 and purplefish-ai/factory-factory#1425 are this.
"""

from __future__ import annotations

from resumehub.testing import Exhaustive, explore

TITLE = "The overtaken replay"
SOURCES = ["socketio/socket.io-client#1458", "wee-slack/wee-slack#264", "purplefish-ai/factory-factory#1425"]
LANES = ["reader", "application", "the client"]
LOOK = "ada enters room 2"
SCHEDULE = "x01"
ERROR = "the client reads ['ada enters room 2', 'ada leaves room 1']"
STRATEGY = Exhaustive(None)

# -- broken ---------------------------------------------------------------------------


class Session:
    """Outlives its connection: what is sent meanwhile waits in the backlog."""

    def __init__(self, lab):
        self.lab = lab
        self.connected = False
        self.backlog = []
        self.read = []  # by the client

    def send(self, text):
        if self.connected:
            self.write(text)
        else:
            self.backlog.append(text)

    def resume(self):
        self.connected = True
        self.lab.note("from now on, connected")
        while self.backlog:
            self.write(self.backlog.pop(0))

    def write(self, text):
        self.lab.pause(f"write {text!r}")
        self.lab.note(f"the client: {text}")
        self.read.append(text)


# -- fixed ----------------------------------------------------------------------------


class SessionWithOneWay(Session):
    """Every message goes through the backlog, and one thread at a time empties it."""

    def __init__(self, lab):
        super().__init__(lab)
        self.lock = lab.threading.Lock()
        self.writing = False

    def send(self, text):
        with self.lock:
            self.backlog.append(text)
        self.empty_backlog()

    def resume(self):
        with self.lock:
            self.connected = True
        self.empty_backlog()

    def empty_backlog(self):
        while (text := self.next_text()) is not None:
            self.write(text)
            with self.lock:
                self.backlog.pop(0)
                self.writing = False

    def next_text(self):
        """The right to write, with what is to be written; None: there is nothing, or somebody is at it."""
        with self.lock:
            if self.writing or not self.connected or not self.backlog:
                return None  # whoever is at it looks again, under this lock, before it stops
            self.writing = True
            return self.backlog[0]


# -- scene ----------------------------------------------------------------------------


def scene(lab, session):
    session.send("ada leaves room 1")  # while the client is away

    @lab.actor
    def reader():
        session.resume()

    @lab.actor
    def application():
        session.send("ada enters room 2")

    @lab.at_end
    def the_client_reads_them_in_order():
        assert session.read == ["ada leaves room 1", "ada enters room 2"], f"the client reads {session.read}"


def broken(lab):
    scene(lab, Session(lab))


def fixed(lab):
    scene(lab, SessionWithOneWay(lab))


# -- end ------------------------------------------------------------------------------

if __name__ == "__main__":
    explore(broken)
