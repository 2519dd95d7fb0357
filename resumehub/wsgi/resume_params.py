"""What a client asks for: a new session or an old one, how far it got, and its credentials.

This is the first of two decisions. It reads the query and the subprotocols, finds the session, and asks
``core/resume.py``, so that the answer can be a status. The hub asks again when the socket arrives. Runs on
request threads. It changes nothing, with one exception: a session that cannot go on without a gap ends before
its client is told so. Read next: ``checks.py``, docs/reference/lossless.md.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import replace

from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Request

from ..admission import Admission
from ..codes import CloseCode
from ..config import validate_identifier
from ..core.commands import Register
from ..core.drain import Drain
from ..core.resume import NO_REQUEST, ResumeRequest, Verdict, can_come_back, judge, judge_connect, returns
from ..core.states import Outcome
from ..protocol.expiry import gap_reason
from ..protocol.tokens import key_of, read_offer, token_of
from ..reasons import RefusalReason
from ..session.seen_session import SeenSession
from .refusals import Refusal, drained, generated_id, gone, not_the_users
from .session_lookup import SessionLookup

#: The query parameters that mean something to the hub; all others are the application's.
OURS = ("resume", "reject", "received", "attempt", "instance")

# No count ever has more digits.
_COUNT = re.compile(r"[0-9]{1,18}", re.ASCII)


class ResumeParams:
    """What one request asks for.

    Next: call ``check_text``, then ``check_repeats``, then ``check_numbers``, then ``find``, then one of the
    checks.
    """

    def __init__(self, request: Request) -> None:
        self._readable = True
        try:
            self._args = request.args
        except UnicodeDecodeError:
            self._args, self._readable = MultiDict(), False
        #: Exactly so: ?resume=1 is no resume intent.
        self.resume = self._value("resume") == "true"
        #: Whether the client wants to be refused by a close code.
        self.reject_by_close = self._value("reject") == "close"
        offered = request.environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(",")
        self.v1, self.token = read_offer([name.strip() for name in offered])
        #: The session that the client means, as it was when ``find`` looked.
        self.seen: SeenSession | None = None
        #: Whether there was none then, and the hub had no room for one more.
        self.hub_is_full = False
        self._drain = Drain.NONE
        self._resume_request = NO_REQUEST
        self._verdict = Verdict.NOT_YOURS
        self._returns = False

    @property
    def meets_generated_id(self) -> bool:
        """Whether the id is one that the hub made for a session: it opens nothing by itself (contract A4)."""
        return self.seen is not None and self.seen.credentials.generated

    def check_text(self) -> None:
        """Refuse a query that has raw bytes beyond ASCII which are no UTF-8: nobody can read its parameters.

        Raises: Refusal (400).
        """
        if not self._readable:
            detail = "The query is not UTF-8; a URL has such bytes percent-encoded."
            raise Refusal(400, RefusalReason.HANDSHAKE, detail)

    def check_repeats(self) -> None:
        """Refuse a request that gives one of our parameters twice, with equal values or different ones.

        Which of the two counts would be a guess, and a proxy or a log in between may guess otherwise.
        Raises: Refusal (400).
        """
        for name in OURS:
            if len(self._values(name)) > 1:
                raise Refusal(
                    400, RefusalReason.PARAMETERS, f"The query parameter {name} must be given once at most."
                )

    def check_numbers(self) -> None:
        """Read the numbers and the instance that the client sent. Raises: Refusal (400)."""
        received, attempt = self._number("received"), self._number("attempt")
        instance = self._value("instance") or ""
        try:
            if instance:
                validate_identifier("instance", instance)
        except ValueError as error:
            raise Refusal(400, RefusalReason.PARAMETERS, f"{error}.") from error
        self._resume_request = ResumeRequest(
            v1=self.v1,
            token=self.token,
            instance=instance,
            attempt=attempt,
            received=received if self.resume else None,
        )

    def _values(self, name: str) -> list[str]:
        # Most clients send none of them, and a look-up that fails costs an exception.
        return self._args.getlist(name) if name in self._args else []

    def _value(self, name: str) -> str | None:
        """The only value of a parameter; None where there is none, or where no one value is the right one."""
        values = self._values(name)
        return values[0] if len(values) == 1 else None

    def _number(self, name: str) -> int | None:
        value = self._value(name)
        if value is not None and not _COUNT.fullmatch(value):
            raise Refusal(400, RefusalReason.PARAMETERS, f"{name} must be a whole number from 0 on.")
        return int(value) if value is not None else None

    def find(self, sessions: SessionLookup, admission: Admission) -> None:
        """Look for the session: by the application's id or, where it gave none, by the token.

        Raises: NoVerdict.
        """
        self._resume_request = replace(self._resume_request, user=admission.user)
        key = key_of(self.token) if self.resume and self.v1 else ""
        found = sessions.look(admission.connection_id, key, self._resume_request.received)
        seen = found.seen
        if self.resume and sessions.config.resume_window == 0:
            seen = None
        self.seen, self.hub_is_full, self._drain = seen, found.full, found.drain
        if seen is None:
            return
        if seen.position is not None:
            self._resume_request = replace(
                self._resume_request,
                beyond=seen.position.beyond,
                first_available=seen.position.first_available,
            )
        if self.resume:
            room_is_right = admission.room_id in seen.rooms
            self._verdict = judge(seen.credentials, self._resume_request, room_is_right=room_is_right)
        else:
            self._verdict = judge_connect(seen.credentials, self._resume_request)
        self._returns = returns(seen.credentials, self._resume_request)

    def is_resume(self, connection_id: str | None) -> bool:
        """Whether this is a resume request: resume intent, and an id or a token to find the session by."""
        return self.resume and bool(connection_id or (self.v1 and self.token))

    def is_duplicate(self) -> bool:
        """Whether another client has the id; for a request without resume intent."""
        return self.seen is not None and not (self.seen.suspended and self._returns)

    def check_drain(self, connection_id: str | None) -> None:
        """Refuse a client whom a drained hub refuses; all other checks have passed. Raises: Refusal (503)."""
        if self._drain.refuses(Outcome.RESUMED if self.comes_back(connection_id) else Outcome.OPENED):
            raise drained()

    def comes_back(self, connection_id: str | None) -> bool:
        """Whether a client that passes the checks goes on with its session, and begins no new one."""
        return self.is_resume(connection_id) or not (self.seen is None or self.is_duplicate())

    def check_preflight(self) -> None:
        """Refuse unless a resume would succeed now. A stranger learns nothing. Raises: Refusal."""
        if self.seen is not None and not can_come_back(self.seen.credentials):
            raise generated_id()
        if self.seen is None or self._verdict in (Verdict.NOT_YOURS, Verdict.FORBIDDEN):
            raise gone()
        if self._verdict is Verdict.NOT_THE_USERS:
            raise not_the_users()
        if self._verdict is Verdict.BEYOND:
            raise _beyond()
        if self._verdict is Verdict.GAP:
            raise self._gap()
        if self._drain.refuses(Outcome.RESUMED):
            raise drained()

    def check_user(self, sessions: SessionLookup) -> None:
        """Refuse a client that is not of the session's user, with intent or without. Raises: Refusal."""
        if self.seen is not None and self._verdict is Verdict.NOT_THE_USERS:
            sessions.count("resume_attempt", self.seen.room_id, self.seen.connection_id, False)
            raise not_the_users()

    def check(self, sessions: SessionLookup, connection_id: str) -> None:
        """Refuse unless the client may resume. Raises: Refusal. Blocks: at a gap, until the session ends."""
        if self.v1 and self._resume_request.received is None:
            raise Refusal(400, RefusalReason.PARAMETERS, "A resume of resumehub.v1 must say received=N.")
        seen = self.seen
        if seen is None or self._verdict is Verdict.NOT_YOURS:
            sessions.count("resume_attempt", "", connection_id, False)
            raise gone()
        if self._verdict is Verdict.FORBIDDEN:
            sessions.count("resume_attempt", seen.room_id, seen.connection_id, False)
            close = (CloseCode.FORBIDDEN, "forbidden")
            raise Refusal(
                403, RefusalReason.TOKEN, "This session needs its token to be resumed.", close=close
            )
        if self._verdict is Verdict.BEYOND:
            raise _beyond()
        if self._verdict is Verdict.GAP:
            # The session ends first: a client that reacts at once must not get the rest of its messages.
            sessions.end_with_gap(seen)
            sessions.count("resume_attempt", seen.room_id, seen.connection_id, False)
            raise self._gap()

    def registration(self, admission: Admission) -> Register:
        """The command with which the hub decides again."""
        connection_id = admission.connection_id
        resume = self.is_resume(connection_id)
        seen = self.seen if resume else None
        request = self._resume_request
        if self.v1:
            tokens = seen.credentials.tokens if seen is not None else None
            key = key_of(tokens.newest) if tokens is not None else secrets.token_urlsafe(12)
            request = replace(request, fresh_token=token_of(key, secrets.token_urlsafe(24)))
        return Register(
            transport=0,
            connection_id=seen.connection_id
            if seen is not None
            else connection_id or secrets.token_urlsafe(16),
            room_id=admission.room_id,
            life="" if resume else secrets.token_hex(16),
            resume=resume,
            seen=seen.life if seen is not None else "",
            seen_room=seen.room_id if seen is not None else "",
            generated=not connection_id,
            resume_request=request,
        )

    def _gap(self) -> Refusal:
        first = self._resume_request.first_available
        assert first is not None, "a gap has an end"
        return Refusal(
            410,
            RefusalReason.GAP,
            "Some of what this client missed is no longer there, so the session has ended. Connect without "
            "resume=true to start a new one.",
            close=(CloseCode.SESSION_EXPIRED, gap_reason(first)),
            members={"reason": "gap", "first_available": first},
        )


def _beyond() -> Refusal:
    return Refusal(400, RefusalReason.PARAMETERS, "received is more than was ever sent in this session.")
