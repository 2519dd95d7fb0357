"""The life of a session in lanes: the state behind each event, what is not kept, and words that are right."""

from __future__ import annotations

import re

import pytest

from resumehub.inspector.markup import joined, name, tag, url
from resumehub.inspector.swimlane import lanes
from resumehub.inspector.words import duration, many, said, size
from resumehub.reasons import CloseReason
from resumehub.session.recent import Counts, Happened, What


def states(*events: What, suspended: bool | None = False) -> list[str]:
    """Those of the bar, from top to bottom."""
    drawn = lanes([Happened(1.0, what) for what in events], 2.0, 0, suspended=suspended)
    return re.findall(r'class="bar (\w*)"', drawn)


@pytest.mark.parametrize(
    ("events", "now", "expected"),
    [
        ([What.BEGAN, What.JOINED], False, ["connected", "connected"]),
        ([What.BEGAN, What.LOST, What.NOT_RESUMED], True, ["connected", "suspended", "suspended"]),
        ([What.BEGAN, What.LOST, What.RESUMED], False, ["connected", "suspended", "connected"]),
        ([What.BEGAN, What.TAKEN_OVER, What.RESUMED], False, ["connected", "connected", "connected"]),
        ([What.BEGAN, What.LOST, What.ENDED, What.RAISED], None, ["connected", "suspended", "over", "over"]),
        ([What.MOVED_IN], True, ["suspended"]),
        ([What.MOVED_IN], False, ["connected"]),
        ([What.MOVED_IN, What.RESUMED], False, ["suspended", "connected"]),
        ([What.MOVED_IN, What.LOST, What.RESUMED], False, ["connected", "suspended", "connected"]),
        ([What.BEGAN, What.MOVED_OUT], None, ["connected", "over"]),
        ([], False, []),
    ],
)
def test_the_bar_is_the_state_behind_each_event(
    events: list[What], now: bool | None, expected: list[str]
) -> None:
    assert states(*events, suspended=now) == expected


def test_what_is_not_kept_is_said_and_what_came_between_is_counted() -> None:
    events = [
        Happened(1.0, What.BEGAN),
        Happened(9.0, What.LOST, "1006", counts=Counts(3, 1200, 2)),
        Happened(9.5, What.NOT_RESUMED, times=4, counts=Counts(3, 1200, 2)),
    ]
    drawn = lanes(events, 10.0, 1, suspended=True)
    assert "1 event before these are not kept" in re.sub("<[^>]*>", "", drawn)
    assert "before it: 3 in, 1,200 out, 2 dropped" in drawn
    assert drawn.count("before it:") == 1
    assert "a client that asked for this session was refused, 4 times" in drawn


@pytest.mark.parametrize("what", What)
def test_each_event_has_its_sentence_and_its_place(what: What) -> None:
    drawn = lanes([Happened(1.0, what, "detail", 2.0)], 2.0, 0, suspended=False)
    assert re.search(r'class="what [a-z-]+ [a-z]+"', drawn)
    assert said(Happened(1.0, what, "detail", 2.0)) in re.sub("<[^>]*>", "", drawn)


@pytest.mark.parametrize("reason", CloseReason)
def test_each_reason_of_an_end_has_words(reason: CloseReason) -> None:
    assert said(Happened(1.0, What.ENDED, reason.value)) != f"ended: {reason.value}"


def test_durations_and_sizes_are_in_words() -> None:
    seconds = (-1.0, 0.44, 9.99, 59.4, 59.6, 61, 3600, 3661, 90_000)
    assert [duration(one) for one in seconds] == [
        "0.0 s",
        "0.4 s",
        "10.0 s",
        "59 s",
        "1 min",
        "1 min 1 s",
        "1 h",
        "1 h 1 min",
        "1 d 1 h",
    ]
    assert [size(one) for one in (0, 1023, 1024, 3 << 20)] == ["0 B", "1023 B", "1.0 KiB", "3.0 MiB"]
    assert (many(1, "event"), many(2000, "event")) == ("1 event", "2,000 events")


def test_what_is_no_markup_is_escaped_wherever_it_stands() -> None:
    bad = "\"><b>'&"
    shown = "&quot;&gt;&lt;b&gt;&#x27;&amp;"
    assert tag("a", bad, href=bad) == f'<a href="{shown}">{shown}</a>'
    assert joined(bad, [None, [tag("br"), 7]]) == f"{shown}<br>7"
    assert name(bad) == f"<bdi>{shown}</bdi>"
    assert tag("a", class_="x", data_label="y", hidden=True, title=None) == (
        '<a class="x" data-label="y" hidden></a>'
    )
    assert url("/base", "a/b?", q="ü&\ud800", none=None) == "/base/a%2Fb%3F?q=%C3%BC%26%3F"
