"""The system refuses any one thread, or every thread from some moment on; the end of a hub gets by without.

The orders: a hub with three clients, one of which vanishes, is closed. The k-th thread that it wants to start
is refused, for all k; or the k-th and all later ones, which is what Python 3.12.0 to 3.12.2 do at the end of
a process. A hub whose close frames and callbacks need new threads says nothing then: the clients see their
connections break, and on_disconnect does not run. Ours has the work done by threads that it has.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from resumehub import Message
from resumehub.testing import Lab, TransportClosed, UpgradeRefused, explore
from resumehub.testing.strategies import PCT, Random
from tests.support import text

ORDERS = 8

REFUSALS: dict[str, Callable[[int], Callable[[int], bool]]] = {
    "only that one": lambda k: lambda number: number == k,
    "that one and all after it": lambda k: lambda number: number >= k,
}


class Shortage:
    """Counts the threads that a lab starts, and refuses some. ``roles``: of those that were refused."""

    def __init__(self, lab: Lab, is_refused: Callable[[int], bool]) -> None:
        self.wanted = 0
        self.roles: list[str] = []
        self._is_refused = is_refused
        self._spawn = lab.runtime.spawn
        lab.runtime.spawn = self.spawn  # type: ignore[method-assign]

    def spawn(self, name, run, *, daemon=True):
        self.wanted += 1
        if self._is_refused(self.wanted):
            self.roles.append(name.split("-")[-2])
            raise RuntimeError("can't start new thread")
        return self._spawn(name, run, daemon=daemon)


def a_life(lab: Lab, is_refused: Callable[[int], bool], told: list[Shortage], share: bool) -> None:
    """Alice and Carol stay to the end, Bob vanishes; the application closes the hub."""
    short = Shortage(lab, is_refused)
    told.append(short)
    lab.captured_log.quiet = True
    hub = lab.open(ping_interval=None, callback_threads=2)
    hub.on_connect(lambda connection: lab.note(f"connect {connection.id}"))
    hub.on_message(lambda connection, message: connection.send(message))
    hub.on_transport_drop(lambda connection, error: lab.note(f"drop {connection.id}"))
    hub.on_disconnect(lambda connection, error: lab.note(f"disconnect {connection.id}"))
    peers = {}
    for name in ("alice", "bob", "carol"):
        try:
            peers[name] = lab.dial(f"/?id={name}")
        except UpgradeRefused:
            # A hub that cannot start says so.
            assert {"hub", "watcher", "spare", "reader"} & set(short.roles)
        except TransportClosed:
            # Without a thread to read it, a transport is lost; its session lives on, and ends with the hub.
            assert not share
            assert "reader" in short.roles
            peers[name] = None
    lab.run_until_idle()
    said: dict[str, tuple[int, str]] = {}

    def stay(name: str) -> Callable[[], None]:
        def client() -> None:
            peers[name].send(text("n", name))
            said[name] = peers[name].wait_closed()

        client.__name__ = f"client_{name}"
        return client

    for name in ("alice", "carol"):
        if peers.get(name) is not None:
            lab.actor(stay(name))
    if peers.get("bob") is not None:

        @lab.actor
        def network() -> None:
            peers["bob"].drop()

    @lab.actor
    def application() -> None:
        hub.close(60)

    @lab.at_end
    def nothing_is_lost() -> None:
        for name in peers:
            assert lab.notes.count(f"connect {name}") == 1, (name, lab.notes)
            assert lab.notes.count(f"disconnect {name}") == 1, (name, lab.notes)
        if share:
            assert set(said.values()) <= {(1001, "server shutting down")}, said


@pytest.mark.contract("C8")
@pytest.mark.parametrize("share", [True, False], ids=["a few threads read", "a reader each"])
@pytest.mark.parametrize("refusals", REFUSALS.values(), ids=REFUSALS.keys())
def test_whichever_thread_is_missing_sessions_are_told_and_callbacks_run(refusals, share) -> None:
    """For every k, in many orders of the threads, until the hub never wants a k-th thread."""
    for k in itertools.count(1):
        told: list[Shortage] = []

        def scene(lab: Lab, k: int = k, told: list[Shortage] = told) -> None:
            a_life(lab, refusals(k), told, share)

        for strategy in (Random(seed=k, count=ORDERS // 2), PCT(seed=k, count=ORDERS // 2)):
            explore(scene, strategy=strategy, share=share)
        if not any(short.roles for short in told):
            break
    assert k > 6, "the hub wants more threads than it starts with"


@pytest.mark.parametrize("share", [True, False], ids=["a few threads read", "a reader each"])
def test_when_the_main_thread_has_returned_and_no_thread_can_be_started(share) -> None:
    """Python 3.12.0 to 3.12.2: the watcher closes the hub, with the threads that are there."""
    with Lab(share=share) as lab:
        hub = lab.open()
        hub.on_disconnect(
            lambda connection, error: lab.note(f"disconnect {connection.id} {type(error).__name__}")
        )
        peers = [lab.dial(f"/?id={name}") for name in ("alice", "bob")]
        lab.run_until_idle()
        lab.runtime.out_of_threads = lab.runtime.main_returned = True
        lab.expire("watcher")
        lab.run_until_idle()
        for peer in peers:
            assert peer.wait_closed() == (1001, "server shutting down")
        lab.run_until_idle()
        assert sorted(lab.notes) == ["disconnect alice HubClosed", "disconnect bob HubClosed"]
        assert [record.getMessage() for record in lab.log if record.levelname != "DEBUG"] == []


def test_a_slow_peer_and_no_writer_thread_is_written_to_by_the_watcher() -> None:
    """It has what was sent, in order, and behind it the close frame."""
    with Lab() as lab:
        lab.captured_log.quiet = True
        hub = lab.open(ping_interval=None, send_buffer_bytes=4 << 20)
        alice = lab.dial("/?id=alice", buffer=4096)
        lab.run_until_idle()
        lab.runtime.out_of_threads = True
        for number in range(50):
            hub.send("alice", Message(str(number), "x" * 10_000))
        hub.kick("alice")
        lab.run_until_idle()
        events: list[str] = []
        while alice.closed() is None:
            events += alice.received()
            lab.expire("watcher")
            lab.run_until_idle()
        assert len(events) == 50
        assert alice.closed() == (1000, "kicked")
        lab.runtime.out_of_threads = False
