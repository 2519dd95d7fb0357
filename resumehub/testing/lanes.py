"""A schedule as a picture: one lane a thread, one block a stretch in which it ran, time downwards.

    Path("failure.svg").write_text(lanes.svg(failed.trace, title="…", verdict=str(failed)))

The blocks carry the numbers of the sentences in the failure's text (``explorer.sentences``). What a
thread did to others is an arrow: a command to the hub, a thread that it started, and each
``lab.note("users: ada joins")`` where ``users`` is a lane. Locks and waits are left out
unless a stretch has nothing else. Pure: steps in, SVG out, the same each time. Used by the tour in
docs/. ``drawing.py`` draws what a hub in service has recorded.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from .drawing import STYLE
from .tasks import START, TEST, Step

_LEFT = 44
_LANE = 226
_TOP = 84
_LINE = 15
_LETTERS = 34  # that fit into the width of a lane

_MORE_STYLE = """
  .ran { fill: var(--plain); fill-opacity: .1; stroke: var(--plain); stroke-opacity: .35; }
  .verdict { fill: var(--end); fill-opacity: .12; stroke: var(--end); }
  .verdict-text { fill: var(--end); font-weight: 600; }
  .end .label { fill: var(--end); font-weight: 600; }
  .number { fill: var(--faint); font-weight: 600; } .thing { fill: var(--begin); }
"""


@dataclass(frozen=True, slots=True)
class Move:
    """An arrow from one lane to another or, where both are the same, a thing that was done there."""

    source: str
    target: str
    label: str
    tone: str = "plain"


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one thread did while no other ran."""

    thread: str
    moves: list[Move]


def svg(
    trace: Sequence[Step], *, lanes: Sequence[str] = (), title: str = "", verdict: str = "", look: str = ""
) -> str:
    """Draw the steps of a schedule (``ScheduleFailed.trace``). Gives a whole SVG document.

    ``lanes``: names in the order in which they are to stand: threads, and what notes are about; threads
    that are missing are added. ``verdict``: what came of it; its first line is drawn below. ``look``: what
    contains this has the colour of the verdict.
    """
    names = _lanes(trace, lanes)
    first_line = verdict.partition("\n")[0].removesuffix(" The threads:")  # a Deadlock lists them
    return _Sheet(names, look).draw(list(stretches(trace, names)), title, first_line)


def stretches(trace: Sequence[Step], lanes: Sequence[str]) -> Iterator[Stretch]:
    """The trace as the stretches that ``explorer.sentences`` numbers, without those of the test itself."""
    steps: list[Step] = []
    for step in [*trace, Step("", "")]:
        if steps and step.thread != steps[-1].thread:
            if steps[0].thread != TEST:
                yield _stretch(steps, lanes)
            steps = []
        steps.append(step)


def _lanes(trace: Sequence[Step], wanted: Sequence[str]) -> list[str]:
    seen = dict.fromkeys([*wanted, *(step.thread for step in trace)])
    return [name for name in seen if name != TEST]


def _stretch(steps: list[Step], lanes: Sequence[str]) -> Stretch:
    thread = steps[0].thread
    moves = [move for step in steps for move in _moves(step, lanes)]
    return Stretch(thread, moves or [Move(thread, thread, steps[-1].where, "quiet")])


def _moves(step: Step, lanes: Sequence[str]) -> Iterator[Move]:
    me = step.thread
    told = any(deed.startswith("note ") for deed in step.deeds)
    if not told and not step.where.startswith(("lock ", "wait for ", "take ", "tell ", START)):
        yield Move(me, me, step.where)
    for deed in step.deeds:
        verb, _, rest = deed.partition(" ")
        if verb == "note":
            yield _noted(me, ast.literal_eval(rest), lanes)
        elif verb == "put":
            yield Move(me, "hub", rest) if "hub" in lanes else Move(me, me, deed)
        elif verb == "start" and rest in lanes:
            yield Move(me, rest, "start", "begin")
        else:
            yield Move(me, me, deed, "quiet" if verb in ("take", "start") else "plain")


