"""Tells the outcome of a soak of a cluster: a verdict, a line for each kind of fault, how to repeat it."""

from __future__ import annotations

from statistics import median

from .cluster_faults import FREE, PRICES, Fault
from .cluster_run import ClusterOutcome, Strike


def cluster_failures(outcome: ClusterOutcome) -> list[str]:
    """Sentences, one for each promise that was not kept. None: all is well."""
    found = []
    verdict = outcome.verdict
    for name in ("lost", "doubled", "reordered", "foreign"):
        if count := verdict.counts[name]:
            found.append(f"{count} messages were {name}")
    for strike in outcome.strikes:
        price = PRICES.get(strike.fault, FREE)
        if strike.dials and not price.dials:
            found.append(f"{strike.fault.value}: clients have dialled {strike.dials} times")
        if strike.ended and not (price.ends or price.dials):
            found.append(f"{strike.fault.value}: {strike.ended} sessions have ended")
    if outcome.stuck:
        found.append(f"it came to a stop {outcome.stuck}")
    if outcome.tracebacks:
        found.append(f"{len(outcome.tracebacks)} tracebacks in the log, of which this is the first:")
        found[-1] += f"\n{outcome.tracebacks[0]}"
    return found + [f"left behind: {what}" for what in outcome.left]


def tell_cluster(outcome: ClusterOutcome) -> str:
    """The whole report."""
    s = outcome.settings
    lines = [
        f"{s.workers} workers of {s.server}: {s.ours} clients of resumehub.v1, {s.theirs} of websockets; "
        f"{len(outcome.strikes)} faults, seed {s.seed}, {outcome.whole:.0f} s in all",
        "",
        f"{'':46}{'times':>7}{'dials':>8}{'ended':>8}{'longest gap':>14}{'median gap':>13}",
        *(_row(fault, outcome.strikes) for fault in Fault),
        "",
        *(line for line in str(outcome.verdict).splitlines() if " has ended: " not in line),
        "",
    ]
    if failed := cluster_failures(outcome):
        lines += [f"FAILED: {what}" for what in failed]
        lines += ["", "the end of the log:", *outcome.log.splitlines()[-40:]]
    else:
        lines.append("ok: nothing lost, nothing twice, nothing out of order, nothing left")
    lines.append(
        f"again: tools/soak --cluster --minutes {s.minutes:g} --seed {s.seed} --server {s.server} "
        f"--workers {s.workers} --clients {s.ours + s.theirs} --pace {s.pace:g}"
        + (f" --faults {s.faults}" if s.faults is not None else "")
        + (f" --only '{s.word}'" if s.word else "")
    )
    return "\n".join(lines)


def _row(fault: Fault, strikes: list[Strike]) -> str:
    mine = [strike for strike in strikes if strike.fault is fault]
    if not mine:
        return f"{fault.value:46}{0:>7}"
    gaps = [strike.gap * 1000 for strike in mine]
    return (
        f"{fault.value:46}{len(mine):>7}{sum(strike.dials for strike in mine):>8}"
        f"{sum(strike.ended for strike in mine):>8}{max(gaps):>11.0f} ms{median(gaps):>10.0f} ms"
    )
