"""The two loops in which everything is measured: messages that come back, and messages for everybody.

Both keep a fixed number of messages on their way (*outstanding*) and ask for the next when one has come, so a
slow server is asked less. Each ``step`` waits for sockets and counts; the caller decides when it is enough.
Called by ``scenarios.py``, and by ``limit.py`` on sockets without a server. Read next: ``crowd.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .crowd import Crowd
from .dial import PATIENCE, Unanswered

now = time.perf_counter


class Echo:
    """Each client sends, waits until it comes back, and sends again."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._sent_at: dict[int, float] = {}
        self._send = {fd: link.sock.send for fd, link in crowd.links.items()}
        #: Seconds of each round trip, and when the last one ended.
        self.latencies: list[float] = []
        self.count = 0

    def start(self) -> None:
        """All send their first."""
        for fd, send in self._send.items():
            self._sent_at[fd] = now()
            send(self._crowd.dialect.say)

    def step(self, *, again: bool = True) -> None:
        """Wait for echoes. ``again``: whoever has one sends the next."""
        events = self._crowd.poll.poll(PATIENCE)
        if not events:
            raise Unanswered(f"no echo for {PATIENCE:g} s, after {self.count:,}")
        take, wire = self._crowd.take, self._crowd.dialect.say
        for fd, _ in events:
            if not take(fd):
                continue
            at = now()
            self.latencies.append(at - self._sent_at[fd])
            self.count += 1
            if again:
                self._sent_at[fd] = at
                self._send[fd](wire)


class FanOut:
    """One client asks for broadcasts, ``window`` of them outstanding; one counts when all have it."""

    def __init__(self, crowd: Crowd, window: int, *, at_most: int = 1024, patience: float = PATIENCE) -> None:
        self._crowd = crowd
        self._window = window
        self._at_most = at_most
        self._patience = patience
        self._asker = next(iter(crowd.links.values()))
        self._counts = dict.fromkeys(crowd.links, 0)
        #: How many clients have the first, the second, … broadcast.
        self._reached: list[int] = []
        self._asked_at: list[float] = []
        self.completed = 0
        #: With a window of 1: seconds from the question to each delivery.
        self.latencies: list[float] = []
        #: Sockets of others, which shall be looked after meanwhile.
        self.others: dict[int, Callable[[], None]] = {}

    @property
    def idle(self) -> bool:
        """Whether all that was asked for has come."""
        return self.completed == len(self._asked_at)

    def ask(self) -> None:
        """Ask until ``window`` are outstanding."""
        missing = self._window - (len(self._asked_at) - self.completed)
        if missing > 0:
            self._asked_at += [now()] * missing
            self._reached += [0] * missing
            self._asker.sock.send(self._crowd.dialect.all * missing)

    def step(self, *, again: bool = True) -> None:
        """Wait for deliveries. ``again``: ask for another broadcast for each that has reached all."""
        events = self._crowd.poll.poll(self._patience, self._at_most)
        if not events:
            raise Unanswered(f"no delivery for {self._patience:g} s, after {self.completed:,} broadcasts")
        came = now()
        take, counts, reached, everybody = self._crowd.take, self._counts, self._reached, len(self._counts)
        since = self._asked_at[-1] if self._window == 1 and self._asked_at else None
        for fd, _ in events:
            if fd in self.others:
                self.others[fd]()
                continue
            if not (messages := take(fd)):
                continue
            have = counts[fd]
            counts[fd] = have + messages
            for number in range(have, have + messages):
                reached[number] += 1
                if reached[number] == everybody:
                    self.completed += 1
            if since is not None:
                self.latencies.append(came - since)
        if again:
            self.ask()

    def run(self, seconds: float, at_least: int) -> tuple[int, float]:
        """Go on for so long, and for at least so many broadcasts, after as many as the window to warm up.

        Gives how many reached everybody, and the seconds that it took. Nothing is outstanding then.
        """
        self.ask()
        while self.completed < self._window:
            self.step()
        self.latencies.clear()
        first, begun = self.completed, now()
        while now() - begun < seconds or self.completed - first < at_least:
            self.step()
        count, took = self.completed - first, now() - begun
        while not self.idle:
            self.step(again=False)
        return count, took
