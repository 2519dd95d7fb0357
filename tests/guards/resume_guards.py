"""The guards of a resume request: token, nonce, dial, gap (``core/resume.py``, and where it is asked)."""

from __future__ import annotations

from tests.guards.guard import Guard

RESUMES = "core/resume.py"
MACHINE = "core/machine.py"
SESSIONS = "core/sessions.py"

STAYS = "u1 is connected on transport 1"
LOST = "it should be connected on transport 1, and is connected on transport 2"
GONE = "it should be connected on transport 1, and is gone"

GUARDS = (
    Guard(
        "a v1 session asks for its token",
        RESUMES,
        "if not request.v1 or not credentials.tokens.accept(request.token):",
        "if not request.v1:",
        "Whoever knows the id would get the session, and what was sent to its client.",
        ("u1 connects, with v1", "u1 resumes, with v1, token 9", STAYS),
        LOST,
    ),
    Guard(
        "a v1 session asks for v1",
        RESUMES,
        "if not request.v1 or not",
        "if not",
        "A client that does not acknowledge would fill its window, and take control messages for data.",
        ("u1 connects, with v1", "u1 resumes, with token 1", STAYS),
        LOST,
    ),
    Guard(
        "a plain session is not for v1 clients",
        RESUMES,
        "elif request.v1 or request.instance",
        "elif request.instance",
        "The client would wait for a $hello that never comes.",
        ("u1 connects", "u1 resumes, with v1, token 1", STAYS),
        LOST,
    ),
    Guard(
        "a session with a nonce asks for it",
        RESUMES,
        "elif request.v1 or request.instance != credentials.instance:",
        "elif request.v1:",
        "The session of a device expired, another device has the id: the first would get into its session.",
        ("u1 connects, with nonce mine", "u1 resumes, with nonce yours", STAYS),
        LOST,
    ),
    Guard(
        "the empty token is none",
        RESUMES,
        '(hmac.compare_digest(given, self.proven.encode()) & (self.proven != ""))',
        "hmac.compare_digest(given, self.proven.encode())",
        "As long as nothing is proven, the place of the proven token is empty: no token would fit it.",
        ("u1 connects, with v1", "u1 resumes, with v1", STAYS),
        LOST,
    ),
    Guard(
        "the secret is looked at first",
        RESUMES,
        "if credentials.tokens is not None:\n        # A client without",
        "if request.first_available is not None:\n        return Verdict.GAP\n"
        "    if credentials.tokens is not None:\n"
        "        # A client without",
        "Whoever knows the id would end the session by asking for what is no longer there.",
        ("u1 connects, with v1", "u1 resumes, with v1, token 9, a gap", STAYS),
        GONE,
    ),
    Guard(
        "a late dial takes nothing over",
        RESUMES,
        "if request.attempt is not None and request.attempt <= credentials.attempt:",
        "if False:",
        "Of two dials the older one arrives last: the connection that the client uses would be closed.",
        ("u1 connects, with v1, dial 2", "u1 resumes, with v1, token 1, dial 1", STAYS),
        LOST,
    ),
    Guard(
        "a late dial is late before it is anything else",
        RESUMES,
        "    if request.attempt is not None and request.attempt <= credentials.attempt:",
        "    if request.first_available is not None:\n        return Verdict.GAP\n"
        "    if request.attempt is not None and request.attempt <= credentials.attempt:",
        "It knows less than the dial that came before it, so it would ask for what was let go, and end all.",
        ("u1 connects, with v1, dial 2", "u1 resumes, with v1, token 1, dial 1, a gap", STAYS),
        GONE,
    ),
    Guard(
        "the highest dial is remembered",
        RESUMES,
        "max(credentials.attempt, request.attempt)",
        "request.attempt",
        "A client that comes back without resume intent begins to count anew: its own late dial would fit.",
        (
            "u1 connects, with dial 5",
            "transport 1 breaks",
            "u1 connects, with dial 1",
            "u1 resumes, with dial 3",
            "u1 is connected on transport 2",
        ),
        "it should be connected on transport 2, and is connected on transport 3",
    ),
    Guard(
        "nobody is ahead of what was sent",
        RESUMES,
        "if request.beyond:",
        "if False:",
        "The count is of another session, or wrong: the outbox cannot skip what it never had.",
        ("u1 connects, with v1", "u1 resumes, with v1, token 1, too many received", STAYS),
        LOST,
    ),
    Guard(
        "a gap is no resume",
        RESUMES,
        "return Verdict.GRANTED if request.first_available is None else Verdict.GAP",
        "return Verdict.GRANTED",
        "The client would go on, and never know what it missed.",
        ("u1 connects, with v1", "u1 resumes, with v1, token 1, a gap", "u1 is gone"),
        "it should be gone, and is connected on transport 2",
    ),
    Guard(
        "a gap ends no session for one who has hung up",
        MACHINE,
        "gone = registration.peer_already_gone",
        "gone = False",
        "A request that was given up while it waited for a thread would end the session.",
        ("u1 connects, with v1", "u1 resumes, with v1, token 1, a gap, hung up already", STAYS),
        GONE,
    ),
    Guard(
        "an earlier dial displaces nobody",
        MACHINE,
        "Verdict.LATE_DIAL if stale else Verdict.GRANTED",
        "Verdict.GRANTED",
        "A client dials again; then its first dial arrives after all, and would end the session.",
        ("u1 connects, with nonce mine, dial 2", "u1 connects, with nonce mine, dial 1", STAYS),
        LOST,
    ),
    Guard(
        "the last token that a client knows is kept",
        RESUMES,
        "tokens = tokens.presented(request.token).issue(request.fresh_token)",
        "tokens = Tokens(request.fresh_token)",
        "A $hello is lost with its connection: the client would be locked out of its own session.",
        (
            "u1 connects, with v1",
            "u1 resumes, with v1, token 1",
            "u1 resumes, with v1, token 1",
            "u1 is connected on transport 3",
        ),
        "it should be connected on transport 3, and is connected on transport 2",
    ),
    Guard(
        "an old connection proves no new token",
        MACHINE,
        "session = self.session_of(number)\n"
        "        if session is None or session.credentials.tokens is None:",
        "session = self.epochs.get(self.transports[number].epoch or 0)\n        if session is None:",
        "An $ack is read late, when the next $hello is lost already: the client would be locked out.",
        (
            "u1 connects, with v1",
            "u1 resumes, with v1, token 1",
            "the first $ack comes in on transport 1",
            "u1 resumes, with v1, token 1",
            "u1 is connected on transport 3",
        ),
        "it should be connected on transport 3, and is connected on transport 2",
    ),
    Guard(
        "what a plain client says proves nothing",
        MACHINE,
        "if session is None or session.credentials.tokens is None:",
        "if session is None:",
        "It has no tokens to prove.",
        ("u1 connects", "the first $ack comes in on transport 1"),
        "AttributeError",
    ),
    Guard(
        "nobody gets a v1 session without asking for it",
        RESUMES,
        "return credentials.tokens is None and ",
        "return ",
        "A plain client of the same user would get what was kept for another one, and lose it.",
        (
            "u1 connects, with v1",
            "transport 1 breaks",
            "u1 connects",
            "session 1 was told on_connect, on_transport_drop, on_disconnect",
        ),
        "and is on_connect, on_transport_drop, on_transport_restore",
    ),
    Guard(
        "a v1 client gets no plain session",
        RESUMES,
        "is None and not request.v1 and request.instance == credentials.instance",
        "is None and request.instance == credentials.instance",
        "It would wait for a $hello that never comes.",
        (
            "u1 connects",
            "transport 1 breaks",
            "u1 connects, with v1",
            "session 1 was told on_connect, on_transport_drop, on_disconnect",
        ),
        "and is on_connect, on_transport_drop, on_transport_restore",
    ),
    Guard(
        "nobody gets a session of another nonce",
        RESUMES,
        "credentials.tokens is None and not request.v1 and request.instance == credentials.instance",
        "credentials.tokens is None and not request.v1",
        "Another device of the user would get what was kept for the first one, and lose it.",
        (
            "u1 connects, with nonce mine",
            "transport 1 breaks",
            "u1 connects, with nonce yours",
            "session 1 was told on_connect, on_transport_drop, on_disconnect",
        ),
        "and is on_connect, on_transport_drop, on_transport_restore",
    ),
    Guard(
        "only a resume has a count",
        SESSIONS,
        "request.received if registration.resume else None",
        "request.received",
        "Who connects without resume intent begins to count at 1.",
        because="The check before the upgrade reads a count only of a resume. Here it is said once more, "
        "where it is used.",
    ),
)
