"""The guards of reports: what a transport may still say (``core/transports.py``)."""

from __future__ import annotations

from tests.guards.guard import Guard

FILE = "core/transports.py"

GUARDS = (
    Guard(
        "a report of a transport that is gone",
        FILE,
        "transport = self.by_number.get(report.transport)\n        if transport is None or transport",
        "transport = self.by_number.get(report.transport)\n        if transport",
        "A writer cannot be started, and says so when the reader has already let go of the socket.",
        ("u1 connects", "transport 1 breaks", "transport 1 is released", "transport 1 is given up"),
        "AttributeError",
    ),
    Guard(
        "a transport dies once",
        FILE,
        "get(report.transport)\n        if transport is None or transport.phase is Phase.ABORTED:",
        "get(report.transport)\n        if transport is None:",
        "A deadline gives a transport up, and then its reader sees the end: the session would be lost twice.",
        ("u1 connects", "transport 1 is given up", "transport 1 breaks"),
        "a live transport carries a session",
    ),
    Guard(
        "a transport that closes decides nothing",
        FILE,
        "elif transport.phase is Phase.CLOSING:",
        "elif False:",
        "The client has resumed elsewhere, and then the end of its old transport is seen: it "
        "would suspend, or end, "
        "a session that is well.",
        ("u1 connects", "u1 resumes", "the client leaves on transport 1", "u1 is connected on transport 2"),
        "a live transport carries a session",
    ),
    Guard(
        "the peer's goodbye does not cut off ours",
        FILE,
        "                if transport.close_sent:\n",
        "                if True:\n",
        "The peer hangs up its side while our close frame waits behind data: it would never read why.",
        (
            "u1 connects",
            "u1 is sent a message",
            "u1 is kicked",
            "the client hangs up transport 1",
            "transport 1 is open",
        ),
        "it should be open, and is cut",
    ),
    Guard(
        "a reset is the end",
        FILE,
        "case c.TransportAborted() | c.PeerGone(reset=True):",
        "case c.TransportAborted():",
        "A peer that is gone would be waited for, with its thread and its socket.",
        ("u1 connects", "u1 is kicked", "transport 1 breaks", "transport 1 is cut"),
        "it should be cut, and is open",
    ),
    Guard(
        "a writer's report of a transport that is gone",
        FILE,
        "transport = self.by_number.get(number)\n"
        "        if transport is None or transport.phase is Phase.ABORTED:",
        "transport = self.by_number.get(number)\n        if transport.phase is Phase.ABORTED:",
        "A writer reports behind its back: the reader has let go by the time that the hub hears "
        "of the error.",
        ("u1 connects", "transport 1 breaks", "transport 1 is released", "a write to transport 1 fails"),
        "AttributeError",
    ),
    Guard(
        "no answer is awaited on a transport that is cut",
        FILE,
        "transport = self.by_number.get(number)\n"
        "        if transport is None or transport.phase is Phase.ABORTED:",
        "transport = self.by_number.get(number)\n        if transport is None:",
        "A close frame that was on its way is out when the transport is cut already.",
        because="It saves a deadline that would find nothing to do; the release cancels it anyway.",
        besides="a transport takes its deadlines with it",
        schedule=(
            "u1 connects",
            "transport 1 breaks",
            "a write to transport 1 fails",
            "transport 1 is released",
            "10 seconds pass",
        ),
        says="the deadlines of a transport go with it",
    ),
    Guard(
        "a write error leaves the last word to the reader",
        FILE,
        "if transport.phase is Phase.LIVE:\n            self._plan.ignore",
        "if False:\n            self._plan.ignore",
        "A leave may lie in the kernel's buffer: the transport would be cut under a session that "
        "thinks it has one.",
        ("u1 connects", "a write to transport 1 fails", "10 seconds pass", "transport 1 is open"),
        "it should be open, and is cut",
    ),
    Guard(
        "who has said goodbye is not waited for",
        FILE,
        "if transport.peer_done:",
        "if False:",
        "Both have said it, and the socket would stay open for write_timeout.",
        (
            "u1 connects",
            "the client leaves on transport 1",
            "the close frame of transport 1 is out",
            "transport 1 is cut",
        ),
        "it should be cut, and is open",
    ),
    Guard(
        "a transport that is gone needs no deadline",
        FILE,
        'if transport is None or transport.phase is not Phase.LIVE:\n            self._plan.ignore("a '
        "transport that closes has",
        'if transport.phase is not Phase.LIVE:\n            self._plan.ignore("a transport that closes has',
        "A sender finds the peer's buffer full, and says so when the reader has already let go "
        "of the socket.",
        ("u1 connects", "transport 1 breaks", "transport 1 is released", "transport 1 takes no more"),
        "AttributeError",
    ),
    Guard(
        "a transport that closes has a deadline already",
        FILE,
        'if transport is None or transport.phase is not Phase.LIVE:\n            self._plan.ignore("a '
        "transport that closes has",
        'if transport is None:\n            self._plan.ignore("a transport that closes has',
        "A handler returns when its session has been kicked: an $ack would follow the close frame.",
        ("u1 connects", "u1 is kicked", "transport 1 owes an acknowledgement", "5 seconds pass"),
        "an $ack is due on transport 1, which closes",
    ),
)
