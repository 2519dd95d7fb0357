"""What became of numbered messages, lane by lane: lost, doubled, reordered, foreign. Pure.

A lane is one sender's messages to one receiver: 1, 2, 3, … go in, and a list of numbers comes out. A
``Verdict`` is the sum over all lanes of a run, with the dials of the clients and the longest gap between two
echoes of each. Made by ``counting.py``; proven with planted faults in ``test_harness.py``. Values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Lane:
    """One sender's messages to one receiver.

    ``sent``: those that the sender was told were taken. ``doubtful``: those it was told nothing about.
    ``late``: the receiver came when some were sent already. ``ended``: one of the two was gone before the
    last one could arrive. A hole between two that came is a loss all the same.
    """

    name: str
    sent: Collection[int]
    received: Sequence[int]
    doubtful: Collection[int] = ()
    late: bool = False
    ended: bool = False

    @property
    def lost(self) -> list[int]:
        """Sent, and never received."""
        came = set(self.received)
        first = min(came, default=None) if self.late else 0
        last = max(came, default=None) if self.ended else max(self.sent, default=0)
        if first is None or last is None:
            return []
        return sorted(n for n in self.sent if n not in came and first <= n <= last)

    @property
    def doubled(self) -> list[int]:
        """Received again."""
        return sorted((Counter(self.received) - Counter(set(self.received))).elements())

    @property
    def reordered(self) -> list[int]:
        """Received for the first time behind a later one."""
        found, seen, last = [], set[int](), 0
        for n in self.received:
            if n not in seen and n < last:
                found.append(n)
            seen.add(n)
            last = max(last, n)
        return found

    @property
    def foreign(self) -> list[int]:
        """Received, and never sent."""
        return sorted(set(self.received) - set(self.sent) - set(self.doubtful))


@dataclass
class Verdict:
    """The sum over all lanes. ``dials``: how often a client dialled after its first connection. ``refused``:
    how often one was told to come again before it, as a busy hub does that has not answered in time.

    ``gaps``: for each client, the longest time between two echoes, in seconds. ``statuses``: of the HTTP
    requests that made views speak. ``hub_pids``: the processes that ran a client's callbacks; ``speakers``:
    those whose views spoke. ``troubles``: sentences about what should not be.
    """

    dials: int = 0
    refused: int = 0
    sent: int = 0
    received: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    foreign: int = 0
    gaps: dict[str, float] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    hub_pids: list[int] = field(default_factory=list)
    speakers: set[int] = field(default_factory=set)
    troubles: list[str] = field(default_factory=list)

    def add(self, lane: Lane) -> None:
        """Enter one lane."""
        self.sent += len(lane.sent)
        self.received += len(lane.received)
        for fault in ("lost", "doubled", "reordered", "foreign"):
            numbers = getattr(lane, fault)
            setattr(self, fault, getattr(self, fault) + len(numbers))
            if numbers:
                self.troubles.append(f"{lane.name}: {fault} {_shown(numbers)} of {len(lane.sent)} sent")

    @property
    def longest_gap(self) -> float:
        """The longest one of all clients, in seconds."""
        return max(self.gaps.values(), default=0.0)

    @property
    def counts(self) -> dict[str, int]:
        """What must be 0 where nobody noticed anything."""
        return {name: getattr(self, name) for name in ("dials", "lost", "doubled", "reordered", "foreign")}

    def __str__(self) -> str:
        gaps = sorted(self.gaps.values())
        middle = gaps[len(gaps) // 2] if gaps else 0.0
        lines = [
            f"{self.sent:,} sent, {self.received:,} received; "
            + ", ".join(f"{count} {name}" for name, count in self.counts.items())
            + (f"; {self.refused} first dials were told to come again" if self.refused else ""),
            f"longest gap between two echoes: {self.longest_gap * 1000:.0f} ms, "
            f"median of {len(gaps)} clients {middle * 1000:.0f} ms",
            f"hub in {self.hub_pids}; views spoke in {sorted(self.speakers)}; HTTP {dict(self.statuses)}",
            *self.troubles[:20],
        ]
        return "\n".join(lines)


NOTHING = {"dials": 0, "lost": 0, "doubled": 0, "reordered": 0, "foreign": 0}
"""``Verdict.counts`` when no client noticed anything."""


def _shown(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return f"{shown}, … ({len(numbers)} in all)" if len(numbers) > 5 else shown
