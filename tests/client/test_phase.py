"""Clients of one room acknowledge out of step: the first acknowledgement of each transport has a phase.

The machine is given the phase as a value, so that nothing here is left to chance.
"""

from __future__ import annotations

import itertools
import math
import random

import pytest

from resumehub.client import Client
from resumehub.client import commands as c
from resumehub.client import effects as e
from resumehub.client.states import ClientDeadline
from resumehub.protocol.control_messages import ACK_DELAY
from tests.client.client_machine_driver import Bench, of
from tests.client.fake_server import FakeServer, Peer
from tests.support import PATIENCE

PHASES = [0.0, 0.01, 0.125, 0.3, 0.5, 0.77, 0.999, 1.0]
WINDOWS = [1, 2, 3, 8, 9, 256]


def acknowledged(bench: Bench, numbers: range, size: int = 1) -> list[int]:
    """Handle messages, all in one moment; what was acknowledged, and when it was: at these numbers."""
    at: list[int] = []
    for number in numbers:
        acks = of(bench.do(c.Handled(number, size)), e.Acknowledge)
        assert [ack.received for ack in acks] in ([], [number])
        at += [ack.received for ack in acks]
    return at


def handle(peer: Peer, client: Client, numbers: range) -> None:
    """Have the client handle all of these messages but the last, which it takes."""
    for number in numbers:
        peer.send("n", number)
        client.receive(PATIENCE)


@pytest.mark.parametrize("phase", PHASES)
def test_the_first_acknowledgement_has_a_phase_and_the_next_ones_are_half_a_window_apart(
    phase: float,
) -> None:
    """By messages: the first one at its share of 128, at the first message if that is less than one."""
    bench = Bench()
    bench.open(phase=phase, window_messages=256, window_bytes=1 << 20)
    assert of(bench.done, e.Acknowledge) == [e.Acknowledge(1, 0)]  # the hello's is as it was
    first = max(1, math.ceil(phase * 128))
    assert acknowledged(bench, range(1, 1001)) == list(range(first, 1001, 128))


@pytest.mark.parametrize("phase", PHASES)
def test_large_messages_are_out_of_step_too(phase: float) -> None:
    """The same share of half of the window in bytes, where those are used up first."""
    bench = Bench()
    bench.open(phase=phase, window_messages=256, window_bytes=2000)
    first = max(1, math.ceil(phase * 100))
    assert acknowledged(bench, range(1, 1001), size=10) == list(range(first, 1001, 100))


def test_the_second_is_shorter_in_proportion() -> None:
    """Where messages come slowly it is time that tells: from half a second to a second, each time."""
    for phase in PHASES[2:]:
        bench = Bench()
        bench.open(phase=phase, window_messages=1 << 10, window_bytes=1 << 20)
        for number in range(1, 4):
            bench.do(c.Handled(number, 1))
            delay = ACK_DELAY * (0.5 + phase / 2)
            assert bench.machine.deadlines[ClientDeadline.ACK] - bench.now == pytest.approx(delay)
            assert of(bench.wait(2.0), e.Acknowledge) == [e.Acknowledge(1, number)]


@pytest.mark.parametrize("phase", PHASES[2:])
def test_after_a_pause_it_begins_anew(phase: float) -> None:
    """In the pause all have acknowledged everything, and would count from the same message on."""
    bench = Bench()
    bench.open(phase=phase, window_messages=256, window_bytes=1 << 20)
    first = max(1, math.ceil(phase * 128))
    assert acknowledged(bench, range(1, 501)) == list(range(first, 501, 128))
    assert of(bench.wait(2.0), e.Acknowledge) == ([e.Acknowledge(1, 500)] if (500 - first) % 128 else [])
    if (500 - first) % 128:
        assert acknowledged(bench, range(501, 1501)) == list(range(500 + first, 1501, 128))


