"""A phone changes from the office network to the street. It notices at once, dials again, and the session
goes on over the new socket. The server notices only now that the old one is dead, and reports: the
connection of this session is gone. Somebody believes it. The session is put to sleep under a client that is
here; half a minute later the grace window ends, and the client is thrown out of a session that it was using.

replit/river#210: "onDisconnect" can come arbitrarily late, and started the grace period of a session that had
reconnected. NousResearch/hermes-agent#77127: the teardown of the old socket closed the resumed session.
"""

from __future__ import annotations

from props import Queue, Table

from resumehub.testing import explore

TITLE = "The drop that is reported too late"
SOURCES = ["replit/river#210", "NousResearch/hermes-agent#77127"]
LANES = ["reader_of_socket_1", "request_of_ada", "inbox", "hub", "session"]
LOOK = "state is suspended"
SCHEDULE = "x01"
ERROR = "ada is here on socket 2, and her session sleeps"

# -- broken ---------------------------------------------------------------------------


class Hub:
    """One session, and one thread that decides about it. The others put what they know in its inbox."""

    def __init__(self, lab):
        self.session = Table(lab, "session")
        self.inbox = Queue(lab, "inbox")

    def decide(self):
        while True:
            what, socket = self.inbox.get()
            if what == "resumed":
                self.session["socket"] = socket
                self.session["state"] = "connected"
            elif what == "dropped":
                self.dropped(socket)

    def dropped(self, socket):
        self.session["state"] = "suspended"  # and the grace timer starts


# -- fixed ----------------------------------------------------------------------------


class HubThatAsksWhich(Hub):
    """A report is about a socket, and only the session's present one is of interest."""

    def dropped(self, socket):
        if self.session.get("socket") == socket:
            super().dropped(socket)


# -- scene ----------------------------------------------------------------------------


def scene(lab, hub):
    hub.session["socket"], hub.session["state"] = "socket 1", "connected"
    lab.threading.Thread(target=hub.decide, name="hub").start()
    lab.run_until_idle()

    @lab.actor
    def reader_of_socket_1():
        lab.note("reads the end of the line")
        hub.inbox.put(("dropped", "socket 1"))

    @lab.actor
    def request_of_ada():
        lab.note("ada dials again")
        hub.inbox.put(("resumed", "socket 2"))

    @lab.at_end
    def she_goes_on():
        state = hub.session.snapshot()["state"]
        assert state == "connected", "ada is here on socket 2, and her session sleeps"


def broken(lab):
    scene(lab, Hub(lab))


def fixed(lab):
    scene(lab, HubThatAsksWhich(lab))


# -- end ------------------------------------------------------------------------------

if __name__ == "__main__":
    explore(broken)
