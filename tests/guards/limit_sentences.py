"""What the sentences about limits mean: how much clients send, how often they connect, what buffers hold.

A ``LimitedShell`` keeps what the shell around the machine would: each session's buckets, as its reader has
them; the table of addresses, as request threads ask it; the bytes in buffers. ``buffer_budget`` is an option
of the machine; the other limits are said by sentences.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from resumehub import ConnectRate, RateLimit
from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.connect_rate import ConnectTable, subscriber_of
from resumehub.core.input_rate import InputRate
from tests.core.fake_shell import FakeShell


class LimitedShell(FakeShell):
    """A shell whose clients have limits."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.rates: dict[int, InputRate] = {}  # of the sessions
        self.waiting: dict[int, int] = {}  # bytes for the client, of each session that has any
        self.parked: dict[int, int] = {}  # bytes of the client, which no handler has begun with
        self.unread: set[int] = set()  # transports whose reader pauses
        self.warnings = 0
        self.addresses = ConnectTable(ConnectRate())
        self.told = 0.0  # what the last dial was told

    def _execute(self, effect: e.Effect) -> c.Observed | None:
        match effect:
            case e.MeasureBuffers():
                held = tuple(
                    c.Held(epoch, self.waiting.get(epoch, 0), self.parked.get(epoch, 0))
                    for epoch in sorted({*self.waiting, *self.parked})
                )
                self.do(c.BuffersMeasured(sum(one.waiting + one.parked for one in held), held))
            case e.ShedFrames(epoch, size):
                self.waiting[epoch] = min(self.waiting[epoch], size)
            case e.EndSession(epoch):
                self.waiting.pop(epoch, None)
                self.parked.pop(epoch, None)
            case e.WarnOverBudget():
                self.warnings += 1
            case e.ReadOn(number) | e.AbortTransport(number):
                self.unread.discard(number)
        return super()._execute(effect)

    # -- what clients send ------------------------------------------------------------------

    def limit(self, *, moved: bool = False, burst: float = 8, **rates: float) -> None:
        """All sessions of now may send so much; the buckets are those of a reader that begins now."""
        none: dict[str, Any] = {"messages_per_second": None, "bytes_per_second": None}
        limit = RateLimit(**(none | rates), burst=burst)
        self.rates = {epoch: InputRate(limit, self.now, moved=moved) for epoch in self.sessions}

    def client_sends(self, epoch: int, number: int, *, size: int = 0, control: bool = False) -> None:
        """So many messages or control frames, of ``size`` bytes each, however long its reader pauses."""
        rate = self.rates[epoch]
        for _ in range(number):
            if rate.control(size, self.now) if control else rate.message(size, self.now):
                overdrawn_at = self.sessions[epoch].transport
                assert overdrawn_at is not None, "a client sends on its transport"
                self.pause(overdrawn_at, rate.until())

    def pause(self, number: int, until: float) -> None:
        self.unread.add(number)
        self.do(c.ReadingPaused(number, until))

    # -- how often clients connect ----------------------------------------------------------

    def limit_dials(self, seconds: float, burst: int, **most: int) -> None:
        self.addresses = ConnectTable(ConnectRate(connects_per_second=1 / seconds, burst=burst), **most)

    def dial(self, address: str, number: int = 1, *, comes_back: bool = False) -> None:
        subscriber = subscriber_of(address)
        for _ in range(number):
            self.told = self.addresses.admit(subscriber, comes_back, self.now) if subscriber else 0.0

    def dial_as_told(self, address: str) -> None:
        self.now += self.told
        self.dial(address)


def _numbers(act: Callable[..., object]) -> Callable[..., object]:
    """The act, with each word that is a number given as one."""

    def with_numbers(stage: LimitedShell, *words: str) -> object:
        return act(stage, *(float(word) if "." in word else int(word) for word in words))

    return with_numbers


def _pauses(stage: LimitedShell, number: int, seconds: float) -> None:
    stage.pause(number, stage.now + seconds)


HAPPENS: dict[str, Callable[..., object]] = {
    r"clients may send (\d+) messages a second, ([\d.]+) s at once": _numbers(
        lambda stage, rate, burst: stage.limit(messages_per_second=rate, burst=burst)
    ),
    r"clients may send (\d+) bytes a second, (\d+) s at once": _numbers(
        lambda stage, rate, burst: stage.limit(bytes_per_second=rate, burst=burst)
    ),
    r"clients may send (\d+) messages a second, (\d+) s at once, and come from another process": _numbers(
        lambda stage, rate, burst: stage.limit(messages_per_second=rate, burst=burst, moved=True)
    ),
    r"the client of session (\d) sends (\d+) messages": _numbers(
        lambda stage, epoch, number: stage.client_sends(epoch, number)
    ),
    r"the client of session (\d) sends a message of (\d+) bytes": _numbers(
        lambda stage, epoch, size: stage.client_sends(epoch, 1, size=size)
    ),
    r"the client of session (\d) sends (\d+) Pings": _numbers(
        lambda stage, epoch, number: stage.client_sends(epoch, number, control=True)
    ),
    r"the client of session (\d) sends (\d+) Pings of (\d+) bytes": _numbers(
        lambda stage, epoch, number, size: stage.client_sends(epoch, number, size=size, control=True)
    ),
    r"the reader of transport (\d) pauses for (\d+) s": _numbers(_pauses),
    r"([\d.]+) s pass": _numbers(lambda stage, seconds: stage.wait(seconds)),
    r"(\d+) bytes wait for the client of session (\d)": _numbers(
        lambda stage, size, epoch: stage.waiting.update({epoch: size})
    ),
    r"(\d+) bytes wait for the handlers of session (\d)": _numbers(
        lambda stage, size, epoch: stage.parked.update({epoch: size})
    ),
    r"an address may connect every ([\d.]+) s, (\d) times at once": _numbers(
        lambda stage, seconds, burst: stage.limit_dials(seconds, burst)
    ),
    r"an address may connect every (\d+) s, (\d) times at once, with memory for (\d)": _numbers(
        lambda stage, seconds, burst, most: stage.limit_dials(seconds, burst, most=most)
    ),
    r"(\S+) dials": lambda stage, address: stage.dial(address),
    r"(\S+) dials (\d+) times": lambda stage, address, number: stage.dial(address, int(number)),
    r"(\S+) dials when it was told to": lambda stage, address: stage.dial_as_told(address),
    r"a client at (\S+) comes back": lambda stage, address: stage.dial(address, comes_back=True),
    r"a client at (\S+) has its session again": lambda stage, address: stage.addresses.give_back(
        subscriber_of(address), True
    ),
}
"""What can happen, as patterns."""

FOUND: dict[str, Callable[..., object]] = {
    r"transport (\d) is (read|not read)": lambda stage, number: (
        "not read" if int(number) in stage.unread else "read"
    ),
    r"what waits for the client of session (\d) is (\d+) bytes": lambda stage, epoch: stage.waiting[
        int(epoch)
    ],
    r"the operator is (warned|not warned)": lambda stage: "warned" if stage.warnings else "not warned",
    r"the hub (sleeps|will wake)": lambda stage: (
        "sleeps" if stage.machine.next_deadline() is None else "will wake"
    ),
    r"the last dial is (admitted|refused for \d+ s)": lambda stage: (
        f"refused for {stage.told:.0f} s" if stage.told else "admitted"
    ),
    r"remembered addresses: (\d)": lambda stage: len(stage.addresses),
}
"""How things stand, as patterns; the last word of each is compared with what is found."""
