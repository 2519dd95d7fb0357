"""Numbered messages to one person, sent by threads of the demo while that person is away.

An example of how any thread of an application may send, and of how work that belongs to a session goes along
when the session moves to another process. It knows nothing of rooms. Called by ``chat.py``, on the threads of
its handlers; ``close`` on the thread that stops the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from resumehub import Connection, ConnectionClosed, ConnectionNotFound, Message, SendBufferFull
from resumehub.demo.timeline import DemoTimeline
from resumehub.runtime.base import Event, Runtime, Thread

MAX_BURSTS: Final = 32
"""At the same time: each is a thread."""


@dataclass(frozen=True, slots=True)
class BurstPlan:
    """``count`` numbered messages, spread evenly over ``seconds``; the first ``sent`` have been sent."""

    count: int
    seconds: float
    tag: str
    sent: int = 0


@dataclass(slots=True)
class _Burst:
    """One that runs. ``plan``: what is left; its thread changes it."""

    connection_id: str
    plan: BurstPlan
    stop: Event
    thread: Thread | None = None


class Bursts:
    """Numbered messages to one person, each burst on a thread that ends with it.

    An *armed* burst starts when the person's transport drops, so that its messages are sent while the
    person is away. Bounded: one armed burst per connection, ``MAX_BURSTS`` threads.

    Threads: any. Blocks: only ``close`` and ``release``, until the threads have ended.
    """

    def __init__(self, timeline: DemoTimeline, runtime: Runtime) -> None:
        self._timeline = timeline
        self._runtime = runtime
        self._lock = runtime.lock()
        self._armed: dict[str, BurstPlan] = {}
        self._running: list[_Burst] = []
        self._closed = False

    def arm(self, connection: Connection, plan: BurstPlan) -> None:
        """Start ``plan`` when the transport of ``connection`` drops; replaces an earlier plan."""
        with self._lock:
            self._armed[connection.id] = plan

    def disarm(self, connection: Connection) -> None:
        """Forget what was armed for ``connection``, if anything was."""
        with self._lock:
            self._armed.pop(connection.id, None)

    def fire(self, connection: Connection) -> None:
        """Start what was armed for ``connection``, if anything was."""
        with self._lock:
            plan = self._armed.pop(connection.id, None)
        if plan is not None:
            self.start(connection, plan)

    def start(self, connection: Connection, plan: BurstPlan) -> bool:
        """Start ``plan`` now. False if too many run, the server stops, or the system gives no thread."""
        with self._lock:
            self._running = [one for one in self._running if one.thread and not one.thread.join(0)]
            if self._closed or len(self._running) >= MAX_BURSTS:
                return False
            burst = _Burst(connection.id, plan, self._runtime.event())
            try:
                burst.thread = self._runtime.spawn("demo-burst", lambda: self._run(connection, burst))
            except RuntimeError:
                return False
            self._running.append(burst)
        return True

    def release(self, connection: Connection, timeout: float) -> dict[str, Any]:
        """The session leaves: stop what runs for it. Gives what ``adopt`` needs, in JSON."""
        with self._lock:
            armed = self._armed.pop(connection.id, None)
            mine = [one for one in self._running if one.connection_id == connection.id]
        for burst in mine:
            burst.stop.set()
        under_way = []
        for burst in mine:
            # One that does not end sends over the link; what is left of it can't be told, so it stays there.
            if burst.thread is not None and burst.thread.join(timeout) and burst.plan.sent < burst.plan.count:
                under_way.append(asdict(burst.plan))
        return {"armed": armed and asdict(armed), "under_way": under_way}

    def adopt(self, connection: Connection, released: Mapping[str, Any]) -> None:
        """The session has arrived: go on with what ``release`` gave."""
        if released["armed"]:
            self.arm(connection, BurstPlan(**released["armed"]))
        for plan in released["under_way"]:
            self.start(connection, BurstPlan(**plan))

    def close(self, timeout: float) -> None:
        """Stop each burst after the message that it sends now. Blocks: up to ``timeout`` seconds for each."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, []
        for burst in running:
            burst.stop.set()
        for burst in running:
            if burst.thread is not None:
                burst.thread.join(timeout)

    def _run(self, connection: Connection, burst: _Burst) -> None:
        while (plan := burst.plan).sent < plan.count:
            if plan.sent and burst.stop.wait(plan.seconds / (plan.count - 1)):
                return
            number = plan.sent + 1
            payload = {"i": number, "of": plan.count, "at": round(self._timeline.now(), 4), "tag": plan.tag}
            if not send_if_possible(connection, Message("demo.numbered", payload)):
                return
            burst.plan = replace(plan, sent=number)


def send_if_possible(connection: Connection, message: Message) -> bool:
    """Send ``message``; False when the session is over or its buffer is full, so that it was not sent."""
    try:
        connection.send(message)
    except (ConnectionClosed, ConnectionNotFound, SendBufferFull):
        return False
    return True
