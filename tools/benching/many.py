"""Many sessions in one process, with heartbeats: from the first dial to the end of the last one's window.

All connect, are silent, hear a broadcast, lose the network at once and miss one, come back at once, and lose
the network for good. Only resumehub has sessions. The server is one of the scenario's own, since the others
measure without heartbeats. Whatever was lost, or is left in the end, is a measure, and a failure as well.
"""

from __future__ import annotations

import json
import urllib.request
from contextlib import closing

from .contenders import gthread
from .crowd import Crowd
from .dial import PATIENCE, Unanswered, dial
from .dialects import PING, PONG, Resumehub, ResumehubV1, masked, split
from .flows import FanOut, now
from .process import BACKLOG, pause
from .stage import Sizes, Stage, milliseconds
from .texts import SIZE

_AT_ONCE = BACKLOG // 2
"""Dials on their way. The kernel turns away what finds the listener's queue full, for a second at least."""

_LINGER = 1.5
"""Seconds after which a thread of the hub's that has nothing to do is gone."""


def many(stage: Stage) -> None:
    """The whole life of many sessions."""
    if not isinstance(stage.contender.dialect, Resumehub):
        return
    with stage.elsewhere(_command(stage.sizes)) as own, closing(Patient(own, "many")) as crowd:
        pause(_LINGER)
        before = _left(own)
        _connect(own, crowd)
        _hold(own, crowd)
        _broadcast(own, crowd)
        lost = _come_back(own, crowd)
        _expire(own, crowd)
        complain(clients=lost, **_left_over(own, before))


def _command(sizes: Sizes) -> tuple[str, ...]:
    settings = (f"MANY_PING_INTERVAL={sizes.many_ping_interval}", f"MANY_WINDOW={sizes.many_window}")
    return ("env", *settings, *gthread("app_many", 8))


# -- the clients ----------------------------------------------------------------------------


class Patient(Crowd):
    """Clients that answer pings and count what each of them has: they stay, and know what they missed."""

    pings = 0

    def __init__(self, stage: Stage, name: str) -> None:
        super().__init__(stage.contender.dialect, stage.server.address, name, stage.contender.at_most)
        self.take = self._take_and_answer
        self._proves = isinstance(self.dialect, ResumehubV1)

    def listen(self, seconds: float) -> None:
        """Read, and answer, for so long."""
        until = now() + seconds
        while (left := until - now()) > 0:
            for fd, _ in self.poll.poll(left):
                self.take(fd)

    def acknowledge(self) -> None:
        """What each client's own clock has it do when a second has been silent."""
        for link in self.links.values() if self._proves else ():
            link.unacked = 0
            link.sock.send(ResumehubV1.ack(link.who))

    def missing(self, received: int) -> int:
        """Read until everybody has so many messages, or nobody gets any more; how many have fewer."""
        waiting = {fd for fd, link in self.links.items() if link.who.received < received}
        give_up = now() + PATIENCE
        while waiting and now() < give_up:
            for fd, _ in self.poll.poll(PATIENCE):
                if self.take(fd) and self.links[fd].who.received >= received:
                    waiting.discard(fd)
                    give_up = now() + PATIENCE
        return len(waiting)

    def _take_and_answer(self, fd: int) -> int:
        link = self.links[fd]
        try:
            data = link.sock.recv(65536)
        except BlockingIOError:
            return 0
        if not data:
            raise Unanswered("a client was sent away")
        frames, link.rest = split(link.rest + data)
        for opcode, payload in frames:
            if opcode == PING:
                self.pings += 1
                link.sock.send(masked(PONG, payload))
        messages = sum(len(payload) == SIZE for _, payload in frames)
        if self._proves and messages:
            self._acknowledge(link, messages)
        else:
            link.who.received += messages
        return messages


# -- their life -----------------------------------------------------------------------------


def _connect(stage: Stage, crowd: Patient) -> None:
    size, server = stage.sizes.many, stage.server
    memory, threads = server.rss_kib(), server.threads()
    begun = now()
    crowd.grow(size)
    stage.note(f"connecting {size:,}, with heartbeats", "connections/s", size / (now() - begun))
    crowd.acknowledge()
    server.settle()
    stage.note(_name(stage), "KiB each", (server.rss_kib() - memory) / size)
    stage.note(_name(stage), "threads for all", server.threads() - threads)


