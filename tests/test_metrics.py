"""What a metrics collector is told, and what ``Counters`` makes of it."""

from __future__ import annotations

import inspect
import json
import re
import threading
from collections.abc import Callable

import pytest

from resumehub import Hub
from resumehub.metrics import (
    CALLED_FROM,
    OUTCOMES_ASKED,
    OUTCOMES_OF_CLIENTS,
    REASONS_CLOSED,
    REASONS_DROPPED,
    REASONS_REFUSED,
    THREADS,
    Counters,
    Metrics,
    MoreMetrics,
    NoopMetrics,
    sum_snapshots,
)

# Design §7, in its order.
SIGNATURES = {
    "connection_opened": ["room_id", "connection_id"],
    "connection_closed": ["room_id", "connection_id", "duration", "reason"],
    "resume_attempt": ["room_id", "connection_id", "success"],
    "room_created": ["room_id"],
    "room_destroyed": ["room_id"],
    "message_received": ["room_id", "size"],
    "message_sent": ["room_id", "connection_id", "size"],
    "message_broadcast": ["room_id", "size", "recipients"],
    "message_dropped": ["room_id", "connection_id", "reason"],
    "send_buffer": ["room_id", "connection_id", "used", "capacity"],
    "heartbeat_failed": ["room_id", "connection_id"],
    "transport_superseded": ["room_id", "connection_id"],
    "upgrade_refused": ["status", "reason"],
}

MORE = {
    "reading_paused": ["room_id", "connection_id", "duration"],
    "request_asked": ["room_id", "connection_id"],
    "request_settled": ["room_id", "connection_id", "outcome"],
    "client_request_taken": ["room_id", "connection_id"],
    "client_request_settled": ["room_id", "connection_id", "outcome"],
    "command_waited": ["duration"],
    "resume_served": ["room_id", "connection_id", "delay"],
    "suspension_ended": ["room_id", "connection_id", "duration", "resumed"],
    "callback_ended": ["room_id", "connection_id", "hook", "duration"],
    "write_stall_ended": ["room_id", "connection_id", "duration"],
    "connection_moved_in": ["room_id", "connection_id"],
    "connection_moved_out": ["room_id", "connection_id"],
    "hub_moved_out": ["sessions", "carried", "ended", "release", "freeze"],
    "hub_moved_in": ["sessions", "adoption"],
    "hub_stayed": ["duration"],
    "hub_parked": ["sessions", "ended", "duration"],
    "hub_taken": ["sessions", "ended", "duration"],
    "call_began": [],
    "call_ended": ["duration", "answered"],
    "hub_silent": [],
    "hub_heard": ["duration"],
}
"""Those that a collector may lack."""

ALL = SIGNATURES | MORE

EXAMPLES = {
    "room_id": "lobby",
    "connection_id": "ada",
    "duration": 1.5,
    "reason": "closed",
    "success": True,
    "size": 3,
    "recipients": 2,
    "used": 1,
    "capacity": 4,
    "status": 503,
    "outcome": "answered",
    "sessions": 5,
    "carried": 2,
    "ended": 1,
    "release": 0.25,
    "freeze": 0.5,
    "adoption": 0.125,
    "answered": True,
    "delay": 0.25,
    "resumed": True,
    "hook": "on_message",
}


def methods_of(collector: type) -> dict[str, Callable[..., None]]:
    return {
        name: member
        for name, member in inspect.getmembers(collector, inspect.isfunction)
        if not name.startswith("_") and name != "snapshot"
    }


def feed(collector: Metrics) -> None:
    """Tell a collector one of everything."""
    for name, arguments in ALL.items():
        getattr(collector, name)(*[EXAMPLES[argument] for argument in arguments])


@pytest.mark.parametrize(
    ("collector", "signatures"),
    [(Metrics, SIGNATURES), (MoreMetrics, MORE), (NoopMetrics, ALL), (Counters, ALL)],
)
def test_every_collector_has_exactly_the_methods_of_the_contract(
    collector: type, signatures: dict[str, list[str]]
) -> None:
    """A collector written against the reference is called with what the reference says."""
    found = {
        name: list(inspect.signature(method).parameters)[1:] for name, method in methods_of(collector).items()
    }
    assert found == signatures


@pytest.mark.parametrize("name", ALL)
def test_each_docstring_names_exactly_the_threads_of_the_table(name: str) -> None:
    """Whoever writes a collector can trust either place about the threads."""
    doc = inspect.cleandoc(getattr(Metrics if name in SIGNATURES else MoreMetrics, name).__doc__)
    said = re.sub(r"\s+", " ", doc.split("Threads:", 1)[1])
    assert {thread for thread in THREADS if thread in said} == set(CALLED_FROM[name])


def test_the_table_of_threads_is_complete_and_cannot_be_changed() -> None:
    """The generated reference has every method, in the contract's order, and each known thread."""
    assert list(CALLED_FROM) == list(ALL)
    assert {thread for threads in CALLED_FROM.values() for thread in threads} == set(THREADS)
    with pytest.raises(TypeError):
        CALLED_FROM["room_created"] = ()  # type: ignore[index]


