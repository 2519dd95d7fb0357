"""Whether a client may have the session that it asks for: by user, token, nonce, order of dials, and gap.

The table in ``states.py`` says what a resume does to a session; this module says whether the request is one.
It compares what the session knows of its client (``Credentials``) with what the client says
(``ResumeRequest``), and knows no state, transport or outbox. The machine calls it on the hub thread. WSGI
request threads ask the same questions of a copy before the upgrade (``wsgi/resume_params.py``), to be able to
answer with a status. Pure. Read next: ``machine.py``, docs/reference/lossless.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from ..codes import CloseCode
from ..protocol.tokens import hidden, is_same


@dataclass(frozen=True, slots=True)
class Tokens:
    """The two tokens that open a v1 session. Tokens are secret: a repr does not show them.

    ``newest`` went out with the last attach, and may have been lost on the way. ``proven`` is the last one
    that the client is known to have; "" before there is one. A ``$hello`` can be lost several times in a
    row, so an attach replaces only ``newest`` (contract D3).
    """

    newest: str
    proven: str = ""

    def accept(self, presented: str) -> bool:
        """Whether ``presented`` is one of the two. A wrong one takes as long as a right one."""
        return is_same(presented, self.newest) | (is_same(presented, self.proven) & (self.proven != ""))

    def hidden(self) -> Tokens:
        """The same for a file: no token can be read from it. The next attach sends a fresh one."""
        return Tokens(hidden(self.newest), hidden(self.proven))

    def presented(self, token: str) -> Tokens:
        """The tokens after the client has presented one: it has that one."""
        return replace(self, proven=token)

    def acknowledged(self) -> Tokens:
        """The tokens after the client has acknowledged on the newest transport: it has the newest one."""
        return replace(self, proven=self.newest)

    def issue(self, fresh: str) -> Tokens:
        """The tokens after an attach, which sends ``fresh``."""
        return replace(self, newest=fresh)

    def __repr__(self) -> str:
        return "<Tokens>"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a session knows of its client, to tell it from another one. Changes with each attach.

    ``tokens``: None in a plain session. ``instance``: the nonce that the client gave when it connected, "" if
    it gave none. ``attempt``: the highest number of a dial so far, -1 before there is one. ``generated``:
    the hub made the id, so the id alone opens nothing (contract A4). ``user``: whose session it is, for life;
    None: the application did not say (contract A4b).
    """

    tokens: Tokens | None = None
    instance: str = ""
    attempt: int = -1
    generated: bool = False
    user: str | None = None

    def __repr__(self) -> str:
        return f"<Credentials {'plain' if self.tokens is None else 'v1'} attempt={self.attempt}>"


def _secret() -> Any:
    """A field of which a trace shows only a fingerprint."""
    return field(default="", metadata={"secret": True})


@dataclass(frozen=True, slots=True)
class ResumeRequest:
    """What a client that comes in says of itself, beside its id. A repr does not show its tokens.

    ``attempt`` and ``received``: None where it does not say. ``user``: what the *application* says of it.
    """

    v1: bool = False
    token: str = _secret()
    #: The token that it gets if it is attached: random numbers are made outside of the core.
    fresh_token: str = _secret()
    instance: str = _secret()
    attempt: int | None = None
    received: int | None = None
    user: str | None = None
    #: What the outbox says of ``received``: it is more than was ever sent; or there is a gap, and this is the
    #: first message behind it.
    beyond: bool = False
    first_available: int | None = None

    def __repr__(self) -> str:
        return (
            f"<ResumeRequest {'v1' if self.v1 else 'plain'} received={self.received} attempt={self.attempt}>"
        )


NO_REQUEST = ResumeRequest()
"""That of a client that says nothing but its id."""


