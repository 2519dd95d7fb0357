"""What the lab checks in every scenario: the order of callbacks, the ledgers of frames, and the log.

Per connection id: connect, then messages and pairs of drop and restore, then perhaps a drop, then
disconnect, once and last; never two at a time (contract B1 and B2). On_join and on_leave of one room take
turns, and at the end every join has had its leave (E1). Per outbox: what was accepted has
been settled once, or is held (contract D6). Used by ``lab.py``; runs on the hub's own threads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from ..hooks import HOOKS
from ..hub import Hub
from ..session.connection import Connection
from .scheduler import Scheduler
from .tasks import Abandoned, Task, is_failure

_MEMBERSHIP = ("on_join", "on_leave")
_WITHIN_LIFE = ("on_connect", "on_adopt", "on_transport_restore", "on_transport_drop")

#: What may come behind what; None is the beginning. What is not ``_LASTING`` changes nothing of that.
_FOLLOWS: dict[str, tuple[str | None, ...]] = {
    "on_connect": (None,),
    "on_message": ("on_connect", "on_adopt", "on_transport_restore"),
    "on_transport_drop": ("on_connect", "on_adopt", "on_transport_restore"),
    "on_transport_restore": ("on_adopt", "on_transport_drop"),
    "on_disconnect": _WITHIN_LIFE,
    "on_join": _WITHIN_LIFE,
    "on_leave": _WITHIN_LIFE,
    "on_adopt": (None, "on_release"),
    "on_release": _WITHIN_LIFE,
}
_LASTING = (
    *("on_connect", "on_transport_drop", "on_transport_restore", "on_disconnect"),
    *("on_adopt", "on_release"),
)


class CallbackOrder(AssertionError):
    """A hub called its handlers in an order, or at the same time, that it must not."""


class CallbacksOfLives:
    """What was seen of each session, by its life: also of one that goes from one process to another."""

    def __init__(self) -> None:
        #: The last callback that counts for the order.
        self.last: dict[str, str] = {}
        self.rooms: dict[str, set[str]] = {}
        #: By connection id: the life, the callback and the thread that is in it now.
        self.inside: dict[str, tuple[str, str, Task | None]] = {}
        #: By connection id, the lives that it has had, oldest first.
        self.lives: dict[str, list[str]] = {}

    def forget(self, process: object) -> None:
        """The process was killed: nothing runs there any more."""
        self.inside = {
            whose: one
            for whose, one in self.inside.items()
            if one[2] is None or one[2].process is not process
        }


class CallbackCheck:
    """The callbacks of one hub. ``seen``: shared by the hubs of a cluster."""

    def __init__(self, hub: Hub, scheduler: Scheduler, seen: CallbacksOfLives | None = None) -> None:
        self._scheduler = scheduler
        self._seen = seen if seen is not None else CallbacksOfLives()
        #: What went wrong, if anything did; the lab looks here after every step.
        self.failure: BaseException | None = None
        told_of_rooms = any(hub.runner.handlers[hook] for hook in _MEMBERSHIP)
        for hook in HOOKS:
            handlers = hub.runner.handlers[hook]
            if hook in _MEMBERSHIP and not told_of_rooms:
                continue  # the hub calls nothing for them
            hub.runner.handlers[hook] = (
                self._observer(hook),
                *(self._wrapped(hook, one) for one in handlers),
            )

    def _observer(self, hook: str) -> Callable[..., Any]:
        def observe(connection: Connection, *arguments: Any) -> None:
            self._scheduler.did(f"{hook} of {'a session' if connection.id_is_generated else connection.id}")
            lives = self._seen.lives.setdefault(connection.id, [])
            if connection.life not in lives:
                lives.append(connection.life)
            last = self._seen.last.get(connection.life)
            if last not in _FOLLOWS[hook]:
                self._complain(f"{hook} of {connection.id!r} behind {last or 'nothing'}")
            if hook in _LASTING:
                self._seen.last[connection.life] = hook
            if hook in _MEMBERSHIP:
                self._moved(hook, connection, arguments[0])
            elif hook == "on_disconnect" and (left := self._seen.rooms.get(connection.life)):
                self._complain(f"{connection.id!r} was never told to have left {sorted(left)}")

        return self._wrapped(hook, observe)

    def _moved(self, hook: str, connection: Connection, room_id: str) -> None:
        rooms = self._seen.rooms.setdefault(connection.life, set())
        if (room_id in rooms) != (hook == "on_leave"):
            self._complain(f"{hook} of {connection.id!r} and room {room_id!r}, when it is in {sorted(rooms)}")
        rooms.symmetric_difference_update({room_id})

    def _wrapped(self, hook: str, handler: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(handler)
        def call(connection: Connection, *arguments: Any) -> Any:
            other = self._seen.inside.get(connection.id)
            task = self._scheduler.current
            if other is not None and other[2] is not task:
                which = "another session" if other[0] != connection.life else "it"
                self._complain(f"{hook} of {connection.id!r} while {other[1]} of {which} is running")
            before = task.application if task is not None else False
            self._seen.inside[connection.id] = (connection.life, hook, task)
            try:
                if task is not None:
                    task.application = True
                return handler(connection, *arguments)
            except BaseException as error:
                if is_failure(error):  # the hub only logs it
                    self.failure = self.failure or error
                raise
            finally:
                if task is not None:
                    task.application = before
                self._seen.inside.pop(connection.id, None)

        return call

    def _complain(self, what: str) -> None:
        self.failure = self.failure or CallbackOrder(f"callbacks out of order: {what}")


class CapturedLog(logging.Filter):
    """Keeps what the lab's threads log. "Please report this" is a failure of the run."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler
        #: What was logged, as records.
        self.records: list[logging.LogRecord] = []
        #: Whether it goes no further: no other handler sees it.
        self.quiet = False
        #: Whether such a line is no failure: the scenario has a thread of the hub fail.
        self.expects_bugs = False
        #: A sentence, once the hub has logged a bug of its own.
        self.bug: str | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, Abandoned):
            return False  # a handler was inside a wait when its run was given up
        task = self._scheduler.current
        if record.thread not in (self._scheduler.owner, task.thread.ident if task and task.thread else None):
            return True
        self.records.append(record)
        if record.getMessage().endswith("please report this") and not self.expects_bugs:
            self.bug = f"{record.getMessage()}: {error!r}"
        return not self.quiet
