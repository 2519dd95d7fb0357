"""How long clients stay away behind an outage: many machines, with random numbers from a seed, as a table.

``tools/docs`` draws it into docs/reference/client.md; ``test_pauses.py`` compares, and holds it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from resumehub.client import commands as c
from resumehub.client import effects as e
from resumehub.client.machine import ClientMachine
from resumehub.client.states import ClientRules
from resumehub.errors import TransportLost

OUTAGES = (1.0, 4.0, 15.0, 60.0)
"""In seconds; each dial of that time fails at once."""

CLIENTS = 5_000


def each_pause(chance: Callable[[], float]) -> Iterator[float]:
    """The pauses of one client whose dials all fail at once."""
    machine = ClientMachine(ClientRules())
    machine.handle(c.Start(), 0.0)
    now = 0.0
    while True:
        for effect in machine.handle(c.DialFailed(machine.dial, TransportLost()), now):
            if isinstance(effect, e.DrawPause):
                drawn = effect.at_least + effect.upto * chance()
                machine.handle(c.Drawn(drawn), now)
                yield drawn
                now += drawn
        machine.handle(c.TimePassed(), now)


def pauses(chance: Callable[[], float], upto: float) -> list[float]:
    """Those of a server that is away for ``upto`` seconds: the last pause leads behind that time."""
    drawn: list[float] = []
    for pause in each_pause(chance):
        drawn.append(pause)
        if sum(drawn) >= upto:
            break
    return drawn


def away(outage: float, clients: int = CLIENTS) -> tuple[list[float], float]:
    """For each client, sorted, how long after the outage it dials; and how many dials it made before."""
    chance = random.Random(1).random
    lives = [pauses(chance, outage) for _ in range(clients)]
    return sorted(sum(life) - outage for life in lives), sum(map(len, lives)) / clients


def table() -> str:
    """What becomes of ``CLIENTS`` clients, for each outage."""
    lines = [
        "| the server is away for | dials in vain | half of the clients are back within | 95% | 99% | all |",
        "|---|---|---|---|---|---|",
    ]
    for outage in OUTAGES:
        late, dials = away(outage)
        parts = [late[int(CLIENTS * share) - 1] for share in (0.5, 0.95, 0.99, 1.0)]
        lines.append(
            f"| {outage:g} s | {dials:.1f} | " + " | ".join(f"{part:.1f} s" for part in parts) + " |"
        )
    return "\n".join(lines) + "\n"
