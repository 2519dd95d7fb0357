"""How long clients wait while a hub moves: a scenario of ``tools/bench --cluster``.

Some clients talk all the time, all others are connected and silent. Then the server that holds the hub is
told to stop, while another one on the folder is ready. Called by ``clustered.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from .crowd import Crowd
from .dial import PATIENCE, Unanswered
from .flows import FanOut, now
from .stage import Stage, at, milliseconds

_TALKERS = 20
_BEFORE = 1.0
_BEHIND = 2.0
"""Seconds of talk before and behind the signal."""


def move(stage: Stage, command: Callable[[str], tuple[str, ...]]) -> None:
    """The server that holds the hub is told to stop. ``command``: starts a worker of the folder's cluster."""
    for size in stage.sizes.moved:
        name = f"moved-{size}"
        with (
            stage.elsewhere(command(name)) as old,
            closing(old.crowd("silent")) as silent,
            closing(old.crowd("talks")) as talkers,
        ):
            silent.grow(size - _TALKERS)
            talkers.grow(_TALKERS)
            with old.elsewhere(command(name)) as new:
                calm = _longest_gaps(talkers, lambda: None, _BEFORE)
                moving = _longest_gaps(talkers, old.server.terminate, _BEHIND + size / 1000)
                _hear_all(silent)
                new.server.settle(1.0)
        for when, gaps in (("in peace", calm), ("at a move", moving)):
            what = f"{size:,} sessions, longest gap between two echoes {when}"
            stage.note(f"{what}, p50", "ms", milliseconds(at(gaps, 0.5)))
            stage.note(f"{what}, p99", "ms", milliseconds(at(gaps, 0.99)))
        stage.note(f"{size:,} sessions, moved", "sessions/s", size / max(at(moving, 0.99), 1e-9))


def _longest_gaps(crowd: Crowd, begin: Callable[[], None], seconds: float) -> list[float]:
    """Everybody talks; ``begin`` is called once. Gives the longest wait for an echo of each client."""
    say = crowd.dialect.say
    heard_at = dict.fromkeys(crowd.links, now())
    longest = dict.fromkeys(crowd.links, 0.0)
    for link in crowd.links.values():
        link.sock.send(say)
    waiting = set(crowd.links)
    begin()
    until = now() + seconds
    give_up = until + PATIENCE
    while waiting:
        if now() > give_up:
            raise Unanswered(f"{len(waiting)} clients have no echo for {PATIENCE:g} s")
        for fd, _ in crowd.poll.poll(0.1):
            if not crowd.take(fd):
                continue
            came = now()
            longest[fd] = max(longest[fd], came - heard_at[fd])
            heard_at[fd] = came
            if came < until:
                crowd.links[fd].sock.send(say)
            else:
                waiting.discard(fd)
    return list(longest.values())


def _hear_all(crowd: Crowd) -> None:
    """One broadcast reaches everybody: nobody was lost."""
    flow = FanOut(crowd, 1)
    flow.ask()
    while not flow.idle:
        flow.step(again=False)
