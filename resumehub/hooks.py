"""The hooks of a hub: which there are, with which arguments, and the decorators that register handlers.

It knows the names and what a handler must take; when each is called is decided in ``core/``, and by which
thread in ``session/serial_queue.py``. ``Hub`` has these decorators as its own. Any thread. Read next:
``handlers.py`` (what is checked), ``session/handler_calls.py`` (what a call is, and what becomes of what it
raises).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .handlers import check_handler
from .server.hub_runner import HubRunner

Handler = TypeVar("Handler", bound=Callable[..., Any])

HOOKS = {
    "on_connect": ("connection",),
    "on_join": ("connection", "room_id", "reason"),
    "on_message": ("connection", "message"),
    "on_transport_drop": ("connection", "error"),
    "on_transport_restore": ("connection",),
    "on_leave": ("connection", "room_id", "reason"),
    "on_disconnect": ("connection", "error"),
    "on_adopt": ("connection",),
    "on_release": ("connection",),
}
"""The hooks of a connection, with the arguments of their handlers."""

HUB_HOOKS = {"on_start": ("hub",), "on_stop": ("hub",)}
"""Those of the hub itself."""

ALL_HOOKS = {**HOOKS, **HUB_HOOKS}


class Hooks:
    """The decorators of ``Hub``. Several handlers of one hook run in the order in which they are registered.

    Each raises TypeError for a function that could not be called so, see ``handlers.py``. Threads: any; a
    handler that is registered late is called from the next callback on. Blocks: never.
    """

    #: Keeps the handlers.
    runner: HubRunner

    def on_connect(self, handler: Handler) -> Handler:
        """Decorator: ``handler(connection)`` when a session begins, before its first message.

        If it raises, the session ends with close code 1011. Not called for a resume.
        Handlers run on a thread of the hub's, one at a time for each connection id; several
        of one hook run in order of registration. They may block: only their own session waits.
        """
        return self._register("on_connect", handler)

    def on_message(self, handler: Handler) -> Handler:
        """Decorator: ``handler(connection, message)`` for every message; a ``Router`` is such a handler.

        If it raises, the transport ends with 1011 and the session waits for a resume.
        """
        return self._register("on_message", handler)

    def on_transport_drop(self, handler: Handler) -> Handler:
        """Decorator: ``handler(connection, error)`` when a session loses its transport.

        ``error``: TransportLost, HeartbeatTimeout or HandlerError; None after a takeover.
        """
        return self._register("on_transport_drop", handler)

    def on_transport_restore(self, handler: Handler) -> Handler:
        """Decorator: ``handler(connection)`` when a client has resumed its session."""
        return self._register("on_transport_restore", handler)

    def on_join(self, handler: Handler) -> Handler:
        """Decorator: ``handler(connection, room_id, reason)`` when a session has become a member of a room.

        ``reason``: ``"connect"`` for the home room, right behind on_connect; ``"join"`` after
        ``connection.join``. What it raises is only logged, and the membership stands. Not called after an
        on_connect that raised.
        """
        return self._register("on_join", handler)

    def on_leave(self, handler: Handler) -> Handler:
        """Decorator: ``handler(connection, room_id, reason)`` when a membership has ended.

        Exactly once for each on_join of the session. ``reason``: ``"leave"`` after ``connection.leave``; when
        the session ends, for each of its rooms and before on_disconnect, why it ends, as the metrics say:
        ``"normal"``, ``"kick"``, ``"transport_lost"``, ``"grace_expired"``, ``"hub_close"``, ``"duplicate"``,
        ``"handler_error"`` or ``"gap"``. What it raises is only logged.
        """
        return self._register("on_leave", handler)

    def on_disconnect(self, handler: Handler) -> Handler:
        """Decorator: ``handler(connection, error)``, once and last, when a session has ended.

        ``error``: None after a client's leave, ``close()`` or a kick; DuplicateConnectionId; HubClosed;
        otherwise why the last transport was lost.
        """
        return self._register("on_disconnect", handler)

    def on_start(self, handler: Handler) -> Handler:
        """Decorator: ``handler(hub)``, once, when this process becomes the one that runs the callbacks.

        Before any other callback, and behind the adoption of the sessions that there are already: set your
        tables right from ``hub.ids``, start what ticks. Without a cluster that is at the first upgrade. If
        it takes longer than a second, other callbacks begin meanwhile. What it raises is only logged.
        """
        return self._register("on_start", handler)

    def on_stop(self, handler: Handler) -> Handler:
        """Decorator: ``handler(hub)``, once, when this process ceases to be that one: stop what ticks.

        Before any on_release. When a hub is closed, it runs beside the on_disconnect of its sessions. If a
        move fails, on_start runs again. What it raises is only logged.
        """
        return self._register("on_stop", handler)

    def on_adopt(self, handler: Handler) -> Handler:
        """Decorator: ``handler(connection)`` when a living session has come from another process.

        It is the first callback of that session here, and on_connect does not run again: register one
        function for both. What it raises is only logged. Without a cluster it is never called.
        """
        return self._register("on_adopt", handler)

    def on_release(self, handler: Handler) -> Handler:
        """Decorator: ``handler(connection)`` when a living session leaves for another process.

        It is the last callback of that session here; ``connection.data`` is written down behind it. A
        function ``(connection, error=None)`` does for on_disconnect too. What it raises is only logged.
        Without a cluster it is never called.
        """
        return self._register("on_release", handler)

    def _register(self, hook: str, handler: Handler) -> Handler:
        check_handler(handler, f"hub.{hook}", *ALL_HOOKS[hook])
        self.runner.add_handler(hook, handler)
        return handler