class Verdict(Enum):
    """What becomes of a resume request; the value is the close code that tells the client."""

    GRANTED = CloseCode.NORMAL
    NOT_YOURS = CloseCode.SESSION_EXPIRED
    FORBIDDEN = CloseCode.FORBIDDEN
    NOT_THE_USERS = "4403, to a client that has the id or the token"
    LATE_DIAL = CloseCode.SUPERSEDED
    BEYOND = CloseCode.POLICY_VIOLATION
    GAP = "4100, and the session ends"


def judge(credentials: Credentials, request: ResumeRequest, *, room_is_right: bool) -> Verdict:
    """Whether a client with resume intent gets the session. The token is compared first.

    ``room_is_right``: the client has asked at the URL of a room that the session is in. An id finds its
    session from any URL; a token is for the session's rooms (contract A4b).
    """
    if credentials.tokens is not None:
        # A client without the token learns nothing of the session, and changes nothing in it.
        if not request.v1 or not credentials.tokens.accept(request.token):
            by_id_alone = credentials.generated and not request.token
            return Verdict.NOT_YOURS if by_id_alone else Verdict.FORBIDDEN
        if not room_is_right:
            return Verdict.NOT_THE_USERS
    elif credentials.generated:
        return Verdict.NOT_YOURS
    if is_another_users(credentials, request):
        return Verdict.NOT_THE_USERS
    if credentials.tokens is None and (request.v1 or request.instance != credentials.instance):
        return Verdict.NOT_YOURS
    if request.attempt is not None and request.attempt <= credentials.attempt:
        return Verdict.LATE_DIAL
    if request.beyond:
        return Verdict.BEYOND
    return Verdict.GRANTED if request.first_available is None else Verdict.GAP


def judge_connect(credentials: Credentials, request: ResumeRequest) -> Verdict:
    """Whether a client *without* resume intent may do anything to the session that has its id.

    What that is says the table (``states.py``). A generated id is refused there, to all users alike.
    """
    if not credentials.generated and is_another_users(credentials, request):
        return Verdict.NOT_THE_USERS
    return Verdict.LATE_DIAL if is_stale_dial(credentials, request) else Verdict.GRANTED


def is_another_users(credentials: Credentials, request: ResumeRequest) -> bool:
    """Whether the session has a user, and the client is not that user (contract A4b)."""
    return credentials.user is not None and credentials.user != request.user


def returns(credentials: Credentials, request: ResumeRequest) -> bool:
    """Whether a client *without* resume intent gets the session, too, if that is suspended."""
    plain = credentials.tokens is None and not request.v1
    return plain and not credentials.generated and request.instance == credentials.instance


def can_come_back(credentials: Credentials) -> bool:
    """Whether any client can resume the session: a plain one with a generated id is out of reach."""
    return credentials.tokens is not None or not credentials.generated


def is_stale_dial(credentials: Credentials, request: ResumeRequest) -> bool:
    """Whether a connect *without* resume intent is an earlier dial of the client that has the session.

    The client's first dial took too long, so it dialled again and got the session; now the first one arrives.
    """
    same = request.instance != "" and request.instance == credentials.instance
    return same and request.attempt is not None and request.attempt <= credentials.attempt


def attached(credentials: Credentials, request: ResumeRequest) -> Credentials:
    """The session's credentials after the client has been attached."""
    tokens = credentials.tokens
    if tokens is None and request.attempt is None:
        return credentials  # most sessions are plain, and a copy takes time
    if tokens is not None:
        tokens = tokens.presented(request.token).issue(request.fresh_token)
    attempt = credentials.attempt if request.attempt is None else max(credentials.attempt, request.attempt)
    return replace(credentials, tokens=tokens, attempt=attempt)


def opened(request: ResumeRequest, *, generated: bool = False) -> Credentials:
    """The credentials of a new session; ``generated``: the hub made its id."""
    return Credentials(
        Tokens(request.fresh_token) if request.v1 else None,
        request.instance,
        -1 if request.attempt is None else request.attempt,
        generated,
        request.user,
    )
