"""The life of a session, as a total table: every state against every event.

A session is CONNECTED while a transport carries it. It is SUSPENDED while it waits in its grace window for
its client to come back. It is CLOSED once it has ended. An id that no session holds counts as CLOSED, too:
to a client that connects, an ended session and one that never was look the same.

Eighteen events can happen to a session. In five of them a client has come in (``Register``):

* CONNECT: it has no resume intent. A free id opens a session. A suspended session is *resumed*: its user is
  back, without saying so. A connected session is displaced: the id belongs to the client that came last.
* CONNECT_OR_REFUSE: the same under ``on_duplicate="reject"``: a connected session stays.
* CLAIM and CLAIM_OR_REFUSE: the same where the session asks for a token or a nonce and this client has
  neither. A suspended session is not resumed then, either.
* RESUME: it has resume intent, for the one session that the pre-check saw. If that one is gone, the answer
  is 4100, even if another session has the id by now: a resume never ends up in another client's session.

Eleven come from the session's own side. Its transport died (DROP, or DROP_FINAL when no client can resume it:
there is no resume window, or the hub made the id of a plain session). The client left with a close frame that
says so (LEAVE). The grace window ended, or an operator ends it (EXPIRE), or the hub is full, and a new
session needs the place (GIVE_WAY). The client asks for messages that are no longer there (GAP). The
application ends the session (KICK, CLOSE). Its on_connect raised (REFUSE_ENTRY). The hub shuts down
(SHUTDOWN). And LATE: a transport reports something after another one has taken its place. That decides
nothing; the machine compares the transport before it looks at anything else. The last two are a move to
another process, seen from the one that it leaves (EXPORT) and from the one to which it comes (ADOPT).

"Ignored, because…" is an outcome like any other: it has a name, a reason, and a test.

This module knows no session and no transport. The machine (``machine.py``) looks up every transition here
and nowhere else, on the hub thread; docs/explanation/session-states.md is drawn from it. Pure.
Read next: ``machine.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Where a session is in its life."""

    CONNECTED = "connected"
    SUSPENDED = "suspended"
    CLOSED = "closed"

    # The table is asked with each command: see ``DeadlineKind``.
    __hash__ = object.__hash__


class SessionEvent(Enum):
    """What can happen to a session; the value says it in words."""

    CONNECT = "a client connects without resume intent"
    CONNECT_OR_REFUSE = "a client connects without resume intent, and duplicates are refused"
    CLAIM = "a client that lacks the session's token or nonce connects to its id"
    CLAIM_OR_REFUSE = (
        "a client that lacks the session's token or nonce connects to its id, and duplicates are refused"
    )
    RESUME = "a client resumes the session that the pre-check saw"
    DROP = "its transport died, and it may be resumed"
    DROP_FINAL = "its transport died, and no client can resume it"
    LEAVE = "the client closed with code 1000 or none"
    LATE = "a transport that is no longer the session's reports something"
    EXPIRE = "its grace window ran out"
    GIVE_WAY = "the hub is full, and a new session needs its place"
    GAP = "its client asks for messages that are no longer there"
    KICK = "the application kicks it"
    CLOSE = "the application closes it"
    REFUSE_ENTRY = "its on_connect raised"
    SHUTDOWN = "the hub shuts down"
    EXPORT = "it is to go on in another process"
    ADOPT = "a session of that id comes from another process"

    __hash__ = object.__hash__  # as above


class Outcome(Enum):
    """What the machine does about it."""

    OPENED = "a new session begins"
    RESUMED = "the session goes on with the new transport"
    TAKEN_OVER = "the new transport takes the place of the old one"
    DISPLACED = "the session ends and a new one begins under its id"
    REFUSED = "the newcomer is closed with 4409"
    TOO_LATE = "the newcomer is closed with 4100"
    SUSPENDED = "the grace window starts"
    ENDED = "the session ends"
    HANDED_OVER = "this process forgets the session, which goes on elsewhere"
    ADOPTED = "the session goes on here"
    NOT_MOVED = "the session stays where it is"
    NOT_FOUND = "the caller is told that there is no such session"
    IGNORED = "nothing happens"


@dataclass(frozen=True, slots=True)
class Transition:
    """One entry of the table: what is done, where the session (or the id) is then, and why."""

    outcome: Outcome
    to: State
    because: str


_C, _S, _X = State.CONNECTED, State.SUSPENDED, State.CLOSED


def _ignored(state: State, because: str) -> Transition:
    return Transition(Outcome.IGNORED, state, because)


