"""What a scenario is given and what it gives back: the server, the sizes, and measures with their meaning.

Used by ``scenarios.py``, ``commands.py`` and ``many.py``; ``run.py`` makes one for each visit to a server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from .contenders import Contender
from .crowd import Crowd
from .dial import Unanswered, dial
from .dialects import Who
from .process import ServerProcess, pause

_BOOT = 30.0


@dataclass(frozen=True)
class Sizes:
    """How much of everything. These are the sizes of a whole run."""

    rounds: int = 5
    seconds: float = 2.0
    echo: int = 50
    receivers: tuple[int, ...] = (100, 500, 1_000, 10_000)
    windows: tuple[int, ...] = (1, 16)
    idle: tuple[int, ...] = (1_000, 10_000)
    churn: int = 32
    storm: int = 1_000
    stalled: int = 500
    #: Broadcasts that fill the buffers of the one who does not read, and those that are measured then.
    stuffing: int = 500
    samples: int = 300
    commands: int = 10_000
    victims: int = 50
    many: int = 10_000
    #: Seconds. The window must be long enough for all of them to come back.
    many_ping_interval: float = 20.0
    many_window: float = 30.0
    #: Sessions of a hub that moves (``tools/bench --cluster``).
    moved: tuple[int, ...] = (1_000, 10_000)
    #: Connections with which the load process measures itself.
    limit: int = 500


QUICK = Sizes(
    rounds=2,
    seconds=0.2,
    receivers=(100, 500),
    idle=(500,),
    storm=200,
    stalled=100,
    samples=60,
    commands=1_000,
    victims=10,
    many=300,
    many_ping_interval=1.5,
    many_window=2.0,
)
TINY = Sizes(
    rounds=1,
    seconds=0.02,
    echo=4,
    receivers=(5,),
    idle=(5,),
    churn=2,
    storm=4,
    stalled=4,
    stuffing=400,
    samples=5,
    commands=5,
    victims=2,
    many=5,
    many_ping_interval=1.5,
    many_window=6.0,
    limit=5,
)
"""Of a test: everything happens, nothing is measured. On a busy machine clients take seconds to come back."""

#: Where a distribution is kept: per mille of its values.
MARKS = (0, 10, 50, *range(100, 900, 50), 900, 950, 980, 990, 995, 999, 1000)


@dataclass(frozen=True)
class Measure:
    """One number, and what else was seen: how busy both processes were, how all values lie."""

    what: str
    unit: str
    value: float
    busy: dict[str, float]
    distribution: Sequence[tuple[float, float]]
    about: dict[str, Any]


@dataclass
class Stage:
    """One visit to one server."""

    contender: Contender
    server: ServerProcess
    sizes: Sizes
    measures: list[Measure] = field(default_factory=list)

    def crowd(self, name: str) -> Crowd:
        """Nobody yet, who will come to this server under names of their own."""
        return Crowd(self.contender.dialect, self.server.address, name, self.contender.at_most)

    @contextmanager
    def elsewhere(self, command: tuple[str, ...], processors: Sequence[int] = ()) -> Iterator[Stage]:
        """Inside: a stage with a server of its own, for the measures of this one.

        ``processors``: it has the first of these; empty: that of this stage's server.
        Raises: Unanswered, with the last that this server wrote, for all that goes wrong inside.
        """
        with ServerProcess(command, list(processors) or self.server.processors) as server:
            wait_until_it_serves(self.contender, server)
            try:
                yield replace(self, server=server)
            except (Unanswered, OSError) as error:
                raise Unanswered("; ".join([str(error), *server.log().splitlines()[-1:]])) from error

    def note(
        self,
        what: str,
        unit: str,
        value: float,
        *,
        busy: dict[str, float] | None = None,
        distribution: Sequence[tuple[float, float]] = (),
        **about: Any,
    ) -> None:
        """Write a measure down. ``about``: ``plot`` and ``x``, where it is a point of a picture."""
        self.measures.append(Measure(what, unit, value, busy or {}, distribution, about))

    @contextmanager
    def busy(self) -> Iterator[Callable[[], dict[str, float]]]:
        """Inside: what share of a processor the load process and the server have taken so far."""
        begun, ours, theirs = time.perf_counter(), time.process_time(), self.server.cpu_seconds()

        def shares() -> dict[str, float]:
            took = time.perf_counter() - begun
            return {
                "load": round((time.process_time() - ours) / took, 3),
                "server": round((self.server.cpu_seconds() - theirs) / took, 3),
            }

        yield shares


def wait_until_it_serves(contender: Contender, server: ServerProcess) -> None:
    """Raises RuntimeError for a server that does not. One called "probe" has been there and was cut."""
    give_up = time.perf_counter() + _BOOT
    while True:
        try:
            dial(contender.dialect, server.address, [Who("probe")])[0].cut()
        except Unanswered as error:
            if time.perf_counter() > give_up:
                raise RuntimeError(f"{contender.name} does not serve: {error}\n{server.log()}") from None
            pause(0.05)
        else:
            server.settle(2.0)
            return


def at(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def distribution(seconds: Sequence[float]) -> list[tuple[float, float]]:
    """(share, milliseconds) at ``MARKS``."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return [(mark / 1000, round(ordered[mark * last // 1000] * 1e3, 4)) for mark in MARKS]


def milliseconds(seconds: float) -> float:
    return seconds * 1e3
