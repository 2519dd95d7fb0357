"""A TCP proxy that does to connections what a bad network does. One thread; it stops by itself when closed.

Each client has a *door*, a port of its own, so that "the fourth dial of client 7" means the same in each run.
Nothing here knows what passes: ``pipe.py`` moves the bytes, ``faults.py`` says what goes wrong. Used by
``run.py``; ``with Proxy(…) as proxy`` is the whole of its life.
"""

from __future__ import annotations

import heapq
import itertools
import selectors
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from types import TracebackType

from .faults import Fault, Kind
from .pipe import End, Pipe

HOST = "127.0.0.1"

Plan = Callable[[int, int], Fault | None]
"""``plan(door, dial)``: the fault of that dial, both counted from 0."""


class Proxy:
    """``doors`` ports, each leading to ``target``. At most ``most`` faults strike at each."""

    def __init__(self, target: tuple[str, int], doors: int, plan: Plan, most: int) -> None:
        self._target = target
        self._plan = plan
        self._most = most
        self._stormy = True
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._pipes: set[Pipe] = set()
        self._overtaken: dict[int, list[Pipe]] = defaultdict(list)
        self._dials = [0] * doors
        self._strikes = [0] * doors
        self._lock = threading.Lock()
        #: (kind, place's name) → how often it struck. Read it by ``struck_by_kind`` and the like.
        self._counts: Counter[tuple[Kind, str]] = Counter()
        self._wake, self._woken = socket.socketpair()
        self._listeners = [socket.create_server((HOST, 0)) for _ in range(doors)]
        #: The port of each door.
        self.ports: list[int] = [listener.getsockname()[1] for listener in self._listeners]
        self._thread = threading.Thread(target=self._run, name="soak proxy")

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wake.close()
        self._thread.join()

    # -- for other threads ------------------------------------------------------------------

    def calm(self) -> None:
        """From now on nothing goes wrong any more; what has gone wrong stays so."""
        self._stormy = False

    def counts(self) -> Counter[tuple[Kind, str]]:
        """How often each kind of fault has struck at each kind of place."""
        with self._lock:
            return self._counts.copy()

    # -- for the pipes ----------------------------------------------------------------------

    def watch(self, end: End, *, read: bool, write: bool) -> None:
        """Wait for this, and nothing else, on the end's socket."""
        events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
        known = self._selector.get_map().get(end.sock)
        if known is None and events:
            self._selector.register(end.sock, events, end.ready)
        elif known is not None and not events:
            self._selector.unregister(end.sock)
        elif known is not None and known.events != events:
            self._selector.modify(end.sock, events, end.ready)

    def forget(self, end: End) -> None:
        """Its socket is about to be closed."""
        if end.sock in self._selector.get_map():
            self._selector.unregister(end.sock)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call it after so many seconds, on this thread."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._serial), call))

    def may_strike(self, pipe: Pipe) -> bool:
        """Whether its fault is still wanted."""
        return self._stormy and self._strikes[pipe.door] < self._most

    def struck(self, pipe: Pipe) -> None:
        """A pipe's fault strikes."""
        assert pipe.fault is not None, "only a fault strikes"
        self._strikes[pipe.door] += 1
        with self._lock:
            self._counts[pipe.fault.kind, pipe.fault.place.name] += 1
        if pipe.fault.kind is Kind.OVERTAKEN:
            self._overtaken[pipe.door].append(pipe)

    def answered(self, pipe: Pipe) -> None:
        """The server has answered a dial: those of the same door that were held back may arrive."""
        for held in self._overtaken.pop(pipe.door, []):
            assert held.fault is not None, "it is held by its fault"
            self.later(held.fault.delay, held.release)

    def over(self, pipe: Pipe) -> None:
        """A pipe has closed both of its ends."""
        self._pipes.discard(pipe)

    # -- the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        for door, listener in enumerate(self._listeners):
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, door)
        try:
            while self._turn():
                pass
        finally:
            for pipe in list(self._pipes):
                pipe.close(reset=True)
            for sock in (*self._listeners, self._woken):
                sock.close()
            self._selector.close()

    def _turn(self) -> bool:
        """Wait for what comes next and deal with it; False when the proxy is to end."""
        pause = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
        for key, events in self._selector.select(pause):
            if key.data is None:
                return False
            if isinstance(key.data, int):
                self._accept(key.data)
            else:
                key.data(bool(events & selectors.EVENT_READ), bool(events & selectors.EVENT_WRITE))
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()
        return True

    def _accept(self, door: int) -> None:
        try:
            client, _ = self._listeners[door].accept()
        except OSError:
            return  # it has gone again
        try:
            server = socket.create_connection(self._target)  # on the same machine: at once
        except OSError:
            client.close()
            return
        dial = self._dials[door]
        self._dials[door] += 1
        fault = self._plan(door, dial)
        for sock in (client, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pipe = Pipe(self, door, fault, client, server)
        self._pipes.add(pipe)
        pipe.look()