def test_noop_metrics_takes_everything_and_says_nothing() -> None:
    """The default collector costs nothing but the call."""
    feed(NoopMetrics())


def test_a_collector_of_ones_own_overrides_only_what_it_wants() -> None:
    """Subclassing NoopMetrics is enough, under any parameter names."""
    rooms: list[str] = []

    class Rooms(NoopMetrics):
        def room_created(self, name: str) -> None:
            rooms.append(name)

    feed(Rooms())
    assert rooms == ["lobby"]


def test_counters_start_at_zero_with_every_reason() -> None:
    """A status page has all its numbers before the first client comes."""
    snapshot = Counters().snapshot()
    assert list(snapshot["connections_closed"]) == list(REASONS_CLOSED)
    assert list(snapshot["messages_dropped"]) == list(REASONS_DROPPED)
    assert list(snapshot["upgrades_refused"]) == list(REASONS_REFUSED)
    assert list(snapshot["requests_settled"]) == list(OUTCOMES_ASKED)
    assert list(snapshot["client_requests_settled"]) == list(OUTCOMES_OF_CLIENTS)
    assert set(snapshot["connections_closed"].values()) == {0}
    assert not any(value for value in snapshot.values() if not isinstance(value, dict))
    assert json.loads(json.dumps(snapshot)) == snapshot


def test_counters_count_sessions_and_rooms() -> None:
    """Two people come, one of them goes, one comes back and one too late."""
    counters = Counters()
    counters.room_created("lobby")
    counters.room_created("attic")
    counters.connection_opened("lobby", "ada")
    counters.connection_opened("attic", "bob")
    counters.connection_closed("attic", "bob", 2.5, "grace_expired")
    counters.room_destroyed("attic")
    counters.resume_attempt("lobby", "ada", True)
    counters.resume_attempt("", "bob", False)
    counters.resume_attempt("", "bob", False)
    counters.heartbeat_failed("lobby", "ada")
    counters.transport_superseded("lobby", "ada")
    counters.upgrade_refused(503, "max_sessions")

    snapshot = counters.snapshot()
    assert (snapshot["connections"], snapshot["connections_opened"]) == (1, 2)
    assert snapshot["connections_closed"]["grace_expired"] == 1
    assert sum(snapshot["connections_closed"].values()) == 1
    assert snapshot["connection_seconds"] == 2.5
    assert (snapshot["resumes_succeeded"], snapshot["resumes_failed"]) == (1, 2)
    assert (snapshot["rooms"], snapshot["rooms_created"], snapshot["rooms_destroyed"]) == (1, 2, 1)
    assert (snapshot["heartbeat_failures"], snapshot["transports_superseded"]) == (1, 1)
    assert snapshot["upgrades_refused"]["max_sessions"] == 1
    assert sum(snapshot["upgrades_refused"].values()) == 1


def test_counters_add_up_messages_and_bytes() -> None:
    """Sent, broadcast, received and dropped are told apart."""
    counters = Counters()
    counters.message_received("lobby", 10)
    counters.message_received("lobby", 5)
    counters.message_broadcast("lobby", 7, 3)
    for connection_id in ("ada", "bob"):
        counters.message_sent("lobby", connection_id, 7)
    counters.message_dropped("lobby", "eve", "overflow")
    counters.message_dropped("lobby", "eve", "overflow")
    counters.message_dropped("lobby", "eve", "closed")

    snapshot = counters.snapshot()
    assert (snapshot["messages_received"], snapshot["bytes_received"]) == (2, 15)
    assert (snapshot["messages_broadcast"], snapshot["bytes_broadcast"]) == (1, 7)
    assert snapshot["broadcast_recipients"] == 3
    assert (snapshot["messages_sent"], snapshot["bytes_sent"]) == (2, 14)
    assert snapshot["messages_dropped"] == {"overflow": 2, "expired": 0, "closed": 1}


def test_counters_count_requests_of_both_directions_by_outcome() -> None:
    """Asked less settled is what waits."""
    counters = Counters()
    for outcome in ("answered", "answered", "timeout"):
        counters.request_asked("lobby", "ada")
        counters.request_settled("lobby", "ada", outcome)
    counters.request_asked("lobby", "ada")
    counters.client_request_taken("lobby", "ada")
    counters.client_request_settled("lobby", "ada", "failed")

    snapshot = counters.snapshot()
    assert snapshot["requests_asked"] == 4
    assert {name: number for name, number in snapshot["requests_settled"].items() if number} == {
        "answered": 2,
        "timeout": 1,
    }
    assert snapshot["client_requests_taken"] == 1
    assert snapshot["client_requests_settled"]["failed"] == 1
    assert sum(snapshot["client_requests_settled"].values()) == 1