def _hold(stage: Stage, crowd: Patient) -> None:
    """For one interval: the pings are as unevenly spread over it as the dials were, and each gets one.

    For more of them on a machine that is so busy that none has come.
    """
    before, begun = crowd.pings, now()
    with stage.busy() as busy:
        crowd.listen(stage.sizes.many_ping_interval)
        while crowd.pings == before and now() - begun < PATIENCE:
            crowd.listen(stage.sizes.many_ping_interval)
        shares = busy()
    stage.note(_name(stage), "pings/s", (crowd.pings - before) / (now() - begun))
    stage.note(_name(stage), "% of a processor", 100 * shares["server"])


def _broadcast(stage: Stage, crowd: Crowd) -> None:
    flow = FanOut(crowd, 1)
    with stage.busy() as busy:
        begun = now()
        _once(flow)
        took = now() - begun
        shares = busy()
    name = f"one broadcast to {len(crowd.links):,}"
    stage.note(f"{name}, until the last has it", "ms", milliseconds(took))
    stage.note(name, "deliveries/s", len(crowd.links) / took, busy=shares)


def _come_back(stage: Stage, crowd: Patient) -> int:
    """How many do not have just what was sent, each message once."""
    whos = [link.who for link in crowd.links.values()]
    received = whos[0].received + 1
    with closing(Patient(stage, "stays")) as stays:
        crowd.cut()
        stays.grow(1)
        _once(FanOut(stays, 1))
        stays.leave()
    begun = now()
    crowd.add(dial(crowd.dialect, crowd.address, whos, at_once=_AT_ONCE))
    crowd.missing(received)
    took = now() - begun
    crowd.listen(0.2)  # to whatever comes twice
    lost = sum(who.received != received for who in whos)
    name = f"{len(whos):,} come back at once"
    stage.note(f"{name}, until the last has what it missed", "s", took)
    stage.note(name, "clients/s", len(whos) / took)
    stage.note(f"{name}, of whom lost or repeated a message", "clients", lost)
    return lost


def _expire(stage: Stage, crowd: Crowd) -> None:
    window = stage.sizes.many_window
    crowd.cut()
    over = now() + window
    pause(window)
    while sessions := _left(stage)["sessions"]:
        if now() > over + 3 * PATIENCE:
            raise Unanswered(f"{sessions:,} sessions are left {3 * PATIENCE:g} s after their window")
        pause(0.02)
    stage.note(f"{stage.sizes.many:,} expire at once, from the end of their window", "s", now() - over)


def _once(flow: FanOut) -> None:
    flow.ask()
    while not flow.idle:
        flow.step(again=False)


def _name(stage: Stage) -> str:
    sizes = stage.sizes
    return f"{sizes.many:,} silent, pinged every {sizes.many_ping_interval:g} s"


# -- what is left ---------------------------------------------------------------------------


def _left(stage: Stage) -> dict[str, int]:
    """What the server says that it has."""
    host, port = stage.server.address
    with urllib.request.urlopen(f"http://{host}:{port}/left", timeout=PATIENCE) as answer:
        told: dict[str, int] = json.load(answer)
    return told


def _left_over(stage: Stage, before: dict[str, int]) -> dict[str, int]:
    """Descriptors and threads beyond those that there were, when the last that linger have gone."""
    give_up = now() + PATIENCE
    while True:
        told = _left(stage)
        over = {name: max(0, told[name] - before[name]) for name in ("descriptors", "threads")}
        if not any(over.values()) or now() > give_up:
            break
        pause(0.1)
    for name, number in over.items():
        stage.note(f"left over of {stage.sizes.many:,}", name, number)
    return over


def complain(clients: int, descriptors: int, threads: int) -> None:
    """Raises Unanswered, and so has it told beside the measures, when any of these is not 0."""
    wrong = (
        ("clients that lost or repeated a message", clients),
        ("descriptors left over", descriptors),
        ("threads left over", threads),
    )
    if said := [f"{what}: {number:,}" for what, number in wrong if number]:
        raise Unanswered(", ".join(said))
