"""Every invariant can fail: a machine is broken by hand, and the sentence says what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resumehub.core import commands as c
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.invariants import broken
from resumehub.core.machine import Machine
from resumehub.core.records import Phase
from resumehub.core.states import State
from tests.core.machine_driver import Broken, MachineDriver


def healthy() -> Machine:
    """u1 is connected (transport 1), u2 suspended (2, released), u3's transport 3 is being closed."""
    play = MachineDriver()
    for connection_id in ("u1", "u2", "u3"):
        play.register(connection_id)
    play.do(c.PeerGone(2, reset=True), c.Released(2), c.Kick("u3"))
    return play.machine


def closed_but_held(machine: Machine) -> None:
    machine.sessions["u2"].state = State.CLOSED


def suspended_with_a_transport(machine: Machine) -> None:
    machine.sessions["u1"].state = State.SUSPENDED


def connected_without_a_transport(machine: Machine) -> None:
    machine.sessions["u1"].transport = None


def suspended_for_ever(machine: Machine) -> None:
    machine.deadlines.cancel(DeadlineKind.GRACE, 2)


def connected_and_about_to_expire(machine: Machine) -> None:
    machine.deadlines.arm(DeadlineKind.GRACE, 1, 99.0)


def overdue(machine: Machine) -> None:
    machine.deadlines.arm(DeadlineKind.GRACE, 2, -1.0)


def on_a_transport_that_is_closing(machine: Machine) -> None:
    machine.transports[1].phase = Phase.CLOSING


def on_a_transport_that_is_unknown(machine: Machine) -> None:
    del machine.transports[1]


def on_a_transport_of_another_generation(machine: Machine) -> None:
    machine.sessions["u1"].generation = 2


def alive_without_a_session(machine: Machine) -> None:
    machine.transports[3].phase = Phase.LIVE


def closing_for_ever(machine: Machine) -> None:
    machine.deadlines.cancel(DeadlineKind.CLOSE, 3)


def dead_with_a_deadline(machine: Machine) -> None:
    machine.transports[3].phase = Phase.ABORTED


def known_by_id_only(machine: Machine) -> None:
    del machine.epochs[1]


def miscounted_room(machine: Machine) -> None:
    machine.rooms["lobby"] = 7


def finished_too_early(machine: Machine) -> None:
    machine.finished = True


WAYS: dict[Callable[[Machine], None], str] = {
    closed_but_held: "session 'u2' (epoch 2) is CLOSED but still in the tables",
    suspended_with_a_transport: "session 'u1' (epoch 1) is SUSPENDED with transport 1",
    connected_without_a_transport: "session 'u1' (epoch 1) is CONNECTED with transport None",
    suspended_for_ever: "session 'u2' (epoch 2) is SUSPENDED with its grace deadline at None",
    connected_and_about_to_expire: "session 'u1' (epoch 1) is CONNECTED with its grace deadline at 99.0",
    overdue: "session 'u2' (epoch 2) should have expired at -1.0, now is 0.0",
    on_a_transport_that_is_closing: "session 'u1' (epoch 1) is on transport 1, which is CLOSING",
    on_a_transport_that_is_unknown: "session 'u1' (epoch 1) is on transport 1, which is None",
    on_a_transport_of_another_generation: (
        "session 'u1' (epoch 1) is at generation 2, its transport carries epoch 1 generation 1"
    ),
    alive_without_a_session: "transport 3 is LIVE but carries no session",
    closing_for_ever: "transport 3 is CLOSING with no deadline to end it",
    dead_with_a_deadline: "transport 3 is ABORTED but has deadlines ['CLOSE']",
    known_by_id_only: "the tables disagree: ids hold epochs [1, 2], epochs hold [2]",
    miscounted_room: "the rooms hold {'lobby': 2}, but are counted as {'lobby': 7}",
    finished_too_early: "the hub has finished with 2 sessions and 2 transports",
}


def test_a_healthy_machine_breaks_none():
    assert broken(healthy()) == []


@pytest.mark.parametrize(("damage", "sentence"), WAYS.items(), ids=[damage.__name__ for damage in WAYS])
def test_a_damaged_machine_is_described(damage, sentence):
    machine = healthy()
    damage(machine)
    assert sentence in broken(machine)


def test_a_play_stops_at_the_first_command_that_breaks_one():
    """The tests of the machine look after every single command."""
    play = MachineDriver()
    play.register()
    play.machine.rooms["lobby"] = 7
    with pytest.raises(Broken, match=r"after Tick\(\): the rooms hold"):
        play.do(c.Tick())
