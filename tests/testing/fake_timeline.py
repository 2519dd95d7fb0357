"""A timeline that is not a hub: it writes down what it is woken for, and when."""

from __future__ import annotations

from datetime import datetime

from resumehub.clock import Clock


class Agenda:
    """Deadlines on a clock. Those that are due are noted by ``settle``, each at its own time."""

    def __init__(
        self, clock: Clock, *deadlines: float, name: str = "", log: list[tuple] | None = None
    ) -> None:
        self._clock = clock
        self._name = name
        self.deadlines = sorted(deadlines)
        #: (name, deadline, what the clock said then, what datetime.now() said then)
        self.log: list[tuple] = [] if log is None else log
        clock.follow(self)

    def settle(self) -> float | None:
        while self.deadlines and self.deadlines[0] <= self._clock.monotonic():
            due = self.deadlines.pop(0)
            self.log.append((self._name, due, self._clock.monotonic(), datetime.now()))
            self.fired(due)
        return self.deadlines[0] if self.deadlines else None

    def fired(self, due: float) -> None:
        """What else happens then; for heirs."""

    def times(self) -> list[tuple[float, float]]:
        """Each deadline with the time at which it fired."""
        return [(due, at) for _, due, at, _ in self.log]
