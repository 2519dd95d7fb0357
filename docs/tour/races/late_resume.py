"""A client whose line was cut comes back while its session still waits for it. The server looks the session
up, finds it, and says yes; then the WebSocket handshake takes its time. Meanwhile the grace window ends,
and so does the session. The new socket is put on what the look-up has found: a session that is no more
in any table. The client was told that it is back, and nothing that anybody sends will ever reach it.

Terracotta-OSS/terracotta-core#470: the reconnect window closes while a client is connecting, and two
threads decide about the same handshake. wspulse/hub v0.2.0 has its sister: a reconnect that meets the
closing of a suspended session dropped the application's OnDisconnect in silence.
"""

from __future__ import annotations

from props import Socket, Table

from resumehub.testing import explore

TITLE = "The resume that comes just too late"
SOURCES = ["Terracotta-OSS/terracotta-core#470", "wspulse/hub v0.2.0"]
LANES = ["request_of_ada", "grace_timer", "sessions", "session 1", "client"]
LOOK = "socket is socket 2"
SCHEDULE = "x0001"
ERROR = "ada was told that she is back, and her session is gone"

# -- broken ---------------------------------------------------------------------------


class Sessions:
    def __init__(self, lab):
        self.table = Table(lab, "sessions")
        self.lock = lab.threading.Lock()

    def resume(self, name, socket):
        """Handle a request with resume=true: look first, since 410 can only be said before the upgrade."""
        with self.lock:
            session = self.table.get(name)
        if session is None:
            socket.send("410 Gone")
            return
        socket.send("101 Switching Protocols")
        self.attach(name, session, socket)

    def attach(self, name, session, socket):
        with self.lock:
            session["socket"] = socket

    def expire(self, name):
        """The grace window is over."""
        with self.lock:
            session = self.table.get(name)
            if session.get("socket") is None:  # suspended
                self.table.pop(name)


# -- fixed ----------------------------------------------------------------------------


class SessionsThatLookAgain(Sessions):
    """The look before the upgrade is a courtesy. Who may resume is decided where it happens."""

    def attach(self, name, session, socket):
        with self.lock:
            alive = self.table.get(name) is session
            if alive:
                session["socket"] = socket
        if not alive:
            socket.send("close 4100")
            socket.close()


# -- scene ----------------------------------------------------------------------------


def scene(lab, sessions):
    sessions.table["ada"] = session = Table(lab, "session 1")
    socket = Socket(lab, "socket 2")

    @lab.actor
    def request_of_ada():
        sessions.resume("ada", socket)

    @lab.actor
    def grace_timer():
        sessions.expire("ada")

    @lab.at_end
    def she_is_back_or_knows():
        she_believes_it = socket.received == ["101 Switching Protocols"]
        she_is_back = "ada" in sessions.table.snapshot() and "socket" in session.snapshot()
        assert she_believes_it == she_is_back, "ada was told that she is back, and her session is gone"


def broken(lab):
    scene(lab, Sessions(lab))


def fixed(lab):
    scene(lab, SessionsThatLookAgain(lab))


# -- end ------------------------------------------------------------------------------

if __name__ == "__main__":
    explore(broken)
