"""A short soak: real servers, real clients, and a network that breaks all the time.

The long one is the command ``tools/soak`` (docs/howto/soak.md). It is bounded by the number of faults, not by
time; how the threads run is left to chance here, which is the point of it.
"""

from __future__ import annotations

from typing import Literal

from tools.soaking.report import failures, tell
from tools.soaking.run import Settings, soak


def short(mode: Literal["v1", "plain"], server: str, clients: int, cycles: int) -> Settings:
    """Hasty heartbeats, so that nobody waits long for the end of what is half-open."""
    return Settings(
        mode,
        clients,
        cycles,
        seed=11,
        pace=0.01,
        server=server,
        ping_interval=0.3,
        write_timeout=0.25,
        heartbeat_margin=0.2,
    )


def test_lossless_clients_lose_nothing() -> None:
    """Whatever the network does: each message is handled once, in order, in both directions."""
    outcome = soak(short("v1", "gthread", clients=6, cycles=6))

    print(tell(outcome))
    assert failures(outcome) == []
    assert outcome.faults.total() == 36
    assert (outcome.up.lost, outcome.up.spoilt, outcome.down.lost, outcome.down.spoilt) == (0, 0, 0, 0)
    assert outcome.up.received == outcome.up.sent > 0
    assert outcome.down.received == outcome.down.sent > 0


def test_plain_clients_lose_what_was_on_its_way() -> None:
    """The same network shows that the soak can see a loss; at most once and in order is kept."""
    outcome = soak(short("plain", "werkzeug", clients=4, cycles=4))

    print(tell(outcome))
    assert failures(outcome) == []
    assert outcome.up.lost > 0
    assert outcome.down.lost > 0
    assert (outcome.up.spoilt, outcome.down.spoilt) == (0, 0)
