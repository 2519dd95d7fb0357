"""Line plots as SVG, readable in light and in dark. Pure: numbers in, text out. Used by ``page.py``.

One plot: some lines, each with a name at its end instead of a legend, axes that are linear or logarithmic, a
title that says what is good. Where names would overlap they are moved apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 820, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 210, 52, 52
_NAME_HEIGHT = 15

_LIGHT = ("#8a92a6", "#5b6478", "#b87509", "#c2602a", "#7d4fb0", "#0c7f6b", "#a33a7a", "#2440d8", "#0b86c9")
_DARK = ("#9aa3b8", "#c3c9d8", "#f0b04a", "#ff9a62", "#c49bff", "#3fd0b2", "#ff8fc8", "#93a2ff", "#5cc8ff")

_STYLE = """
  :root { --paper: #fbfbfd; --ink: #1c2230; --faint: #6a7286; --rule: #dfe3ec; %s }
  @media (prefers-color-scheme: dark) {
    :root { --paper: #0f131c; --ink: #e8ebf4; --faint: #8d96ab; --rule: #262d3d; %s } }
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--ink); }
  .title { font-weight: 600; font-size: 14px; } .tick, .axis { fill: var(--faint); }
  .rule { stroke: var(--rule); } polyline { fill: none; stroke-width: 1.8; } .ours { stroke-width: 3; }
""" % tuple(" ".join(f"--c{at}: {tone};" for at, tone in enumerate(tones)) for tones in (_LIGHT, _DARK))  # noqa: UP031

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """From where to where, how it is marked, and what it says."""

    label: str
    low: float
    high: float
    logarithmic: bool

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high one."""
        if self.logarithmic:
            value = max(value, self.low)
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        if self.logarithmic:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return [10.0**power for power in range(first, last + 1)]
        step = 10 ** math.floor(math.log10(self.high - self.low))
        while (self.high - self.low) / step < 4:
            step /= 2
        count = int((self.high - self.low) / step + 1e-9)
        return [self.low + step * at for at in range(count + 1)]


def axis(label: str, values: Sequence[float], *, logarithmic: bool = False) -> Axis:
    """An axis with room for these values: from 0, or from the power of ten below the least."""
    if logarithmic:
        low = 10.0 ** math.floor(math.log10(min(value for value in values if value > 0)))
        high = 10.0 ** math.ceil(math.log10(max(values)) - 1e-9)
        return Axis(label, low, high if high > low else low * 10, True)
    return Axis(label, 0.0, max(values) * 1.05 or 1.0, False)


def plot(
    title: str,
    x: Axis,
    y: Axis,
    lines: Mapping[str, Points],
    names: Sequence[str],
    *,
    ours: str,
    same_end: bool = False,
) -> str:
    """An SVG document. ``names``: all that there may be; the place in it is the colour, so that a name
    has the same one in every picture. The lines whose name begins with ``ours`` are thicker.

    ``same_end``: the lines end in one place, so the names just stand in a row, in their order.
    """
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="var(--paper)"/>',
        f'<text class="title" x="14" y="24">{escape(title)}</text>',
        *_grid(x, y),
    ]
    ends = {name: _at(x, y, points[-1])[1] for name, points in lines.items()}
    beside = _apart(ends)
    for name, points in lines.items():
        tone = f"var(--c{names.index(name) % len(_LIGHT)})"
        drawn = [_at(x, y, point) for point in points]
        kind = ' class="ours"' if name.startswith(ours) else ""
        path = " ".join(f"{left:.1f},{top:.1f}" for left, top in drawn)
        parts.append(f'<polyline{kind} stroke="{tone}" points="{path}"/>')
        if len(drawn) <= 8:
            parts += [f'<circle cx="{left:.1f}" cy="{top:.1f}" r="3" fill="{tone}"/>' for left, top in drawn]
        edge = WIDTH - _RIGHT + 8
        left, top = drawn[-1] if not same_end else (edge - 8, beside[name])
        parts.append(
            f'<line stroke="{tone}" stroke-opacity=".5" '
            f'x1="{left:.1f}" y1="{top:.1f}" x2="{edge}" y2="{beside[name]:.1f}"/>'
            f'<text x="{edge + 5}" y="{beside[name] + 4:.1f}" style="fill: {tone}">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _at(x: Axis, y: Axis, point: tuple[float, float]) -> tuple[float, float]:
    return (
        _LEFT + x.place(point[0]) * (WIDTH - _LEFT - _RIGHT),
        HEIGHT - _BOTTOM - y.place(point[1]) * (HEIGHT - _TOP - _BOTTOM),
    )


def _grid(x: Axis, y: Axis) -> list[str]:
    parts = []
    for value in y.ticks():
        top = _at(x, y, (x.low, value))[1]
        parts.append(
            f'<line class="rule" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{top:.1f}" y2="{top:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 8}" y="{top + 4:.1f}" text-anchor="end">{_short(value)}</text>'
        )
    for value in x.ticks():
        left = _at(x, y, (value, y.low))[0]
        parts.append(
            f'<line class="rule" x1="{left:.1f}" x2="{left:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
            f'<text class="tick" x="{left:.1f}" y="{HEIGHT - _BOTTOM + 18}" text-anchor="middle">'
            f"{_short(value)}</text>"
        )
    middle = _LEFT + (WIDTH - _LEFT - _RIGHT) / 2
    parts.append(
        f'<text class="axis" x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x.label)}</text>'
    )
    parts.append(f'<text class="axis" x="14" y="{_TOP - 10}">{escape(y.label)}</text>')
    return parts


def _apart(ends: Mapping[str, float]) -> dict[str, float]:
    """Where the names stand: beside the ends of their lines, but never on top of each other."""
    placed: dict[str, float] = {}
    lowest = -math.inf
    for name, top in sorted(ends.items(), key=lambda end: end[1]):
        lowest = placed[name] = max(top, lowest + _NAME_HEIGHT)
    over = lowest - (HEIGHT - _BOTTOM)
    return {name: top - max(0.0, over) for name, top in placed.items()}


def _short(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:g} M"
    return f"{value / 1_000:g} k" if value >= 1_000 else f"{value:g}"