def test_counters_count_a_cluster() -> None:
    """A hub comes with a file, moves away, comes back, and is parked; calls and silences in between."""
    counters = Counters()
    counters.hub_taken(7, 1, 2.0)
    for _ in range(7):
        counters.connection_moved_in("lobby", "ada")
    counters.hub_stayed(3.0)
    counters.hub_moved_out(7, 2, 1, 0.25, 0.5)
    for _ in range(7):
        counters.connection_moved_out("lobby", "ada")
    counters.call_began()
    counters.call_began()
    counters.call_ended(0.5, True)
    counters.call_ended(2.0, False)
    counters.call_began()
    counters.hub_silent()
    counters.hub_heard(4.0)
    counters.hub_silent()
    counters.hub_moved_in(3, 0.125)
    for _ in range(3):
        counters.connection_moved_in("lobby", "ada")
    counters.hub_parked(2, 1, 1.5)

    wanted = {
        "connections": 3,
        "connections_opened": 0,
        "connections_moved_in": 10,
        "connections_moved_out": 7,
        "hub_moves_in": 1,
        "hub_moves_out": 1,
        "hub_moves_failed": 1,
        "hub_release_seconds": 0.25,
        "hub_freeze_seconds": 0.5,
        "hub_adoption_seconds": 0.125,
        "sessions_carried": 2,
        "sessions_parked": 2,
        "sessions_adopted": 7,
        "sessions_not_adopted": 1,
        "hub_takeovers": 1,
        "hub_takeover_seconds": 2.0,
        "calls_waiting": 1,
        "calls": 2,
        "calls_unanswered": 1,
        "call_seconds": 2.5,
        "hub_silent": 1,
        "hub_silences": 2,
        "hub_silent_seconds": 4.0,
    }
    snapshot = counters.snapshot()
    assert {name: value for name, value in snapshot.items() if value and not isinstance(value, dict)} == {
        name: value for name, value in wanted.items() if value
    }


def test_the_sums_of_several_processes_are_added_up() -> None:
    """Also when they came as JSON, or one is of a release that counts less; a maximum stays one."""
    one, other = Counters(), Counters()
    feed(one)
    feed(other)
    other.send_buffer("lobby", "ada", 200, 256)
    other.connection_closed("lobby", "ada", 1.0, "abduction")
    older = {"connections_opened": 4, "connections_closed": {"kick": 1}}
    snapshots = [one.snapshot(), json.loads(json.dumps(other.snapshot())), older]

    total = sum_snapshots(snapshots)
    assert total["connections_opened"] == 6
    assert total["connections_closed"]["abduction"] == 1
    assert total["connections_closed"]["kick"] == 1
    assert total["hub_freeze_seconds"] == 1.0
    assert total["send_buffer_high_water"] == 200
    assert one.snapshot()["connections_opened"] == 1, "nothing is changed by it"
    assert sum_snapshots([]) == Counters().snapshot()


def test_a_collector_of_an_earlier_release_goes_on() -> None:
    """It has what is required and nothing more, and is no subclass of ours: it is not told what it lacks."""
    told: list[str] = []
    methods = {name: lambda self, *_, name=name: told.append(name) for name in SIGNATURES}
    old = type("Old", (), methods)()

    hub = Hub(lambda request: ("lobby", "ada"), metrics=old)
    for name, arguments in ALL.items():
        hub.runner.count(name, *[EXAMPLES[argument] for argument in arguments])
    hub.close()
    assert told == list(SIGNATURES)


def test_what_a_collector_must_have_is_still_asked_for() -> None:
    with pytest.raises(TypeError, match="message_sent"):
        Hub(metrics=object())  # type: ignore[arg-type]


def test_counters_remember_the_fullest_buffer() -> None:
    """The high-water mark says whether send_buffer is large enough, long after the rush."""
    counters = Counters()
    for used in (1, 200, 3):
        counters.send_buffer("lobby", "ada", used, 256)
    assert counters.snapshot()["send_buffer_high_water"] == 200


def test_a_reason_from_the_future_is_counted_too() -> None:
    """A collector that is older than the hub does not raise."""
    counters = Counters()
    counters.connection_closed("lobby", "ada", 1.0, "abduction")
    assert counters.snapshot()["connections_closed"]["abduction"] == 1


def test_a_snapshot_is_the_callers_own() -> None:
    """What somebody does to a snapshot changes no sum, and no later event changes it."""
    counters = Counters()
    before = counters.snapshot()
    before["connections_closed"]["kick"] = 99
    before["messages_sent"] = 99
    feed(counters)
    assert counters.snapshot()["connections_closed"]["kick"] == 0
    assert counters.snapshot()["messages_sent"] == 1
    assert before["messages_dropped"]["closed"] == 0


def test_no_event_is_lost_between_threads() -> None:
    """Readers, writers and senders report at the same time, and every report counts."""
    counters = Counters()
    together = threading.Barrier(8)

    def report() -> None:
        together.wait()
        for _ in range(2_000):
            counters.message_sent("lobby", "ada", 3)

    threads = [threading.Thread(target=report) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    snapshot = counters.snapshot()
    assert (snapshot["messages_sent"], snapshot["bytes_sent"]) == (16_000, 48_000)
