"""What a hub keeps of each session for an operator: little, bounded, and nothing where nobody may look."""

from __future__ import annotations

import contextlib
import gc
import sys
from typing import Any

import pytest

from resumehub import Message, RateLimit, SendBufferFull
from resumehub.inspector import Inspector
from resumehub.runtime.system import make_lock
from resumehub.session.recent import MOST_EVENTS, Happened, RecentEvents, What
from resumehub.session.recorder import MOST_ENDED, RecordedSpan
from resumehub.spans import SpanStart
from resumehub.testing import UpgradeRefused
from tests.contract.peers import Gate, until
from tests.support import text


def test_where_nobody_may_look_nothing_is_kept(stage) -> None:
    one = stage(ping_interval=None)
    one.open("u1")
    one.recorder.wait_for("connect")
    assert one.hub.runner.recorder is None
    assert one.hub.runner.registry().sessions["u1"].span is None
    assert not one.hub.runner.loop.observers.timed


def full() -> RecentEvents:
    """As many events as there can be, each as long as it can be."""
    events = RecentEvents(make_lock())
    for number in range(3 * MOST_EVENTS):
        events.add(Happened(1e6 + number, What.JOINED, f"{number:05}" + "x" * 250, 1.5, 1))
    return events


def test_of_many_events_the_first_and_the_last_ones_are_kept() -> None:
    events = full()
    kept = events.copy()
    assert (len(kept), events.forgotten) == (MOST_EVENTS, 2 * MOST_EVENTS)
    assert kept[0].detail.startswith("00000")
    assert kept[-1].detail.startswith("00095")
    assert events.began_at() == 1e6


def test_what_happens_again_and_again_is_one_event() -> None:
    """A client that is refused a thousand times does not push out what happened before."""
    events = RecentEvents(make_lock())
    events.add(Happened(1.0, What.BEGAN))
    for number in range(1000):
        events.add(Happened(2.0 + number, What.NOT_RESUMED))
    assert [(one.what, one.times, one.at) for one in events.copy()] == [
        (What.BEGAN, 1, 1.0),
        (What.NOT_RESUMED, 1000, 1001.0),
    ]


def size_of(root: Any, seen: set[int]) -> int:
    """Bytes of an object and of all that it alone leads to."""
    if id(root) in seen or isinstance(root, type | What) or root is None:
        return 0
    seen.add(id(root))
    return sys.getsizeof(root) + sum(size_of(one, seen) for one in gc.get_referents(root))


def test_a_usual_session_costs_a_kilobyte_and_none_more_than_twenty(stage) -> None:
    """The numbers that docs/howto/inspector.md gives."""
    one = stage(ping_interval=None)
    Inspector(one.hub, authorize=bool)
    ws = one.open("u1")
    one.recorder.wait_for("connect")
    one.drop(ws)
    one.resume(ws)
    one.recorder.wait_for("restore")
    span = one.hub.runner.registry().sessions["u1"].span
    assert isinstance(span, RecordedSpan)
    assert len(span.events.copy()) == 3
    assert size_of([span.who, span.events._events], set()) + sys.getsizeof(span) < 2000
    assert size_of(full()._events, set()) < 20_000


def test_of_sessions_that_ended_and_upgrades_that_were_refused_the_last_are_kept(stage) -> None:
    one = stage(ping_interval=None)
    Inspector(one.hub, authorize=bool)
    recorder = one.hub.runner.recorder
    for number in range(MOST_ENDED + 5):
        recorder.refused(400 + number, "reason")
    assert [one.status for one in recorder.refusals()][:2] == [400 + MOST_ENDED + 4, 400 + MOST_ENDED + 3]
    assert len(recorder.refusals()) == MOST_ENDED
    one.open("u1")
    one.recorder.wait_for("connect")
    session = one.hub.runner.registry().sessions["u1"]
    for _ in range(MOST_ENDED + 5):
        recorder.over(session.span)
    assert len(recorder.ended()) == MOST_ENDED


