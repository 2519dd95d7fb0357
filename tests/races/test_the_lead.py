"""One thread leads and reads for all; another takes the lead from it while it is busy with a connection.

The order: the leader has read a message and runs its handler; another thread leads meanwhile, and the poller
says that the same connection has more input. A leader that reads every connection with input reads this one:
two threads have it, and its messages are handled in any order. Our leader does not touch a connection that
another thread has, and does not watch it until it is given back (else the poller would report it for ever,
and the lab would not come to its end). And a connection whose input has ended and which the hub has given
up is closed once, by the thread that notices the second of the two.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from functools import partial

import pytest

from resumehub import Hub, Message
from resumehub.incoming.leader_followers import PATIENCE
from resumehub.incoming.turn_queue import TurnQueue
from resumehub.runtime.base import Event
from resumehub.testing import Lab, explore
from resumehub.testing.controlled_sockets import ControlledPoller
from resumehub.testing.explorer import ScheduleFailed
from resumehub.testing.strategies import PCT, Deepening, Random
from tests.guards.scenes import stand_in
from tests.support import text


class ReadsWhateverHasInput(TurnQueue):
    """Does not ask whether another thread has the connection."""

    def have_input(self, numbers: Iterable[int]) -> None:
        self.ready.extend(turn for number in numbers if (turn := self.sockets.get(number)) is not None)


def two_talk(lab: Lab, *, senders: tuple[str, ...] = ("alice", "bob")) -> None:
    """Each of them sends three messages; their handlers take a while, and answer."""
    hub = lab.open()
    handled: dict[str, list[int]] = {name: [] for name in senders}

    @hub.on_message
    def hear(connection, message) -> None:
        handled[connection.id].append(message.payload)
        lab.pause("think")
        connection.send(message)

    peers = {name: lab.dial(f"/?id={name}") for name in senders}

    def talk(name: str) -> None:
        for number in range(3):
            peers[name].send(text("n", number))

    for name in senders:
        talker = partial(talk, name)
        talker.__name__ = f"client_{name}"  # type: ignore[attr-defined]
        lab.actor(talker)

    @lab.at_end
    def all_came_in_order() -> None:
        for name in senders:
            assert handled[name] == [0, 1, 2]
            assert [json.loads(said)["payload"] for said in peers[name].received()] == [0, 1, 2]


def one_talks(lab: Lab) -> None:
    two_talk(lab, senders=("alice",))


def one_talks_and_its_reader_is_replaced(lab: Lab) -> None:
    """The watcher finds a handler that takes long, and gives the connection back to the others."""
    two_talk(lab, senders=("alice",))

    @lab.actor
    def watcher_looks() -> None:
        stand_in(lab)


def a_stuck_handler_and_many_messages(lab: Lab) -> None:
    """More messages than are read ahead; then no thread has the connection until there is room."""
    hub = lab.open()
    opened, handled = lab.threading.Event(), []

    @hub.on_message
    def hear(connection, message) -> None:
        opened.wait()
        handled.append(message.payload)

    alice = lab.dial("/?id=alice")
    for number in range(100):
        alice.send(text("n", number))
    lab.run_until_idle()
    stand_in(lab)
    lab.run_until_idle()

    @lab.actor
    def handler_returns() -> None:
        opened.set()

    @lab.at_end
    def all_came() -> None:
        assert handled == list(range(100))


def ends(lab: Lab, *, slow: bool, kick: bool) -> None:
    """A client vanishes while its session is kicked; perhaps a writer waits for it to read."""
    hub = lab.open()
    alice = lab.dial("/?id=alice")
    lab.run_until_idle()
    [io] = hub.runner.loop.transports  # type: ignore[union-attr]
    released, release = [], io.transport.release

    def counted() -> None:
        released.append(io.transport.pollable.fileno())  # type: ignore[union-attr]
        release()

    io.transport.release = counted  # type: ignore[method-assign]
    if slow:
        alice.stop_reading()
        for _ in range(200):
            hub.send("alice", Message("n", "x" * 5_000))
        lab.run_until_idle()

    @lab.actor
    def network() -> None:
        alice.drop()

    if kick:

        @lab.actor
        def application() -> None:
            hub.kick("alice")

    @lab.at_end
    def closed_once() -> None:
        lab.advance(100)
        assert len(released) == 1
        assert released[0] >= 0


def test_reading_what_somebody_has_in_hand_is_wrong(monkeypatch):
    monkeypatch.setattr("resumehub.incoming.leader_followers.TurnQueue", ReadsWhateverHasInput)
    with pytest.raises(ScheduleFailed):
        explore(one_talks, Random(3, 1_000), share=True, stop_at_locks=True, twice=False)


STRATEGIES = [Deepening(1), Random(1, 40), PCT(2, 40)]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)
@pytest.mark.parametrize(
    "scenario",
    [
        one_talks,
        two_talk,
        one_talks_and_its_reader_is_replaced,
        a_stuck_handler_and_many_messages,
        *(partial(ends, slow=slow, kick=kick) for slow in (False, True) for kick in (False, True)),
    ],
    ids=lambda scenario: getattr(scenario, "__name__", None) or str(scenario.keywords),
)
def test_one_pair_of_hands_at_a_time_in_any_order(scenario, strategy):
    explore(scenario, strategy, share=True, stop_at_locks=True, max_schedules=30)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)
def test_a_reader_of_its_own_waits_for_room_as_well(strategy):
    """Where nothing can be polled each connection has a thread, which blocks until there is room."""
    explore(a_stuck_handler_and_many_messages, strategy, stop_at_locks=True, max_schedules=30)


def alice_is_stuck_and_bob_speaks(lab: Lab) -> tuple[Hub, Event]:
    """No thread gives way: the leader is in alice's handler until the event, and bob's message waits."""
    lab.runtime.eager = False
    hub = lab.open()
    opened = lab.threading.Event()

    @hub.on_message
    def hear(connection, message) -> None:
        if connection.id == "alice":
            opened.wait()
        lab.note(f"{connection.id} is heard")

    alice, bob = lab.dial("/?id=alice"), lab.dial("/?id=bob")
    lab.run_until_idle()
    for peer in (alice, bob):
        peer.send(text("n", 1))
        lab.run_until_idle()
    return hub, opened


def test_the_deputy_takes_the_lead_of_one_who_is_stuck():
    """Its look is the end of a wait in the lab: nothing else lets the other client be heard."""
    with Lab(stop_at_locks=False, share=True) as lab:
        _, opened = alice_is_stuck_and_bob_speaks(lab)
        assert lab.notes == []

        for _ in range(2):
            lab.expire("reader (2)")
            lab.run_until_idle()
        assert lab.notes == ["bob is heard"]
        opened.set()
        lab.run_until_idle()
        assert lab.notes == ["bob is heard", "alice is heard"]


def test_a_leader_that_computes_keeps_the_lead_for_two_more_looks():
    """A thread that took it would only compute in its place, and both would be slower; but not for ever."""
    with Lab(stop_at_locks=False, share=True) as lab:
        computed = itertools.count()
        lab.runtime.stopwatch = lambda: lambda: next(computed)  # a second of it from one look to the next
        hub, opened = alice_is_stuck_and_bob_speaks(lab)
        for look in range(1 + PATIENCE):  # the first finds another callback than before
            assert lab.notes == [], f"after {look} looks"
            lab.expire("reader (2)")
            lab.run_until_idle()
        assert lab.notes == ["bob is heard"]
        assert hub.runner.loop.leader_followers._eager_until == 0.0, "no thread has waited for anything"
        opened.set()


def test_a_deputy_of_a_leader_without_work_goes_to_sleep_and_is_woken():
    """It looks twenty times in vain; then it waits to be told, which the first input does."""
    with Lab(stop_at_locks=False, share=True) as lab:
        hub = lab.open()
        hub.on_message(lambda connection, message: lab.note("heard"))
        alice = lab.dial("/?id=alice")
        lab.run_until_idle()
        deputy = next(task for task in lab.scheduler.tasks if task.name.startswith("reader") and task.timed)
        for _ in range(50):
            if not deputy.timed:
                break
            lab.expire(deputy.name)
            lab.run_until_idle()
        assert not deputy.timed
        alice.send(text("n", 1))
        lab.run_until_idle()
        assert lab.notes == ["heard"]
        assert any(task.name.startswith("reader") and task.timed for task in lab.scheduler.tasks)


def a_late_look_beside_the_leader_who_waits(lab: Lab) -> None:
    """The leader is slow to look for input, so the deputy leads, and waits; a newcomer has it rung."""
    lab.runtime.eager = False
    hub = lab.open(ping_interval=None)
    hub.on_message(lambda connection, message: lab.note(f"{connection.id} is heard"))
    alice = lab.dial("/?id=alice")
    lab.run_until_idle()
    for number in range(40):  # more than a turn's
        alice.send(text("n", number))
    lab.run_until("reader: look for input").let_go()
    late = lab.scheduler.hold("reader: look for input", only=lab.task("reader"))
    for _ in range(2):
        lab.expire("reader (2)")
        lab.run_until_idle()
    assert lab.notes == ["alice is heard"] * 40, "another thread leads"

    @lab.actor
    def newcomer() -> None:
        lab.dial("/?id=bob").send(text("n", 1))

    with lab.hold("reader: wait for input"):
        lab.step("newcomer")
        lab.run_until_idle()
        late.let_go()
        lab.run_until_idle()
        assert lab.notes[40:] == []
    lab.run_until_idle()
    assert lab.notes[40:] == ["bob is heard"]


def test_a_late_look_leaves_the_ring_to_the_leader_who_waits():
    with Lab(stop_at_locks=False, share=True) as lab:
        a_late_look_beside_the_leader_who_waits(lab)


def test_a_look_that_answers_the_ring_is_wrong(monkeypatch):
    """The leader is not woken: the newcomer's dial has no answer until another client sends something."""

    def look(self: ControlledPoller) -> list[int]:
        found = theirs(self)
        self._rung = False
        return found

    theirs = ControlledPoller.look
    monkeypatch.setattr(ControlledPoller, "look", look)
    with pytest.raises(AssertionError, match="bob is heard"), Lab(stop_at_locks=False, share=True) as lab:
        a_late_look_beside_the_leader_who_waits(lab)
