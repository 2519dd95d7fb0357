"""Which callbacks of a hub have run, so that a test's client can wait for them.

It registers handlers behind those of the application, and so runs last. Knows hooks and connections, and no
socket. Made by ``session_client.py``; its handlers run on the hub's threads, its waits on the test's. Read
next: ``session_client.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from ..errors import ResumeHubError
from ..hub import Hub
from ..session.connection import Connection

PATIENCE = 10.0
"""Real seconds: a hang guard."""


@dataclass(slots=True)
class SeenCallbacks:
    """How often callbacks of a session have run: ``begins``, connect and restore; ``ends``, drop and end."""

    begins: int = 0
    ends: int = 0


class CallbackWatch:
    """Which callbacks of a hub have run; its handlers are the last ones of each hook that it watches."""

    def __init__(self, hub: Hub) -> None:
        self._changed = threading.Condition()
        self._seen: WeakKeyDictionary[Connection, SeenCallbacks] = WeakKeyDictionary()
        hub.on_join(self._join)  # of the home room, behind on_connect
        hub.on_transport_restore(self._begin)
        hub.on_transport_drop(self._end)
        hub.on_disconnect(self._end)

    def _join(self, connection: Connection, room_id: str, reason: str) -> None:
        if reason == "connect":
            self._begin(connection)

    def _begin(self, connection: Connection) -> None:
        with self._changed:
            self._of(connection).begins += 1
            self._changed.notify_all()

    def _end(self, connection: Connection, error: ResumeHubError | None) -> None:
        with self._changed:
            self._of(connection).ends += 1
            self._changed.notify_all()

    def _of(self, connection: Connection) -> SeenCallbacks:
        return self._seen.setdefault(connection, SeenCallbacks())

    def seen(self, connection: Connection | None) -> SeenCallbacks:
        """What has run by now."""
        with self._changed:
            return replace(self._of(connection)) if connection is not None else SeenCallbacks()

    def wait_begin(self, connection: Connection, before: SeenCallbacks) -> None:
        """Wait for a connect or restore after ``before``; a drop, if that raised, will do as well."""
        self._wait(
            connection,
            lambda now: now.begins > before.begins or now.ends > before.ends,
            "on_connect or on_transport_restore",
        )

    def wait_end(self, connection: Connection, before: SeenCallbacks) -> None:
        """Wait for a drop or the end after ``before``."""
        self._wait(connection, lambda now: now.ends > before.ends, "on_transport_drop")

    def _wait(self, connection: Connection, condition: Callable[[SeenCallbacks], bool], hooks: str) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self._of(connection)), PATIENCE):
                raise AssertionError(f"the handlers of {hooks} have not returned for {connection.id!r}")
