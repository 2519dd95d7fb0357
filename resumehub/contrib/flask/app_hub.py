"""``AppHub``: what one Flask application has of the extension: its hub, its options, its way for tests.

It is ``app.extensions["resumehub"]``. Made by ``ResumeHub.init_app``, on the thread that builds the
application; the hub starts its threads with the first client. Any thread. Read next: ``extension.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from flask import Flask

from ...hub import Hub
from ...hub_life_cycle import CloseReport
from .contexts import in_context
from .options import AppOptions, config_of, make_hub
from .views import answer_upgrade

if TYPE_CHECKING:
    from werkzeug.test import Client
    from werkzeug.wrappers import Response

    from ...testing.session_client import SessionClient


class AppHub:
    """One application's hub. In a test, use it in ``with``: at the end the hub is closed.

    ``app``: the application; ``hub``: its ``Hub``; ``options``: what it was made with.
    """

    def __init__(self, app: Flask, options: AppOptions, owner: object) -> None:
        self.app = app
        self.options = options
        #: The ``ResumeHub`` that has initialised the application.
        self.owner = owner
        self.hub: Hub = make_hub(options)
        self._config = config_of(app.config)
        self._compared = False
        self._clients: list[SessionClient] = []

    def register(self, hook: str, handler: Callable[..., Any]) -> None:
        """Have the hub call a handler, in a context of this application."""
        getattr(self.hub, hook)(in_context(self.app, handler))

    def answer(self, view: Callable[..., Any], arguments: dict[str, Any]) -> Response:
        """The answer of a WebSocket route to the present request. Raises: see ``answer_upgrade``."""
        self._compare_config()
        return answer_upgrade(self.app, self.hub, view, arguments)

    def _compare_config(self) -> None:
        """Find options that were set too late to mean anything, with the first request."""
        if self._compared:
            return
        now = config_of(self.app.config)
        late = sorted(
            key
            for key in now.keys() | self._config.keys()
            if key not in now or key not in self._config or now[key] is not self._config[key]
        )
        if late:
            raise RuntimeError(
                f"app.config[{late[0]!r}] was changed after init_app, and the hub does not know it: set it "
                "before ResumeHub(app) or sockets.init_app(app)"
            )
        self._compared = True

    def connect(
        self,
        url: str,
        *,
        headers: Mapping[str, str | None] | Iterable[tuple[str, str | None]] = (),
        cookies: Mapping[str, str] | Client | None = None,
        timeout: float = 10.0,
    ) -> SessionClient:
        """For tests: open a session at ``url``, without a server and without a port.

        The request goes through the whole application, and the socket through the real hand-over. The client
        loses nothing over ``drop()`` and ``resume()``, as the JavaScript client. ``cookies``: names and
        values, or a test client that has logged in; ``headers`` are added to the request's, and None leaves
        one out.

        Raises: UpgradeRefused, when the answer is no 101; see ``resumehub.testing.open_session``.
        Threads: any; the client has none. Blocks: until the session has begun, at most ``timeout`` seconds.
        """
        from ...testing.session_client import open_session

        client = open_session(self.hub, self.app, url, headers=headers, cookies=cookies, timeout=timeout)
        self._clients.append(client)
        return client

    def close(self, timeout: float = 5.0) -> CloseReport:
        """Close what ``connect`` has opened, and the hub. Threads, blocks, raises: as ``Hub.close``."""
        for client in self._clients:
            client.abandon()
        self._clients.clear()
        return self.hub.close(timeout)

    def __enter__(self) -> AppHub:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        report = self.close()
        if not report.complete and error is None:
            stacks = "\n".join(f"{name}:\n{stack}" for name, stack in report.stuck)
            raise RuntimeError(f"the hub of {self.app.name!r} has threads that do not end:\n{stacks}")
