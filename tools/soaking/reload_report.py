"""Tells the outcome of reloads under traffic: a verdict, and pauses by way and by kind of client. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .cluster_deeds import tracebacks
from .reload_run import Reload, ReloadOutcome, Way

_FROZEN = re.compile(r"has moved from process .*, freeze ([\d.]+) s\)")
# Of a move's line in the log.


def reload_failures(outcome: ReloadOutcome) -> list[str]:
    """Sentences, one for each promise that was not kept. None: all is well."""
    verdict = outcome.verdict
    found = [f"{verdict.counts[name]} {name}" for name in verdict.counts if verdict.counts[name]]
    found += verdict.troubles[:20]
    found += [
        f"{n} views were answered {status}" for status, n in verdict.statuses.items() if status != "200"
    ]
    for number, reload in enumerate(outcome.reloads):
        if reload.way is not None and not reload.moves:
            found.append(f"reload {number} ({reload.way.value}): the hub has not moved")
    if outcome.stuck:
        found.append(f"it came to a stop {outcome.stuck}")
    found += [f"a traceback in the log:\n{text}" for text in tracebacks(outcome.log)[:3]]
    return found + [f"left behind: {what}" for what in outcome.left]


def tell_reloads(outcome: ReloadOutcome) -> str:
    """The whole report."""
    s, verdict = outcome.settings, outcome.verdict
    reloads = [one for one in outcome.reloads if one.way is not None]
    kinds = list(dict.fromkeys(kind for one in outcome.reloads for kind in one.pauses))
    lines = [
        f"{s.workers} workers of {s.server}{', preloaded' if s.preload else ''}: {s.clients} clients, each "
        f"with a number every {s.pace:g} s; {len(reloads)} of {s.reloads} reloads in {outcome.whole:.0f} s",
        "",
        f"{'longest time between two echoes, in ms':46}{'times':>7}{'moves':>7}{'dials':>7}"
        f"{'p50':>8}{'p99':>8}{'max':>8}",
        *(_row(way.value, [one for one in reloads if one.way is way]) for way in Way),
        _row("no reload", [one for one in outcome.reloads if one.way is None]),
        *(f"  {row}" for kind in kinds for row in [_row_of_kind(kind, reloads)]),
        _frozen(outcome.log),
        "",
        str(verdict).partition("\nlongest gap")[0],
        f"views spoke in {len(verdict.speakers)} processes, and were answered {dict(verdict.statuses)}; "
        f"the hub was in {len(verdict.hub_pids)} processes",
        "",
    ]
    if failed := reload_failures(outcome):
        lines += [f"FAILED: {what}" for what in failed]
        lines += ["", "the end of the log:", *outcome.log.splitlines()[-40:]]
    else:
        lines.append(
            "ok: nobody has dialled, nothing lost, nothing twice, nothing out of order, nothing left"
        )
    lines.append(
        f"again: tools/soak --cluster --reloads {s.reloads} --way {s.way} --server {s.server} "
        f"--workers {s.workers} --clients {s.clients} --pace {s.pace:g}{' --preload' if s.preload else ''}"
    )
    return "\n".join(lines)


def _row(name: str, reloads: Sequence[Reload]) -> str:
    if not reloads:
        return f"{name:46}{0:>7}"
    pauses = [pause for one in reloads for of_kind in one.pauses.values() for pause in of_kind]
    moves, dials = sum(one.moves for one in reloads), sum(one.dials for one in reloads)
    return f"{name:46}{len(reloads):>7}{moves:>7}{dials:>7}{_figures(pauses)}"


def _row_of_kind(kind: str, reloads: Sequence[Reload]) -> str:
    pauses = [pause for one in reloads for pause in one.pauses.get(kind, [])]
    return f"{f'clients of {kind}':44}{'':21}{_figures(pauses)}"


def _frozen(log: str) -> str:
    frozen = [float(found) for found in _FROZEN.findall(log)]
    return f"{'everything stood still, as the log says':46}{len(frozen):>7}{'':14}{_figures(frozen)}"


def _figures(pauses: Iterable[float]) -> str:
    """p50, p99 and the longest one, in milliseconds."""
    found = sorted(pauses)
    if not found:
        return ""
    chosen = [found[len(found) // 2], found[min(len(found) - 1, len(found) * 99 // 100)], found[-1]]
    return "".join(f"{pause * 1000:>8.0f}" for pause in chosen)
