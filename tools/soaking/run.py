"""One soak from start to end: a server, the proxy before it, clients, a storm, calm, and the accounts.

``soak(settings)`` gives an ``Outcome``; ``report.py`` tells it. Everything that is started here is stopped
here, whatever happens. Called by ``__main__.py`` and by the tests.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from tests.integration.servers import ServerProcess, complaints, gunicorn, werkzeug

from .app import OPTIONS
from .asking import Requests
from .crowd import Lossless, Member, Plain
from .faults import Kind, plan
from .proxy import HOST, Proxy
from .rows import Account, Row

APP = "tools.soaking.app:app"

SERVERS: dict[str, Callable[..., ServerProcess]] = {
    "gthread": partial(
        gunicorn, APP, "--worker-class", "gthread", "--threads", "32", "--access-logfile", os.devnull
    ),
    "werkzeug": partial(werkzeug, APP),
}

SETTLING = 15.0
"""Seconds in which what is on its way must have arrived, once nothing goes wrong any more."""

LEAVING = 5.0
"""Seconds in which the sessions must have ended, once their clients have left."""

_LOOK_EVERY = 0.5
_TELL_EVERY = 10.0


@dataclass(frozen=True)
class Settings:
    """What to do. ``cycles``: faults for each client. ``pace``: seconds between two messages of a client,
    and to it. ``seconds``: end the storm then, however many faults there were."""

    mode: Literal["v1", "counting", "plain"] = "v1"
    clients: int = 100
    cycles: int = 100
    seed: int = 1
    seconds: float | None = None
    pace: float = 0.1
    server: str = "gthread"
    #: Of the server. The client's patience is ``ping_interval + heartbeat_margin``.
    ping_interval: float = 1.0
    write_timeout: float = 0.8
    heartbeat_margin: float = 0.5
    send_buffer: int = 64

    @property
    def quiet(self) -> float:
        """Seconds without a message after which none will come: all heartbeats have spoken."""
        return 2 * (self.ping_interval + self.heartbeat_margin)

    @property
    def patience(self) -> float:
        """Seconds without a single fault, after which something has come to a stop.

        The last place of all is some thirty messages away.
        """
        return 20.0 + 100 * self.pace

    @property
    def options(self) -> dict[str, Any]:
        """What the server is told."""
        return {
            "pace": self.pace,
            "asks": self.mode == "v1",
            "ping_interval": self.ping_interval,
            "write_timeout": self.write_timeout,
            # Who only counts can't hold the server back: what he misses must still be kept.
            "send_buffer": 1000 if self.mode == "counting" else self.send_buffer,
        }


@dataclass
class Outcome:
    """What came of it. ``up``: from the clients to the server."""

    settings: Settings
    up: Account = field(default_factory=Account)
    down: Account = field(default_factory=Account)
    asked_up: Requests = field(default_factory=Requests)
    asked_down: Requests = field(default_factory=Requests)
    faults: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    connections: int = 0
    rewritten: int = 0
    refused_up: int = 0
    refused_down: int = 0
    oldest_up: float = 0.0
    oldest_down: float = 0.0
    troubles: list[str] = field(default_factory=list)
    #: ``hub.stats()`` when all clients had left, and how the sessions ended.
    stats: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    storm: float = 0.0
    whole: float = 0.0
    stuck: bool = False
    complaints: list[str] = field(default_factory=list)

    @property
    def lossless(self) -> bool:
        """Whether nothing may be lost in either direction."""
        return self.settings.mode == "v1"


@dataclass
class Progress:
    """How far the storm has come. Says so now and then, and notices when it goes no further."""

    wanted: int
    begun: float
    patience: float
    tell: Callable[[str], None]
    _done: int = 0
    _changed: float = 0.0
    _told: float = 0.0

    def is_stuck(self, done: int, now: float) -> bool:
        """Whether nothing has happened for long; ``done`` faults have struck until ``now``."""
        if done != self._done or not self._changed:
            self._done, self._changed = done, now
        if now - max(self._told, self.begun) >= _TELL_EVERY:
            self._told = now
            self.tell(f"{now - self.begun:4.0f} s: {done:,} of {self.wanted:,} faults")
        return now - self._changed >= self.patience


class Soak:
    """One run, while it runs."""

    def __init__(
        self, settings: Settings, server: ServerProcess, proxy: Proxy, tell: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._server = server
        self._proxy = proxy
        self._tell = tell
        self._never = threading.Event()
        self.members: list[Member] = []

    def join(self) -> None:
        """All clients begin to dial."""
        s = self._settings
        for number, port in enumerate(self._proxy.ports):
            name = f"client-{number}"
            url = f"ws://{HOST}:{port}/ws?name={name}"
            heartbeat = s.ping_interval, s.heartbeat_margin
            if s.mode == "plain":
                self.members.append(Plain(url, name, *heartbeat))
            else:
                plain = s.mode == "counting"
                self.members.append(Lossless(url, name, *heartbeat, plain=plain, pace=s.pace))

    def storm(self) -> bool:
        """Talk while everything goes wrong; False if it came to a stop before all of it had."""
        s = self._settings
        begun = look_at = time.monotonic()
        progress = Progress(s.clients * s.cycles, begun, s.patience, self._tell)
        self._ask("/talk")
        while (done := self._proxy.counts().total()) < progress.wanted:
            now = time.monotonic()
            if progress.is_stuck(done, now):
                return False
            if s.seconds is not None and now - begun >= s.seconds:
                return True
            for member in self.members:
                member.say()
            if now >= look_at:
                look_at = now + _LOOK_EVERY
                self._look()
                if self._troubled():
                    return True  # the report says so; the rest would only hide it
            self._never.wait(s.pace)
        return True

    def settle(self) -> None:
        """Let all that is on its way arrive: with plain clients, until nothing has come for a while."""
        self._proxy.calm()
        self._ask("/hush")
        for member in self.members:
            member.hush()
        can_know = self._settings.mode == "v1" and not self._troubled()
        give_up = time.monotonic() + SETTLING
        before, quiet_at = -1, 0.0
        while (now := time.monotonic()) < give_up:
            proven = self._look()
            ledger = self._ask("/ledger")
            asked = any(partner["asked"]["stuck"] for partner in ledger["partners"].values())
            if can_know and proven and not asked and not ledger["stats"]["held"]:
                return
            come = sum(member.row.received for member in self.members)
            come += sum(partner["received"] for partner in ledger["partners"].values())
            if come != before:
                before, quiet_at = come, now + self._settings.quiet
            elif not can_know and now >= quiet_at:
                return
            self._never.wait(0.05)

    def _look(self) -> bool:
        """Measure all; whether all that they have sent is known to have arrived."""
        return all([member.look() for member in self.members])

    def _troubled(self) -> bool:
        return any(member.trouble for member in self.members)

    def count(self, outcome: Outcome) -> None:
        """Compare what went in with what came out."""
        ledger = self._ask("/ledger")
        for member in self.members:
            name = member.row.name
            partner = ledger["partners"].get(name) or {
                "sent": 0,
                "refused": 0,
                "asked": {},
                "answered": {},
                **Row(name).summary(),
            }
            outcome.up.add(member.sent, partner)
            outcome.down.add(partner["sent"], member.row.summary())
            outcome.asked_up.add(member.asker.summary(), partner["answered"])
            outcome.asked_down.add(partner["asked"], member.answerer.summary())
            outcome.connections += member.connections
            outcome.rewritten += member.rewritten
            outcome.refused_up += member.refused
            outcome.refused_down += partner["refused"]
            outcome.oldest_up = max(outcome.oldest_up, member.oldest)
            if member.trouble:
                outcome.troubles.append(f"{name}: {member.trouble}")
        outcome.oldest_down = ledger["oldest"]
        outcome.faults = self._proxy.counts()

    def leave(self) -> None:
        """All clients leave, and end their sessions; all at once, for one that can't takes a while."""
        threads = [threading.Thread(target=member.close) for member in self.members]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def last_ledger(self) -> dict[str, Any]:
        """The server's ledger when all sessions have ended."""
        give_up = time.monotonic() + LEAVING
        while (ledger := self._ask("/ledger"))["stats"]["sessions"] and time.monotonic() < give_up:
            self._never.wait(0.05)
        return ledger

    def _ask(self, path: str) -> dict[str, Any]:
        status, body = self._server.get(path)
        assert status == 200, f"{path} was answered with {status}: {body!r}"
        answer: dict[str, Any] = json.loads(body)
        return answer


def soak(settings: Settings, tell: Callable[[str], None] = lambda text: None) -> Outcome:
    """Run it. ``tell`` is given a line every ten seconds."""
    outcome = Outcome(settings)
    begun = time.monotonic()
    server = SERVERS[settings.server](env={OPTIONS: json.dumps(settings.options)})
    with server, ExitStack() as stack:
        proxy = stack.enter_context(
            Proxy((HOST, server.port), settings.clients, partial(plan, settings.seed), settings.cycles)
        )
        run = Soak(settings, server, proxy, tell)
        stack.callback(run.leave)
        run.join()
        storm_begun = time.monotonic()
        outcome.stuck = not run.storm()
        outcome.storm = time.monotonic() - storm_begun
        run.settle()
        run.count(outcome)
        run.leave()
        last = run.last_ledger()
        outcome.stats, outcome.ends = last["stats"], last["ends"]
    outcome.complaints = complaints(server.stop())
    outcome.whole = time.monotonic() - begun
    return outcome
