"""Two metrics collectors: one that ignores everything, one that counts; and sums over several processes.

What a collector is told, and on which threads, is in ``metrics_methods.py``, which is part of this module for
those who import it. No thread and no exporter is here. Read next: ``metrics_methods.py``.
"""

from __future__ import annotations

from typing import Final

from .metrics_methods import (
    CALLED_FROM,
    OUTCOMES_ASKED,
    OUTCOMES_OF_CLIENTS,
    REASONS_CLOSED,
    REASONS_DROPPED,
    REASONS_REFUSED,
    THREADS,
    Metrics,
    MoreMetrics,
)
from .metrics_sums import CountersSnapshot, copy_of, no_sums, sum_snapshots
from .runtime.system import make_lock

__all__ = [
    "CALLED_FROM",
    "OUTCOMES_ASKED",
    "OUTCOMES_OF_CLIENTS",
    "REASONS_CLOSED",
    "REASONS_DROPPED",
    "REASONS_REFUSED",
    "REQUIRED",
    "THREADS",
    "Counters",
    "CountersSnapshot",
    "Metrics",
    "MoreMetrics",
    "NoopMetrics",
    "sum_snapshots",
]

REQUIRED: Final = tuple(name for name in vars(Metrics) if not name.startswith("_"))
"""The methods that a collector must have: all of ``Metrics``, and none of ``MoreMetrics``."""


class NoopMetrics(Metrics, MoreMetrics):
    """A collector that ignores everything: the default, and the base class for your own.

    Threads: any; it has no state. Blocks: never.
    """

    # Written out: to a type checker, the empty methods of a protocol are abstract.
    def connection_opened(self, room_id: str, connection_id: str, /) -> None: ...
    def connection_closed(
        self, room_id: str, connection_id: str, duration: float, reason: str, /
    ) -> None: ...
    def resume_attempt(self, room_id: str, connection_id: str, success: bool, /) -> None: ...
    def room_created(self, room_id: str, /) -> None: ...
    def room_destroyed(self, room_id: str, /) -> None: ...
    def message_received(self, room_id: str, size: int, /) -> None: ...
    def message_sent(self, room_id: str, connection_id: str, size: int, /) -> None: ...
    def message_broadcast(self, room_id: str, size: int, recipients: int, /) -> None: ...
    def message_dropped(self, room_id: str, connection_id: str, reason: str, /) -> None: ...
    def send_buffer(self, room_id: str, connection_id: str, used: int, capacity: int, /) -> None: ...
    def heartbeat_failed(self, room_id: str, connection_id: str, /) -> None: ...
    def transport_superseded(self, room_id: str, connection_id: str, /) -> None: ...
    def upgrade_refused(self, status: int, reason: str, /) -> None: ...
    def reading_paused(self, room_id: str, connection_id: str, duration: float, /) -> None: ...
    def request_asked(self, room_id: str, connection_id: str, /) -> None: ...
    def request_settled(self, room_id: str, connection_id: str, outcome: str, /) -> None: ...
    def client_request_taken(self, room_id: str, connection_id: str, /) -> None: ...
    def client_request_settled(self, room_id: str, connection_id: str, outcome: str, /) -> None: ...
    def command_waited(self, duration: float, /) -> None: ...
    def resume_served(self, room_id: str, connection_id: str, delay: float, /) -> None: ...
    def suspension_ended(
        self, room_id: str, connection_id: str, duration: float, resumed: bool, /
    ) -> None: ...
    def callback_ended(self, room_id: str, connection_id: str, hook: str, duration: float, /) -> None: ...
    def write_stall_ended(self, room_id: str, connection_id: str, duration: float, /) -> None: ...
    def connection_moved_in(self, room_id: str, connection_id: str, /) -> None: ...
    def connection_moved_out(self, room_id: str, connection_id: str, /) -> None: ...
    def hub_moved_out(
        self, sessions: int, carried: int, ended: int, release: float, freeze: float, /
    ) -> None: ...
    def hub_moved_in(self, sessions: int, adoption: float, /) -> None: ...
    def hub_stayed(self, duration: float, /) -> None: ...
    def hub_parked(self, sessions: int, ended: int, duration: float, /) -> None: ...
    def hub_taken(self, sessions: int, ended: int, duration: float, /) -> None: ...
    def call_began(self) -> None: ...
    def call_ended(self, duration: float, answered: bool, /) -> None: ...
    def hub_silent(self) -> None: ...
    def hub_heard(self, duration: float, /) -> None: ...


