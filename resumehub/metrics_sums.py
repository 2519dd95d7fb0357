"""The sums of a ``Counters``, as a value, and how those of several processes are added up. Pure.

Read next: ``metrics.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypedDict, cast, get_type_hints

from .metrics_methods import (
    OUTCOMES_ASKED,
    OUTCOMES_OF_CLIENTS,
    REASONS_CLOSED,
    REASONS_DROPPED,
    REASONS_REFUSED,
)


class CountersSnapshot(TypedDict):
    """The sums of a ``Counters`` at one moment; a plain ``dict`` of numbers, ready for JSON.

    Counts begin when the ``Counters`` is made; ``connections`` and ``rooms`` are what exists
    now. Dicts by reason have every known reason, with 0 where nothing happened.
    """

    connections: int
    """Sessions that are in this process now, suspended ones included: opened - closed + in - out."""
    connections_opened: int
    connections_closed: dict[str, int]
    """By reason."""
    connection_seconds: float
    """The sum of the lives of all *closed* sessions, in seconds."""
    resumes_succeeded: int
    resumes_failed: int
    rooms: int
    """Rooms that exist now."""
    rooms_created: int
    rooms_destroyed: int
    messages_received: int
    bytes_received: int
    messages_sent: int
    bytes_sent: int
    messages_broadcast: int
    """Calls of ``broadcast``."""
    bytes_broadcast: int
    """Each broadcast's size is counted once, since it is encoded once."""
    broadcast_recipients: int
    messages_dropped: dict[str, int]
    """By reason."""
    send_buffer_high_water: int
    """The most messages that any one session's outgoing buffer has held."""
    heartbeat_failures: int
    transports_superseded: int
    upgrades_refused: dict[str, int]
    """By reason."""
    readings_paused: int
    """Pauses of clients that have sent more than ``rate`` allows."""
    reading_paused_seconds: float
    """The sum of these pauses."""
    requests_asked: int
    """Of this process's threads, to clients."""
    requests_settled: dict[str, int]
    """By outcome."""
    client_requests_taken: int
    """Of clients, to the hub in this process."""
    client_requests_settled: dict[str, int]
    """By outcome. With a cluster a request may have been taken in another process."""
    commands: int
    """Those that the hub has handled."""
    command_wait_seconds: float
    """The sum of their times in the hub's queue."""
    resume_delay_seconds: float
    """The sum of the times from a socket to its resumed session; ``resumes_succeeded`` of them."""
    suspensions: int
    """Those that are over: resumed, or ended."""
    suspended_seconds: float
    callbacks: int
    """Messages and events whose handlers have run."""
    callback_seconds: float
    write_stalls: int
    """How often a client took no bytes for a while."""
    write_stall_seconds: float
    connections_moved_in: int
    connections_moved_out: int
    """In and out: with the hub, or from and to the file of parked sessions."""
    hub_moves_in: int
    hub_moves_out: int
    hub_moves_failed: int
    hub_release_seconds: float
    """The sum over all moves from here, as the next one."""
    hub_freeze_seconds: float
    hub_adoption_seconds: float
    """The sum over all moves to here."""
    sessions_carried: int
    """Those whose handler still ran here when the hub moved away."""
    sessions_parked: int
    sessions_adopted: int
    """Those that were parked, and go on here."""
    sessions_not_adopted: int
    """Those that were parked, and could not go on here."""
    hub_takeovers: int
    """How often this process took a hub that no process held."""
    hub_takeover_seconds: float
    calls_waiting: int
    """Threads that wait now for the hub in another process."""
    calls: int
    """All that are over."""
    calls_unanswered: int
    """Of these, so many raised HubUnavailable."""
    call_seconds: float
    hub_silent: int
    """1 while the hub's process is suspect, else 0."""
    hub_silences: int
    hub_silent_seconds: float
    """Of all silences that are over."""


_BY_REASON: Final[Mapping[str, tuple[str, ...]]] = {
    "connections_closed": REASONS_CLOSED,
    "messages_dropped": REASONS_DROPPED,
    "upgrades_refused": REASONS_REFUSED,
    "requests_settled": OUTCOMES_ASKED,
    "client_requests_settled": OUTCOMES_OF_CLIENTS,
}

_ZEROS: Final[Mapping[str, float]] = {
    name: kind() for name, kind in get_type_hints(CountersSnapshot).items() if name not in _BY_REASON
}


def no_sums() -> CountersSnapshot:
    """All sums at 0, with every known reason and outcome."""
    by_reason = {name: dict.fromkeys(reasons, 0) for name, reasons in _BY_REASON.items()}
    return cast("CountersSnapshot", {**_ZEROS, **by_reason})


def copy_of(sums: CountersSnapshot) -> CountersSnapshot:
    """The same in new dicts."""
    return sum_snapshots([sums])


def sum_snapshots(snapshots: Iterable[CountersSnapshot]) -> CountersSnapshot:
    """Add up the snapshots of several processes; of ``send_buffer_high_water`` the largest counts.

    A new dict. A snapshot may come from JSON, and from a release that has fewer sums. Threads: any. Blocks:
    never.
    """
    total = cast("dict[str, Any]", no_sums())
    for snapshot in snapshots:
        for name, value in cast("dict[str, Any]", snapshot).items():
            if isinstance(value, dict):
                into = total.setdefault(name, {})
                for reason, number in value.items():
                    into[reason] = into.get(reason, 0) + number
            elif name == "send_buffer_high_water":
                total[name] = max(total[name], value)
            else:
                total[name] = total.get(name, 0) + value
    return cast("CountersSnapshot", total)
