"""The page of one session: what it holds, what happened to it, and how to end it.

Pure. Any thread. Read next: ``swimlane.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..server.looks import LifeSeen, SessionRow
from ..session.recent import What
from .guard import TOKEN
from .layout import ShownPage, card, facts, note
from .markup import Child, Markup, joined, name, tag
from .pages import NOT_RECORDED, buffer, state
from .swimlane import lanes
from .words import duration, many, size

_DONE: Final = {
    "kick": ("It was kicked.", "begin"),
    "expire": ("Its grace window was ended.", "begin"),
    "over": ("Nothing was done: it had ended before.", "wait"),
    "connected": ("Nothing was done: its client is connected, so there is no grace window to end.", "wait"),
}
"""What came of an order, as the query of the page says."""


def session(page: ShownPage, seen: LifeSeen, tokens: Mapping[str, str]) -> Markup:
    """The page. ``tokens``: of the forms, by what they do; empty: nothing may be done."""
    row, who = seen.row, seen.who
    over = tag("span", "ended", class_="state over")
    if seen.events and seen.events[-1].what is What.MOVED_OUT:
        over = tag("span", "moved", class_="state over")
    parts: list[Child] = [
        tag("h1", name(who.name), " ", state(row) if row is not None else over, class_="session-title")
    ]
    if (done := _DONE.get(page.args.get("done", ""))) is not None:
        parts.append(note(done[0], tone=done[1]))
    left = card("Now" if row is not None else "It was", _facts(page, seen))
    if row is not None and tokens:
        left = joined(left, card("End it", *_forms(page, seen, row, tokens)))
    parts.append(tag("div", tag("div", left, class_="stack"), _life(seen), class_="split"))
    return tag("div", parts)


def _facts(page: ShownPage, seen: LifeSeen) -> Markup:
    who, row, book = seen.who, seen.row, seen.book
    kind = "lossless (resumehub.v1)" if who.lossless else "plain"
    ids = "made by the hub" if who.generated else "given by the application"
    if who.masked:
        ids += "; cut off here, since whoever has it could resume"
    user = (
        tag("a", name(who.user), href=page.to("sessions", user=who.user)) if who.user is not None else "none"
    )
    pairs: list[tuple[str, Child]] = [
        ("user", user),
        ("rooms", _rooms(page, seen.rooms)),
        ("client", kind),
        ("id", ids),
        ("life", tag("code", who.life)),
    ]
    if row is not None:
        if row.suspended:
            pairs.insert(0, ("its window", _window(seen)))
        pairs += [
            ("connections so far", row.generation),
            ("buffer", joined(buffer(row), f", {size(row.used_bytes)} of {size(row.room_for_bytes)}")),
            ("waiting for a handler", many(row.waiting, "message")),
        ]
    pairs.append(("messages in", f"{seen.counts.handled:,} handled"))
    if book is not None:
        ends = (
            (book.acknowledged, "acknowledged"),
            (book.written, "written"),
            (book.dropped, "dropped"),
            (book.held, "held"),
        )
        became = ", ".join(f"{count:,} {word}" for count, word in ends if count)
        pairs.append(("messages out", f"{book.accepted:,} accepted" + (f": {became}" if became else "")))
    else:
        pairs.append(("messages out", f"{seen.counts.accepted:,} accepted"))
    if len(seen.requests) == 2 and any(seen.requests):
        of_client, to_client = seen.requests
        pairs.append(("open requests", f"{of_client} of the client, {to_client} to it"))
    return facts(*pairs)


def _rooms(page: ShownPage, rooms: tuple[str, ...]) -> Markup:
    links = [tag("a", name(room), href=page.to("sessions", room=room)) for room in rooms]
    return joined(*[joined(", " if index else None, link) for index, link in enumerate(links)])


def _window(seen: LifeSeen) -> str:
    lost = next((event for event in reversed(seen.events) if event.what is What.LOST), None)
    if lost is None:
        return "began in another process; when it ends is not known here"
    left = lost.at + seen.window - seen.at
    return f"ends in {duration(left)}" if left > 0 else "ends now"


def _life(seen: LifeSeen) -> Markup:
    if not seen.recorded:
        return card("What happened", note(NOT_RECORDED, tone="wait"))
    suspended = seen.row.suspended if seen.row is not None else None
    picture = lanes(seen.events, seen.at, seen.forgotten, suspended=suspended)
    return card("What happened", picture, class_="life")


def _forms(page: ShownPage, seen: LifeSeen, row: SessionRow, tokens: Mapping[str, str]) -> list[Child]:
    life = seen.who.life
    forms: list[Child] = [
        _form(
            page.to("session", life, "kick"),
            tokens["kick"],
            "Kick",
            "Its client is told 1000 “kicked”; nothing can be resumed. What was sent before still goes out.",
            "Kick it now",
        )
    ]
    if row.suspended:
        forms.append(
            _form(
                page.to("session", life, "expire"),
                tokens["expire"],
                "End its window",
                "As if its time were up: its client is told 410 when it comes back, and what waits is lost.",
                "End it now",
            )
        )
    return forms


def _form(action: str, token: str, title: str, what: str, button: str) -> Markup:
    return tag(
        "details",
        tag("summary", title),
        tag(
            "form",
            tag("p", what),
            tag("input", type="hidden", name=TOKEN, value=token),
            tag("button", button, type="submit", class_="danger"),
            method="post",
            action=action,
        ),
        class_="deed",
    )
