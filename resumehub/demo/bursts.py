"""Numbered messages to one person, sent by threads of the demo while that person is away.

An example of how any thread of an application may send. It knows nothing of rooms. Called by ``chat.py``, on
the threads of its handlers; ``close`` on the thread that stops the server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from resumehub import Connection, ConnectionClosed, ConnectionNotFound, Message, SendBufferFull
from resumehub.demo.timeline import EventLog
from resumehub.runtime.base import Runtime, Thread

MAX_BURSTS: Final = 32
"""At the same time: each is a thread."""


@dataclass(frozen=True, slots=True)
class BurstPlan:
    """``count`` numbered messages, spread evenly over ``seconds``."""

    count: int
    seconds: float
    tag: str


class Bursts:
    """Numbered messages to one person, each burst on a thread that ends with it.

    An *armed* burst starts when the person's transport drops, so that its messages are sent while the
    person is away. Bounded: one armed burst per connection, ``MAX_BURSTS`` threads.

    Threads: any. Blocks: only ``close``, until the threads have ended.
    """

    def __init__(self, timeline: EventLog, runtime: Runtime) -> None:
        self._timeline = timeline
        self._runtime = runtime
        self._lock = runtime.lock()
        self._armed: dict[str, BurstPlan] = {}
        self._running: list[Thread] = []
        self._stop = runtime.event()

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
            self._running = [thread for thread in self._running if not thread.join(0)]
            if self._stop.is_set() or len(self._running) >= MAX_BURSTS:
                return False
            try:
                thread = self._runtime.spawn("demo-burst", lambda: self._run(connection, plan))
            except RuntimeError:
                return False
            self._running.append(thread)
        return True

    def close(self, timeout: float) -> None:
        """Stop each burst after the message that it sends now. Blocks: up to ``timeout`` seconds for each."""
        self._stop.set()
        with self._lock:
            running, self._running = self._running, []
        for thread in running:
            thread.join(timeout)

    def _run(self, connection: Connection, plan: BurstPlan) -> None:
        for number in range(1, plan.count + 1):
            payload = {"i": number, "of": plan.count, "at": round(self._timeline.now(), 4), "tag": plan.tag}
            if not send_if_possible(connection, Message("demo.numbered", payload)):
                return
            if number < plan.count and self._stop.wait(plan.seconds / (plan.count - 1)):
                return


def send_if_possible(connection: Connection, message: Message) -> bool:
    """Send ``message``; False when the session is over or its buffer is full, so that it was not sent."""
    try:
        connection.send(message)
    except (ConnectionClosed, ConnectionNotFound, SendBufferFull):
        return False
    return True
