"""The server's books of an endurance run: its callbacks, session by session, and whether they may be so.

``Books`` is told of each callback on the thread that runs it, and keeps a ``Life`` for each session until
``on_disconnect``; then only sums and a short account of it stay, until the client's side has asked for that.
``ledger_faults`` compares the sums with those of the hub and of its collectors: they must be equal whenever
no session is there. Any thread. Used by ``endure_app.py``, and for the comparison by ``endure_run.py``.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from resumehub import Message

from .rows import Row

MOST_FAULTS = 20
"""So many sentences are kept. All are counted."""

COLUMNS = ("acknowledged", "written", "dropped", "expired", "closed", "held")
_GONE = ("sessions", "suspended", "rooms", "memberships", "users", "requests", "held", "parked")


@dataclass
class Life:
    """One session, as its callbacks tell it. ``sent``: numbers that the server has sent it."""

    name: str
    up: Row
    suspended: bool = False
    rooms: set[str] = field(default_factory=set)
    sent: int = 0
    calls: Counter[str] = field(default_factory=Counter)


class Books:
    """Of one hub."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lives: dict[str, Life] = {}
        self._accounts: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.calls: Counter[str] = Counter()
        self.faults: list[str] = []
        self.wrong = 0

    # -- the callbacks ----------------------------------------------------------------------

    def begin(self, life: str, name: str) -> None:
        """on_connect."""
        with self._lock:
            if life in self._lives:
                self._wrong(f"on_connect of {name} came twice")
            self._lives[life] = Life(name, Row(name))
            self._count(life, "connect")

    def suspend(self, life: str) -> None:
        """on_transport_drop."""
        self._switch(life, "drop", suspended=True)

    def resume(self, life: str) -> None:
        """on_transport_restore."""
        self._switch(life, "restore", suspended=False)

    def _switch(self, life: str, hook: str, *, suspended: bool) -> None:
        with self._lock:
            known = self._count(life, hook)
            if known is not None:
                if known.suspended is suspended:
                    self._wrong(f"{hook} of {known.name} came twice in a row")
                known.suspended = suspended

    def join(self, life: str, room: str) -> None:
        """on_join."""
        with self._lock:
            known = self._count(life, "join")
            if known is not None:
                if room in known.rooms:
                    self._wrong(f"on_join of {known.name} and {room} came twice")
                known.rooms.add(room)

    def leave(self, life: str, room: str) -> None:
        """on_leave."""
        with self._lock:
            known = self._count(life, "leave")
            if known is not None:
                if room not in known.rooms:
                    self._wrong(f"on_leave of {known.name} and {room} without on_join")
                known.rooms.discard(room)

    def hear(self, life: str, message: Message, now: float, *, is_number: bool) -> None:
        """on_message, whatever it is; numbers go into the row."""
        with self._lock:
            known = self._count(life, "message")
            if known is not None:
                if known.suspended:
                    known.calls["message while suspended"] += 1  # it was read before: no fault
                if is_number:
                    known.up.take(message, now)

    def end(self, life: str, error: str) -> None:
        """on_disconnect, with the name of its error; "" for None."""
        with self._lock:
            known = self._count(life, "disconnect")
            if known is None:
                return
            if known.rooms:
                self._wrong(f"{known.name} has ended and is still in {sorted(known.rooms)}")
            del self._lives[life]
            self._accounts[known.name].append(
                {"up": known.up.summary(), "sent": known.sent, "calls": dict(known.calls), "error": error}
            )

    def number(self, life: str) -> int:
        """The next number to send to a session; 0: it has ended. Call ``sent`` when it was accepted."""
        with self._lock:
            known = self._lives.get(life)
            return known.sent + 1 if known is not None else 0

    def sent(self, life: str) -> None:
        """The number of ``number`` was accepted."""
        with self._lock:
            if (known := self._lives.get(life)) is not None:
                known.sent += 1

    def _count(self, life: str, hook: str) -> Life | None:
        self.calls[hook] += 1
        known = self._lives.get(life)
        if known is None:
            self._wrong(f"{hook} of a session that is not there")
        else:
            known.calls[hook] += 1
        return known

    def _wrong(self, fault: str) -> None:
        self.wrong += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)

    # -- what is asked ----------------------------------------------------------------------

    def account(self, name: str) -> list[dict[str, Any]]:
        """The accounts of all sessions of a name that have ended; they are forgotten with this."""
        with self._lock:
            return self._accounts.pop(name, [])

    def told(self) -> dict[str, Any]:
        """The sums, as JSON. Accounts that nobody asked for are forgotten."""
        with self._lock:
            self._accounts.clear()
            return {
                "calls": dict(self.calls),
                "open": len(self._lives),
                "wrong": self.wrong,
                "faults": list(self.faults),
            }


def ledger_faults(name: str, books: dict[str, Any], stats: dict[str, Any], sums: dict[str, Any]) -> list[str]:
    """What does not fit, in sentences. ``books``: ``Books.told()``, ``stats``: ``hub.stats()``, ``sums``:
    ``Counters.snapshot()``, of the hub ``name`` while it has no session."""
    calls = Counter(books["calls"])
    pairs = [
        ("callbacks that may not be", books["wrong"], "none", 0),
        ("sessions without on_disconnect", books["open"], "none", 0),
        *((f"stats: {column}", stats[column], "none", 0) for column in _GONE),
        ("frames accepted", stats["accepted"], "in the columns", sum(stats[column] for column in COLUMNS)),
        *(
            (f"stats: {column}", stats[column], "message_dropped", sums["messages_dropped"].get(reason, 0))
            for column, reason in (("dropped", "overflow"), ("expired", "expired"), ("closed", "closed"))
        ),
        ("connection_opened", sums["connections_opened"], "on_connect", calls["connect"]),
        ("connection_closed", sum(sums["connections_closed"].values()), "on_disconnect", calls["disconnect"]),
        ("on_connect", calls["connect"], "on_disconnect", calls["disconnect"]),
        ("on_join", calls["join"], "on_leave", calls["leave"]),
        # A restore and the drop behind it may cancel out, while both wait for a handler.
        (
            "resumes without on_transport_restore",
            sums["resumes_succeeded"] - calls["restore"],
            "suspensions without on_transport_drop",
            sums["suspensions"] - calls["drop"],
        ),
        ("room_created", sums["rooms_created"], "room_destroyed", sums["rooms_destroyed"]),
        ("request_asked", sums["requests_asked"], "settled", sum(sums["requests_settled"].values())),
        (
            "client_request_taken",
            sums["client_requests_taken"],
            "settled",
            sum(sums["client_requests_settled"].values()),
        ),
    ]
    found = [f"{name}: {what} {a:,}, {other} {b:,}" for what, a, other, b in pairs if a != b]
    # What no handler sees: the undecodable, requests beyond max_requests, and answers, late ones included.
    unseen = sums["messages_received"] - calls["message"] - stats["undecodable"]
    answers = unseen - sums["client_requests_settled"].get("turned_away", 0)
    least = sum(sums["requests_settled"].get(outcome, 0) for outcome in ("answered", "refused"))
    if not least <= answers <= sums["requests_asked"]:
        found.append(f"{name}: {answers:,} messages were received that neither a handler nor an asker got")
    if sums["messages_sent"] < stats["acknowledged"] + stats["written"]:
        found.append(f"{name}: fewer messages were sent than have arrived")
    return found + [f"{name}: {fault}" for fault in books["faults"]]
