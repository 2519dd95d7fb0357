"""Client and hub in the lab, both real, every thread of both under one scheduler, and a network that fails.

Wherever the transport is cut, and in whatever order the threads run: each message is handled once, in
order, on both sides, and nothing is left to be acknowledged. That is the promise of ``resumehub.v1``.
"""

from __future__ import annotations

from typing import Any

import pytest

from resumehub import Message
from resumehub.client import Client, State
from resumehub.testing import PCT, Deepening, Lab, explore
from tests.client.network import Cut, Network

#: What each side says.
SAID = [1, 2, 3]

#: Where a request or an answer is all head, one byte is as good as the next.
STRIDE = 17


class Scene:
    """A hub, a client, what each has handled, and the network between them."""

    def __init__(self, lab: Lab, *cuts: Cut, **options: Any) -> None:
        self.lab = lab
        self.up: list[int] = []
        self.down: list[int] = []
        self.hub = lab.open(resume_window=30, **options)
        self.hub.on_message(lambda connection, message: self.up.append(message.payload))
        self.network = Network(self.hub, lab.runtime, *cuts)

    def connect(self, **options: Any) -> Client:
        self.client = self.network.client(
            clock=self.lab.clock,
            on_message=lambda client, message: self.down.append(message.payload),
            **options,
        )
        return self.client

    def say(self) -> None:
        """As the client: all that it has to say."""
        for number in SAID:
            self.client.send(Message("up", number))

    def check(self) -> None:
        """Once each, in order, and proven."""
        self.lab.advance(2.0)  # the acknowledgements that wait for more
        self.lab.run_until_idle()
        assert self.up == SAID, f"the server has handled {self.up}"
        assert self.down == SAID, f"the client has handled {self.down}"
        assert self.client.stats().waiting == 0
        self.leave()

    def leave(self) -> None:
        self.client.close()
        assert self.client.state in (State.CLOSED, State.EXPIRED)
        self.network.close()


def conversation(lab: Lab, *cuts: Cut, measured: bool = False) -> Scene:
    """Both sides speak as soon as they can."""
    scene = Scene(lab, *cuts)
    scene.network.measured = measured
    scene.hub.on_connect(lambda connection: [connection.send(Message("down", n)) for n in SAID])
    scene.connect()
    scene.say()
    lab.at_end(scene.check)
    return scene


def lengths(dial: int, *cuts: Cut) -> dict[bool, int]:
    """How many bytes go each way on that dial, if nothing cuts it."""
    with Lab(stop_at_locks=False) as lab:
        scene = conversation(lab, *cuts, measured=True)
    return {to_server: scene.network.carried[dial, to_server] for to_server in (True, False)}


@pytest.mark.parametrize("to_server", [True, False], ids=["to the server", "from the server"])
@pytest.mark.parametrize("dial", [1, 2], ids=["the first dial", "the resume"])
def test_a_cut_at_any_byte(dial: int, to_server: bool) -> None:
    """In the handshake, in a header, in a message, in an acknowledgement, between any two of them."""
    before = [Cut(1, 500, to_server=False)] if dial == 2 else []
    length = lengths(dial, *before)[to_server]
    for after in range(0, length + 1, STRIDE):
        with Lab(stop_at_locks=False) as lab:
            lab.captured_log.quiet = True
            conversation(lab, *before, Cut(dial, after, to_server))


def test_the_id_is_held_by_our_own_dial_whose_answer_was_lost() -> None:
    """A hub that refuses second holders of an id refuses us, too, until it has given that session up."""
    with Lab(stop_at_locks=False) as lab:
        scene = Scene(lab, Cut(1, 100, to_server=False), on_duplicate="reject")
        scene.connect(random=lambda: 0.9)
        scene.say()
        lab.run_until_idle()
        lab.advance(60.0)
        assert scene.client.wait_connected()
        assert scene.client.stats().dials > 2
        lab.run_until_idle()
        assert scene.up == SAID
        scene.leave()


def all_talk_and_it_is_cut(lab: Lab, scene: Scene) -> None:
    """Three who act in any order: both applications speak, and the transport goes dead."""

    @lab.actor
    def application() -> None:
        scene.say()

    @lab.actor
    def server() -> None:
        for number in SAID:
            scene.hub.send("ada", Message("down", number))

    @lab.actor
    def network() -> None:
        scene.network.cut()


def network_that_fails(lab: Lab) -> None:
    """The transport goes dead at any moment, while both sides send."""
    scene = Scene(lab)
    scene.connect()
    assert scene.client.wait_connected()

    all_talk_and_it_is_cut(lab, scene)

    lab.at_end(scene.check)


def test_a_cut_in_any_order_of_the_threads() -> None:
    """Every order with one switch, and sixty with three: of both ends' threads, and the cut."""
    assert explore(network_that_fails, Deepening(1), twice=False).complete
    explore(network_that_fails, PCT(7, 60), stop_at_locks=True, twice=False)


def plain_network_that_fails(lab: Lab) -> None:
    """A plain client says how much it has handled when it comes back, and that is all it can say."""
    scene = Scene(lab)
    scene.connect(plain=True)
    assert scene.client.wait_connected()

    all_talk_and_it_is_cut(lab, scene)

    @lab.at_end
    def each_down_once_and_up_at_most_once() -> None:
        lab.run_until_idle()
        assert scene.down == SAID, f"the client has handled {scene.down}"
        assert scene.up == sorted(set(scene.up)), f"the server has handled {scene.up}"
        scene.leave()


