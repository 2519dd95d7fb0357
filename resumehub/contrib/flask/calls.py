"""What ``ResumeHub`` passes on to the hub of the current application: the hooks, and the calls of ``Hub``.

Each does what ``Hub`` says, and raises RuntimeError besides where it is not clear which application is meant
(``ResumeHub.current``). Read next: ``../../hub.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from ...cluster.readiness import Readiness
from ...health import Health
from ...hub import Hub
from ...message import Message
from ...session.connection import Connection

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


class HubCalls(ABC):
    """The hooks and calls of ``Hub``, for the application whose context is current."""

    @property
    @abstractmethod
    def hub(self) -> Hub:
        """The hub of the current application."""

    @abstractmethod
    def hook(self, name: str, handler: _Handler) -> _Handler:
        """Register a handler of a hook."""

    def on_connect(self, handler: _Handler) -> _Handler:
        """Decorator; see ``Hub.on_connect``. The handler has an application context."""
        return self.hook("on_connect", handler)

    def on_message(self, handler: _Handler) -> _Handler:
        """Decorator; see ``Hub.on_message``. The handler has an application context."""
        return self.hook("on_message", handler)

    def on_transport_drop(self, handler: _Handler) -> _Handler:
        """Decorator; see ``Hub.on_transport_drop``. The handler has an application context."""
        return self.hook("on_transport_drop", handler)

    def on_transport_restore(self, handler: _Handler) -> _Handler:
        """Decorator; see ``Hub.on_transport_restore``. The handler has an application context."""
        return self.hook("on_transport_restore", handler)

    def on_join(self, handler: _Handler) -> _Handler:
        """Decorator; see ``Hub.on_join``. The handler has an application context."""
        return self.hook("on_join", handler)

    def on_leave(self, handler: _Handler) -> _Handler:
        """Decorator; see ``Hub.on_leave``. The handler has an application context."""
        return self.hook("on_leave", handler)

    def on_disconnect(self, handler: _Handler) -> _Handler:
        """Decorator; see ``Hub.on_disconnect``. The handler has an application context."""
        return self.hook("on_disconnect", handler)

    def on_start(self, handler: _Handler) -> _Handler:
        """Decorator; see ``Hub.on_start``. The handler has an application context."""
        return self.hook("on_start", handler)

    def on_stop(self, handler: _Handler) -> _Handler:
        """Decorator; see ``Hub.on_stop``. The handler has an application context."""
        return self.hook("on_stop", handler)

    def on_adopt(self, handler: _Handler) -> _Handler:
        """Decorator; see ``Hub.on_adopt``. The handler has an application context."""
        return self.hook("on_adopt", handler)

    def on_release(self, handler: _Handler) -> _Handler:
        """Decorator; see ``Hub.on_release``. The handler has an application context."""
        return self.hook("on_release", handler)

    def send(self, connection_id: str, message: Message) -> None:
        """See ``Hub.send``."""
        self.hub.send(connection_id, message)

    def broadcast(
        self, room_id: str | Iterable[str], message: Message, exclude: Iterable[str | Connection] | None = ()
    ) -> None:
        """See ``Hub.broadcast``."""
        self.hub.broadcast(room_id, message, exclude)

    def send_to_user(self, user: str, message: Message) -> int:
        """See ``Hub.send_to_user``."""
        return self.hub.send_to_user(user, message)

    def kick(self, connection_id: str) -> None:
        """See ``Hub.kick``."""
        self.hub.kick(connection_id)

    def kick_user(self, user: str) -> None:
        """See ``Hub.kick_user``."""
        self.hub.kick_user(user)

    def get(self, connection_id: str) -> Connection | None:
        """See ``Hub.get``."""
        return self.hub.get(connection_id)

    def connections(self, room_id: str | None = None, *, user: str | None = None) -> list[Connection]:
        """See ``Hub.connections``."""
        return self.hub.connections(room_id, user=user)

    def count(self, room_id: str) -> int:
        """See ``Hub.count``."""
        return self.hub.count(room_id)

    def rooms(self) -> list[str]:
        """See ``Hub.rooms``."""
        return self.hub.rooms()

    def ids(self, room_id: str, limit: int = 1000) -> list[str]:
        """See ``Hub.ids``."""
        return self.hub.ids(room_id, limit)

    def health(self) -> Health:
        """See ``Hub.health``."""
        return self.hub.health()

    def ready(self) -> Readiness | bool:
        """See ``Hub.ready``."""
        return self.hub.ready()
