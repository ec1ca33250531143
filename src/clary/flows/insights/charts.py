"""Pictures of data as SVG: bars, lines, points, fields of colour."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from clary.analysis.violation_words import number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.flows.insights.associations import Matrix
    from clary.flows.insights.columns import Histogram

STYLE = """
.chart{width:100%;max-width:600px;margin:.4rem 0}.chart text{font-size:12px;fill:#1c2430}
.chart .dim{fill:#5a6675}.chart .cell{font-size:11px}
"""
COLOURS = ("#2f6690", "#b4511f", "#3d6b4f", "#7a4f9e", "#b08900", "#8a94a1")
_WIDTH, _HEIGHT = 560, 140
_ROW, _LABEL = 20, 170
_LONGEST = 22
_MOST_CELLS = 40
_READABLE = 30
"""From this width on a cell has its number in it."""


def bars(counts: Mapping[str, float], *, unit: str = "") -> str:
    """Draw a bar for each name, in order; ``unit`` stands behind each number."""
    top = max((one for one in counts.values() if np.isfinite(one)), default=0.0) or 1.0
    parts = [_opening(_ROW * len(counts))]
    for at, (name, value) in enumerate(counts.items()):
        wide = 300 * min(max(value, 0.0) / top, 1.0) if np.isfinite(value) else 300
        parts += [
            f"<text x='{_LABEL - 8}' y='{at * _ROW + 14}' text-anchor='end'>{_short(name)}</text>",
            f"<rect x='{_LABEL}' y='{at * _ROW + 4}' width='{wide:.1f}' height='12' ",
            f"fill='{COLOURS[0]}'/>",
            f"<text x='{_LABEL + wide + 6:.1f}' y='{at * _ROW + 14}' class='dim'>",
            f"{escape(number(value))}{unit}</text>",
        ]
    return "".join([*parts, "</svg>"])


def histograms(found: Mapping[str, Histogram]) -> str:
    """Draw histograms of the same edges over one another, each in its colour."""
    top = max((max(one.counts) for one in found.values()), default=0) or 1
    parts = [_opening(_HEIGHT + 22)]
    for at, one in enumerate(found.values()):
        wide = _WIDTH / len(one.counts)
        path = [f"M0,{_HEIGHT}"]
        for place, count in enumerate(one.counts):
            y = _HEIGHT - (_HEIGHT - 6) * count / top
            path.append(f"V{y:.1f}H{(place + 1) * wide:.1f}")
        colour = COLOURS[at % len(COLOURS)]
        opacity = 1 if len(found) == 1 else 0.35
        parts.append(
            f"<path d='{''.join(path)}V{_HEIGHT}Z' fill='{colour}' fill-opacity='{opacity}'/>"
        )
    parts.append(f"<line x1='0' x2='{_WIDTH}' y1='{_HEIGHT}' y2='{_HEIGHT}' stroke='#8a94a1'/>")
    edges = next((one.edges for one in found.values()), (0.0, 1.0))
    parts.append(
        f"<text x='{_WIDTH / 2}' y='{_HEIGHT + 16}' text-anchor='middle' class='dim'>"
        f"the highest bar: {top:,} rows</text>"
    )
    return "".join([*parts, *_ends(edges[0], edges[-1]), "</svg>", _key(list(found))])


def lines(series: Mapping[str, Sequence[float]], marked: Sequence[int] = ()) -> str:
    """Draw series as lines over one another; ``marked`` are places of the first that stand out."""
    known = np.concatenate([np.asarray(one, float) for one in series.values()])
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    high = high if high > low else low + 1

    def point(at: int, value: float, count: int) -> tuple[float, float]:
        y = _HEIGHT - 4 - (_HEIGHT - 8) * (value - low) / (high - low)
        return _WIDTH * at / max(1, count - 1), y

    parts = [_opening(_HEIGHT)]
    for at, values in enumerate(series.values()):
        told = (point(x, y, len(values)) for x, y in enumerate(values))
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in told)
        parts.append(
            f"<polyline points='{path}' fill='none' stroke='{COLOURS[at % len(COLOURS)]}'/>"
        )
    first = next(iter(series.values()), ())
    for at in marked:
        x, y = point(at, first[at], len(first))
        parts.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' fill='{COLOURS[1]}'/>")
    reach = f"<p class='note'>from {number(low)} to {number(high)}</p>"
    return "".join([*parts, "</svg>", _key(list(series)), reach])


def points(groups: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str) -> str:
    """Draw pairs of numbers as points, each group in its colour; ``x`` and ``y`` name the axes."""
    xs = [one for of_group, _ in groups.values() for one in of_group] or [0.0]
    ys = [one for _, of_group in groups.values() for one in of_group] or [0.0]
    low, high = (min(xs), min(ys)), (max(xs), max(ys))
    wide, tall = (float(b - a) or 1.0 for a, b in zip(low, high, strict=True))
    parts = [_opening(2 * _HEIGHT + 22)]
    for at, pairs in enumerate(groups.values()):
        colour = COLOURS[at % len(COLOURS)]
        for one, other in zip(*pairs, strict=True):
            left = 4 + (_WIDTH - 8) * (one - low[0]) / wide
            up = 2 * _HEIGHT - 4 - (2 * _HEIGHT - 8) * (other - low[1]) / tall
            parts.append(f"<circle cx='{left:.1f}' cy='{up:.1f}' r='2' fill='{colour}'/>")
    parts.append(f"<g transform='translate(0 {_HEIGHT})'>{''.join(_ends(low[0], high[0]))}</g>")
    told = f"across: {escape(x)}; up: {escape(y)}, {number(low[1])} to {number(high[1])}"
    return "".join([*parts, "</svg>", _key(list(groups)), f"<p class='note'>{told}</p>"])


def heat(matrix: Matrix) -> str:
    """Draw a matrix of -1 to 1 as a field of colours; the first 40 columns of it."""
    names = matrix.columns[:_MOST_CELLS]
    cell = max(8, min(36, 380 // max(1, len(names))))
    letter = min(12, cell + 1)
    head = round(0.65 * letter * max((min(len(one), _LONGEST) for one in names), default=0)) + 8
    size = f"style='font-size:{letter}px'"
    parts = [_opening(head + cell * len(names) + 4)]
    for at, name in enumerate(names):
        x, y = (start + at * cell + cell / 2 + letter / 3 for start in (_LABEL, head))
        parts += [
            f"<text x='{_LABEL - 8}' y='{y:.1f}' {size} text-anchor='end'>{_short(name)}</text>",
            f"<text transform='translate({x:.1f} {head - 6}) rotate(-90)' {size}>",
            f"{_short(name)}</text>",
        ]
        for other, value in enumerate(matrix.values[at][: len(names)]):
            title = f"{escape(name)} and {escape(names[other])}: {number(value)}"
            parts.append(_cell(_LABEL + other * cell, head + at * cell, cell, value, title))
    every = len(matrix.columns)
    left = f"<p class='note'>{len(names)} of {every} columns; all are in the JSON</p>"
    return "".join([*parts, "</svg>", left if every > len(names) else ""])


def _cell(x: int, y: int, wide: int, value: float, title: str) -> str:
    """Draw one number as a square of its colour, with the number in it where there is room."""
    known = bool(np.isfinite(value))
    colour = (COLOURS[0] if value >= 0 else COLOURS[1]) if known else "#e8ebef"
    shade = abs(value) if known else 1.0
    text = ""
    if known and wide >= _READABLE:
        ink = "#fff" if shade > 0.6 else "#1c2430"
        text = (
            f"<text x='{x + wide / 2:.0f}' y='{y + wide / 2 + 4:.0f}' text-anchor='middle' "
            f"class='cell' style='fill:{ink}'>{value:z.2f}</text>"
        )
    return (
        f"<g><title>{title}</title><rect x='{x}' y='{y}' width='{wide - 1}' height='{wide - 1}' "
        f"fill='{colour}' fill-opacity='{shade:.2f}'/>{text}</g>"
    )


def _opening(high: float) -> str:
    return f"<svg class='chart' viewBox='0 0 {_WIDTH} {high:.0f}' role='img'>"


def _ends(low: float, high: float) -> list[str]:
    return [
        f"<text x='0' y='{_HEIGHT + 16}'>{number(low)}</text>",
        f"<text x='{_WIDTH}' y='{_HEIGHT + 16}' text-anchor='end'>{number(high)}</text>",
    ]


def _key(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    shown = (
        f"<span style='color:{COLOURS[at % len(COLOURS)]}'>■</span> {escape(one)} "
        for at, one in enumerate(names)
    )
    return f"<p class='note'>{''.join(shown)}</p>"


def _short(name: str) -> str:
    return escape(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…")