class Counters(NoopMetrics):
    """A collector that keeps sums in memory, for tests and a status page.

    Next: ``snapshot()`` gives the sums. It keeps no ids and no rooms, so it never grows.

    Threads: any; one lock per instance. Blocks: never for longer than an addition.
    """

    def __init__(self) -> None:
        self._lock = make_lock()
        self._sums = no_sums()

    def snapshot(self) -> CountersSnapshot:
        """Return all sums of one moment in a new dict, which you may change.

        Threads: any. Blocks: never.
        """
        with self._lock:
            return copy_of(self._sums)

    def connection_opened(self, room_id: str, connection_id: str, /) -> None:
        with self._lock:
            self._sums["connections"] += 1
            self._sums["connections_opened"] += 1

    def connection_closed(self, room_id: str, connection_id: str, duration: float, reason: str, /) -> None:
        with self._lock:
            self._sums["connections"] -= 1
            self._sums["connection_seconds"] += duration
            _count(self._sums["connections_closed"], reason)

    def resume_attempt(self, room_id: str, connection_id: str, success: bool, /) -> None:
        with self._lock:
            if success:
                self._sums["resumes_succeeded"] += 1
            else:
                self._sums["resumes_failed"] += 1

    def room_created(self, room_id: str, /) -> None:
        with self._lock:
            self._sums["rooms"] += 1
            self._sums["rooms_created"] += 1

    def room_destroyed(self, room_id: str, /) -> None:
        with self._lock:
            self._sums["rooms"] -= 1
            self._sums["rooms_destroyed"] += 1

    def message_received(self, room_id: str, size: int, /) -> None:
        with self._lock:
            self._sums["messages_received"] += 1
            self._sums["bytes_received"] += size

    def message_sent(self, room_id: str, connection_id: str, size: int, /) -> None:
        with self._lock:
            self._sums["messages_sent"] += 1
            self._sums["bytes_sent"] += size

    def message_broadcast(self, room_id: str, size: int, recipients: int, /) -> None:
        with self._lock:
            self._sums["messages_broadcast"] += 1
            self._sums["bytes_broadcast"] += size
            self._sums["broadcast_recipients"] += recipients

    def message_dropped(self, room_id: str, connection_id: str, reason: str, /) -> None:
        with self._lock:
            _count(self._sums["messages_dropped"], reason)

    def send_buffer(self, room_id: str, connection_id: str, used: int, capacity: int, /) -> None:
        with self._lock:
            if used > self._sums["send_buffer_high_water"]:
                self._sums["send_buffer_high_water"] = used

    def heartbeat_failed(self, room_id: str, connection_id: str, /) -> None:
        with self._lock:
            self._sums["heartbeat_failures"] += 1

    def transport_superseded(self, room_id: str, connection_id: str, /) -> None:
        with self._lock:
            self._sums["transports_superseded"] += 1

    def upgrade_refused(self, status: int, reason: str, /) -> None:
        with self._lock:
            _count(self._sums["upgrades_refused"], reason)

    def reading_paused(self, room_id: str, connection_id: str, duration: float, /) -> None:
        with self._lock:
            self._sums["readings_paused"] += 1
            self._sums["reading_paused_seconds"] += duration

    def request_asked(self, room_id: str, connection_id: str, /) -> None:
        with self._lock:
            self._sums["requests_asked"] += 1

    def request_settled(self, room_id: str, connection_id: str, outcome: str, /) -> None:
        with self._lock:
            _count(self._sums["requests_settled"], outcome)

    def client_request_taken(self, room_id: str, connection_id: str, /) -> None:
        with self._lock:
            self._sums["client_requests_taken"] += 1

    def client_request_settled(self, room_id: str, connection_id: str, outcome: str, /) -> None:
        with self._lock:
            _count(self._sums["client_requests_settled"], outcome)

    def command_waited(self, duration: float, /) -> None:
        with self._lock:
            self._sums["commands"] += 1
            self._sums["command_wait_seconds"] += duration

    def resume_served(self, room_id: str, connection_id: str, delay: float, /) -> None:
        with self._lock:
            self._sums["resume_delay_seconds"] += delay

    def suspension_ended(self, room_id: str, connection_id: str, duration: float, resumed: bool, /) -> None:
        with self._lock:
            self._sums["suspensions"] += 1
            self._sums["suspended_seconds"] += duration

    def callback_ended(self, room_id: str, connection_id: str, hook: str, duration: float, /) -> None:
        with self._lock:
            self._sums["callbacks"] += 1
            self._sums["callback_seconds"] += duration

    def write_stall_ended(self, room_id: str, connection_id: str, duration: float, /) -> None:
        with self._lock:
            self._sums["write_stalls"] += 1
            self._sums["write_stall_seconds"] += duration

    def connection_moved_in(self, room_id: str, connection_id: str, /) -> None:
        with self._lock:
            self._sums["connections"] += 1
            self._sums["connections_moved_in"] += 1

    def connection_moved_out(self, room_id: str, connection_id: str, /) -> None:
        with self._lock:
            self._sums["connections"] -= 1
            self._sums["connections_moved_out"] += 1

    def hub_moved_out(
        self, sessions: int, carried: int, ended: int, release: float, freeze: float, /
    ) -> None:
        with self._lock:
            self._sums["hub_moves_out"] += 1
            self._sums["sessions_carried"] += carried
            self._sums["hub_release_seconds"] += release
            self._sums["hub_freeze_seconds"] += freeze

    def hub_moved_in(self, sessions: int, adoption: float, /) -> None:
        with self._lock:
            self._sums["hub_moves_in"] += 1
            self._sums["hub_adoption_seconds"] += adoption

    def hub_stayed(self, duration: float, /) -> None:
        with self._lock:
            self._sums["hub_moves_failed"] += 1

    def hub_parked(self, sessions: int, ended: int, duration: float, /) -> None:
        with self._lock:
            self._sums["sessions_parked"] += sessions

    def hub_taken(self, sessions: int, ended: int, duration: float, /) -> None:
        with self._lock:
            self._sums["hub_takeovers"] += 1
            self._sums["hub_takeover_seconds"] += duration
            self._sums["sessions_adopted"] += sessions
            self._sums["sessions_not_adopted"] += ended

    def call_began(self) -> None:
        with self._lock:
            self._sums["calls_waiting"] += 1

    def call_ended(self, duration: float, answered: bool, /) -> None:
        with self._lock:
            self._sums["calls_waiting"] -= 1
            self._sums["calls"] += 1
            self._sums["calls_unanswered"] += not answered
            self._sums["call_seconds"] += duration

    def hub_silent(self) -> None:
        with self._lock:
            self._sums["hub_silent"] += 1
            self._sums["hub_silences"] += 1

    def hub_heard(self, duration: float, /) -> None:
        with self._lock:
            self._sums["hub_silent"] -= 1
            self._sums["hub_silent_seconds"] += duration


def _count(sums: dict[str, int], reason: str) -> None:
    # A reason that this version doesn't know is counted too: to raise would only lose the count.
    sums[reason] = sums.get(reason, 0) + 1
