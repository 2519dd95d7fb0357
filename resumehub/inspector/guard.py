"""Who may look, and which requests may change something. It knows no page.

``authorize`` is the application's, and only True lets a request in. A request that changes something must
come from a page of this host (Origin, Sec-Fetch-Site), and have a token that belongs to a cookie and to what
is to be done: a page elsewhere can make a browser send a request, but knows no cookie. Each answer is kept by
no cache, shown in no frame, and runs no script. Threads: request threads. Read next: ``inspector.py``.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from ..runtime.foreign_code import Log, passes
from ..wsgi.checks import origin_allowed

log = Log(__name__)

COOKIE: Final = "resumehub_inspector"
TOKEN: Final = "token"
"""The field of a form."""

_LEAST_COOKIE: Final = 32
_MOST_BODY: Final = 4096

HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not "no-referrer": with that, a browser says "Origin: null" of a form.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer of the inspector's own."""


def refusal(authorize: Callable[[Request], Any], request: Request) -> Response | None:
    """Why this request is not let in; None: it is. Blocks: as ``authorize`` does."""
    try:
        allowed = authorize(request)
    except HTTPException as error:
        # Its own headers stay: a login page, or WWW-Authenticate.
        answer = Response.force_type(error.get_response(request.environ), request.environ)
        answer.headers["Cache-Control"] = "no-store"
        return answer
    except BaseException as error:
        if passes(error):
            raise
        log.error("authorize of the inspector raised: the request is answered with 500", exc_info=error)
        return plain(500, "The server failed to decide about this request.")
    if allowed is True:
        return None
    if allowed is not False and allowed is not None:
        log.error(
            "authorize of the inspector returned a %s: only True lets a request in; return a bool",
            type(allowed).__name__,
        )
    return plain(403, "You may not look at this.")


def plain(status: int, text: str) -> Response:
    """An answer that tells nothing else."""
    return Response(f"{text}\n", status, headers=dict(HEADERS), mimetype="text/plain")


class Forms:
    """Tokens of forms. ``secret``: of the application, the same in all its processes; "" does, too."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def cookie_of(self, request: Request) -> str:
        """The browser's, or a new one. Next: ``keep`` on the answer."""
        found = request.cookies.get(COOKIE, "")
        return found if len(found) >= _LEAST_COOKIE else secrets.token_urlsafe(_LEAST_COOKIE)

    def keep(self, response: Response, request: Request, cookie: str, base: str) -> None:
        """Have the browser keep the cookie, and send it with requests of this host's pages alone."""
        if request.cookies.get(COOKIE) != cookie:
            response.set_cookie(
                COOKIE,
                cookie,
                path=base or "/",
                secure=request.is_secure,
                httponly=True,
                samesite="Strict",
            )

    def token(self, cookie: str, deed: str) -> str:
        """The token of a form that does ``deed``, for the browser with this cookie."""
        key = self._secret + b"\0" + cookie.encode()
        return hmac.new(key, deed.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def fault(self, request: Request, deed: str) -> str:
        """Why a request may not do ``deed``; "": it may."""
        if (request.content_length or 0) > _MOST_BODY or request.content_length is None:
            return "the form is too long"
        site = request.headers.get("Sec-Fetch-Site")
        origin = request.headers.get("Origin")
        if site not in (None, "same-origin"):
            return "it comes from a page of another site"
        if origin is None and site is None:
            return "it has neither Origin nor Sec-Fetch-Site, so it comes from no page"
        if origin is not None and not origin_allowed(origin, None, request.environ):
            return "it comes from a page of another host (behind a proxy: pass the Host header on)"
        cookie = request.cookies.get(COOKIE, "")
        given = request.form.get(TOKEN, "")
        if len(cookie) < _LEAST_COOKIE or not hmac.compare_digest(
            given.encode(), self.token(cookie, deed).encode()
        ):
            return "its token is missing or wrong: load the page again"
        return ""
