"""The order in which a hub's callbacks begin: on_start, then each on_adopt, then everything else.

While a hub adopts sessions, and while on_start runs, the queues of callbacks are held. An on_adopt runs as
the first callback of its session, all of them side by side. When they have returned, or after a second, the
queues go on: a handler that hangs holds up nobody but its own session. A hub without handlers of on_start
that adopts nothing holds nothing. Made by ``hub_loop.py``; the effect runner enters the sessions. Read next:
``../session/serial_queue.py``, ``moving.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from ..runtime.base import Runtime
from ..runtime.foreign_code import Log, passes
from ..session.serial_queue import Callback, CallbackPool, SerialQueue
from ..session.services import Services

log = Log(__name__)

# So many looks of the watcher, four in a second, until everything goes on though a handler has not returned.
_PATIENCE = 5


@dataclass(slots=True, eq=False, repr=False)
class HubCall:
    """A callback of the hub itself: on_start or on_stop. ``told`` is called when the handlers returned."""

    _services: Services
    hook: str
    _hub: object
    _told: Callable[[], None]
    size: int | None = None

    @property
    def session(self) -> NoReturn:
        raise AssertionError("the hub's own callbacks belong to no session")

    def run(self) -> None:
        self._services.observers.note("hub", self.hook)
        try:
            for handler in self._services.handlers[self.hook]:
                self._call(handler)
        finally:
            self._told()

    def _call(self, handler: Callable[..., Any]) -> None:
        try:
            handler(self._hub)
        except BaseException as cause:
            if passes(cause):
                raise
            log.error("a handler of %s raised", self.hook, exc_info=cause, hook=self.hook)

    def is_stale(self) -> bool:
        return False


class Beginning:
    """One hub's. Any thread, unless said otherwise; nothing here blocks.

    ``hub``: returns what the handlers of on_start and on_stop get.
    """

    def __init__(
        self, runtime: Runtime, services: Services, pool: CallbackPool, hub: Callable[[], Any]
    ) -> None:
        self._lock = runtime.lock("the beginning of the hub")
        self._services = services
        self._hub = hub
        self._own_queue = SerialQueue(runtime, pool, 0, "the hub")
        #: Whether queues are held. The hub thread looks at it with each session that begins or arrives.
        self.holds = False
        self._held: list[tuple[SerialQueue, Callback | None]] = []
        self._looks: int | None = None
        self._adopting = 0
        self._may_adopt = False
        self._has_started = False

    # -- the beginning ----------------------------------------------------------------------

    def hold_back(self) -> None:
        """From now on no callback starts of a session that begins or arrives. Next: ``run``."""
        with self._lock:
            self.holds = True

    def enter(self, queue: SerialQueue, on_adopt: Callback | None) -> None:
        """Hub thread: a session begins or arrives; nothing of it is queued yet.

        If the hub holds callbacks back, its queue is held; else ``on_adopt`` is queued.
        """
        with self._lock:
            held = self.holds and queue.take_turn()
            now = held and self._may_adopt and on_adopt is not None
            if held and not now:
                self._held.append((queue, on_adopt))
            if now:
                self._adopting += 1
        if now and on_adopt is not None:
            queue.run_alone(on_adopt, lambda: self._adopted(queue))
        elif on_adopt is not None and not held:
            queue.post(on_adopt)

    def enter_late(self, queue: SerialQueue, on_adopt: Callback | None) -> None:
        """Any thread: a session that arrived before has its callbacks here from now on; its queue is held.

        As for ``enter``: not before on_start has returned.
        """
        with self._lock:
            if waits := self.holds and not self._may_adopt:
                self._held.append((queue, on_adopt))
        if waits:
            return
        if on_adopt is not None:
            queue.run_alone(on_adopt, queue.let_go)
        else:
            queue.let_go()

    def run(self) -> None:
        """Run on_start, then what was entered. A second call before a ``cease`` runs no on_start again."""
        with self._lock:
            self._looks = 0
            wanted = not self._has_started and bool(self._services.handlers["on_start"])
            self._has_started = True
            self.holds = self.holds or wanted
            idle = not self.holds
        if idle:
            return
        if wanted:
            self._own_queue.post(HubCall(self._services, "on_start", self._hub(), self._adopt))
        else:
            self._adopt()

    def _adopt(self) -> None:
        with self._lock:
            if self._may_adopt or not self.holds:
                return  # the second has passed
            self._may_adopt = True
            first = [(queue, call) for queue, call in self._held if call is not None]
            self._held = [(queue, call) for queue, call in self._held if call is None]
            self._adopting += len(first)
        for queue, call in first:
            queue.run_alone(call, lambda queue=queue: self._adopted(queue))  # type: ignore[misc]
        self._go_on_if_done()

    def _adopted(self, queue: SerialQueue) -> None:
        with self._lock:
            late = not self.holds
            if not late:
                self._adopting -= 1
                self._held.append((queue, None))
        if late:
            queue.let_go()
        else:
            self._go_on_if_done()

    def _go_on_if_done(self) -> None:
        with self._lock:
            done = self._may_adopt and not self._adopting
        if done:
            self._go_on()

    def _go_on(self) -> None:
        with self._lock:
            held, self._held = self._held, []
            self.holds = self._may_adopt = False
            self._adopting, self._looks = 0, None
        for queue, _ in held:
            queue.let_go()

    def look(self) -> None:
        """The watcher's, four times a second: after a second the callbacks go on."""
        with self._lock:
            if self._looks is None or not self.holds:
                return
            self._looks += 1
            late = self._looks >= _PATIENCE
            waits_for = "on_adopt" if self._may_adopt else "on_start"
        if late:
            log.warning(
                "a handler of %s takes longer than a second: all other callbacks go on meanwhile", waits_for
            )
            self._adopt()
            self._go_on()

    # -- the end ----------------------------------------------------------------------------

    def cease(self, told: Callable[[], None]) -> None:
        """Run on_stop if the hub has begun, and then ``told``; then it may begin again (``run``)."""
        with self._lock:
            begun, self._has_started = self._has_started, False
        if begun and self._services.handlers["on_stop"]:
            self._own_queue.post(HubCall(self._services, "on_stop", self._hub(), told))
        else:
            told()
