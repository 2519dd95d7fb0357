"""What ``tools/bench --cluster`` tells: each ratio, what is asked of it, and whether it is kept. Pure.

Called by ``__main__.py``. Read next: ``clustered.py``, ``report.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from .clustered import AT_HUB, AT_OTHER, BROADCASTS, CLUSTERED
from .contenders import PLAIN
from .report import Results, Row, Spread, about, failures, measured, number, ratios, spread
from .two_workers import REDIS_PEER
from .views import CALM, ELSEWHERE


@dataclass(frozen=True)
class Goal:
    """What a figure shall be. ``less``: at most, and not at least."""

    value: float
    less: bool = False

    def told(self) -> str:
        """In a few signs."""
        return f"{'≤' if self.less else '≥'} {self.value:g}"

    def kept_by(self, value: float) -> bool:
        """Whether it is."""
        return value <= self.value if self.less else value >= self.value


AGAINST_NONE = {
    ("echo", "messages/s"): Goal(0.97),
    ("fan-out", "deliveries/s"): Goal(0.97),
    ("connecting", "connections/s"): Goal(0.8),
    ("churn", "connections/s"): Goal(0.8),
}
"""Of one worker with a cluster against one without. Key: how the measure's name begins, and its unit."""

IDLE_KIB = Goal(0.5, less=True)
"""So much more memory may an idle session take."""

BETWEEN = (
    (f"dials {AT_OTHER}", f"dials {AT_HUB}", Goal(0.7)),
    ("call: count", "call: bare Unix socket", Goal(3.0, less=True)),
    ("call: send", "call: bare Unix socket", Goal(3.0, less=True)),
    ("call: broadcast to nobody", "call: bare Unix socket", Goal(3.0, less=True)),
    (f"{BROADCASTS} {AT_OTHER}", f"{BROADCASTS} {AT_HUB}", Goal(0.5)),
    (ELSEWHERE, CALM, Goal(1.5, less=True)),
)
"""Two measures of the same visit, and what their ratio shall be."""

BESIDE_REDIS = Goal(10.0)
"""Our fan-out to members of two workers, by that of python-socketio with a Redis message queue."""

_GAP = "sessions, longest gap between two echoes at a move, p99"
BOUNDS = {
    f"1,000 {_GAP}": Goal(250.0, less=True),
    f"10,000 {_GAP}": Goal(2000.0, less=True),
    "1,000 sessions, moved": Goal(2000.0),
    "10,000 sessions, moved": Goal(2000.0),
}
"""Measures by themselves, and what they shall be."""

_WIDTH = 98


def tell(results: Results) -> str:
    """The table of verdicts, then all that was measured."""
    rows = measured(results)
    lines = [about(results), "", f"{'':{_WIDTH}}{'median':>9}{'min':>8}{'max':>8}   {'asked':8}verdict"]
    for both in rows:
        lines += _against_none(both)
    of_ours = {both[CLUSTERED]["what"]: both[CLUSTERED] for both in rows if CLUSTERED in both}
    for ours, theirs, goal in BETWEEN:
        if ours in of_ours and theirs in of_ours:
            lines.append(_line(f"{ours} ÷ {theirs}", ratios(of_ours[ours], of_ours[theirs]), goal))
    for both in rows:
        peer = both.get(REDIS_PEER.name)
        if peer is not None and CLUSTERED in both:
            name = f"{peer['what']}, ours ÷ {REDIS_PEER.name}"
            lines.append(_line(name, ratios(both[CLUSTERED], peer), BESIDE_REDIS))
    lines += [
        _line(f"{what} ({of_ours[what]['unit']})", spread(of_ours[what]["values"].values()), goal)
        for what, goal in BOUNDS.items()
        if what in of_ours
    ]
    lines.append("")
    for both in rows:
        for server, row in both.items():
            values = spread(row["values"].values())
            assert values is not None, "what has a row was measured"
            shown = " ".join(f"{number(value):>10}" for value in values)
            lines.append(f"{row['what']:66}{row['unit']:16}{server:20}{shown}")
    lines += [f"not measured: {failure}" for failure in failures(results)]
    return "\n".join(lines)


def _against_none(both: dict[str, Row]) -> list[str]:
    plain, clustered = both.get(PLAIN), both.get(CLUSTERED)
    if plain is None or clustered is None:
        return []
    name, unit = plain["what"], plain["unit"]
    lines = []
    for (begins, its_unit), goal in AGAINST_NONE.items():
        if name.startswith(begins) and unit == its_unit:
            lines.append(_line(f"{name} ({unit}), cluster ÷ none", ratios(clustered, plain), goal))
            by_work = ratios(_by_work(clustered), _by_work(plain))
            if by_work is not None:
                lines.append(_line("    the same, by the server's processor time", by_work, goal))
    if unit == "KiB each":
        values = clustered["values"]
        more = [values[turn] - value for turn, value in plain["values"].items() if turn in values]
        lines.append(_line(f"{name}, KiB more each", spread(more), IDLE_KIB))
    return lines


def _by_work(row: Row) -> Row:
    """The row's values by a second of processor time of the server: they say more on a busy machine."""
    busy = {turn: shares["server"] for turn, shares in row["busy"].items() if shares["server"]}
    return {"values": {turn: row["values"][turn] / share for turn, share in busy.items()}}


def _line(what: str, found: Spread | None, goal: Goal) -> str:
    if found is None:
        return f"{what:{_WIDTH}}  not measured"
    verdict = "kept" if goal.kept_by(found[0]) else "NOT KEPT"
    return f"{what:{_WIDTH}}{found[0]:>9.2f}{found[1]:>8.2f}{found[2]:>8.2f}   {goal.told():8}{verdict}"
