"""F1, F5: a client that comes to another process than the hub's is answered as there, or told to come again.

Every test of table A with a server of its own runs at a worker, too (``conftest.py``). Here are resumes
that change the process each time, and every doubt that a worker may have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from resumehub import Connection
from resumehub.cluster.dials import dial_messages as m
from resumehub.cluster.link import Link
from resumehub.core.cluster import dial_events as d
from resumehub.core.cluster.passing import DialRules
from resumehub.testing import UpgradeRefused, WebSocketClient
from tests.cluster.worker_beside import RULES, WorkerBeside
from tests.contract.test_d_received import with_messages
from tests.contract.v1_client import PLAIN_GET, Speaker, again, dial, refused
from tests.support import PATIENCE, Stage, read

Beside = Callable[..., WorkerBeside]


@pytest.fixture
def beside() -> Iterator[Beside]:
    """Make a worker beside a stage's hub."""
    made: list[WorkerBeside] = []

    def make(s: Stage, rules: DialRules = RULES, *, linked: bool = True) -> WorkerBeside:
        s.hub.runner.start()
        made.append(WorkerBeside(s.hub, rules, linked=linked))
        return made[-1]

    yield make
    for one in made:
        one.leave()


class Places:
    """The hub's own process and a worker, in turn: clients come to the one that was chosen last."""

    def __init__(self, s: Stage, worker: WorkerBeside) -> None:
        self._hub = s.hub
        self._ways = {"hub": lambda: s.hub.runner, "worker": lambda: worker.lookup}

    def choose(self, place: str) -> None:
        self._hub.lookup = self._ways[place]  # type: ignore[assignment]


ORDERS = [("hub", "worker"), ("worker", "hub"), ("worker", "worker")]


@pytest.mark.contract("F1", "D1", "D3")
@pytest.mark.parametrize("order", ORDERS, ids=" then ".join)
def test_a_v1_client_goes_on_wherever_it_comes_back(
    stage: Callable[..., Stage], beside: Beside, order: tuple[str, str]
) -> None:
    """Its id, its rooms, what it missed in order, its counts, and a new token each time."""
    s = stage()
    places = Places(s, beside(s))
    places.choose(order[0])
    client = dial(s)
    connection = s.hub.get("u1")
    assert connection is not None
    connection.join("news")
    s.say("u1", 0)
    assert client.take(1) == [0]
    for turn in range(4):
        client.drop()
        s.say("u1", 2 * turn + 1, 2 * turn + 2)
        places.choose(order[(turn + 1) % 2])
        token = client.token
        client = client.resume()
        assert client.token != token
        assert client.hello["connection_id"] == "u1"
        assert client.take(2) == [2 * turn + 1, 2 * turn + 2]
    assert connection.rooms == ("lobby", "news")
    assert s.hub.get("u1") is connection
    assert refused(lambda: again(s, token="A" * 16 + "." + "B" * 32, received=0)) == 403


@pytest.mark.contract("F1", "D3")
@pytest.mark.parametrize("order", ORDERS, ids=" then ".join)
def test_a_late_dial_is_late_wherever_it_comes(
    stage: Callable[..., Stage], beside: Beside, order: tuple[str, str]
) -> None:
    """Of two dials the one with the higher number has the session, also if they come to two processes."""
    s = stage()
    places = Places(s, beside(s))
    places.choose(order[0])
    first = s.open(query="&attempt=1&instance=me")
    s.drop(first)
    places.choose(order[1])
    newer = s.open(query="&attempt=3&instance=me&resume=true")
    s.recorder.wait_for("restore", "u1")
    places.choose(order[0])
    older = s.open(query="&attempt=2&instance=me&resume=true")
    assert older.receive_close(PATIENCE) == (4101, "superseded")
    s.say("u1", "still here")
    assert read(newer) == ("n", "still here")


@pytest.mark.contract("F1")
def test_a_request_goes_on_at_a_worker(stage: Callable[..., Stage], beside: Beside) -> None:
    """The client asks, loses its connection, comes back by a worker, and gets its answer."""
    s = stage()
    places = Places(s, beside(s))
    asked: list[Connection] = []

    @s.hub.on_message
    def echo(connection: Connection, message: object) -> None:
        asked.append(connection)

    places.choose("hub")
    client: Speaker = dial(s)
    client.drop()
    places.choose("worker")
    back = client.resume()
    back.say(1)
    back.ack_for_sure()
    assert asked == [s.hub.get("u1")]


