"""Every check of an upgrade request, in the order of docs/reference/contract.md, and the 101.

Runs on WSGI request threads; none of them stays, except for TLS inside the server. The checks change
nothing. The hub decides again when the socket arrives, since everything may have changed in between. A
refusal becomes a plain HTTP answer or, with ``&reject=close``, an upgrade that is closed at once with a
code that a browser can see. Read next: ``upgrade.py`` (the hand-over), ``handover.py``,
``resume_params.py`` (which client may resume what), ``core/machine.py`` (the second decision).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from ..admission import Admission
from ..codes import CloseCode
from ..config import normalize_origin, validate_identifier
from ..core.commands import Register
from ..errors import ConnectRejected, HubClosed
from ..protocol.tokens import SUBPROTOCOL
from ..reasons import RefusalReason
from ..runtime.foreign_code import Log, passes
from ..transport.websocket import Handshake, HandshakeError
from .handover import SUPPORTED, ServerSocket, find_socket, has_body, why_no_socket
from .refusals import (
    Refusal,
    broken,
    close_of,
    closing,
    full,
    generated_id,
    no_verdict,
    tls_with_cluster,
    too_often,
    upgrade_required,
)
from .resume_params import ResumeParams
from .server_settings import warn_once
from .session_lookup import NoVerdict, SessionLookup
from .upgrade import LATER, Upgrade, problem, switching, without_body
from .view_request import no_request, request_of

log = Log(__name__)


def answer(sessions: SessionLookup, connect: Callable[..., Any] | None, environ: dict[str, Any]) -> Response:
    """Answer a request to ``hub.wsgi_app``; the application's ``connect`` decides which client it is."""
    return _Check(sessions, Request(environ)).answer(lambda request: _ask(sessions, connect, request))


def upgrade(
    sessions: SessionLookup,
    request: Any,
    room_id: str,
    connection_id: str | None,
    data: Any,
    user: str | None,
) -> Response:
    """Answer a request inside a view, which has decided already which client it is. Raises: TypeError."""
    # Flask's ``request`` is a proxy, which isinstance sees through.
    environ = request.environ if isinstance(request, Request) else request
    if not isinstance(environ, dict):
        raise TypeError(no_request(request))
    admission = _movable(sessions, shaped(Admission(room_id, connection_id, data, user)))
    return _Check(sessions, request_of(environ)).answer(lambda _: admission)


def upgrade_as(sessions: SessionLookup, request: Request, who: Callable[[], Admission]) -> Response:
    """Answer a request inside a view; ``who`` says which client it is, when the checks before have passed.

    Raises: what ``who`` raises, but a Refusal, which is the answer. ``shaped`` makes what it returns.
    """
    return _Check(sessions, request_of(request.environ)).answer(lambda _: _movable(sessions, who()))