TRANSITIONS: dict[tuple[State, SessionEvent], Transition] = {
    (_X, SessionEvent.CONNECT): Transition(Outcome.OPENED, _C, "the id is free"),
    (_S, SessionEvent.CONNECT): Transition(
        Outcome.RESUMED, _C, "its user is back, whether it says so or not"
    ),
    (_C, SessionEvent.CONNECT): Transition(
        Outcome.DISPLACED, _C, "the id belongs to the client that connected last"
    ),
    (_X, SessionEvent.CONNECT_OR_REFUSE): Transition(Outcome.OPENED, _C, "the id is free"),
    (_S, SessionEvent.CONNECT_OR_REFUSE): Transition(
        Outcome.RESUMED, _C, "no other client is connected for whom it would be refused"
    ),
    (_C, SessionEvent.CONNECT_OR_REFUSE): Transition(
        Outcome.REFUSED, _C, "the id belongs to the client that connected first"
    ),
    (_X, SessionEvent.CLAIM): Transition(Outcome.OPENED, _C, "the id is free"),
    (_S, SessionEvent.CLAIM): Transition(Outcome.DISPLACED, _C, "the id alone does not open this session"),
    (_C, SessionEvent.CLAIM): Transition(
        Outcome.DISPLACED, _C, "the id belongs to the client that connected last"
    ),
    (_X, SessionEvent.CLAIM_OR_REFUSE): Transition(Outcome.OPENED, _C, "the id is free"),
    (_S, SessionEvent.CLAIM_OR_REFUSE): Transition(
        Outcome.REFUSED, _S, "the id alone does not open this session, and its client may come back"
    ),
    (_C, SessionEvent.CLAIM_OR_REFUSE): Transition(
        Outcome.REFUSED, _C, "the id belongs to the client that connected first"
    ),
    (_X, SessionEvent.RESUME): Transition(Outcome.TOO_LATE, _X, "the session that the pre-check saw is gone"),
    (_S, SessionEvent.RESUME): Transition(Outcome.RESUMED, _C, "this is what the grace window is for"),
    (_C, SessionEvent.RESUME): Transition(
        Outcome.TAKEN_OVER, _C, "the old transport is half-open: its client is here"
    ),
    (_C, SessionEvent.DROP): Transition(Outcome.SUSPENDED, _S, "the client may come back"),
    (_S, SessionEvent.DROP): _ignored(_S, "it has no transport to lose"),
    (_X, SessionEvent.DROP): _ignored(_X, "the session has ended already"),
    (_C, SessionEvent.DROP_FINAL): Transition(Outcome.ENDED, _X, "no client can come back to it"),
    (_S, SessionEvent.DROP_FINAL): _ignored(_S, "it has no transport to lose"),
    (_X, SessionEvent.DROP_FINAL): _ignored(_X, "the session has ended already"),
    (_C, SessionEvent.LEAVE): Transition(Outcome.ENDED, _X, "the client said that it is done"),
    (_S, SessionEvent.LEAVE): _ignored(_S, "only the present transport can speak for the client"),
    (_X, SessionEvent.LEAVE): _ignored(_X, "the session has ended already"),
    (_C, SessionEvent.LATE): _ignored(_C, "a newer transport has taken over"),
    (_S, SessionEvent.LATE): _ignored(_S, "that transport was given up before"),
    (_X, SessionEvent.LATE): _ignored(_X, "the session has ended already"),
    (_C, SessionEvent.EXPIRE): _ignored(_C, "the resume has cancelled the window"),
    (_S, SessionEvent.EXPIRE): Transition(Outcome.ENDED, _X, "no client came back in time"),
    (_X, SessionEvent.EXPIRE): _ignored(_X, "the session has ended already"),
    (_C, SessionEvent.GIVE_WAY): _ignored(_C, "its client is here"),
    (_S, SessionEvent.GIVE_WAY): Transition(
        Outcome.ENDED, _X, "a client that is here needs the place more than one that may come back"
    ),
    (_X, SessionEvent.GIVE_WAY): _ignored(_X, "the session has ended already"),
    (_C, SessionEvent.KICK): Transition(Outcome.ENDED, _X, "a kick is final: it bypasses the window"),
    (_S, SessionEvent.KICK): Transition(Outcome.ENDED, _X, "a kick is final: it bypasses the window"),
    (_C, SessionEvent.GAP): Transition(Outcome.ENDED, _X, "its client cannot go on without a gap"),
    (_S, SessionEvent.GAP): Transition(Outcome.ENDED, _X, "its client cannot go on without a gap"),
    (_X, SessionEvent.GAP): _ignored(_X, "the session has ended already"),
    (_X, SessionEvent.KICK): Transition(Outcome.NOT_FOUND, _X, "no session holds the id"),
    (_C, SessionEvent.CLOSE): Transition(Outcome.ENDED, _X, "the application is done with it"),
    (_S, SessionEvent.CLOSE): Transition(Outcome.ENDED, _X, "the application is done with it"),
    (_X, SessionEvent.CLOSE): _ignored(_X, "closing twice is no error"),
    (_C, SessionEvent.REFUSE_ENTRY): Transition(
        Outcome.ENDED, _X, "an access check that failed must not be resumable"
    ),
    (_S, SessionEvent.REFUSE_ENTRY): Transition(
        Outcome.ENDED, _X, "an access check that failed must not be resumable"
    ),
    (_X, SessionEvent.REFUSE_ENTRY): _ignored(_X, "the session has ended already"),
    (_C, SessionEvent.SHUTDOWN): Transition(Outcome.ENDED, _X, "the hub ends all its sessions"),
    (_S, SessionEvent.SHUTDOWN): Transition(Outcome.ENDED, _X, "the hub ends all its sessions"),
    (_X, SessionEvent.SHUTDOWN): _ignored(_X, "the session has ended already"),
    (_C, SessionEvent.EXPORT): Transition(Outcome.HANDED_OVER, _X, "it goes on at the exact byte"),
    (_S, SessionEvent.EXPORT): Transition(Outcome.HANDED_OVER, _X, "its window goes on elsewhere"),
    (_X, SessionEvent.EXPORT): Transition(Outcome.NOT_MOVED, _X, "the session has ended already"),
    (_C, SessionEvent.ADOPT): Transition(Outcome.NOT_MOVED, _C, "the id is another session's here"),
    (_S, SessionEvent.ADOPT): Transition(Outcome.NOT_MOVED, _S, "the id is another session's here"),
    (_X, SessionEvent.ADOPT): Transition(Outcome.ADOPTED, _C, "the id is free (a suspended one stays so)"),
}


def transition(state: State, event: SessionEvent) -> Transition:
    """Look up what ``event`` does to a session in ``state``; the table is total."""
    return TRANSITIONS[state, event]
