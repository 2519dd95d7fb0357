"""The demo's timeline: what it keeps, who may read it, and what it makes of the hub's metrics."""

from __future__ import annotations

import json
from typing import Any

import pytest

from resumehub.demo.timeline import MAX_SESSIONS, MAX_TRAFFIC, EventLog, TimelineMetrics, handle_of
from resumehub.testing import FakeClock
from tests.demo_parts import ID


def kinds(timeline: EventLog, room: str = "r", **query: Any) -> list[str]:
    return [event.kind for event in timeline.after(room, 0, **query).events]


def test_events_carry_number_time_and_a_handle_but_never_the_id() -> None:
    """An id is the key to a session, so nobody may read somebody else's off the timeline."""
    clock = FakeClock()
    timeline = EventLog(clock)
    clock.advance(2.5)

    timeline.record("opened", "r", ID, size=3)

    (event,) = timeline.after("r", 0).events
    assert event.as_json() == {
        "seq": 1,
        "at": 2.5,
        "kind": "opened",
        "room": "r",
        "who": handle_of(ID),
        "size": 3,
    }
    assert ID[:6] not in json.dumps(event.as_json())


def test_a_reader_goes_on_where_it_stopped() -> None:
    timeline = EventLog()
    for number in range(5):
        timeline.record(str(number), "r", ID)

    first = timeline.after("r", 0, limit=2)
    second = timeline.after("r", first.next, limit=2)
    last = timeline.after("r", second.next, limit=2)

    assert [[event.kind for event in page.events] for page in (first, second, last)] == [
        ["0", "1"],
        ["2", "3"],
        ["4"],
    ]
    assert [page.more for page in (first, second, last)] == [True, True, False]
    assert timeline.after("r", last.next).events == []


def test_each_story_is_bounded_and_says_what_it_lost() -> None:
    """However much is sent, memory is bounded, and what happened once is not washed away."""
    timeline = EventLog()
    timeline.record("opened", "r", ID)
    for _ in range(MAX_TRAFFIC + 5):
        timeline.record("sent", "r", ID)

    assert kinds(timeline, limit=2 * MAX_TRAFFIC) == ["opened"] + ["sent"] * MAX_TRAFFIC
    assert timeline.after("r", 5).lost
    assert not timeline.after("r", 6).lost


def test_a_busy_neighbour_does_not_wash_away_a_quiet_visitor() -> None:
    timeline = EventLog()
    timeline.record("opened", "r", ID)
    for _ in range(5_000):
        timeline.record("sent", "r", "a busy neighbour")

    assert kinds(timeline, who=handle_of(ID)) == ["opened"]


def test_the_story_of_who_was_silent_for_longest_is_forgotten_first() -> None:
    timeline = EventLog()
    for number in range(MAX_SESSIONS):
        timeline.record("opened", "r", f"visitor {number}")
    timeline.record("received", "r", "visitor 0")
    timeline.record("opened", "r", "one too many")

    assert kinds(timeline, who=handle_of("visitor 0")) == ["opened", "received"]
    assert kinds(timeline, who=handle_of("visitor 1")) == []


def test_rooms_see_only_their_own_and_events_without_a_room_only_their_person() -> None:
    """A resume that got 410 belongs to no room: only who made it may see it."""
    timeline = EventLog()
    timeline.record("mine", "r", ID)
    timeline.record("theirs", "r", "somebody else")
    timeline.record("elsewhere", "another room", ID)
    timeline.record("refused", "", ID)

    assert kinds(timeline) == ["mine", "theirs"]
    assert kinds(timeline, who=handle_of(ID)) == ["mine", "refused"]


# -- the collector --------------------------------------------------------------------


def test_what_waited_is_replayed_and_the_rest_is_sent() -> None:
    """The hub only says "written"; which of it was a replay follows from what waited."""
    timeline = EventLog()
    metrics = TimelineMetrics(timeline)
    metrics.connection_opened("r", ID)
    metrics.message_sent("r", ID, 10)
    metrics.send_buffer("r", ID, 1, 256)
    metrics.send_buffer("r", ID, 2, 256)
    metrics.resume_attempt("r", ID, True)
    metrics.message_sent("r", ID, 10)
    metrics.message_sent("r", ID, 10)
    metrics.send_buffer("r", ID, 0, 256)
    metrics.message_sent("r", ID, 10)

    assert kinds(timeline) == [
        "opened",
        "sent",
        "buffered",
        "buffered",
        "resumed",
        "replayed",
        "replayed",
        "released",
        "sent",
    ]


def test_what_is_lost_with_a_session_is_told_message_by_message() -> None:
    timeline = EventLog()
    metrics = TimelineMetrics(timeline)
    metrics.connection_opened("r", ID)
    metrics.message_dropped("r", ID, "overflow")
    metrics.message_dropped("r", ID, "expired")
    metrics.connection_closed("r", ID, 12.0, "grace_expired")

    _, overflow, expired, closed = timeline.after("r", 0).events
    assert (overflow.detail, expired.detail) == ({"reason": "overflow"}, {"reason": "expired"})
    assert closed.detail == {"reason": "grace_expired", "lived": 12.0}


@pytest.mark.parametrize(
    ("room", "status"), [("", 410), ("r", 4100)], ids=["before the upgrade", "in the race"]
)
def test_a_refused_resume_says_where_it_was_refused(room: str, status: int) -> None:
    timeline = EventLog()

    TimelineMetrics(timeline).resume_attempt(room, ID, False)

    (event,) = timeline.after("r", 0, handle_of(ID)).events
    assert (event.kind, event.detail["status"]) == ("resume_refused", status)