# -- doubts -----------------------------------------------------------------------------------


def wait_no_longer(worker: WorkerBeside) -> None:
    """A thread that has asked has no time left once the hub has said that it moves. Before ``link_up``."""
    later = worker.client._later

    def give_up(link: Link, answer: m.DialLater, descriptors: Sequence[int]) -> None:
        later(link, answer, descriptors)
        worker.client._see(d.GivesUp(answer.number))

    worker.client._later = give_up  # type: ignore[method-assign]


def moves(s: Stage, beside: Beside) -> WorkerBeside:
    """The hub is about to move, or has not all of its sessions yet; and that takes long."""
    worker = beside(s, linked=False)
    wait_no_longer(worker)
    worker.link_up()
    assert worker.hub_door.freeze()
    return worker


def is_nowhere(s: Stage, beside: Beside) -> WorkerBeside:
    """The hub's process has ended, and the next one does not hold it yet."""
    return beside(s, DialRules(most_waiting=0, brief_wait=0.0), linked=False)


def is_silent(s: Stage, beside: Beside) -> WorkerBeside:
    """The hub's process does not answer in time."""
    worker = beside(s, DialRules(most_waiting=0, brief_wait=0.01), linked=False)
    worker.link_up(serves=False)
    return worker


def is_suspect(s: Stage, beside: Beside) -> WorkerBeside:
    """The hub's process has missed an answer before."""
    worker = is_silent(s, beside)
    with pytest.raises(UpgradeRefused):
        s.open("somebody")
    return worker


def takes_nothing(s: Stage, beside: Beside) -> WorkerBeside:
    """The hub's process has not taken what was passed to it, as much as may be kept."""
    return beside(s, DialRules(most_copies=0))


Doubt = Callable[[Stage, Beside], WorkerBeside]

DOUBTS: dict[Doubt, str] = {moves: "1", is_nowhere: "1", is_silent: "5", is_suspect: "5", takes_nothing: "5"}
"""Doubt → what Retry-After says."""


@pytest.mark.contract("F5", "A.503")
@pytest.mark.parametrize("kind", ["plain resume", "v1 resume", "with reject=close", "preflight", "connect"])
@pytest.mark.parametrize("doubt", DOUBTS, ids=lambda doubt: doubt.__name__)
def test_a_doubt_is_503_and_ends_nothing(
    stage: Callable[..., Stage], beside: Beside, doubt: Doubt, kind: str
) -> None:
    """Whatever the client asks for; when the doubt is over, it goes on with its session."""
    s = stage()
    client = dial(s) if kind == "v1 resume" else None
    ws: WebSocketClient = client.ws if client is not None else s.open()
    s.drop(ws)
    worker = doubt(s, beside)

    ways: dict[str, Callable[[], object]] = {
        "v1 resume": lambda: client and client.resume(),
        "preflight": lambda: s.open(query="&resume=true", headers=PLAIN_GET),
        "plain resume": lambda: s.open(query="&resume=true"),
        "with reject=close": lambda: s.open(query="&resume=true&reject=close"),
        "connect": s.open,
    }
    with pytest.raises(UpgradeRefused) as refusal:
        ways[kind]()

    assert refusal.value.status == 503
    assert refusal.value.header("Retry-After") == DOUBTS[doubt]
    worker.hub_door.thaw()
    s.hub.lookup = lambda: s.hub.runner
    if client is not None:
        client.resume()
    else:
        s.open(query="&resume=true")
    s.recorder.wait_for("restore", "u1")


@pytest.mark.contract("F5", "D1")
def test_a_gap_is_told_only_when_the_session_has_ended(stage: Callable[..., Stage], beside: Beside) -> None:
    """The hub begins to move between the look and the end of the session: 503, and the session goes on."""
    s = stage(send_buffer=4)
    ws = with_messages(s, 1, 2, 3, 4)
    s.drop(ws)
    s.say("u1", 5, 6, 7)
    worker = beside(s, linked=False)
    wait_no_longer(worker)
    worker.link_up(others={m.EndWithGap: lambda link, asked, _: link.send(m.DialLater(asked.number))})

    assert refused(lambda: s.resume(ws, received="2")) == 503
    assert s.hub.get("u1") is not None
    s.hub.lookup = lambda: s.hub.runner
    assert refused(lambda: s.resume(ws, received="2")) == 410
    s.recorder.wait_for("disconnect", "u1")
