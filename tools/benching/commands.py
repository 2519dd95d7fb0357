"""How long the hub's own commands take while broadcasts run: a kick and a resume, as a client sees them.

Only resumehub has these. The driver keeps one broadcast to everybody outstanding, and meanwhile, one after
the other, has a client kicked (from the request to his close frame) and lets another one lose its network
and come back (from the dial to its session). Once with the broadcasts, once without.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from contextlib import closing

from .crowd import Crowd
from .dial import PATIENCE, Dialling, Link, Unanswered, dial
from .dialects import TEXT, Resumehub, ResumehubV1, Who, masked
from .flows import FanOut, now
from .stage import Stage, at, milliseconds


def commands(stage: Stage) -> None:
    """Kicks and resumes, in peace and under load."""
    sizes = stage.sizes
    if not isinstance(stage.contender.dialect, Resumehub) or isinstance(stage.contender.dialect, ResumehubV1):
        return
    with closing(stage.crowd("many")) as crowd:
        crowd.grow(sizes.commands)
        for name, loaded in (("no broadcasts", False), (f"broadcasts to {sizes.commands:,}", True)):
            kicks, resumes = _Officer(stage, crowd, loaded).run(name)
            for what, seconds in (("kick", kicks), ("resume", resumes)):
                stage.note(f"{what}, {name}, p50", "ms", milliseconds(at(seconds, 0.5)))
                stage.note(f"{what}, {name}, worst of {len(seconds)}", "ms", milliseconds(max(seconds)))
        crowd.leave()


class _Officer:
    """Who gives the commands, on connections of his own, beside the broadcasts."""

    def __init__(self, stage: Stage, crowd: Crowd, loaded: bool) -> None:
        self._stage = stage
        self._crowd = crowd
        # Few events at a time: his own sockets shall not wait for those of the crowd.
        self._flow = FanOut(crowd, 1, at_most=32)
        self._loaded = loaded
        self._dialect = stage.contender.dialect

    def run(self, name: str) -> tuple[list[float], list[float]]:
        """Seconds of each kick and of each resume."""
        victims = [
            Who(f"{name}, victim {number}".replace(" ", "-")) for number in range(self._stage.sizes.victims)
        ]
        returners = [Who(f"{name}, returner {n}".replace(" ", "-")) for n in range(self._stage.sizes.victims)]
        officer, *theirs = dial(self._dialect, self._stage.server.address, [Who("officer"), *victims])
        others = dial(self._dialect, self._stage.server.address, returners)
        if self._loaded:
            self._flow.ask()
        try:
            kicks = [self._kick(officer, link) for link in theirs]
            resumes = [self._resume(link) for link in others]
            while not self._flow.idle:
                self._flow.step(again=False)
        finally:
            officer.cut()
        return kicks, resumes

    def _kick(self, officer: Link, victim: Link) -> float:
        begun = now()
        officer.sock.send(masked(TEXT, b'{"event":"kick","payload":"%s"}' % victim.who.name.encode()))
        self._until(victim, lambda: _is_over(victim))
        took = now() - begun
        victim.cut()
        _drain(officer)
        return took

    def _resume(self, link: Link) -> float:
        link.cut()
        begun = now()
        dialling = Dialling(self._dialect, self._stage.server.address, link.who, 0)
        self._until(dialling.link, dialling.heard)
        took = now() - begun
        dialling.link.cut()
        return took

    def _until(self, link: Link, happened: Callable[[], bool]) -> None:
        """Go on with the broadcasts until it has happened to ``link``."""
        done = []
        fd = link.sock.fileno()
        self._flow.others[fd] = lambda: done.append(True) if happened() else None
        self._crowd.poll.register(fd, select.EPOLLIN)
        try:
            give_up = now() + 6 * PATIENCE
            while not done:
                self._flow.step(again=self._loaded)
                if now() > give_up:
                    raise Unanswered(f"no answer for {6 * PATIENCE:g} s")
        finally:
            self._crowd.poll.unregister(fd)
            del self._flow.others[fd]


def _is_over(link: Link) -> bool:
    """Read on; whether the close frame, or the end, has come. Broadcasts come before it."""
    data = link.sock.recv(1 << 18)
    link.rest = (link.rest + data)[-200:]
    return not data or b"\x03\xe8kicked" in link.rest


def _drain(link: Link) -> None:
    try:
        while link.sock.recv(1 << 18):
            pass
    except BlockingIOError:
        pass
