"""``ResumeHub``: what a Flask application registers, once, for every application that it initialises.

Routes and handlers are kept here, and each application has its own hub (``app_hub.py``), which is found by
the current application context. Registering is safe at any time, on any thread. Read next: ``app_hub.py``,
``calls.py`` (what is passed on to the hub), ``views.py``, ``options.py``.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

from flask import Blueprint, Flask, has_app_context
from flask.globals import app_ctx

from ...handlers import check_handler, check_runs
from ...hooks import ALL_HOOKS
from ...hub import Hub
from ...router import Router
from ...runtime.system import make_lock
from ...wsgi.probes import probes
from .admin import serve_admin
from .admin_commands import add_commands
from .app_hub import AppHub
from .calls import HubCalls
from .client_files import serve_client
from .inspector_views import serve_inspector
from .options import check_names, read_options

KEY: Final = "resumehub"
"""In ``app.extensions``."""

_View = TypeVar("_View", bound=Callable[..., Any])
_Handler = TypeVar("_Handler", bound=Callable[..., Any])


class ResumeHub(HubCalls):
    """The extension: ``sockets = ResumeHub()`` and later ``sockets.init_app(app)``, or ``ResumeHub(app)``.

    ``options``: those of ``Hub``, ``js_url``, ``admin_token``, ``probes``, ``inspector`` and
    ``inspector_url``. ``app.config["RESUMEHUB_…"]`` goes before them.

    Raises: TypeError for an unknown option, or an app that is no Flask; what ``init_app`` raises.
    Threads: any. Blocks: never.
    """

    def __init__(self, app: Flask | None = None, **options: Any) -> None:
        check_names(options)
        self._options = options
        self._lock = make_lock()
        # In order of registration. The hooks of Hub, with their handlers.
        self._handlers: list[tuple[str, Callable[..., Any]]] = []
        self._routes: list[tuple[str, str, Callable[..., Any], dict[str, Any]]] = []
        # One for each application that was initialised and whose hub is not closed. An application that
        # is gone counts on: otherwise the garbage collector decided what ``hub`` means.
        self._apps: list[weakref.ref[AppHub]] = []
        #: The ``Router`` behind ``on``, ``fallback`` and ``use``.
        self.router = Router()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Give ``app`` a hub, the routes and handlers of now and later, and the JavaScript client.

        Next: nothing; the hub starts its threads when the first client comes. Set ``app.config`` before.

        Raises: TypeError when ``app`` is no Flask; RuntimeError when it has been initialised before;
        TypeError or ValueError for an option, with its key in ``app.config``. Threads: any. Blocks: never.
        """
        if not isinstance(app, Flask):
            raise TypeError(f"ResumeHub takes a Flask application, not {type(app).__name__}")
        if KEY in app.extensions:
            raise RuntimeError(
                f"{app.name!r} has a ResumeHub already: call ResumeHub(app) or sockets.init_app(app) once "
                "for each application"
            )
        options = read_options(app.config, self._options)
        app_hub = AppHub(app, options, self)
        serve_client(app, options.js_url)
        serve_admin(app, app_hub.hub, options.admin_token)
        serve_inspector(app, app_hub.hub, options.inspector, options.inspector_url)
        add_commands(app)
        if options.probes:
            # In front of the application: no login and no session of it stands in the way of a probe.
            app.wsgi_app = probes(app_hub.hub, app.wsgi_app)  # type: ignore[assignment, method-assign]
        with self._lock:
            for hook, handler in self._handlers:
                app_hub.register(hook, handler)
            for rule, endpoint, view, rest in self._routes:
                _add_rules(app, rule, endpoint, view, rest)
            app.extensions[KEY] = app_hub
            self._apps.append(weakref.ref(app_hub))

    # -- routes -----------------------------------------------------------------------------

    def route(
        self, rule: str, *, blueprint: Blueprint | None = None, **options: Any
    ) -> Callable[[_View], _View]:
        """Decorator for a view that says who a WebSocket's client is.

        It runs in the request context and returns the room, ``(room, id)``, ``(room, id, data)`` or an
        ``Admission``. A Response that it returns instead, or ``abort(…)``, refuses. It also runs for the
        question whether a session can be resumed, which is a plain GET. ``url_for(endpoint)`` gives the path.
        ``blueprint``: the route is the blueprint's, under its ``url_prefix``. ``options``: those of
        ``app.route``, but for ``methods`` and ``websocket``.

        Raises: TypeError, ValueError for a wrong argument. The decorator returns the view unchanged.
        """
        if not isinstance(rule, str):
            raise TypeError(f'sockets.route takes a rule: write @sockets.route("/ws/<room>"), not {rule!r}')
        if blueprint is not None and not isinstance(blueprint, Blueprint):
            raise TypeError(f"blueprint must be a flask.Blueprint, not {type(blueprint).__name__}")
        for name in ("methods", "websocket"):
            if name in options:
                raise TypeError(
                    f"sockets.route({rule!r}) takes no {name}: a WebSocket is always opened by GET"
                )
        endpoint = options.pop("endpoint", None)

        def register(view: _View) -> _View:
            check_runs(view, f"sockets.route({rule!r}) takes a function of the rule's variables")
            name = endpoint or getattr(view, "__name__", "")
            if not name:
                raise TypeError(f"sockets.route({rule!r}): give this view an endpoint=…, it has no name")
            answer = self._answering(view, name)
            if blueprint is not None:
                _add_rules(blueprint, rule, name, answer, options)
                return view
            with self._lock:
                self._routes.append((rule, name, answer, options))
                for app_hub in self._open_apps():
                    _add_rules(app_hub.app, rule, name, answer, options)
            return view

        return register

    def _answering(self, view: Callable[..., Any], name: str) -> Callable[..., Any]:
        def answer(**arguments: Any) -> Any:
            return self.current().answer(view, arguments)

        answer.__name__ = name
        answer.__doc__ = view.__doc__
        answer.__module__ = view.__module__
        return answer

    # -- handlers ---------------------------------------------------------------------------

    def on(self, pattern: str, *arguments: Any, **options: Any) -> Callable[[_Handler], _Handler]:
        """Decorator: the handler of an event; see ``Router.on``. It has an application context."""
        register = self.router.on(pattern, *arguments, **options)
        self._use_router()
        return register

    def fallback(self, handler: _Handler) -> _Handler:
        """Decorator: the handler of events that no other one is for; see ``Router.fallback``."""
        self._use_router()
        return self.router.fallback(handler)

    def use(self, middleware: _Handler) -> _Handler:
        """Put middleware around the handlers of events; see ``Router.use``."""
        self._use_router()
        return self.router.use(middleware)

    def _use_router(self) -> None:
        with self._lock:
            if not any(handler is self.router for _, handler in self._handlers):
                self._add("on_message", self.router)

    def hook(self, name: str, handler: _Handler) -> _Handler:
        """Have ``handler`` called by the hub of each application; ``name``: a hook of ``Hub``.

        Raises: TypeError for a handler that can't be called so.
        """
        check_handler(handler, f"sockets.{name}", *ALL_HOOKS[name])
        with self._lock:
            self._add(name, handler)
        return handler

    def _add(self, hook: str, handler: Callable[..., Any]) -> None:
        self._handlers.append((hook, handler))
        for app_hub in self._open_apps():
            app_hub.register(hook, handler)

    # -- whose hub --------------------------------------------------------------------------

    @property
    def hub(self) -> Hub:
        """The ``Hub`` of the current application. Raises: as ``current``."""
        return self.current().hub

    def current(self) -> AppHub:
        """What the current application has; without an application context: the only one's, if it is one.

        Raises: RuntimeError, when the current application is not initialised, or, without a context, when
        there is none or more than one. Threads: any. Blocks: never.
        """
        if has_app_context():
            app = app_ctx.app
            found = app.extensions.get(KEY)
            if isinstance(found, AppHub) and found.owner is self:
                return found
            other = "has another ResumeHub" if found is not None else "is not initialised"
            raise RuntimeError(
                f"the application {app.name!r} {other}: call sockets.init_app(app) of this one"
            )
        with self._lock:
            self._apps = [app for app in self._apps if (found := app()) is None or not found.hub.closing]
            living = self._open_apps()
            count = len(self._apps)
        if count == 1 and living:
            return living[0]
        which = f"{count} applications that are initialised" if count else "no application"
        raise RuntimeError(
            f"there is {which}, and no application context says which one is meant: use "
            "`with app.app_context():`, or app.extensions['resumehub'].hub"
            + ("; close() those that are over" if count > 1 else "")
        )

    def _open_apps(self) -> list[AppHub]:
        return [found for app in self._apps if (found := app()) is not None and not found.hub.closing]


def _add_rules(
    scaffold: Flask | Blueprint, rule: str, endpoint: str, view: Callable[..., Any], options: dict[str, Any]
) -> None:
    # Werkzeug matches a WebSocket's request only with websocket rules, and a plain GET, the client's question
    # before it resumes, only with the others. The plain one is first: ``url_for`` takes that, and gives a
    # path. Of the other it would make ws://…, which is wrong behind a proxy that ends TLS.
    for websocket in (False, True):
        scaffold.add_url_rule(rule, endpoint, view, methods=["GET"], websocket=websocket, **options)
