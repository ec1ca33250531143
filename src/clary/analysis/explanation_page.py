"""The sections on attribution in the report for people: bars for features, curves for one each."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clary.analysis.bias_report import Analysis

_WIDTH, _HEIGHT = 320, 120
_MOST_FEATURES = 30
_INK, _PAPER = "#2f5d8a", "#e0e4e9"


def sections(analysis: Analysis) -> str:
    """Write what ``bias_page.page`` takes as ``more``; empty where nothing is explained."""
    if analysis.explanations is msgspec.UNSET:
        return ""
    explained = analysis.explanations
    parts: list[str] = []
    for label, one in (explained.get("kernel_shap") or {}).items():
        parts += _bars(str(label), one)
    for one in explained.get("pdp") or ():
        parts += _curves(one)
    return "\n".join(parts)


def _bars(label: str, explained: Mapping[str, Any]) -> Iterator[str]:
    values = sorted(explained["global_shap_values"].items(), key=lambda one: -abs(one[1]))
    longest = max((abs(value) for _, value in values), default=0.0) or 1.0
    yield f"<h2>What moves the predictions of {escape(label)}</h2>"
    yield "<p class='note'>How far each feature moves a prediction, over all rows; without any of "
    yield f"them it is {explained.get('expected_value', 0.0):.4g}.</p><table>"
    for feature, value in values[:_MOST_FEATURES]:
        wide = _WIDTH * abs(value) / longest
        yield f"<tr><td>{escape(str(feature))}</td><td class='n'>{value:.4g}</td><td>"
        yield f"<svg width='{_WIDTH}' height='14' role='img' aria-label='{value:.4g}'>"
        yield f"<rect width='{wide:.1f}' height='14' fill='{_INK}'/></svg></td></tr>"
    yield "</table>"
    if len(values) > _MOST_FEATURES:
        yield f"<p class='note'>{len(values) - _MOST_FEATURES} more move less.</p>"


def _curves(one: Mapping[str, Any]) -> Iterator[str]:
    predictions: Sequence[Sequence[float]] = one["model_predictions"]
    every = [value for curve in predictions for value in curve]
    low, high = min(every, default=0.0), max(every, default=0.0)
    values = one["feature_values"]
    yield f"<h3>Predictions by {escape(str(one['feature_name']))}</h3>"
    yield f"<svg width='{_WIDTH}' height='{_HEIGHT}' role='img' style='background:{_PAPER}'>"
    for curve in predictions:
        points = " ".join(
            f"{_across(place, len(curve)):.1f},{_up(value, low, high):.1f}"
            for place, value in enumerate(curve)
        )
        yield f"<polyline points='{points}' fill='none' stroke='{_INK}' stroke-width='2'/>"
    yield "</svg>"
    if values:
        yield f"<p class='note'>from {escape(_text(values[0]))} to {escape(_text(values[-1]))}; "
        yield f"predictions from {low:.4g} to {high:.4g}</p>"


def _across(place: int, count: int) -> float:
    return _WIDTH * (place + 0.5) / count


def _up(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return 4 + (_HEIGHT - 8) * (1 - share)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
