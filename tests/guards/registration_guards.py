"""The guards of a registration: who gets which session (``core/machine.py``, ``core/states.py``)."""

from __future__ import annotations

from tests.guards.guard import Guard

MACHINE = "core/machine.py"
SESSIONS = "core/sessions.py"

GUARDS = (
    Guard(
        "nobody gets a close frame behind the last deadline",
        MACHINE,
        "if self.impatient:",
        "if False:",
        "A socket that arrives after the polite time would hold the shutdown up once more.",
        ("u1 connects", "the hub aborts everything", "u2 connects", "transport 2 is cut"),
        "it should be cut, and is open",
    ),
    Guard(
        "nobody gets in behind a shutdown",
        MACHINE,
        "elif self.draining:",
        "elif False:",
        "A socket that was upgraded before the shutdown arrives behind it: a session would outlive the hub.",
        ("u1 connects", "the hub shuts down", "u2 connects"),
        "the hub does not finish",
    ),
    Guard(
        "a verdict of the check holds",
        MACHINE,
        "elif registration.refusal is not None:",
        "elif False:",
        "A socket that exists to be told why it is refused would get a session.",
        ("u1 connects, and was refused by the check", "u1 is gone"),
        "it should be gone, and is connected on transport 1",
    ),
    Guard(
        "a resume is for the session that the check saw",
        MACHINE,
        "holder.life != registration.seen",
        "False",
        "Between check and hand-over the session ends and somebody else takes the id: the client "
        "would get into "
        "a stranger's session.",
        ("u1 connects", "u1 is kicked", "u1 connects", "somebody resumes u1, having seen session 1"),
        "a stranger resumes session 2",
    ),
    Guard(
        "a resume opens nothing",
        "core/states.py",
        "(_X, SessionEvent.RESUME): Transition(Outcome.TOO_LATE, _X,",
        "(_X, SessionEvent.RESUME): Transition(Outcome.OPENED, _C,",
        "The window ends between check and hand-over: the client would go on in an empty "
        "session, and never know.",
        (
            "u1 connects",
            "transport 1 breaks",
            "30 seconds pass",
            "somebody resumes u1, having seen session 1",
        ),
        "a resume opens session 2 in silence",
    ),
    Guard(
        "no more sessions than max_sessions",
        MACHINE,
        "len(self.sessions) >= self.rules.max_sessions",
        "False",
        "Two sockets pass the check when there is room for one.",
        ("u1 connects", "u2 connects", "u2 is gone"),
        "it should be gone, and is connected on transport 2",
        {"max_sessions": 1},
    ),
    Guard(
        "a full hub takes back its own",
        MACHINE,
        "entry.outcome is Outcome.OPENED and ",
        "",
        "A resume needs no new place: a full hub would turn its own sessions away.",
        ("u1 connects", "transport 1 breaks", "u1 resumes", "u1 is connected on transport 2"),
        "it should be connected on transport 2, and is suspended",
        {"max_sessions": 1},
    ),
    Guard(
        "a newcomer that has hung up takes nothing over",
        MACHINE,
        "elif registration.peer_already_gone:",
        "elif False:",
        "A request that was given up while it waited for a thread would push a good transport aside.",
        ("u1 connects", "u1 resumes, and has hung up already", "u1 is connected on transport 1"),
        "it should be connected on transport 1, and is connected on transport 2",
    ),
    Guard(
        "a connected session stays where duplicates are refused",
        "core/states.py",
        "(_C, SessionEvent.CONNECT_OR_REFUSE): Transition(\n        Outcome.REFUSED",
        "(_C, SessionEvent.CONNECT_OR_REFUSE): Transition(\n        Outcome.DISPLACED",
        "Two sockets pass the check while the id is free.",
        ("u1 connects", "u1 connects", "session 1 was told on_connect"),
        "it should be on_connect, and is on_connect, on_disconnect",
        {"refuse_duplicates": True},
    ),
    Guard(
        "a takeover takes the old transport off",
        MACHINE,
        "if entry.outcome is Outcome.TAKEN_OVER:",
        "if False:",
        "Two resumes at once, or a client that notices first: two transports would carry one session.",
        ("u1 connects", "u1 resumes"),
        "session 1 can't be attached",
    ),
    Guard(
        "callbacks are queued before the reader starts",
        SESSIONS,
        "self._plan.add(\n            e.AttachTransport(",
        "self._plan.effects.insert(\n            -1, e.AttachTransport(",
        "A message of the new transport would be handled before on_connect, or before on_transport_restore.",
        (
            "u1 connects",
            "transport 1 breaks",
            "u1 resumes",
            "on_transport_restore is asked for before AttachTransport 2",
        ),
        "the order is AttachTransport 2, on_transport_restore",
    ),
)