def test_a_session_that_has_ended_is_not_kept_alive(stage) -> None:
    """Only its names and its events are."""
    one = stage(ping_interval=None)
    Inspector(one.hub, authorize=bool)
    one.open("u1")
    one.recorder.wait_for("connect")
    span = one.hub.runner.registry().sessions["u1"].span
    one.hub.kick("u1")
    one.recorder.wait_for("disconnect")
    assert span._outbox is span._fence is None
    assert one.hub.runner.recorder.living(span.who.life) is None
    ((who, events),) = one.hub.runner.recorder.ended()
    assert (who, events) == (span.who, span.events)


class Other:
    """An application's spans, which are told the same as before."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.raises = False

    def begin(self, start: SpanStart) -> Other:
        return self

    def __getattr__(self, name: str) -> Any:
        def told(*arguments: Any) -> str:
            if self.raises:
                raise ValueError(name)
            self.told.append((name, *map(str, arguments[:1])))
            return f"began {name}"

        return told


@pytest.mark.parametrize("raises", [False, True])
def test_the_applications_spans_are_told_all_the_same(stage, raises: bool, caplog) -> None:
    """And if they raise, that is logged, and the record goes on."""
    told = {}
    for recorded in (False, True):
        other = Other()
        one = stage(ping_interval=None, spans=other)
        other.raises = raises
        if recorded:
            Inspector(one.hub, authorize=bool)
        ws = one.open("u1")
        ws.send(text("n"))
        one.recorder.wait_for("message")
        one.drop(ws)
        one.hub.kick("u1")
        one.recorder.wait_for("disconnect")
        until(lambda other=other: raises or ("callback_ended", "on_disconnect") in other.told)
        told[recorded] = other.told
    assert told[True] == told[False]
    assert ("the span of a session raised in dropped; ignored" in caplog.text) == raises
    ((_, events),) = one.hub.runner.recorder.ended()
    assert [event.what for event in events.copy()] == [What.BEGAN, What.LOST, What.ENDED]


def test_a_handler_that_takes_a_second_is_an_event(stage) -> None:
    one, gate = stage(ping_interval=None), Gate()
    Inspector(one.hub, authorize=bool)
    one.hub.on_message(gate.hold)
    ws = one.open("u1")
    ws.send(text("n"))
    gate.wait_reached()
    one.clock.advance(2.5)
    gate.open()
    session = one.hub.runner.registry().sessions["u1"]
    until(lambda: What.SLOW in [event.what for event in session.span.events.copy()])
    assert session.span.events.copy()[-1].seconds == 2.5


def test_a_client_that_sends_too_fast_is_an_event_however_often_it_is_paused(stage) -> None:
    one = stage(ping_interval=None, rate=RateLimit(messages_per_second=1.0, burst=1.0))
    Inspector(one.hub, authorize=bool)
    ws = one.open("u1")
    one.recorder.wait_for("connect")
    session = one.hub.runner.registry().sessions["u1"]
    for number in range(3):
        ws.send(text("n", number))
    until(lambda: What.PAUSED in [event.what for event in session.span.events.copy()])


def test_a_client_that_takes_no_more_is_one_event(stage) -> None:
    """It does not read, and more is sent than the kernel keeps for it."""
    one = stage(ping_interval=None, max_message_size=1 << 20)
    Inspector(one.hub, authorize=bool)
    one.open("u1")
    one.recorder.wait_for("connect")
    session = one.hub.runner.registry().sessions["u1"]

    def sent_until_it_stalls() -> bool:
        if What.STALLED in [event.what for event in session.span.events.copy()]:
            return True
        with contextlib.suppress(SendBufferFull):
            one.hub.send("u1", Message("n", "x" * 100_000))
        return False

    until(sent_until_it_stalls)
    assert [event.what for event in session.span.events.copy()] == [What.BEGAN, What.STALLED]


def test_a_resume_that_the_hub_refuses_is_an_event_of_the_session(stage) -> None:
    """Whoever tries it: the operator sees that somebody does."""
    one = stage(ping_interval=None)
    Inspector(one.hub, authorize=bool)
    ws = one.open("u1", query="&instance=right")
    one.recorder.wait_for("connect")
    one.drop(ws)
    for _ in range(2):
        with pytest.raises(UpgradeRefused):
            one.open("u1", query="&resume=true&instance=wrong")
    kept = one.hub.runner.registry().sessions["u1"].span.events.copy()
    assert [(event.what, event.times) for event in kept][-1] == (What.NOT_RESUMED, 2)