@pytest.mark.parametrize("window", [16, 17])
def test_clients_with_different_phases_never_acknowledge_at_the_same_message(window: int) -> None:
    """One room, one stream of broadcasts, a client for each phase: no two have the same moment, ever."""
    half = math.ceil(window / 2)
    moments = []
    for step in range(1, half + 1):
        bench = Bench()
        bench.open(phase=2 * step / window, window_messages=window, window_bytes=1 << 20)
        moments.append(set(acknowledged(bench, range(1, 5001))))
    for one, other in itertools.combinations(moments, 2):
        assert not one & other
    assert set.union(*moments) == set(range(1, 5001))  # and the server has one to read per message

    in_step = [Bench(), Bench()]
    for bench in in_step:
        bench.open(phase=1.0, window_messages=window, window_bytes=1 << 20)
    first, second = (acknowledged(bench, range(1, 5001)) for bench in in_step)
    assert first == second  # as it would be without: all of them, at every half of the window


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("phase", [-1.0, *PHASES, 1.5, math.inf, math.nan])
def test_no_phase_makes_an_acknowledgement_late(phase: float, window: int) -> None:
    """Never with half a window unacknowledged, by messages or bytes, nor a second after the first message.

    Also where what draws the phases is no good. Sizes and pauses vary, so that each bound has its turn.
    """
    bench = Bench(heartbeat_margin=1e9)
    bench.open(phase=phase, window_messages=window, window_bytes=1000)
    acked, sizes, first_at = 0, list[int](), 0.0
    for number in range(1, 500):
        size = (1, 40, 300)[number // 50 % 3]
        pause = (0.0, 0.03, 0.3)[number // 150 % 3]
        sizes = [*sizes, size]
        first_at = bench.now if len(sizes) == 1 else first_at
        for ack in of(bench.do(c.Handled(number, size)), e.Acknowledge):
            acked, sizes = ack.received, []
        assert 2 * (number - acked) < window
        assert 2 * sum(sizes) < 1000
        if sizes:
            assert bench.machine.deadlines[ClientDeadline.ACK] <= first_at + ACK_DELAY
        for ack in of(bench.wait(pause), e.Acknowledge):
            acked, sizes = ack.received, []


def test_a_resume_has_a_phase_of_its_own() -> None:
    """After an outage all come back at once, and would count from the same message on."""
    bench = Bench()
    bench.open(phase=0.5, window_messages=16, window_bytes=1 << 20)
    assert acknowledged(bench, range(1, 21)) == [4, 12, 20]
    bench.lose()
    bench.wait_for_retry()
    bench.open(resumed=True, asked=20, phase=0.25, window_messages=16, window_bytes=1 << 20)
    assert acknowledged(bench, range(21, 41)) == [22, 30, 38]


def test_each_connection_draws_its_phase(server: FakeServer) -> None:
    """Out there: one number is drawn for each dial (here, the one in between is the pause)."""
    draws = iter([0.75, 0.0, 0.5])
    client = server.client(random=lambda: next(draws))
    window = {"messages": 16, "bytes": 4096}
    peer = server.welcome(window=window)
    # Each one is read before the next is due, which would replace it if it still waited to be written.
    for numbers, acked in ((range(1, 4), 2), (range(4, 12), 10)):
        handle(peer, client, numbers)
        assert peer.read() == ("$ack", {"received": acked})
    peer.vanish()
    again = server.welcome(window=window, resumed=True, replay_from=12)
    for numbers, acked in ((range(12, 17), 15), (range(17, 29), 23)):
        handle(again, client, numbers)
        assert again.read() == ("$ack", {"received": acked})


def test_phases_are_drawn_by_chance(server: FakeServer) -> None:
    """Unless you say otherwise."""
    assert server.client(random=None)._loop.options.phase is random.random
    server.accept()


def test_a_chance_of_nothing_makes_no_acknowledgement_early(server: FakeServer) -> None:
    """``random=lambda: 0.0``, as tests have it: no pauses, and acknowledgements at half of the window."""
    client = server.client(random=lambda: 0.0)
    peer = server.welcome(window={"messages": 16, "bytes": 4096})
    handle(peer, client, range(1, 10))
    assert peer.read() == ("$ack", {"received": 8})