class _Check:
    """One request and its checks. Threads: its request thread. Blocks: only in ``connect``."""

    def __init__(self, sessions: SessionLookup, request: Request) -> None:
        self._sessions = sessions
        self._request = request
        self._environ = request.environ
        self._params = ResumeParams(request)
        self._preflight = False
        self._found: ServerSocket | None = None
        self._handshake: Handshake | None = None

    def answer(self, who: Callable[[Request], Admission]) -> Response:
        try:
            response = self._admit(who)
        except (Refusal, NoVerdict) as refused:
            refusal = refused if isinstance(refused, Refusal) else no_verdict(refused)
            if not self._only_asks():
                self._sessions.refused(refusal.status, refusal.reason, refusal.log)
            response = self._refuse(refusal)
        response.headers["Cache-Control"] = "no-store"
        if self._preflight:
            self._allow_reading(response)
        return response

    # -- the checks, in order ---------------------------------------------------------------

    def _admit(self, who: Callable[[Request], Admission]) -> Response:
        self._found = find_socket(self._environ)
        if self._found is None:
            why, remedy = why_no_socket(self._environ)
            said = f"{why}. {SUPPORTED}. What to do: {remedy}"
            detail = f"This server cannot be upgraded to WebSocket: {said}."
            raise Refusal(501, RefusalReason.NO_SOCKET, detail, log=said)
        if self._sessions.in_cluster and not self._found.swappable:
            raise tls_with_cluster()
        if self._sessions.closing:
            raise closing()
        if not self._sessions.ready():
            raise broken()
        self._check_method()
        self._params.check_text()
        self._params.check_repeats()
        if self._is_plain():
            if not self._params.resume:
                raise upgrade_required("This is a WebSocket endpoint.")
            self._preflight = True
        else:
            self._check_handshake()
        self._check_origin()
        self._check_rate()
        admission = who(self._request)
        self._check_ids(admission)
        self._params.check_numbers()
        if self._preflight:
            return self._answer_preflight(admission)
        return self._decide(admission)

    def _check_method(self) -> None:
        # Not the request's own attribute, which has any method in capital letters.
        if self._environ.get("REQUEST_METHOD") != "GET":
            raise Refusal(
                405, RefusalReason.METHOD, "Only GET can be upgraded to WebSocket.", {"Allow": "GET"}
            )

    def _is_plain(self) -> bool:
        """Whether nothing in the request asks for a WebSocket."""
        upgrade = self._environ.get("HTTP_UPGRADE", "").lower()
        # A preflight may have its token in the same header as the upgrade, but no other WebSocket header.
        return "websocket" not in upgrade and not any(
            key.startswith("HTTP_SEC_WEBSOCKET_") and key != "HTTP_SEC_WEBSOCKET_PROTOCOL"
            for key in self._environ
        )

    def _only_asks(self) -> bool:
        """Whether this is a preflight, and no upgrade, whichever check it has come to."""
        return self._preflight or (self._params.resume and self._is_plain())

    def _check_handshake(self) -> None:
        if self._environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
            raise Refusal(
                400,
                RefusalReason.HANDSHAKE,
                "WebSocket needs HTTP/1.1; a proxy in between may need a setting for it.",
            )
        if has_body(self._environ):
            raise Refusal(
                400,
                RefusalReason.HANDSHAKE,
                "A request with a body cannot be upgraded: its body would be taken for frames.",
            )
        try:
            config = self._sessions.config
            known = (SUBPROTOCOL,) if self._params.v1 else config.subprotocols
            self._handshake = Handshake(self._environ, known, config.compression)
        except HandshakeError as error:
            headers = dict(error.headers)
            if error.status == 426:
                headers["Upgrade"] = "websocket"
            detail = f"Not a valid WebSocket handshake: {error}."
            raise Refusal(error.status, RefusalReason.HANDSHAKE, detail, headers) from error

    def _check_origin(self) -> None:
        origin = self._environ.get("HTTP_ORIGIN")
        if origin is not None and not self._is_allowed(origin):
            close = (CloseCode.FORBIDDEN, "forbidden")
            raise Refusal(403, RefusalReason.ORIGIN, "This origin is not allowed.", close=close)

    def _is_allowed(self, origin: str) -> bool:
        return origin_allowed(origin, self._sessions.config.allowed_origins, self._environ)

    def _check_rate(self) -> None:
        # A preflight is no upgrade: it is as any other page of the application.
        if self._preflight:
            return
        wait = self._sessions.admit(self._address, self._params.resume)
        if wait > 0:
            raise too_often(wait)

    @property
    def _address(self) -> str:
        """The client's, or the proxy's: whoever wraps the application in ProxyFix decides that."""
        return str(self._environ.get("REMOTE_ADDR", ""))

    def _check_ids(self, admission: Admission) -> None:
        try:
            validate_identifier("room_id", admission.room_id)
            if admission.connection_id:
                validate_identifier("connection_id", admission.connection_id)
            if admission.user is not None:
                validate_identifier("user", admission.user)
        except ValueError as error:
            raise Refusal(400, RefusalReason.IDS, f"{error}.") from error

    def _answer_preflight(self, admission: Admission) -> Response:
        if not admission.connection_id and not self._params.token:
            raise generated_id()
        self._params.find(self._sessions, admission)
        self._params.check_preflight()
        return Response(status=204)

    def _decide(self, admission: Admission) -> Response:
        params = self._params
        self._start()
        params.find(self._sessions, admission)
        params.check_user(self._sessions)
        if params.is_resume(admission.connection_id):
            params.check(self._sessions, admission.connection_id or "")
        elif params.meets_generated_id or (
            self._sessions.config.on_duplicate == "reject" and params.is_duplicate()
        ):
            close = (CloseCode.CONFLICT, "connection id in use")
            raise Refusal(409, RefusalReason.DUPLICATE, "This connection id is in use.", close=close)
        params.check_drain(admission.connection_id)
        if params.comes_back(admission.connection_id):
            self._sessions.give_back(self._address, params.resume)
        if params.seen is None and params.hub_is_full:
            raise full()
        return self._switch(params.registration(admission), admission.data)

    # -- answers ----------------------------------------------------------------------------

    def _start(self) -> None:
        if not self._sessions.in_cluster:
            warn_once(self._environ)
        try:
            self._sessions.start()
        except HubClosed:
            raise closing() from None
        except (RuntimeError, OSError) as error:
            raise Refusal(
                503, RefusalReason.NO_THREADS, "The server has no thread free.", LATER, log=str(error)
            ) from error

    def _switch(self, registration: Register, data: Any) -> Response:
        assert self._found is not None, "checked before"
        assert self._handshake is not None, "checked before"
        return switching(Upgrade(self._sessions, self._found, self._handshake, registration, data))

    def _refuse(self, refusal: Refusal) -> Response:
        if refusal.close is not None and self._params.reject_by_close:
            response = self._refuse_by_close(refusal.close)
            if response is not None:
                return response
        response = refusal.response
        if response is None:
            response = problem(refusal.status, refusal.detail, refusal.headers, **refusal.members)
        return response if self._sessions.config.problem_details else without_body(response)

    def _refuse_by_close(self, close: tuple[int, str]) -> Response | None:
        """Accept the upgrade only to close it with a code; None where that is not possible."""
        try:
            if self._handshake is None and not self._preflight:
                self._check_method()
                self._check_handshake()
            # A closing hub does this too, as long as it has a thread that can write the close frame.
            if not self._sessions.may_refuse_by_close():
                self._sessions.start()
        except (Refusal, NoVerdict, HubClosed, RuntimeError, OSError):
            return None
        if self._preflight or not self._sessions.may_refuse_by_close():
            return None
        chance = self._sessions.runtime.chance()
        registration = Register(transport=0, connection_id="", room_id="", refusal=close, chance=chance)
        return self._switch(registration, None)

    def _allow_reading(self, response: Response) -> None:
        """Let a page of another origin, if allowed, read the answer to its preflight (CORS)."""
        origin = self._environ.get("HTTP_ORIGIN")
        response.vary.add("Origin")
        if origin is not None and self._is_allowed(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Credentials"] = "true"


def _ask(sessions: SessionLookup, connect: Callable[..., Any] | None, request: Request) -> Admission:
    """Call the application's ``connect``. Any exception becomes a Refusal, with no details for the client."""
    try:
        if connect is None:
            raise TypeError(
                "Hub(connect=…) is needed for hub.wsgi_app; without it, use hub.upgrade in a view"
            )
        return _movable(sessions, _decision(connect, request))
    except Refusal:
        raise
    except BaseException as error:
        if passes(error):
            raise
        log.error("connect failed", exc_info=error)
        detail = "The server failed to decide about this connection."
        raise Refusal(500, RefusalReason.CONNECT_FAILED, detail) from error


def _decision(connect: Callable[..., Any], request: Request) -> Admission:
    try:
        return shaped(connect(request))
    except HTTPException as error:
        # A copy, since its headers are about to change and the application may raise it again.
        response = copy.copy(Response.force_type(error.get_response(request.environ)))
        response.headers = response.headers.copy()
        raise Refusal(
            response.status_code,
            RefusalReason.APPLICATION,
            "",
            close=close_of(response),
            response=response,
        ) from error
    except (ConnectRejected, PermissionError) as error:
        log.info("connect refused a client: %s", type(error).__name__)
        raise Refusal(401, RefusalReason.APPLICATION, "Not allowed.") from error


def shaped(wanted: Any, where: str = "connect", also: str = "") -> Admission:
    """Check the types of what the application gave, and copy its data. Raises: TypeError.

    ``where``: how the error calls the application's function; ``also``: what else that may return.
    """
    if isinstance(wanted, tuple) and len(wanted) in (2, 3):
        wanted = Admission(*wanted)
    if not isinstance(wanted, Admission):
        raise TypeError(
            f"{where} must return {also}(room_id, connection_id), (room_id, connection_id, data) or "
            f"Admission(room_id, connection_id, data, user), not {type(wanted).__name__}"
            + (f" of {len(wanted)}" if isinstance(wanted, tuple) else "")
        )
    return replace(
        wanted,
        room_id=_plain_str(wanted.room_id),
        connection_id=_plain_str(wanted.connection_id) if wanted.connection_id is not None else None,
        data={} if wanted.data is None else copy.copy(wanted.data),
        user=_plain_str(wanted.user) if wanted.user is not None else None,
    )


def _movable(sessions: SessionLookup, admission: Admission) -> Admission:
    """The admission with the data that handlers will see. Raises: TypeError, if a move would change them."""
    data = sessions.data_of(admission.data)
    return admission if data is admission.data else replace(admission, data=data)


def _plain_str(text: str) -> str:
    # The hub thread compares ids: the methods of a subclass are the application's code, which must not run
    # there.
    return text if type(text) is str else str.__str__(text)


def origin_allowed(origin: str, allowed: str | tuple[str, ...] | None, environ: Mapping[str, Any]) -> bool:
    """Whether a page of this origin may send the request; ``allowed`` None: only the request's own host."""
    if allowed == "*":
        return True
    try:
        origin = normalize_origin(origin)
    except ValueError:
        return False
    if allowed is not None:
        return origin in allowed
    # The scheme is not compared: behind a proxy that ends TLS, the origin has https and the request http.
    # The host is what protects. ``origin`` has no default port, so Host must not have it either.
    host = environ.get("HTTP_HOST", "")
    scheme = urlsplit(origin).scheme
    try:
        return origin == normalize_origin(f"{scheme}://{host}")
    except ValueError:
        return False
