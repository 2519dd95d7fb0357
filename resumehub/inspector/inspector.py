"""``Inspector``: the pages of a hub's operators, as a WSGI application, or inside any view.

It is there only where the application mounts it, and lets in only whom ``authorize`` lets in. It keeps
nothing of its own: each request asks the hub. Threads: request threads. Read next: ``guard.py`` (who may),
``questions.py`` (what is asked), ``pages.py`` (what is shown).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from ..errors import HubClosed, HubUnavailable
from ..handlers import check_handler
from ..hub import Hub
from ..server.looks import EndAsked, EndedAsked, EndedSeen, EndSaid
from . import pages, questions, session_page
from .guard import HEADERS, Forms, plain, refusal
from .layout import ShownPage, document
from .markup import Markup, url

STYLE: Final = "inspector.css"

_DEEDS: Final = ("kick", "expire")


class Inspector:
    """Shows what a hub holds, to whom ``authorize`` lets in; from any process of a cluster.

    Next: mount it (``DispatcherMiddleware(app, {"/_sessions": Inspector(hub, authorize=…)})``). In a Flask
    application ``ResumeHub(app, inspector=may_inspect)`` does that. Build it where the hub is built, in every
    process: from then on the hub keeps the last events of each session, about 1 KB, at most 14 KB for each.

    ``authorize(request)``: called for each request, with a werkzeug Request; only True lets it in. False, and
    all else, is 403; it may raise an HTTPException, which is the answer. ``secret``: a text that only the
    application knows, the same in all its processes; it makes the tokens of forms harder to forge.
    ``actions``: False leaves kick and expire out.

    Raises: TypeError for what is no Hub, and without an ``authorize``; RuntimeError once the hub runs.
    Threads: any. Blocks: never; a request until the hub has answered.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        authorize: Callable[[Request], Any] | None = None,
        secret: str | bytes = b"",
        actions: bool = True,
    ) -> None:
        if not isinstance(hub, Hub):
            raise TypeError(
                f"Inspector(hub) takes a resumehub.Hub, not {type(hub).__name__}; in a Flask application "
                "write ResumeHub(app, inspector=may_inspect)"
            )
        if authorize is None:
            raise TypeError(
                "Inspector(hub) needs authorize=…, a function of the request that returns True for whoever "
                "may see all sessions, and kick them; there is no default, since that would be everybody"
            )
        check_handler(authorize, "Inspector(authorize)", "request")
        if not isinstance(secret, str | bytes):
            raise TypeError(f"secret must be a str or bytes, not {type(secret).__name__}")
        if not isinstance(actions, bool):
            raise TypeError(f"actions must be True or False, not {actions!r}")
        hub.runner.record()
        self._hub = hub
        self._authorize = authorize
        self._forms = Forms(secret.encode() if isinstance(secret, str) else secret)
        self._actions = actions

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """The WSGI application."""
        request = Request(environ)
        base = environ.get("SCRIPT_NAME", "").encode("latin-1").decode("utf-8", "replace").rstrip("/")
        return self.answer(request, request.path if environ.get("PATH_INFO") else "", base)(
            environ, start_response
        )

    def answer(self, request: Request, path: str, base: str) -> Response:
        """The answer to a request, for a view. ``path``: below ``base``, with a slash in front, or "".

        ``base``: where the inspector is mounted, as a browser writes it. Raises: nothing. Blocks: until
        ``authorize`` and the hub have answered.
        """
        refused = refusal(self._authorize, request)
        if refused is not None:
            return refused
        if path == "":
            return _with_headers(redirect(url(base, ""), 308, Response))
        parts = path.strip("/").split("/") if path != "/" else []
        if parts == [STYLE]:
            return _with_headers(Response(_style(), mimetype="text/css"))
        if request.method == "POST":
            return self._do(request, parts, base)
        if request.method not in ("GET", "HEAD"):
            answer = plain(405, "Only GET, HEAD and POST are answered here.")
            answer.headers["Allow"] = "GET, HEAD, POST"
            return answer
        return self._show(request, parts, base)

    # -- to look ----------------------------------------------------------------------------

    def _show(self, request: Request, parts: list[str], base: str) -> Response:
        cookie = self._forms.cookie_of(request)
        page = ShownPage(base, "/".join(parts), _query(request))
        status = 200
        try:
            shown = self._page(page, parts, cookie)
        except (HubUnavailable, HubClosed) as error:
            status, shown = 503, pages.unavailable(page, str(error), questions.nodes(self._hub))
        if shown is None:
            status, shown = 404, pages.not_found(page, session=parts[:1] == ["session"])
        body = document(page, shown).encode("utf-8", "backslashreplace")
        answer = _with_headers(Response(body, status, mimetype="text/html"))
        self._forms.keep(answer, request, cookie, base)
        return answer

    def _page(self, page: ShownPage, parts: list[str], cookie: str) -> Markup | None:
        """The page at ``parts``; None: there is none. Raises: HubUnavailable, HubClosed."""
        hub = self._hub
        match parts:
            case []:
                return pages.overview(page, hub.stats(), hub.runner.refusals.counts(), questions.nodes(hub))
            case ["sessions"]:
                asked = pages.sessions_asked(page.args)
                return pages.sessions(page, asked, questions.sessions(hub, asked))
            case ["rooms" | "users" as kind]:
                names_asked = pages.names_asked(page.args, users=kind == "users")
                return pages.names(page, names_asked, questions.names(hub, names_asked))
            case ["ended"]:
                here = hub.runner.recorder if hub.member is not None else None
                return pages.ended(page, questions.told(hub, EndedAsked(), EndedSeen), here)
            case ["session", life]:
                seen = questions.life(hub, life)
                if seen is None:
                    return None
                tokens = {deed: self._forms.token(cookie, f"{deed} {life}") for deed in _DEEDS}
                return session_page.session(page, seen, tokens if self._actions else {})
        return None

    # -- to change something ----------------------------------------------------------------

    def _do(self, request: Request, parts: list[str], base: str) -> Response:
        match parts:
            case ["session", life, deed] if deed in _DEEDS and self._actions:
                fault = self._forms.fault(request, f"{deed} {life}")
                if fault:
                    return plain(403, f"This request may not change anything: {fault}.")
                try:
                    said = questions.told(self._hub, EndAsked(life, deed == "expire"), EndSaid)
                except (HubUnavailable, HubClosed) as error:
                    return plain(503, f"Nothing is known of what became of it: {error}")
                came = deed if said.ended else "connected" if said.connected else "over"
                return _with_headers(redirect(url(base, "session", life, done=came), 303, Response))
        return plain(404, "There is nothing to do here.")


def _query(request: Request) -> Mapping[str, str]:
    try:
        return request.args
    except UnicodeDecodeError:  # a server may pass raw bytes on: then nothing is asked for
        return {}


def _with_headers(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response


@cache
def _style() -> bytes:
    return files("resumehub").joinpath("static", STYLE).read_bytes()