def test_a_plain_client_gets_each_message_once_and_repeats_none() -> None:
    """``received=N`` makes downward exact; upward a message may be lost, and is never doubled."""
    assert explore(plain_network_that_fails, Deepening(1), twice=False).complete
    explore(plain_network_that_fails, PCT(2, 40), stop_at_locks=True, twice=False)


def nothing_falls_between(scene: Scene) -> None:
    """Each message is known to be handled, or it is in doubt; none is neither, none is handled twice."""
    said = [message.payload for message in scene.client.in_doubt]
    assert scene.up == SAID[: len(scene.up)]
    assert said == SAID[len(SAID) - len(said) :]
    assert len(scene.up) + len(said) >= len(SAID), f"{scene.up} were handled, {said} are in doubt"


def leaving_while_the_line_fails(lab: Lab) -> None:
    """``close`` promises to send what it can, and to hand back what it cannot prove."""
    scene = Scene(lab)
    scene.connect()
    assert scene.client.wait_connected()

    @lab.actor
    def application() -> None:
        scene.say()
        scene.client.close()

    @lab.actor
    def network() -> None:
        scene.network.cut()

    @lab.at_end
    def all_is_accounted_for() -> None:
        assert scene.client.state is State.CLOSED
        nothing_falls_between(scene)
        scene.leave()


def expiring_while_it_dials(lab: Lab) -> None:
    """The grace window ends while the client is on its way back: it hears so, and gets its messages back."""
    scene = Scene(lab)
    scene.connect()
    assert scene.client.wait_connected()
    scene.say()

    @lab.actor
    def network() -> None:
        scene.network.cut()

    @lab.actor
    def time() -> None:
        lab.advance(30.0)

    @lab.at_end
    def all_is_accounted_for() -> None:
        lab.advance(2.0)
        lab.run_until_idle()
        if scene.client.state is State.EXPIRED:
            nothing_falls_between(scene)
        else:
            assert scene.up == SAID
        scene.leave()


@pytest.mark.parametrize("scenario", [leaving_while_the_line_fails, expiring_while_it_dials])
def test_no_message_falls_between_the_chairs(scenario: Any) -> None:
    """Handled, or handed back in doubt: in every order."""
    assert explore(scenario, Deepening(1), twice=False).complete
    explore(scenario, PCT(3, 40), stop_at_locks=True, twice=False)


def broadcasts_that_find_the_window_full(lab: Lab) -> None:
    """The hub may keep two messages; what it has to drop is told, once, and where it would have been."""
    scene = Scene(lab, send_buffer=2)
    told: list[int] = []

    def missed(client: Client, first: int, last: int) -> None:
        assert not scene.down or scene.down[-1] < first
        told.extend(range(first, last + 1))

    scene.connect(on_missed=missed)
    assert scene.client.wait_connected()

    @lab.actor
    def server() -> None:
        for number in range(1, 7):
            scene.hub.broadcast("lobby", Message("down", number))

    @lab.actor
    def network() -> None:
        scene.network.cut()

    @lab.at_end
    def each_came_or_was_missed() -> None:
        lab.advance(3.0)
        lab.run_until_idle()
        assert scene.down == sorted(set(scene.down))
        assert sorted(scene.down + told) == list(range(1, 7)), f"{scene.down} came, {told} were missed"
        assert scene.client.stats().missed == len(told)
        scene.leave()


def test_what_is_missed_is_told_once() -> None:
    """Also when the telling itself is cut off, and comes again."""
    explore(broadcasts_that_find_the_window_full, Deepening(1), twice=False, max_schedules=100)
    explore(broadcasts_that_find_the_window_full, PCT(5, 40), stop_at_locks=True, twice=False)


def told_of_history(*cuts: Cut) -> list[tuple[int, bool]]:
    """What a newcomer handles in a room with a history, and whether it has the mark."""
    told: list[tuple[int, bool]] = []
    with Lab() as lab:
        hub = lab.open(resume_window=30, history={"lobby": 5})
        lab.dial("/?id=bob")
        lab.run_until_idle()
        for number in SAID[:2]:
            hub.broadcast("lobby", Message("down", number))
        hub.on_connect(lambda connection: hub.broadcast("lobby", Message("down", SAID[2])))
        network = Network(hub, lab.runtime, *cuts)
        client = network.client(
            clock=lab.clock,
            on_message=lambda client, message: told.append((message.payload, message.history)),
        )
        lab.run_until_idle()
        lab.advance(5.0)
        lab.run_until_idle()
        client.close()
        network.close()
    return told


@pytest.mark.parametrize("after", [None, *range(500, 900, 3 * STRIDE)])
def test_the_client_is_told_what_is_history(after: int | None) -> None:
    """Also of what it gets again after its connection was cut: each once, in order, before what is live."""
    cuts = [Cut(0, after, to_server=False)] if after is not None else []
    assert told_of_history(*cuts) == [(1, True), (2, True), (3, False)]
