"""Until when each request of a client's waits for its answer: part of the machine, and as pure.

The machine arms one deadline, for the earliest of them. Driver thread only. Read next: ``machine.py``.
"""

from __future__ import annotations

import heapq


class RequestDeadlines:
    """Points in time by requests' ids. None of the methods costs more for many requests than for a few."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        # Those that were taken out stay in the heap until their time comes, or they are most of it.
        self._heap: list[tuple[float, str]] = []

    def set(self, request_id: str, timeout: float | None, now: float) -> None:
        """The request waits so many seconds from ``now``; None: it waits no more."""
        if timeout is None:
            self._until.pop(request_id, None)
            if len(self._heap) > 2 * len(self._until) + 8:
                self._heap = [(at, one) for one, at in self._until.items()]
                heapq.heapify(self._heap)
        else:
            self._until[request_id] = now + timeout
            heapq.heappush(self._heap, (now + timeout, request_id))

    def earliest(self) -> float | None:
        """When the first one is due; None if none waits."""
        while self._heap and self._heap[0][1] not in self._until:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[str]:
        """Take out those that are due, the earliest first."""
        found = []
        while (at := self.earliest()) is not None and at <= now:
            request_id = heapq.heappop(self._heap)[1]
            del self._until[request_id]
            found.append(request_id)
        return found
