"""Tells the outcome of a soak: a verdict, the accounts, what was done, and how to do it again. Pure."""

from __future__ import annotations

from collections import Counter

from .rows import Account
from .run import Outcome

_KINDS = {
    "v1": "resumehub.v1",
    "counting": "plain clients that count what they get",
    "plain": "plain clients",
}
_SETTLED = ("acknowledged", "written", "dropped", "expired", "closed", "held")


def failures(outcome: Outcome) -> list[str]:
    """Sentences, one for each promise that was not kept. None: all is well."""
    stats = outcome.stats
    found = []
    for account, way, may_lose in (
        (outcome.up, "to the server", not outcome.lossless),
        (outcome.down, "to the clients", outcome.settings.mode == "plain"),
    ):
        if account.lost and not may_lose:
            found.append(f"{account.lost} messages {way} were lost")
        if account.spoilt:
            found.append(f"{account.spoilt} messages {way} came twice, in the wrong order, or went astray")
    found += outcome.asked_up.failures("to the server") + outcome.asked_down.failures("to the clients")
    if outcome.stuck:
        found.append("it came to a stop")
    found += outcome.troubles[:10]
    if stats["accepted"] != sum(stats[column] for column in _SETTLED):
        found.append("the ledger of the hub does not add up")
    if outcome.lossless and stats["acknowledged"] != stats["accepted"]:
        found.append("the hub has accepted messages that were never acknowledged")
    if stats["sessions"]:
        found.append(f"{stats['sessions']} sessions are left behind")
    found += [f"the server complains: {line}" for line in outcome.complaints[:5]]
    return found


def tell(outcome: Outcome) -> str:
    """All of it, for people."""
    parts = [_title(outcome), _accounts(outcome), _story(outcome), _verdict(outcome)]
    return "\n\n".join("\n".join(part) for part in parts)


def _title(outcome: Outcome) -> list[str]:
    s = outcome.settings
    return [
        f"{_KINDS[s.mode]}: {s.clients} clients, {outcome.faults.total():,} faults, seed {s.seed}, "
        f"on {s.server}; {outcome.storm:.1f} s of storm, {outcome.whole:.1f} s in all"
    ]


def _accounts(outcome: Outcome) -> list[str]:
    return [
        f"{'':16}{'sent':>10}{'received':>10}{'lost':>9}{'duplicated':>12}{'reordered':>11}{'astray':>8}",
        _row("to the server", outcome.up),
        _row("to the clients", outcome.down),
        *(_requests(outcome) if outcome.lossless else []),
    ]


def _requests(outcome: Outcome) -> list[str]:
    return [
        "",
        f"{'requests':16}{'answered':>10}{'in doubt':>10}{'unsent':>9}{'no room':>12}"
        f"{'twice':>11}{'wrong':>8}",
        *(
            f"{name:16}{asked.answered:>10,}{asked.in_doubt:>10,}{asked.unsent:>9,}{asked.refused:>12,}"
            f"{asked.twice:>11,}{asked.wrong:>8,}"
            for name, asked in (("to the server", outcome.asked_up), ("to the clients", outcome.asked_down))
        ),
    ]


def _row(name: str, account: Account) -> str:
    return (
        f"{name:16}{account.sent:>10,}{account.received:>10,}{account.lost:>9,}{account.duplicated:>12,}"
        f"{account.reordered:>11,}{account.foreign:>8,}"
    )


def _story(outcome: Outcome) -> list[str]:
    stats = outcome.stats
    columns = ", ".join(f"{column} {stats[column]:,}" for column in _SETTLED if stats[column])
    ends = ", ".join(f"{number:,} {name}" for name, number in sorted(outcome.ends.items()))
    return [
        f"connections:  {outcome.connections:,}, of which reconnects "
        f"{outcome.connections - outcome.settings.clients:,}",
        f"longest way:  {outcome.up.longest:.1f} s up, {outcome.down.longest:.1f} s down (send to handler)",
        *(_proofs(outcome) if outcome.lossless else []),
        f"hub.stats():  accepted {stats['accepted']:,} = {columns or 0}",
        f"sessions:     ended {ends}",
        f"faults:       {_sums(outcome, 0)}",
        f"              {_sums(outcome, 1)}",
    ]


def _proofs(outcome: Outcome) -> list[str]:
    return [
        f"unproven:     a message stayed unacknowledged for at most {outcome.oldest_up:.1f} s up, "
        f"{outcome.oldest_down:.1f} s down",
        f"              written again {outcome.rewritten:,} up; no room (SendBufferFull) "
        f"{outcome.refused_up:,} times up, {outcome.refused_down:,} down",
    ]


def _sums(outcome: Outcome, part: int) -> str:
    """How many faults of each kind (0), or at each place (1)."""
    sums: Counter[str] = Counter()
    for (kind, place), number in outcome.faults.items():
        sums[place if part else kind.name.lower().replace("_", " ")] += number
    return ", ".join(f"{number:,} {name}" for name, number in sums.most_common())


def _verdict(outcome: Outcome) -> list[str]:
    s = outcome.settings
    lines = [f"FAILED: {failure}" for failure in failures(outcome)]
    if not lines and outcome.lossless:
        lines = ["ok: nothing lost, nothing twice, nothing out of order"]
    elif not lines:
        lost = outcome.up.lost + outcome.down.lost
        lines = [f"as promised, at most once and in order: {lost:,} lost, nothing twice"]
    again = f"--mode {s.mode} --clients {s.clients} --cycles {s.cycles} --seed {s.seed}"
    again += f" --seconds {s.seconds}" if s.seconds is not None else ""
    return [*lines, f"again: tools/soak {again} --server {s.server} --pace {s.pace}"]
