"""A trace as a picture: swimlanes in one self-contained SVG, readable in light and in dark.

Time runs downwards, one row a move; a line on the left says when it changes. Pure: text in,
text out. Used by ``tools/race``; the moves come from ``traces.arrows``.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from ..trace import LANES
from .traces import Arrow, Record, arrows

_ROW = 34
_TOP = 64
_LEFT = 78
_LANE = 236
_TITLES = {"client": "client", "reader": "reader", "hub": "hub", "writer": "writer", "app": "application"}

STYLE = """
  :root { --paper: #fbfbfd; --ink: #1c2230; --faint: #7a8296; --rule: #dfe3ec; --lane: #f1f3f8;
    --plain: #3b4fd0; --begin: #0c7f6b; --wait: #b87509; --end: #c22a3a; --quiet: #8a92a6; }
  @media (prefers-color-scheme: dark) {
    :root { --paper: #0f131c; --ink: #e8ebf4; --faint: #8d96ab; --rule: #262d3d; --lane: #161c28;
      --plain: #93a2ff; --begin: #3fd0b2; --wait: #f0b04a; --end: #ff7a86; --quiet: #79839a; } }
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--ink); }
  .title { font-weight: 600; font-size: 13px; }
  .time { fill: var(--faint); font-variant-numeric: tabular-nums; }
  .label { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
  .quiet .label { fill: var(--faint); }
  line { stroke-width: 1.6; } .rule { stroke: var(--rule); stroke-width: 1; }
  .plain { --tone: var(--plain); } .begin { --tone: var(--begin); } .wait { --tone: var(--wait); }
  .end { --tone: var(--end); } .quiet { --tone: var(--quiet); }
  .move { stroke: var(--tone); } .head, .dot { fill: var(--tone); }
"""


def svg(records: Iterable[Record], title: str = "") -> str:
    """Draw a trace. ``title`` stands above it. Gives a whole SVG document."""
    moves = list(arrows(records))
    name = escape(title or "trace of a hub", {'"': "&quot;"})
    width = _LEFT + _LANE * len(LANES)
    height = _TOP + _ROW * (len(moves) + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{name}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="var(--paper)"/>',
    ]
    if title:
        parts.append(f'<text class="title" x="14" y="22">{escape(title)}</text>')
    for lane in LANES:
        x = _x(lane)
        parts.append(
            f'<rect x="{x - _LANE / 2 + 8}" y="34" width="{_LANE - 16}" height="{height - 44}" rx="10" '
            'fill="var(--lane)"/>'
            f'<text class="title" x="{x}" y="54" text-anchor="middle">{_TITLES[lane]}</text>'
        )
    clock: float | None = None
    for index, move in enumerate(moves):
        y = _TOP + _ROW * index + 22
        if move.at != clock:
            clock = move.at
            parts.append(
                f'<line class="rule" x1="10" x2="{width - 10}" y1="{y - 19}" y2="{y - 19}"/>'
                f'<text class="time" x="14" y="{y}">{clock:g} s</text>'
            )
        parts.append(_move(move, y))
    return "\n".join([*parts, "</svg>"]) + "\n"


def html(records: Iterable[Record], title: str = "") -> str:
    """The same as a self-contained page."""
    heading = escape(title or "Trace of a hub")
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{heading}</title>\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta name="color-scheme" content="light dark">\n'
        "<style>body{margin:0;background:#fbfbfd}svg{max-width:100%;height:auto;display:block;margin:auto}"
        "@media(prefers-color-scheme:dark){body{background:#0f131c}}</style>\n"
        f"{svg(records, title)}</html>\n"
    )


def _x(lane: str) -> float:
    return _LEFT + _LANE * (LANES.index(lane) + 0.5)


def _move(move: Arrow, y: int) -> str:
    label = escape(move.label)
    if move.source == move.target:
        x = _x(move.source)
        anchor = "end" if move.source == LANES[-1] else "middle"
        at = x + _LANE / 2 - 12 if anchor == "end" else x
        return (
            f'<g class="{move.tone}"><circle class="dot" cx="{x}" cy="{y + 4}" r="3.5"/>'
            f'<text class="label" x="{at}" y="{y - 4}" text-anchor="{anchor}">{label}</text></g>'
        )
    x1, x2 = _x(move.source), _x(move.target)
    way = 1 if x2 > x1 else -1
    head = f"{x2},{y + 4} {x2 - way * 8},{y} {x2 - way * 8},{y + 8}"
    return (
        f'<g class="{move.tone}"><line class="move" x1="{x1}" x2="{x2 - way * 6}" y1="{y + 4}" y2="{y + 4}"/>'
        f'<polygon class="head" points="{head}"/><circle class="dot" cx="{x1}" cy="{y + 4}" r="2.5"/>'
        f'<text class="label" x="{(x1 + x2) / 2}" y="{y - 3}" text-anchor="middle">{label}</text></g>'
    )
