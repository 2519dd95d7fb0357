"""The thread that reads from a client also runs its handler. A handler waits for a database. Meanwhile the
heartbeat sends a Ping, which the client answers at once. The answer lies in the kernel's buffer, where nobody
looks, until the heartbeat loses patience and throws out a healthy client.

miguelgrinberg/python-engineio#68 (slow queries: "Client is gone, closing socket") and ninenines/cowboy#1675
are this. Problem 3 of miguelgrinberg/python-socketio#233 and gammazero/nexus#247 are its mirror image: a
client whose handlers keep it from sending or answering Pings.

A wait with a timeout ends early in the lab only when nobody else can go on; the first to give up is the actor
that was made first. Here that is the heartbeat, whose timeout is the shorter one.
"""

from __future__ import annotations

from resumehub.testing import explore

TITLE = "The busy handler and the unread Pong"
SOURCES = ["miguelgrinberg/python-engineio#68", "miguelgrinberg/python-socketio#233", "gammazero/nexus#247"]
LANES = ["heartbeat", "client", "the kernel's buffer", "reader"]
LOOK = "ten seconds"
SCHEDULE = "x01"
ERROR = "a client that has answered is taken for dead"

# -- broken ---------------------------------------------------------------------------


class Connection:
    """The server's end of a connection, which one thread reads."""

    def __init__(self, lab):
        self.lab, self.buffer = lab, []  # what has come, and nobody has read
        self.arrived = lab.threading.Condition()
        self.heard = lab.threading.Event()
        self.saved = lab.threading.Event()  # the database has answered
        self.handled = []

    def read(self):
        with self.arrived:
            self.arrived.wait_for(lambda: self.buffer)
            what = self.buffer.pop(0)
        self.lab.note(f"the kernel's buffer: take {what}")
        if what == "Pong":
            self.heard.set()
        else:
            self.handle(what)

    def handle(self, message):
        self.lab.note("wait for the database")
        self.saved.wait(timeout=60)
        self.handled.append(message)

    def beat(self):
        self.lab.note("client: Ping")
        self.arrive("Pong")
        self.alive = self.heard.wait(timeout=10)
        self.lab.note("it is alive" if self.alive else "ten seconds: throw it out")

    def arrive(self, what):
        with self.arrived:
            self.lab.note(f"the kernel's buffer: {what}")
            self.buffer.append(what)
            self.arrived.notify()


# -- fixed ----------------------------------------------------------------------------


class ConnectionWithAWorker(Connection):
    """The reader gives messages to a worker, in their order, and goes on reading."""

    def __init__(self, lab):
        super().__init__(lab)
        self.work = []
        self.given = lab.threading.Condition()

    def handle(self, message):
        with self.given:
            self.work.append(message)
            self.given.notify()

    def do_work(self):
        with self.given:
            self.given.wait_for(lambda: self.work)
            message = self.work.pop(0)
        super().handle(message)


# -- scene ----------------------------------------------------------------------------


def scene(lab, connection, messages=("save",)):
    @lab.actor
    def heartbeat():
        connection.beat()

    @lab.actor
    def client():
        for message in messages:
            connection.arrive(message)

    @lab.actor
    def reader():
        for _ in ("Pong", *messages):
            connection.read()

    @lab.at_end
    def the_client_is_served():
        assert connection.alive, "a client that has answered is taken for dead"
        assert connection.handled == list(messages), f"handled in this order: {connection.handled}"


def broken(lab):
    scene(lab, Connection(lab))


def fixed(lab):
    connection = ConnectionWithAWorker(lab)
    scene(lab, connection)

    @lab.actor
    def worker():
        connection.do_work()


# -- end ------------------------------------------------------------------------------

if __name__ == "__main__":
    explore(broken)
