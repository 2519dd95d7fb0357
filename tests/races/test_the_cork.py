"""Broadcasts are held back while their thread has more in hand, and that thread is stuck in a callback.

The order: a handler asks whether its broadcasts may be held back, and they may; its deputy looks, finds it
stuck, takes the lead, and writes all that is held back: nothing yet. Then the handler's broadcast is held
back, and the handler waits for a client that waits for this very message. A cork that is pulled once holds it
for ever. Ours looks again when it holds something: who comes second writes it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from resumehub import Message
from resumehub.outgoing.cork import Cork
from resumehub.testing import Lab, Peer, explore
from resumehub.testing.strategies import PCT, Deepening, Random
from tests.support import text


class PulledOnce(Cork):
    """Holds back what it was asked about before it was pulled."""

    def hold(self, writers: Any) -> None:
        self._held.update(dict.fromkeys(writers))


@pytest.fixture(autouse=True)
def no_real_time(monkeypatch):
    """No callback turns out to be slow, nothing is held back for too long: chance shall not play along."""
    monkeypatch.setattr("resumehub.incoming.leader_followers.now", lambda: 0.0)
    monkeypatch.setattr("resumehub.outgoing.cork.now", lambda: 0.0)


def open_hub(lab: Lab) -> Any:
    """A hub whose readers do not step aside before each callback, as the lab has them do otherwise."""
    lab.runtime.eager = False
    return lab.open()


def watching(lab: Lab) -> list[Any]:
    return [one for one in lab.scheduler.tasks if one.name.startswith("reader") and one.timed]


def the_deputy_looks(lab: Lab) -> None:
    for one in watching(lab):
        lab.scheduler.expire(one)


def a_handler_waits_for_who_hears_its_broadcast(lab: Lab) -> None:
    hub = open_hub(lab)
    heard = lab.threading.Event()

    @hub.on_message
    def tell_all(connection: Any, message: Message) -> None:
        hub.broadcast("lobby", message)
        if message.payload == 1:
            heard.wait()

    alice, bob = lab.dial("/?id=alice"), lab.dial("/?id=bob")
    for number in range(3):
        alice.send(text("n", number))

    @lab.actor
    def listener() -> None:
        assert json.loads(bob.receive())["payload"] == 0
        assert json.loads(bob.receive())["payload"] == 1
        heard.set()

    def is_stuck() -> bool:
        return any(one.where == "wait for an event of the application" for one in lab.scheduler.tasks)

    @lab.actor
    def time_passes() -> None:
        """A few looks of the deputy at any time, and a few more once the handler waits."""
        for look in range(8):
            lab.scheduler.pause(
                "let time pass",
                lambda few=look < 4: heard.is_set() or ((few or is_stuck()) and watching(lab)),
            )
            the_deputy_looks(lab)
            lab.scheduler.pause("see it look", lambda: not any(one.expired for one in watching(lab)))

    @lab.at_end
    def all_heard() -> None:
        assert payloads(bob) == [2]


def payloads(peer: Peer) -> list[Any]:
    return [json.loads(said)["payload"] for said in peer.received()]


def two_talk_and_one_comes_back(lab: Lab) -> None:
    """Two handlers and the application broadcast, to somebody who resumes meanwhile, too: in one order."""
    hub = open_hub(lab)

    @hub.on_message
    def tell_all(connection: Any, message: Message) -> None:
        hub.broadcast("lobby", message)

    peers = {name: lab.dial(f"/?id={name}") for name in ("alice", "bob", "carol")}
    lab.run_until_idle()

    def talk(name: str, first: int) -> None:
        for number in range(3):
            peers[name].send(text("n", first + number))

    @lab.actor
    def alice() -> None:
        talk("alice", 10)

    @lab.actor
    def bob() -> None:
        talk("bob", 20)

    @lab.actor
    def application() -> None:
        for number in range(2):
            hub.broadcast("lobby", Message("n", 30 + number))

    @lab.actor
    def carol() -> None:
        before = payloads(peers["carol"])
        peers["carol"].drop()
        peers["carol"] = peers["carol"].resume(received=str(len(before)))
        lab.note(f"carol had {before}")

    @lab.at_end
    def the_same_for_all() -> None:
        had = json.loads(lab.notes[0].removeprefix("carol had "))
        heard = [payloads(peers["alice"]), payloads(peers["bob"]), had + payloads(peers["carol"])]
        assert heard[0] == heard[1] == heard[2], f"they heard {heard}"
        for first, count in ((10, 3), (20, 3), (30, 2)):
            own = [number for number in heard[0] if first <= number < first + 10]
            assert own == list(range(first, first + count))


@pytest.mark.parametrize("cork", [PulledOnce, Cork])
def test_what_is_held_back_behind_the_pull_is_written_all_the_same(monkeypatch, cork):
    """The deputy leads while the handler is on its way to the room."""
    monkeypatch.setattr("resumehub.incoming.read_tasks.Cork", cork)
    with Lab(share=True) as lab:
        hub = open_hub(lab)
        opened = lab.threading.Event()

        @hub.on_message
        def tell_all(connection: Any, message: Message) -> None:
            hub.broadcast("lobby", message)
            opened.wait()

        alice, bob = lab.dial("/?id=alice"), lab.dial("/?id=bob")
        lab.run_until_idle()
        for number in range(3):
            alice.send(text("n", number))
        on_its_way = lab.run_until("reader*: lock the order of room lobby")
        for _ in range(3):
            lab.run_until_idle()
            the_deputy_looks(lab)
        lab.run_until_idle()
        on_its_way.let_go()
        lab.run_until_idle()
        heard = payloads(bob)
        opened.set()
        assert heard == ([] if cork is PulledOnce else [0])


STRATEGIES = [Deepening(2), Random(1, 150), PCT(2, 150)]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)
@pytest.mark.parametrize(
    "scenario", [a_handler_waits_for_who_hears_its_broadcast, two_talk_and_one_comes_back]
)
def test_what_is_held_back_is_heard_in_any_order(scenario, strategy):
    explore(scenario, strategy, share=True, stop_at_locks=True, twice=False, max_schedules=150)
