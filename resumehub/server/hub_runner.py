"""Starts one ``HubLoop`` in each process, on first use, and answers for the hub before that.

A hub can be built anywhere, also before a server forks: no thread starts until the hub is first used to
accept a connection, and then in that process. The request side uses this object as its ``SessionLookup``
(``wsgi/session_lookup.py``); ``Hub`` calls it for the application. Read next: ``hub_loop.py``.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..clock import Clock
from ..core.commands import GapFound, Register, TransportAborted
from ..core.drain import Drain
from ..errors import HubClosed
from ..incoming.dialled import Dialled
from ..incoming.transport_io import HostThread
from ..reasons import RefusalReason
from ..runtime.base import Runtime
from ..session.observers import call_collector
from ..session.recent import What
from ..session.recorder import Recorder
from ..session.seen_session import Found, SeenSession
from ..stats import Stats
from ..transport.base import Transport
from ..transport.sockets import PlainSocket
from .connect_gate import ConnectGate
from .hub_loop import HubLoop
from .hub_parts import HubParts
from .hub_stats import stats_of
from .refusal_reports import RefusalReports
from .registry import SessionRegistry

_runners: weakref.WeakSet[HubRunner] = weakref.WeakSet()


@dataclass(eq=False, repr=False)
class HubRunner(HubParts):
    """One hub's parts, and its loop once it runs. Methods: any thread; none blocks unless it says so."""

    #: The running hub; None until the first use in this process.
    loop: HubLoop | None = None
    #: Whether ``close`` was called.
    closed: bool = False
    #: See ``SessionLookup``; in a cluster another object answers for the hub.
    in_cluster: bool = False
    #: Why no handler can be added any more; "" while that is possible.
    sealed: str = ""

    def __post_init__(self) -> None:
        self._lock = self.runtime.lock("the hub's handlers")
        self._empty = SessionRegistry(self.runtime)
        self._count_anew()
        _runners.add(self)

    def add_handler(self, hook: str, handler: Callable[..., Any]) -> None:
        """Call ``handler`` for ``hook``, after the handlers that were added before.

        Raises: RuntimeError once a cluster's hub has started: a session that moves needs the same handlers in
        every process.
        """
        if self.sealed:
            raise RuntimeError(f"hub.{hook} comes too late: {self.sealed}")
        with self._lock:
            self.handlers[hook] = (*self.handlers[hook], handler)

    def record(self) -> None:
        """Keep what happens to each session from now on, for an operator who looks. Again: nothing.

        Raises: RuntimeError once the hub runs: there may be sessions already, of which nothing is known.
        """
        with self._lock:
            if self.recorder is None:
                if self.loop is not None or self.sealed:
                    raise RuntimeError(
                        "Inspector(hub) comes too late: the hub runs, and has not kept what happened to its "
                        "sessions. Build it where the hub is built, before the first request"
                    )
                self.recorder = Recorder(self.clock, self.runtime.lock("what is recorded of sessions"))
                self.refusals.recorder = self.recorder

    # -- the loop ---------------------------------------------------------------------------

    def start(self, *, begins: bool = True) -> HubLoop:
        """The running hub, started on first use. Raises: HubClosed; RuntimeError if no thread can start.

        ``begins``: False where it adopts sessions first. Next, then: ``HubLoop.beginning.run``.
        """
        with self._lock:
            if self.closed:
                raise HubClosed
            if self.loop is None:
                loop = HubLoop(self, f"{id(self):x}")
                loop.start()
                loop.beginning.run() if begins else loop.beginning.hold_back()
                self.loop = loop
            return self.loop

    def open_loop(self) -> HubLoop | None:
        """The running hub; None before the first use. Raises: HubClosed."""
        if self.closed or (self.loop is not None and self.loop.died):
            raise HubClosed
        return self.loop

    def registry(self) -> SessionRegistry:
        """The registry of the running hub; an empty one before the first use and after ``close``."""
        # A hub that closes does not show the sessions that the hub thread has not ended yet.
        return self.loop.registry if self.loop is not None and not self.closed else self._empty

    def stats(self) -> Stats:
        """See ``Hub.stats``."""
        return stats_of(self.loop, self.refusals)

    def close(self, timeout: float) -> list[tuple[str, str]]:
        """See ``HubLoop.close``. Blocks: up to ``timeout`` real seconds."""
        with self._lock:
            self.closed = True
            loop = self.loop
        return loop.close(timeout) if loop is not None else []

    def after_fork_in_child(self) -> None:
        """In a forked child: forget the parent's loop, and close the descriptors that it had open."""
        loop, self.loop = self.loop, None
        self._lock = self.runtime.lock("the hub's handlers")
        self._count_anew()
        if loop is not None:
            loop.after_fork_in_child()

    def reset(self, clock: Clock, runtime: Runtime) -> None:
        """As if it had just been built: for a lab that uses an application's hub, or returns it.

        The loop must not be running.
        """
        self.clock, self.runtime = clock, runtime
        self.loop, self.closed = None, False
        self._lock = runtime.lock("the hub's handlers")
        self._count_anew()

    def _count_anew(self) -> None:
        runtime, clock = self.runtime, self.clock
        self.refusals = RefusalReports(self.metrics, clock, runtime.lock("the count of refusals"))
        lock = runtime.lock("the addresses of clients")
        self._gate = ConnectGate(self.config.connect_rate, clock, lock)
        if self.recorder is not None:
            self.recorder = Recorder(clock, runtime.lock("what is recorded of sessions"))
            self.refusals.recorder = self.recorder

    # -- for the request side ---------------------------------------------------------------

    @property
    def closing(self) -> bool:
        """Whether the hub takes no more connections."""
        return self.closed or (self.loop is not None and self.loop.closing)

    def ready(self) -> bool:
        """See ``Hub.ready``."""
        return not self.closing and (self.loop is None or self.loop.is_served())

    def look(self, connection_id: str | None, key: str, received: int | None) -> Found:
        """What there is of the session with this id; without an id, of the one with this ``key``."""
        registry = self.registry()
        session = registry.sessions.get(connection_id) if connection_id else registry.keys.get(key)
        if session is None:
            return Found(None, self._is_full(), registry.drain)
        return Found(session.seen(received), False, registry.drain)

    @property
    def drain(self) -> Drain:
        """Whom the hub refuses at present."""
        return self.loop.registry.drain if self.loop is not None else Drain.NONE

    def _is_full(self) -> bool:
        """Whether one more session would be too many, and none that is suspended would make room for it."""
        registry, config = self.registry(), self.config
        if len(registry.sessions) < config.max_sessions:
            return False
        return config.on_full == "refuse" or not registry.suspended

    def may_refuse_by_close(self) -> bool:
        """See ``HubLoop.may_refuse_by_close``."""
        return self.loop is not None and self.loop.may_refuse_by_close()

    def takes(self) -> bool:
        """Whether what is given to the hub thread is handled; also while the hub closes."""
        return self.loop is not None and self.loop.takes()

    def count(self, method: str, *arguments: Any) -> None:
        """Call the metrics collector; one that raises is logged and ignored."""
        call_collector(self.metrics, method, arguments)
        if self.recorder is not None and self.loop is not None and method == "resume_attempt":
            _, connection_id, success = arguments
            if not success:
                self.loop.observers.remember(self.registry().sessions.get(connection_id), What.NOT_RESUMED)

    def refused(self, status: int, reason: RefusalReason, detail: str = "") -> None:
        """See ``RefusalReports.report``."""
        self.refusals.report(status, reason.value, detail)

    def admit(self, address: str, comes_back: bool) -> float:
        """See ``SessionLookup``."""
        return self._gate.admit(address, comes_back)

    def give_back(self, address: str, comes_back: bool) -> None:
        """See ``SessionLookup``."""
        self._gate.give_back(address, comes_back)

    def end_with_gap(self, seen: SeenSession) -> None:
        """End a session that can't be resumed without a gap, unless it was resumed. Blocks: until handled."""
        self.gap_found(seen.connection_id, seen.life, seen.generation)

    def gap_found(self, connection_id: str, life: str, generation: int) -> None:
        """The same; ``life``, ``generation``: the session's when it was seen. Blocks: until handled."""
        if self.loop is not None:
            self.loop.put_and_wait(GapFound(connection_id, life, generation))

    def data_of(self, data: Any) -> Any:
        """``data`` as it is: the session never leaves this process."""
        return data

    def take(self, dialled: Dialled) -> None:
        """Make the transport, and give it to the hub thread; the hub has been started."""
        transport = dialled.handshake.transport(
            PlainSocket(dialled.sock, self.runtime, movable=True),
            self.config.max_message_size,
            dialled.read_ahead,
        )
        self.register(
            transport,
            dialled.registration,
            data=dialled.data,
            handshake_response=dialled.handshake_response,
            subprotocol=dialled.handshake.subprotocol,
        )

    def register(
        self,
        transport: Transport,
        registration: Register,
        *,
        data: Any,
        handshake_response: bytes,
        subprotocol: str = "",
        host: HostThread | None = None,
    ) -> int:
        """See ``HubLoop.register``; the hub has been started."""
        assert self.loop is not None, "only a running hub allows an upgrade"
        return self.loop.register(
            transport,
            registration,
            data=data,
            handshake_response=handshake_response,
            subprotocol=subprotocol,
            host=host,
        )

    def abort(self, number: int) -> bool:
        """Abort a transport as if the network had failed; False if the hub thread does not run."""
        return self.loop is not None and self.loop.put(TransportAborted(number))


def _after_fork_in_child() -> None:
    for runner in list(_runners):
        runner.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
