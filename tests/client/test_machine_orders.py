"""Every short order of events, those that make no sense included: what must hold in all of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from resumehub import TransportLost
from resumehub.client import State
from resumehub.client import commands as c
from resumehub.client import effects as e
from resumehub.client.machine import ClientMachine
from resumehub.client.states import ClientRules
from resumehub.client.transport_watch import TransportWatch
from tests.client.client_machine_driver import hello

T = TypeVar("T")

DEPTH = 4
INITIAL, CAP = 1.0, 4.0

Choice = Callable[[ClientMachine], "c.Command | float"]

EVENTS: dict[str, Choice] = {
    "opens": lambda m: c.Opened(m.dial, hello(resumed=m.session, asked=3 if m.session else 0), 3 * m.session),
    "opens plain": lambda m: c.Opened(m.dial, None),
    "is refused for now": lambda m: c.DialRefused(m.dial, 503, retry_after=2.0),
    "is told that it is gone": lambda m: c.DialRefused(m.dial, 410),
    "tries the first of two addresses": lambda m: c.Trying(m.dial, 1),
    "fails": lambda m: c.DialFailed(m.dial, TransportLost(), reached=True),
    "is lost": lambda m: c.Lost(m.dial, 1006),
    "is ended by the server": lambda m: c.Lost(m.dial, 1000, by_peer=True),
    "an old dial opens": lambda m: c.Opened(m.dial - 1, None),
    "an old dial is lost": lambda m: c.Lost(m.dial - 1, 4100, by_peer=True),
    "a message is handled": lambda m: c.Handled(m.watch.handled + 1 if m.watch else 1, 10),
    "the application closes": lambda m: c.Leave(1000, 3.0, drained=False),
    "all is sent": lambda m: c.Drained(),
    "time passes to the next deadline": lambda m: m.next_deadline() or m.now,
}


class Watcher:
    """What can be said of a machine by looking at its effects alone."""

    def __init__(self) -> None:
        self.dials: list[int] = []
        self.alive: set[int] = set()
        self.attached: int | None = None
        self.acked = -1
        self.hooks: list[str] = []
        self.sessions = 0
        self.failures = 0
        self.over = False
        self.drawing = False

    def told(self, command: c.Command) -> None:
        # A connection that stands can't be refused any more: such an event is nonsense, and ignored.
        if isinstance(command, c.Lost) or (
            isinstance(command, c.DialRefused | c.DialFailed) and self.attached is None
        ):
            self.alive.discard(command.dial)

    def saw(self, effect: e.Effect) -> None:
        if self.over:
            assert isinstance(effect, e.Abort | e.LogIgnored | e.QueueCallback), f"{effect} behind the end"
        match effect:
            case e.Dial(number, resume, _):
                assert not self.alive, f"dial {number} while {self.alive} lives"
                assert number > max(self.dials, default=0), "attempts rise strictly"
                assert self.attached is None, "a dial while messages still flow"
                assert resume == (self.sessions > 0)
                self.dials.append(number)
                self.alive.add(number)
            case e.Attach(number, said, resumed, _):
                assert number in self.alive
                assert self.attached is None
                assert resumed == (self.sessions > 0)
                self.attached, self.acked = number, -1
                self.sessions += said is not None
            case e.Detach(number, _):
                assert self.attached == number
                self.attached = None
            case e.Abort(number):
                self.alive.discard(number)
            case e.GiveUpAddress(number, _):
                assert number in self.alive
                assert self.attached is None, "it is connected"
            case e.Acknowledge(number, received):
                assert number == self.attached
                assert received > self.acked, "acknowledgements rise"
                self.acked = received
            case e.SendCloseFrame(number, _):
                assert number == self.attached
            case e.DrawPause(upto, at_least):
                assert 0 < upto <= CAP
                assert 0 <= at_least <= 2.0
            case e.QueueCallback(hook):
                self.hooks.append(hook)
            case e.End():
                assert not self.over
                self.over = True

    def look(self, machine: ClientMachine) -> None:
        """What holds between two events."""
        letters = {"on_transport_drop": "d", "on_transport_restore": "r"}
        told = "".join(letters.get(hook, "") for hook in self.hooks)
        assert told.replace("dr", "") in ("", "d"), self.hooks
        assert machine.finished == self.over
        if machine.finished:
            assert machine.deadlines == {}
            assert not self.alive
            assert self.attached is None
            assert self.hooks.count("on_disconnect") == 1
            assert self.hooks[-1] == "on_disconnect"
            assert ("on_session_expired" in self.hooks) == (machine.state is State.EXPIRED)
        else:
            assert "on_disconnect" not in self.hooks
            # It never just stands there: either a connection can still say something, or time will.
            assert self.alive or machine.deadlines
            assert (machine.state is State.CONNECTED) == (self.attached is not None)
            assert self.alive == ({machine.dial} if machine.state is not State.WAITING else set())


def feed(machine: ClientMachine, watcher: Watcher, event: c.Command | float, chance: float) -> None:
    now, command = (event, c.TimePassed()) if isinstance(event, float | int) else (machine.now, event)
    waiting: list[c.Command] = [command]
    watcher.told(command)
    while waiting:
        for effect in machine.handle(waiting.pop(0), now):
            watcher.saw(effect)
            if isinstance(effect, e.DrawPause):
                waiting.append(c.Drawn(effect.at_least + chance * effect.upto))
            elif isinstance(effect, e.AskLastHeard):
                waiting.append(c.LastHeard(effect.dial, machine.now - 1000 * chance))
    watcher.look(machine)


def fork(thing: T) -> T:
    """A copy that goes its own way."""
    twin = copy.copy(thing)
    for name, value in vars(thing).items():
        if isinstance(value, dict | list | set | TransportWatch):
            setattr(twin, name, copy.copy(value))
    return twin


def orders(
    machine: ClientMachine, watcher: Watcher, told: list[str], depth: int, chance: float
) -> Iterator[None]:
    for name, choose in EVENTS.items():
        ours, theirs = fork(machine), fork(watcher)
        try:
            feed(ours, theirs, choose(ours), chance)
        except AssertionError as error:
            raise AssertionError(f"{error}\nthe order: {', '.join([*told, name])}") from error
        yield
        if depth > 1 and not ours.finished:
            yield from orders(ours, theirs, [*told, name], depth - 1, chance)


BEGINNINGS = {
    "fresh": [],
    "connected": ["opens"],
    "waiting to dial again": ["opens", "is lost"],
    "resumed": ["opens", "is lost", "time passes to the next deadline", "opens"],
    "closing": ["opens", "a message is handled", "the application closes"],
}


@pytest.mark.parametrize("chance", [0.0, 1.0], ids=["no pause", "the longest pause"])
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_all_short_orders_of_events(beginning: str, chance: float) -> None:
    """One dial at a time, numbers that rise, callbacks in turn, an end that is one: in every order."""
    machine, watcher = ClientMachine(ClientRules(initial=INITIAL, cap=CAP)), Watcher()
    feed(machine, watcher, c.Start(), chance)
    for name in BEGINNINGS[beginning]:
        feed(machine, watcher, EVENTS[name](machine), chance)
    depth = DEPTH if chance else DEPTH - 1
    assert sum(1 for _ in orders(machine, watcher, BEGINNINGS[beginning], depth, chance)) > 1_000
