"""Two distributions of a column in one picture: the baseline's and the present one's, as SVG."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from clary.analysis.samples import Categories, Numbers
from clary.analysis.violation_words import number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.analysis.samples import Floats, Sample

BEFORE, NOW = "#b4bfcc", "#b4511f"
_WIDTH, _HEIGHT = 560, 130
_BINS = 32
_MOST_BARS = 10
_ROW, _LABEL, _BARS = 30, 150, 330
_LONGEST = 20
_TAIL = 0.005


def chart(before: Sample | None, now: Sample | None) -> str:
    """Draw two distributions, as far as they are known and comparable; else nothing."""
    known = [one for one in (before, now) if one is not None and one.rows]
    if all(isinstance(one, Numbers) for one in known):
        numbers = [one for one in known if isinstance(one, Numbers)]
        values = np.unique(np.concatenate([one.values for one in numbers] or [np.empty(0)]))
        if len(values) <= _MOST_BARS:
            return _bars(_counts(before), _counts(now), [f"{one:.6g}" for one in values])
        return _histogram(before, now, numbers)
    counted = _counts(before), _counts(now)
    often = {
        name: sum(one.get(name, 0.0) for one in counted) for name in {**counted[0], **counted[1]}
    }
    return _bars(*counted, sorted(often, key=lambda name: (-often[name], name)))


def spark(values: Sequence[float]) -> str:
    """Draw how a number went, the oldest first, from 0 up."""
    top = max(values, default=0.0) or 1.0
    wide, high = 120, 26
    step = wide / max(1, len(values) - 1)
    points = " ".join(
        f"{at * step:.1f},{2 + (high - 4) * (1 - value / top):.1f}"
        for at, value in enumerate(values)
    )
    said = ", ".join(f"{one:.3g}" for one in values)
    return (
        f"<svg class='spark' width='{wide}' height='{high}' role='img' aria-label='{said}'>"
        f"<polyline points='{points}' fill='none' stroke='{NOW}' stroke-width='2'/></svg>"
    )


def _histogram(before: Sample | None, now: Sample | None, known: Sequence[Numbers]) -> str:
    edges = _edges(known)
    if edges is None:
        return ""
    shares = [
        _shares(one, edges) if isinstance(one, Numbers) and one.rows else None
        for one in (before, now)
    ]
    top = max((float(one.max()) for one in shares if one is not None), default=0.0) or 1.0
    parts = [f"<svg class='chart' viewBox='0 0 {_WIDTH} {_HEIGHT + 22}' role='img'>"]
    if shares[0] is not None:
        parts.append(f"<path d='{_steps(shares[0], top)}' fill='{BEFORE}'/>")
    if shares[1] is not None:
        outline = f"fill='{NOW}' fill-opacity='.12' stroke='{NOW}' stroke-width='2'"
        parts.append(f"<path d='{_steps(shares[1], top)}' {outline}/>")
    parts.append(f"<line x1='0' x2='{_WIDTH}' y1='{_HEIGHT}' y2='{_HEIGHT}' stroke='#8a94a1'/>")
    for at, anchor in ((0, "start"), (_BINS // 2, "middle"), (_BINS, "end")):
        x = _WIDTH * at / _BINS
        parts.append(f"<text x='{x}' y='{_HEIGHT + 16}' text-anchor='{anchor}'>{number(edges[at])}")
        parts.append("</text>")
    return "".join([*parts, "</svg>"])


def _edges(known: Sequence[Numbers]) -> Floats | None:
    """Divide what all but the outermost rows span; those count in the first and last bin."""
    lows, highs = [], []
    for one in known:
        is_finite = np.isfinite(one.values)
        values, below = one.values[is_finite], one.below[is_finite]
        if values.size:
            last = values.size - 1
            lows.append(values[min(last, int(np.searchsorted(below, _TAIL)))])
            highs.append(values[min(last, int(np.searchsorted(below, 1 - _TAIL)))])
    if not lows:
        return None
    low, high = float(min(lows)), float(max(highs))
    if not np.isfinite(high - low):
        return None
    return np.linspace(low, high if high > low else low + (abs(low) or 1.0), _BINS + 1)


def _shares(one: Numbers, edges: Floats) -> Floats:
    places = np.clip(np.searchsorted(edges, one.values, "right") - 1, 0, _BINS - 1)
    return np.bincount(places, one.counts, _BINS) / one.rows


def _steps(shares: Floats, top: float) -> str:
    wide = _WIDTH / _BINS
    path = [f"M0,{_HEIGHT}"]
    for at, share in enumerate(shares):
        y = _HEIGHT - (_HEIGHT - 6) * float(share) / top
        path.append(f"V{y:.1f}H{(at + 1) * wide:.1f}")
    return "".join([*path, f"V{_HEIGHT}Z"])


def _counts(one: Sample | None) -> dict[str, float]:
    """Give the shares by text."""
    if one is None or not one.rows:
        return {}
    if isinstance(one, Categories):
        return {str(name): count / one.rows for name, count in one.counts.items()}
    values = zip(one.values.tolist(), one.counts.tolist(), strict=True)
    return {f"{value:.6g}": count / one.rows for value, count in values}


def _bars(before: Mapping[str, float], now: Mapping[str, float], names: Sequence[str]) -> str:
    shown = list(names[:_MOST_BARS])
    rows = [(name, before.get(name, 0.0), now.get(name, 0.0)) for name in shown]
    rest = [
        max(0.0, 1 - sum(of.get(name, 0.0) for name in shown)) if of else 0.0
        for of in (before, now)
    ]
    if max(rest) > _TAIL:
        rows.append(("all others", rest[0], rest[1]))
    if not rows:
        return ""
    high = _ROW * len(rows)
    parts = [f"<svg class='chart' viewBox='0 0 {_WIDTH} {high}' role='img'>"]
    for at, (name, old, new) in enumerate(rows):
        parts += _pair(at * _ROW, name, old, new)
    return "".join([*parts, "</svg>"])


def _pair(y: int, name: str, old: float, new: float) -> list[str]:
    label = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    end = _LABEL + _BARS * max(old, new) + 6
    said = f"{percent(old)} → {percent(new)}"
    return [
        f"<text x='{_LABEL - 8}' y='{y + 17}' text-anchor='end'>{escape(label)}</text>",
        f"<rect x='{_LABEL}' y='{y + 3}' width='{_BARS * old:.1f}' height='10' fill='{BEFORE}'/>",
        f"<rect x='{_LABEL}' y='{y + 14}' width='{_BARS * new:.1f}' height='10' fill='{NOW}'/>",
        f"<text x='{end:.1f}' y='{y + 18}' class='dim'>{said}</text>",
    ]
