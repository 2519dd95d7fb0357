"""A5b: the close frame of a refusal waits behind the 101, and whatever happens meanwhile, the socket goes."""

from __future__ import annotations

from itertools import permutations

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import DeadlineKind
from tests.core.machine_driver import TIMEOUT, MachineDriver, aborted, closes, names

NO = (4403, "no")


def refused(chance: float = 0.5, **rules: object) -> MachineDriver:
    """A newcomer that exists to be refused, under a delay of 0.25 seconds."""
    play = MachineDriver(**({"refusal_delay": 0.25} | rules))
    play.register("u1", refusal=NO, chance=chance)
    return play


@pytest.mark.contract("A5b")
@pytest.mark.parametrize("chance, delay", [(0.0, 0.125), (0.5, 0.25), (1.0, 0.375)])
def test_it_waits_as_long_as_chance_says(chance: float, delay: float) -> None:
    """Half of the delay at least, and one and a half at most."""
    play = refused(chance)
    assert names(play.effects) == ["AdmitToRefuse"]
    assert play.due(DeadlineKind.REFUSAL, 1) == delay
    assert closes(play.wait(delay - 0.001)) == []
    assert closes(play.wait(0.001)) == [(1, *NO, False)]


@pytest.mark.contract("A5b")
def test_without_a_delay_it_is_sent_at_once() -> None:
    play = refused(refusal_delay=0.0)
    assert closes(play.effects) == [(1, *NO, False)]
    assert play.due(DeadlineKind.REFUSAL, 1) is None


@pytest.mark.contract("A5b")
def test_the_deadlines_of_a_close_frame_begin_when_it_is_sent() -> None:
    """It is awaited for write_timeout, as any other, and so is its answer."""
    play = refused()
    play.wait(0.25)
    assert play.due(DeadlineKind.CLOSE, 1) == 0.25 + TIMEOUT
    play.do(c.CloseSent(1))
    assert aborted(play.wait(TIMEOUT)) == [1]


@pytest.mark.contract("A5b", "C8")
def test_a_hub_that_closes_does_not_wait() -> None:
    """The verdict stays what it was, and the end of the hub is not put off."""
    play = refused()
    assert closes(play.do(c.Shutdown())) == [(1, *NO, False)]
    assert closes(play.wait(1)) == []


@pytest.mark.contract("A5b", "A5")
def test_what_the_hub_itself_refuses_does_not_wait() -> None:
    """Such a client has passed the check; only a race sends it away, and it is to come back soon."""
    play = MachineDriver(refusal_delay=0.25, max_sessions=1)
    play.register("u1")
    assert [close[:2] for close in closes(play.register("u2"))] == [(2, 4503)]


# What may happen to a socket that is refused, in any order: each at most once.
EVENTS = {
    "the wait is over": None,
    "the peer closes": c.PeerClosed(1, 1000, ""),
    "the peer hangs up": c.PeerGone(1, reset=False),
    "the peer resets": c.PeerGone(1, reset=True),
    "the peer breaks the protocol": c.PeerFailed(1, 1002, "what is this"),
    "our close frame is out": c.CloseSent(1),
    "the hub closes": c.Shutdown(),
}


@pytest.mark.contract("A5b", "A2")
def test_in_every_order_one_close_frame_is_sent_and_the_socket_goes() -> None:
    """The invariants hold after each step, and in the end the socket is shut down."""
    for order in permutations(EVENTS):
        play = refused()
        for event in order:
            command = EVENTS[event]
            play.wait(0.25) if command is None else play.do(command)
        told = [effect for effect in play.effects if isinstance(effect, e.SendClose)]
        assert len(told) <= 1, order
        play.wait(2 * TIMEOUT)
        assert aborted(play.effects) == [1], order
        assert play.due(DeadlineKind.REFUSAL, 1) is None, order
        play.do(c.Released(1))
        assert play.machine.finished, order
