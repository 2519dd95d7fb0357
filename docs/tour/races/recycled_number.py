"""For the kernel an open connection is a small number, and the lowest free one goes to whoever comes next. A
thread is about to write Ada's balance to number 500. Her reader sees that she has hung up, and closes 500.
Bob is accepted, and gets 500. The thread writes. Nothing fails; Bob reads Ada's balance.

jnr/jnr-unixsocket#81 is this. In jaspervdj/websockets-snap#25 a Ping thread went on pinging a number that had
changed hands, and in machinezone/IXWebSocket#585 a number was closed twice: the second time it was another's.

Sockets and numbers here are real. The numbers below FLOOR belong to the rest of this process; for a server's
``accept`` the same rule holds from 0 on.
"""

from __future__ import annotations

import fcntl
import os
import socket

from resumehub.testing import Exhaustive, explore

FLOOR = 500

TITLE = "The recycled number"
SOURCES = ["jnr/jnr-unixsocket#81", "jaspervdj/websockets-snap#25", "machinezone/IXWebSocket#585"]
LANES = ["application", "reader_of_ada", "server", f"number {FLOOR}"]
LOOK = "is Bob's"
SCHEDULE = "x011"
ERROR = 'Bob reads b"Ada\'s balance"'
STRATEGY = Exhaustive(None)

# -- broken ---------------------------------------------------------------------------


class Line:
    """The server's end of a connection: a number."""

    def __init__(self, lab, whose):
        self.lab, self.open = lab, True
        self.number, self.client = accept()
        self.tell(f"is {whose}'s")

    def send(self, data):
        if not self.open:
            return
        self.tell("still open")
        self.lab.pause(f"write to number {self.number}")
        self.write(data)

    def write(self, data):
        try:
            os.write(self.number, data)
            self.tell(f"write {data}")
        except OSError:
            pass  # the client has left, and its reader will say so

    def end(self):
        """The client has hung up."""
        self.open = False
        self.close()

    def close(self):
        os.close(self.number)
        self.tell("close")

    def tell(self, what):
        self.lab.note(f"number {self.number}: {what}")


# -- fixed ----------------------------------------------------------------------------


class LineWithAGate(Line):
    """The end only shuts the connection down. Whoever is the last to use the number closes it."""

    def __init__(self, lab, whose):
        super().__init__(lab, whose)
        self.lock = lab.threading.Lock()
        self.users = 1  # the reader

    def send(self, data):
        with self.lock:
            if not self.open:
                return
            self.users += 1
        self.lab.pause(f"write to number {self.number}")
        self.write(data)
        self.let_go()

    def end(self):
        with self.lock:
            self.open = False
        shut_down(self.number)
        self.let_go()

    def let_go(self):
        with self.lock:
            self.users -= 1
            last = not self.users
        if last:
            self.close()


# -- scene ----------------------------------------------------------------------------


def accept():
    """A new connection: our end, which is the lowest free number from FLOOR on, and the client's."""
    ours, client = socket.socketpair()
    with ours:
        return fcntl.fcntl(ours, fcntl.F_DUPFD_CLOEXEC, FLOOR), client


def shut_down(number):
    """End a connection both ways; the number stays taken."""
    with socket.socket(fileno=os.dup(number)) as same:
        same.shutdown(socket.SHUT_RDWR)


def scene(lab, line_class):
    ada = line_class(lab, "Ada")
    lines = [ada]

    @lab.actor
    def application():
        ada.send(b"Ada's balance")

    @lab.actor
    def reader_of_ada():
        ada.end()

    @lab.actor
    def server():
        lines.append(line_class(lab, "Bob"))

    @lab.at_end
    def bob_reads_nothing_of_hers():
        bob = lines[1]
        bob.end()
        with ada.client, bob.client:
            read = bob.client.recv(100)
        assert not read, f"Bob reads {read}"


def broken(lab):
    scene(lab, Line)


def fixed(lab):
    scene(lab, LineWithAGate)


# -- end ------------------------------------------------------------------------------

if __name__ == "__main__":
    explore(broken)
