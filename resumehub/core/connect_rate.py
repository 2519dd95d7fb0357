"""Whether one more dial of an address may come in: how often clients of one address may begin.

``ConnectRate`` says how often. A dial that is refused costs nothing: who comes again at the time that it was
told gets in. All that is kept of an address is one number (as in ``input_rate.py``), the time at which all of
its dials are paid for. Where that time is over, nothing need be kept.

**Clients that come back** (``resume=true``) are counted apart from newcomers, and one that gets its session
has its dial given back. So newcomers behind the same NAT can't keep a session's client out; and it does not
matter how often a phone loses its connection.

**An address** is what one subscriber has: of IPv6 the first 64 bits, since each may change the rest as it
likes; one of IPv4 that is written as IPv6 is the IPv4 one. What is no address (a Unix socket has none) is not
counted.

At most ``MOST_ADDRESSES`` are kept, the latest ones: whoever has so many addresses is not stopped by counting
them. Pure. Called by ``server/connect_gate.py``, with its lock held.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from ..limits import ConnectRate

MOST_ADDRESSES: Final = 10_000
"""So many addresses are remembered, in less than 2 MiB; then the one whose dial is the longest ago is not."""

_NETWORK: Final = 64
"""Bits of an IPv6 address that name a subscriber (RFC 6177)."""


def subscriber_of(address: str) -> str | None:
    """Under which name the dials of ``address`` are counted; None: not at all."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> _NETWORK << _NETWORK, _NETWORK)))


class ConnectTable:
    """The addresses of one process's clients. ``now``: seconds of the hub's clock."""

    def __init__(self, limit: ConnectRate, most: int = MOST_ADDRESSES) -> None:
        self._cost = 1 / limit.connects_per_second
        self._burst = limit.burst * self._cost
        self._most = most
        # By the name and whether they come back: when all dials are paid for. The latest dial is the last.
        self._paid_at: dict[tuple[str, bool], float] = {}

    def __len__(self) -> int:
        return len(self._paid_at)

    def admit(self, subscriber: str, comes_back: bool, now: float) -> float:
        """Count a dial. Returns 0.0 if it may come in; else in how many seconds one may, and costs nothing.

        ``subscriber``: what ``subscriber_of`` returned.
        """
        key = subscriber, comes_back
        paid_at = max(self._paid_at.get(key, now), now) + self._cost
        if paid_at > now + self._burst + self._cost / 1000:  # sums are rounded
            return paid_at - now - self._burst
        self._paid_at.pop(key, None)
        self._paid_at[key] = paid_at
        self._forget(now)
        return 0.0

    def give_back(self, subscriber: str, comes_back: bool) -> None:
        """A dial that was admitted has found its session: it counts no more."""
        key = subscriber, comes_back
        if key in self._paid_at:
            self._paid_at[key] -= self._cost

    def _forget(self, now: float) -> None:
        """Forget the oldest, if there are too many; and of the two oldest what is paid for."""
        oldest = list(zip(range(2), self._paid_at, strict=False))
        for _, key in oldest:
            if self._paid_at[key] <= now or len(self._paid_at) > self._most:
                del self._paid_at[key]
