"""One session's recent life as lanes: its client, the hub, the application. Time runs downwards.

Each event is a row. The bar in the lane of the hub is the session's state from that event on; an arrow says
who did it to whom. HTML and a style sheet, no picture: it can be read on a phone, and by a screen reader.
Pure. Any thread. Read next: ``words.py``, ``../testing/drawing.py`` (the same for a whole hub).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from ..session.recent import Counts, Happened, What
from .markup import Markup, joined, tag
from .pages import ago
from .words import many, said

_WAYS: Final = {
    What.BEGAN: ("client-hub", "begin"),
    What.MOVED_IN: ("hub", "quiet"),
    What.LOST: ("client-hub", "wait"),
    What.TAKEN_OVER: ("client-hub", "wait"),
    What.RESUMED: ("client-hub", "begin"),
    What.NOT_RESUMED: ("hub-client", "end"),
    What.JOINED: ("app-hub", "plain"),
    What.LEFT: ("app-hub", "plain"),
    What.RAISED: ("app-hub", "end"),
    What.SLOW: ("app", "wait"),
    What.STALLED: ("client", "wait"),
    What.PAUSED: ("client", "wait"),
    What.ENDED: ("hub", "end"),
    What.MOVED_OUT: ("hub", "quiet"),
}
"""Of each event: the lanes that it is in, and its tone."""

_STATES: Final = {
    What.BEGAN: "connected",
    What.RESUMED: "connected",
    What.LOST: "suspended",
    What.TAKEN_OVER: "connected",
    What.ENDED: "over",
    What.MOVED_OUT: "over",
}
"""The session's state behind an event, where that changes it."""


def lanes(events: Sequence[Happened], at: float, forgotten: int, *, suspended: bool | None) -> Markup:
    """The rows. ``at``: now; ``forgotten``: events not kept; ``suspended``: now; None: it is over."""
    states = _states_of(events, suspended)
    rows = []
    for index, (event, state) in enumerate(zip(events, states, strict=True)):
        if index == 1 and forgotten:
            gap = tag("span", many(forgotten, "event"), " before these are not kept", class_="what hub quiet")
            rows.append(tag("li", tag("span", class_="when"), _bar(state), gap))
        before = events[index - 1].counts if index else Counts()
        rows.append(_row(event, state, before, at, first=index == 0))
    heads = [tag("span", title, class_=f"head {lane}") for lane, title in _TITLES]
    return tag(
        "div",
        tag("div", tag("span", "UTC", class_="when"), heads, class_="heads", aria_hidden="true"),
        tag("ol", rows),
        class_="lanes",
    )


_TITLES: Final = (("client", "Client"), ("hub", "Hub"), ("app", "Application"))


def _row(event: Happened, state: str, before: Counts, at: float, *, first: bool) -> Markup:
    way, tone = _WAYS[event.what]
    text = said(event) + (f", {event.times} times" if event.times > 1 else "")
    parts = [tag("span", text, class_="text")]
    if not first and (since := _since(before, event.counts)):
        parts.append(tag("span", since, class_="counts"))
    return tag(
        "li",
        tag("span", ago(at - event.at), class_="when"),
        _bar(state),
        tag("span", joined(*parts), class_=f"what {way} {tone}"),
    )


def _bar(state: str) -> Markup:
    return tag("span", tag("span", f"then {state}", class_="hidden"), class_=f"bar {state}")


def _since(before: Counts, now: Counts) -> str:
    """How many messages there were between two events."""
    came, went = now.handled - before.handled, now.accepted - before.accepted
    parts = [
        f"{came:,} in" if came > 0 else "",
        f"{went:,} out" if went > 0 else "",
        f"{now.dropped - before.dropped:,} dropped" if now.dropped > before.dropped else "",
    ]
    found = ", ".join(part for part in parts if part)
    return f"before it: {found}" if found else ""


def _states_of(events: Sequence[Happened], suspended: bool | None) -> list[str]:
    """Of each event, the state behind it. What came from another process was as it is told now, or later."""
    state = ""
    states = []
    for event in events:
        state = _STATES.get(event.what, state)
        states.append(state)
    if events and not states[0]:
        # Until the first event that says it: the state before that one.
        known = next((s for s in states if s), "")
        was = _before(known, events, suspended)
        states = [s or was for s in states]
    return states


def _before(known: str, events: Sequence[Happened], suspended: bool | None) -> str:
    if not known:
        return "suspended" if suspended else "connected"
    for _, event in pairwise(events):
        if event.what is What.RESUMED:
            return "suspended"
        if event.what in _STATES:
            return "connected"
    return "connected"
