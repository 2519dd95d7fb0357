"""How long an echo takes while HTTP views compute: a scenario of ``tools/bench --cluster``.

Clients talk now and then to the worker that holds the hub. Meanwhile nobody asks for a view, or views compute
at the other worker, or at the hub's own, whose interpreter they share with it. The other worker has a
processor of its own. With only two processors in the machine it has the server's, and the lowest priority
there, so that the hub need not wait for it: that stands for a processor of its own. Called by
``clustered.py``. Read next: ``servers/app_cluster.py``, ``/compute``.
"""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from .crowd import Crowd
from .dial import PATIENCE, Unanswered
from .flows import now
from .stage import Stage, at, milliseconds

_TALKERS = 20
_PAUSE = 0.02
"""Seconds between an echo and the next message of a client: the hub is not busy."""

_VIEWS = 2
_ECHO = f"echo of {_TALKERS} clients"

CALM, ELSEWHERE, AT_HUB = (
    f"{_ECHO}, no views, p99",
    f"{_ECHO}, views compute at another worker, p99",
    f"{_ECHO}, views compute at the hub's own, p99",
)
"""What is measured."""


def views(stage: Stage, command: Sequence[str]) -> None:
    """Three times the same echo. ``command``: starts a worker of one folder."""
    nobody = stage.server.processors[2:]
    low = () if nobody else ("nice", "-n", "19")
    with (
        stage.elsewhere(tuple(command)) as hub,
        hub.elsewhere((*low, *command), nobody) as other,
        closing(hub.crowd("talks")) as crowd,
    ):
        crowd.grow(_TALKERS)
        seconds = 2 * stage.sizes.seconds
        _echo(crowd, seconds / 4)
        for what, worker in ((CALM, None), (ELSEWHERE, other), (AT_HUB, hub)):
            with _computing(worker, seconds + 0.2):
                stage.note(what, "ms", milliseconds(at(_echo(crowd, seconds), 0.99)))
        crowd.leave()


@contextmanager
def _computing(worker: Stage | None, seconds: float) -> Iterator[None]:
    """Inside, for so long, a few views of this worker compute."""
    if worker is None:
        yield
        return
    host, port = worker.server.address
    url = f"http://{host}:{port}/compute?seconds={seconds}"

    def ask() -> None:
        with urllib.request.urlopen(url, timeout=seconds + PATIENCE) as answer:
            answer.read()

    asking = [threading.Thread(target=ask) for _ in range(_VIEWS)]
    for one in asking:
        one.start()
    try:
        yield
    finally:
        for one in asking:
            one.join()


def _echo(crowd: Crowd, seconds: float) -> list[float]:
    """Each talks, waits for the echo, and for a moment. Gives the seconds of each echo."""
    say = crowd.dialect.say
    due = {fd: now() + _PAUSE * n / len(crowd.links) for n, fd in enumerate(crowd.links)}
    sent_at: dict[int, float] = {}
    took: list[float] = []
    until = now() + seconds
    give_up = until + PATIENCE
    while sent_at or now() < until:
        if now() > give_up:
            raise Unanswered(f"{len(sent_at)} clients have no echo for {PATIENCE:g} s")
        for fd in [fd for fd, when in due.items() if when <= now() < until]:
            del due[fd]
            sent_at[fd] = now()
            crowd.links[fd].sock.send(say)
        for fd, _ in crowd.poll.poll(0.001):
            if crowd.take(fd):
                came = now()
                took.append(came - sent_at.pop(fd))
                due[fd] = came + _PAUSE
    return took
