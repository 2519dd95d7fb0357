"""The pages with lists: overview, sessions, rooms, users, what has ended. From values to HTML.

Pure. Any thread. Read next: ``layout.py``, ``session_page.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..clock import wall
from ..server.looks import EndedSeen, NamesAsked, NamesSeen, SessionRow, SessionsAsked, SessionsSeen
from ..session.recorder import Recorder, RefusedUpgrade
from ..stats import Stats
from .layout import ShownPage, card, facts, note, table
from .markup import Child, Markup, joined, name, tag
from .questions import Nodes
from .words import duration, many, moment, said, size, time_of_day

_LONGEST: Final = 255
_STATES: Final = (("", "any state"), ("connected", "connected"), ("suspended", "suspended"))


# -- overview -------------------------------------------------------------------------------


def overview(page: ShownPage, stats: Stats, refused_here: Mapping[str, int], nodes: Nodes | None) -> Markup:
    """What the hub holds, who holds it, and what became of all messages."""
    sessions = facts(
        ("connected", tag("a", f"{stats.connected:,}", href=page.to("sessions", state="connected"))),
        ("suspended", tag("a", f"{stats.suspended:,}", href=page.to("sessions", state="suspended"))),
        ("rooms", tag("a", f"{stats.rooms:,}", href=page.to("rooms"))),
        ("users", tag("a", f"{stats.users:,}", href=page.to("users"))),
        ("memberships of rooms", f"{stats.memberships:,}"),
        ("open requests", f"{stats.requests:,}"),
        ("messages that wait for a handler", f"{stats.parked:,} ({size(stats.parked_bytes)})"),
        ("messages in buffers", f"{stats.held:,} ({size(stats.held_bytes)})"),
        ("messages that could not be decoded", f"{stats.undecodable:,}"),
        ("the hub thread is behind by", duration(stats.lag)),
        ("threads", stats.threads),
    )
    parts: list[Child] = []
    if stats.draining:
        parts.append(note(f"The hub is drained: {stats.draining} are refused.", tone="wait"))
    parts.append(card("Sessions", sessions))
    if nodes is not None:
        parts.append(card("Processes", _nodes(nodes)))
    parts.append(card("Ledger", _ledger(stats)))
    parts.append(card("Refused upgrades", _refused(page, stats.refused, refused_here, nodes is not None)))
    return tag("div", tag("h1", "What the hub holds"), tag("div", parts, class_="cards"))


def _nodes(nodes: Nodes) -> Markup:
    told = nodes.told
    if told is None:
        return joined(note(nodes.detail), note("The hub's process did not answer.", tone="gone"))
    others: list[tuple[Child, ...]] = [
        (pid, kind, "passes its clients on") for pid, kind in zip(told.pids, told.kinds, strict=True)
    ]
    holder = (told.pid, told.kind, tag("b", f"holds the hub, for {duration(told.held_for)}"))
    return joined(
        table(("process", "kind", "does"), [holder, *others]), note("Seen from here: ", nodes.detail, ".")
    )


def _ledger(stats: Stats) -> Markup:
    ends = (
        ("acknowledged", stats.acknowledged, "its client has handled it"),
        ("written", stats.written, "written to a client that does not acknowledge"),
        ("dropped", stats.dropped, "the buffer was full"),
        ("expired", stats.expired, "the grace window ended"),
        ("closed", stats.closed, "the session ended, or its peer took no more"),
        ("held", stats.held, "still in a buffer or a history"),
    )
    rows: list[tuple[Child, ...]] = [(word, f"{count:,}", why) for word, count, why in ends]
    total = sum(count for _, count, _ in ends)
    rows.insert(0, (tag("b", "accepted"), tag("b", f"{stats.accepted:,}"), "for one receiver each"))
    adds = total == stats.accepted
    verdict = (
        "They add up." if adds else f"They differ by {abs(total - stats.accepted):,}: messages are sent."
    )
    return joined(table(("frames", "number", "what became of them"), rows, "ledger"), note(verdict))


def _refused(page: ShownPage, at_hub: Mapping[str, int], here: Mapping[str, int], in_cluster: bool) -> Markup:
    last = tag("a", "The last ones", href=page.to("ended"))
    if not in_cluster:
        return joined(_reasons(at_hub), note(last))
    return joined(
        tag("h3", "by the hub's process"),
        _reasons(at_hub),
        tag("h3", "by the process that shows this page"),
        _reasons(here),
        note("Each process counts those that it refuses. ", last),
    )


def _reasons(counts: Mapping[str, int]) -> Markup:
    if not counts:
        return note("None.")
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return facts(*[(reason, f"{count:,}") for reason, count in order])


# -- sessions -------------------------------------------------------------------------------


def sessions_asked(args: Mapping[str, str]) -> SessionsAsked:
    """What the query of the page asks for; what makes no sense counts as not said."""
    state = args.get("state", "")
    return SessionsAsked(
        after=_whole(args.get("after", "")),
        mark=args.get("mark", "")[:64],
        room=args.get("room", "")[:_LONGEST] or None,
        user=args.get("user", "")[:_LONGEST] or None,
        state=state if state in ("connected", "suspended") else "",
        text=args.get("q", "")[:_LONGEST],
    )


def sessions(page: ShownPage, asked: SessionsAsked, seen: SessionsSeen) -> Markup:
    """A page of sessions, and the form that chooses them."""
    options = [tag("option", label, value=value, selected=value == asked.state) for value, label in _STATES]
    form = tag(
        "form",
        _field("q", "id", asked.text),
        _field("room", "room", asked.room or ""),
        _field("user", "user", asked.user or ""),
        tag("label", tag("span", "state"), tag("select", options, name="state")),
        tag("button", "Show", type="submit"),
        method="get",
        action=page.to("sessions"),
        class_="filter",
        role="search",
    )
    parts: list[Child] = [tag("h1", "Sessions"), form]
    if seen.begun_anew:
        parts.append(note("The hub has moved meanwhile: these are the first ones again.", tone="wait"))
    if seen.rows:
        heads = ("id", "state", "room", "user", "buffer", "connections", "age")
        parts.append(table(heads, [_row(page, row) for row in seen.rows], "sessions stacked"))
    else:
        parts.append(note("No session is like that."))
    shown = f"{many(len(seen.rows), 'session')} of {seen.total:,} shown."
    if seen.next:
        onward = tag("a", "Go on", class_="button", href=page.again(after=seen.next, mark=seen.mark))
        parts.append(tag("p", shown, " ", onward, class_="onward"))
    else:
        parts.append(note(shown))
    if any(row.who.masked for row in seen.rows):
        parts.append(note(_MASKED))
    return tag("div", parts)


_MASKED: Final = (
    "An id that ends in … is cut off: whoever has the whole of it could resume the session. "
    "Search for the whole id to find it."
)


def _row(page: ShownPage, row: SessionRow) -> tuple[Child, ...]:
    who = row.who
    user = tag("a", name(who.user), href=page.to("sessions", user=who.user)) if who.user is not None else None
    rooms = tag("a", name(who.room_id), href=page.to("sessions", room=who.room_id))
    return (
        tag("a", name(who.name), href=page.to("session", who.life), class_="id"),
        state(row),
        joined(rooms, f" and {row.rooms - 1} more" if row.rooms > 1 else None),
        user,
        buffer(row),
        row.generation,
        duration(row.age) if row.age >= 0 else "unknown",
    )


def state(row: SessionRow) -> Markup:
    """Connected or suspended, in colour and in a word."""
    word = "suspended" if row.suspended else "connected"
    return tag("span", word, class_=f"state {word}")


def buffer(row: SessionRow) -> Markup:
    """How full its outgoing buffer is."""
    share = max(row.used / max(1, row.room_for), row.used_bytes / max(1, row.room_for_bytes))
    meter = tag("meter", value=f"{share:.3f}", high="0.8", aria_label="how full the buffer is")
    return joined(meter, f" {row.used:,} of {row.room_for:,}")


# -- rooms, users ---------------------------------------------------------------------------


def names_asked(args: Mapping[str, str], *, users: bool) -> NamesAsked:
    """What the query of the page asks for."""
    return NamesAsked(users, _whole(args.get("after", "")), args.get("q", "")[:_LONGEST])


def names(page: ShownPage, asked: NamesAsked, seen: NamesSeen) -> Markup:
    """A page of rooms, or of users."""
    noun = "user" if asked.users else "room"
    rows: list[tuple[Child, ...]] = []
    for row in seen.rows:
        where = page.to("sessions", **{noun: row.name})
        rows.append((tag("a", name(row.name), href=where), f"{row.sessions:,}"))
    form = tag(
        "form",
        _field("q", noun, asked.text),
        tag("button", "Show", type="submit"),
        method="get",
        action=page.to(f"{noun}s"),
        class_="filter",
        role="search",
    )
    listed = table((noun, "sessions"), rows, "numbers") if rows else note(f"No {noun} is like that.")
    shown = f"{many(len(rows), noun)} of {seen.total:,} shown, in the order in which they began."
    onward = tag("a", "Go on", class_="button", href=page.again(after=seen.next)) if seen.next else None
    return tag(
        "div", tag("h1", f"{noun.capitalize()}s"), form, listed, tag("p", shown, " ", onward, class_="onward")
    )


# -- what has ended -------------------------------------------------------------------------


def ended(page: ShownPage, seen: EndedSeen, here: Recorder | None) -> Markup:
    """The sessions that ended last, and the upgrades that were refused last."""
    if not seen.recorded:
        return tag("div", tag("h1", "Ended"), note(NOT_RECORDED, tone="wait"))
    rows: list[tuple[Child, ...]] = [
        (
            tag("a", name(row.who.name), href=page.to("session", row.who.life), class_="id"),
            name(row.who.room_id),
            said(row.last),
            ago(seen.at - row.last.at),
        )
        for row in seen.ended
    ]
    none = note("No session has ended yet.")
    gone = table(("id", "room", "how", "when"), rows, "stacked") if rows else none
    parts: list[Child] = [card("Sessions that ended last", gone)]
    title = "Upgrades refused last" + (", by the hub's process" if here is not None else "")
    parts.append(card(title, refusals(seen.refused, seen.at)))
    if here is not None:
        its_own = refusals(here.refusals(), here.now())
        parts.append(card("Upgrades refused last, by the process that shows this page", its_own))
    return tag("div", tag("h1", "Ended and refused"), tag("div", parts, class_="stack"))


def refusals(refused: tuple[RefusedUpgrade, ...], at: float) -> Markup:
    """A table of them."""
    if not refused:
        return note("None.")
    rows: list[tuple[Child, ...]] = [(one.status, one.reason, ago(at - one.at)) for one in refused]
    return table(("status", "reason", "when"), rows)


NOT_RECORDED: Final = (
    "The process that holds the hub does not keep what happens: build the Inspector where the hub is built, "
    "so that it is there in each process."
)


# -- answers without a page -----------------------------------------------------------------


def unavailable(page: ShownPage, why: str, nodes: Nodes | None) -> Markup:
    """The hub does not answer."""
    parts: list[Child] = [tag("h1", "The hub does not answer"), note(why, tone="gone")]
    if nodes is not None:
        parts.append(card("Processes", _nodes(nodes)))
    return tag("div", parts)


def not_found(page: ShownPage, *, session: bool) -> Markup:
    """There is no such page, or no such session."""
    text = "No session of this name is here. It may have ended long ago, or in another process."
    return tag(
        "div", tag("h1", "Not found"), note(text if session else "There is no such page.", tone="wait")
    )


# -- parts ----------------------------------------------------------------------------------


def ago(seconds: float) -> Markup:
    """A time of day, and how long ago that was."""
    at = wall() - max(0.0, seconds)
    return joined(
        tag("time", time_of_day(at), datetime=moment(at)),
        " ",
        tag("span", f"{duration(max(0.0, seconds))} ago", class_="ago"),
    )


def _field(key: str, label: str, value: str) -> Markup:
    return tag(
        "label",
        tag("span", label),
        tag("input", name=key, value=value, maxlength=_LONGEST, autocomplete="off", spellcheck="false"),
    )


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0
