"""Whether a client that knocks may have the session it asks for: token, nonce, order of dials, gap.

The table in ``states.py`` says what a resume does to a session; this says whether it is one. Pure,
called by the machine; ``wsgi/checks.py`` asks the same questions of a copy before the upgrade, to be able to
answer with a status. Read next: docs/reference/lossless.md.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from ..codes import CloseCode


@dataclass(frozen=True, slots=True)
class Tokens:
    """The two tokens that open a v1 session. A token is a secret: it has no part in a repr.

    ``newest`` was given with the last attach, and may have been lost on the way; ``proven`` is the
    last one that the client is known to have. A ``$hello`` can be lost twice in a row, and three
    times: an attach replaces only ``newest``.
    """

    newest: str
    proven: str = ""

    def accept(self, presented: str) -> bool:
        """Whether it is one of the two. Takes as long for a wrong one as for a right one."""
        given = presented.encode()
        return bool(
            hmac.compare_digest(given, self.newest.encode())
            | (hmac.compare_digest(given, self.proven.encode()) & (self.proven != ""))
        )

    def presented(self, token: str) -> Tokens:
        """What the client has presented, it has."""
        return replace(self, proven=token)

    def acknowledged(self) -> Tokens:
        """An acknowledgement on the newest connection says that its token has arrived."""
        return replace(self, proven=self.newest)

    def issue(self, fresh: str) -> Tokens:
        """A new attach gives a new token."""
        return replace(self, newest=fresh)

    def __repr__(self) -> str:
        return "<Tokens>"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a session knows of its client, to tell him from another. Changes with each attach.

    ``tokens``: None in a plain session. ``instance``: the nonce of the client, "" without.
    ``attempt``: the highest number of a dial, -1 before there was one.
    """

    tokens: Tokens | None = None
    instance: str = ""
    attempt: int = -1

    def __repr__(self) -> str:
        return f"<Credentials {'plain' if self.tokens is None else 'v1'} attempt={self.attempt}>"


def _secret() -> Any:
    """A field that a trace shows as a fingerprint."""
    return field(default="", metadata={"secret": True})


@dataclass(frozen=True, slots=True)
class ResumeRequest:
    """What a client that knocks says of itself. Its tokens have no part in the repr."""

    v1: bool = False
    token: str = _secret()
    #: For the attach that may follow; random numbers are made outside of the core.
    fresh_token: str = _secret()
    instance: str = _secret()
    attempt: int | None = None
    received: int | None = None
    #: What the outbox says to ``received``: more than was ever sent; or the first number of what is left.
    beyond: bool = False
    first_available: int | None = None

    def __repr__(self) -> str:
        return (
            f"<ResumeRequest {'v1' if self.v1 else 'plain'} received={self.received} attempt={self.attempt}>"
        )


NO_REQUEST = ResumeRequest()
"""Nothing but an id."""


class Verdict(Enum):
    """What a claim comes to; the value is the close code that says so."""

    GRANTED = CloseCode.NORMAL
    NOT_YOURS = CloseCode.SESSION_EXPIRED
    FORBIDDEN = CloseCode.FORBIDDEN
    LATE_DIAL = CloseCode.SUPERSEDED
    BEYOND = CloseCode.POLICY_VIOLATION
    GAP = "4100, and the session ends"


def judge(credentials: Credentials, request: ResumeRequest) -> Verdict:
    """Whether a client with resume intent gets the session. The secret is looked at first."""
    if credentials.tokens is not None:
        # An attacker without the token learns nothing, and changes nothing.
        if not request.v1 or not credentials.tokens.accept(request.token):
            return Verdict.FORBIDDEN
    elif request.v1 or request.instance != credentials.instance:
        return Verdict.NOT_YOURS
    if request.attempt is not None and request.attempt <= credentials.attempt:
        return Verdict.LATE_DIAL
    if request.beyond:
        return Verdict.BEYOND
    return Verdict.GRANTED if request.first_available is None else Verdict.GAP


def returns(credentials: Credentials, request: ResumeRequest) -> bool:
    """Whether a client *without* resume intent may get the suspended session all the same."""
    return credentials.tokens is None and not request.v1 and request.instance == credentials.instance


def is_stale_dial(credentials: Credentials, request: ResumeRequest) -> bool:
    """Whether a client *without* resume intent is an earlier dial of the one that has the session.

    Its first dial got lost on the way, so it dialled again and was let in; now the first one arrives.
    """
    same = request.instance != "" and request.instance == credentials.instance
    return same and request.attempt is not None and request.attempt <= credentials.attempt


def attached(credentials: Credentials, request: ResumeRequest) -> Credentials:
    """The title after the client has been attached."""
    tokens = credentials.tokens
    if tokens is None and request.attempt is None:
        return credentials  # that is most of them, and a copy is not free
    if tokens is not None:
        tokens = tokens.presented(request.token).issue(request.fresh_token)
    attempt = credentials.attempt if request.attempt is None else max(credentials.attempt, request.attempt)
    return replace(credentials, tokens=tokens, attempt=attempt)


def opened(request: ResumeRequest) -> Credentials:
    """The title of a new session."""
    return Credentials(
        Tokens(request.fresh_token) if request.v1 else None,
        request.instance,
        -1 if request.attempt is None else request.attempt,
    )