def _noted(me: str, note: str, lanes: Sequence[str]) -> Move:
    lane, found, text = note.partition(": ")
    return Move(me, lane, text) if found and lane in lanes else Move(me, me, note)


class _Sheet:
    """The drawing so far: where each lane is, and how far down it goes."""

    def __init__(self, names: Sequence[str], look: str) -> None:
        self._names = names
        self._look = look
        self._width = _LEFT + _LANE * len(names) + 8
        self._y = _TOP
        self._parts: list[str] = []

    def draw(self, blocks: list[Stretch], title: str, verdict: str) -> str:
        for number, block in enumerate(blocks, 1):
            self._block(number, block)
        if verdict:
            self._verdict(verdict)
        height = self._y + 6
        name = escape(title or "a schedule", {'"': "&quot;"})
        heads = [part for name in self._names for part in self._head(name, blocks, height)]
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._width} {height}" '
                f'width="{self._width}" height="{height}" role="img" aria-label="{name}">',
                f"<style>{STYLE}{_MORE_STYLE}</style>",
                f'<rect width="{self._width}" height="{height}" fill="var(--paper)"/>',
                f'<text class="title" x="14" y="24">{escape(title)}</text>',
                *heads,
                *self._parts,
                "</svg>\n",
            ]
        )

    def _x(self, lane: str) -> float:
        return _LEFT + _LANE * (self._names.index(lane) + 0.5)

    def _head(self, name: str, blocks: list[Stretch], height: int) -> list[str]:
        x = self._x(name)
        runs = any(block.thread == name for block in blocks)
        return [
            f'<rect x="{x - _LANE / 2 + 4}" y="38" width="{_LANE - 8}" height="{height - 44}" rx="10" '
            'fill="var(--lane)"/>',
            f'<text class="title{"" if runs else " thing"}" x="{x}" y="60" text-anchor="middle">'
            f"{escape(name.replace('_', ' '))}</text>",
        ]

    def _block(self, number: int, block: Stretch) -> None:
        top, x = self._y, self._x(block.thread)
        self._y += 4
        drawn = [part for move in block.moves for part in self._move(move)]
        self._y += 8
        self._parts += [
            f'<rect class="ran" x="{x - _LANE / 2 + 8}" y="{top}" width="{_LANE - 16}" '
            f'height="{self._y - top}" rx="6"/>',
            f'<text class="number" x="14" y="{top + 18}">{number}</text>',
            *drawn,
        ]
        self._y += 8

    def _move(self, move: Move) -> Iterator[str]:
        x1, x2 = self._x(move.source), self._x(move.target)
        span = max(1, round(abs(x2 - x1) / _LANE))
        tone = "end" if self._look and self._look in move.label else move.tone
        yield f'<g class="{tone}">'
        yield from self._text(move.label, (x1 + x2) / 2, _LETTERS * span)
        self._y += 8
        if x1 != x2:
            way, y = (1 if x2 > x1 else -1), self._y
            yield (
                f'<line class="move" x1="{x1}" x2="{x2 - way * 6}" y1="{y}" y2="{y}"/>'
                f'<circle class="dot" cx="{x1}" cy="{y}" r="2.5"/><polygon class="head" '
                f'points="{x2},{y} {x2 - way * 8},{y - 4} {x2 - way * 8},{y + 4}"/>'
            )
        yield "</g>"

    def _text(self, text: str, x: float, letters: int, kind: str = "label") -> Iterator[str]:
        for line in textwrap.wrap(text, letters):
            self._y += _LINE
            yield f'<text class="{kind}" x="{x}" y="{self._y}" text-anchor="middle">{escape(line)}</text>'

    def _verdict(self, verdict: str) -> None:
        top = self._y
        middle = _LEFT + _LANE * len(self._names) / 2
        text = list(self._text(verdict, middle, _LETTERS * len(self._names), "verdict-text"))
        self._y += 12
        self._parts.append(
            f'<rect class="verdict" x="{_LEFT + 8}" y="{top}" width="{_LANE * len(self._names) - 16}" '
            f'height="{self._y - top}" rx="6"/>'
        )
        self._parts += text
        self._y += 8
