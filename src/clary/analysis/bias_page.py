"""The report on bias for people: one HTML page that needs nothing else to be read."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import msgspec

from clary.analysis.bias_metrics import ideal
from clary.analysis.page_style import opening

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clary.analysis.bias_report import Analysis, BiasMetrics, FacetValue, MetricValue
    from clary.analysis.violations import Violation

_STAGES = {
    "pre_training_bias_metrics": "In the labels, before training",
    "post_training_bias_metrics": "In the predictions, after training",
}
_MEANINGS = {
    "AD": "how much more often predictions are right for the others",
    "CDDL": "how much more of the rejected than of the accepted they are, within groups",
    "CDDPL": "the same for predictions, within groups",
    "CI": "how much fewer rows they have than the others; 1: none, -1: all",
    "DAR": "how much more often an accepted one of the others deserves it",
    "DCA": "how much more the others deserve acceptance than they get it",
    "DCR": "how much more they deserve rejection than they get it, beside the others",
    "DI": "how often they are accepted for each time the others are; 1 is even",
    "DPL": "how much more often the others have the positive label",
    "DPPL": "how much more often the others get the positive prediction",
    "DRR": "how much more often a rejected one of them deserves it",
    "FT": "how many more are accepted than their likes among the others, less those rejected",
    "GE": "how unevenly benefit is spread over everybody; 0 is even",
    "JS": "how far the distributions of labels are apart",
    "KL": "how far the distributions of labels are apart, seen from the others",
    "KS": "the largest gap between shares of labels",
    "LP": "the distance between shares of labels",
    "RD": "how many more of the deserving are found among the others",
    "SD": "how many more of the undeserving are found among them",
    "TE": "how their wrong rejections for each wrong acceptance compare with the others'",
    "TVD": "half the sum of the gaps between shares of labels",
}
_GROUPS = {
    "rows": "rows",
    "positive_labels": "positive labels",
    "positive_predictions": "positive predictions",
    "right_predictions": "right predictions",
}
_WIDTH, _HEIGHT = 220, 18


def page(
    analysis: Analysis,
    *,
    title: str = "Analysis Report",
    violations: Sequence[Violation] = (),
    more: str = "",
) -> str:
    """Write the page.

    Parameters
    ----------
    violations
        What a baseline does not allow; they come first.
    more
        HTML of further sections, as attribution has them.
    """
    parts = [
        opening(title),
        *_summary(analysis),
        *_violated(violations),
    ]
    for stage, metrics in analysis.stages.items():
        parts += _stage(_STAGES[stage], metrics)
    return "\n".join([*parts, more, "</html>", ""])


def _summary(analysis: Analysis) -> Iterator[str]:
    found = list(analysis.metrics())
    if not found:
        return
    beyond = sum(_is_beyond_chance(metric) for _, _, metric in found)
    failed = sum(metric.value is None for _, _, metric in found)
    text = f"{len(found)} metrics; {beyond} are farther from even than chance explains"
    if failed:
        text += f"; {failed} could not be measured"
    yield f"<p class='note'>{text}. An interval holds what chance alone may do, at 95 %.</p>"


def _violated(violations: Sequence[Violation]) -> Iterator[str]:
    if not violations:
        return
    yield "<div class='bad'><h2>Beyond the baseline</h2><ul>"
    for one in violations:
        whose = " ".join(part for part in (one.facet, one.facet_value) if part)
        told = f"<b>{escape(one.metric_name or '')}</b> of {escape(whose)}"
        yield f"<li>{told}: {escape(one.description)}</li>"
    yield "</ul></div>"


def _stage(title: str, metrics: BiasMetrics) -> Iterator[str]:
    yield f"<h2>{title}</h2><p>Positive: <b>{escape(metrics.label)}</b> is "
    yield f"{escape(metrics.label_value_or_threshold)}.</p>"
    for facet, values in metrics.facets.items():
        for one in values:
            yield f"<h3>{escape(facet)}: {escape(one.value_or_threshold)}</h3>"
            yield from _sides(one)
            yield from _table(one.metrics)


def _sides(facet: FacetValue) -> Iterator[str]:
    if facet.clary is msgspec.UNSET or len(facet.clary.groups) != 2:
        return
    others, own = facet.clary.groups
    shown = [name for name in _GROUPS if name in own or name in others]
    yield "<table><tr><th></th>"
    yield from (f"<th class='n'>{_GROUPS[name]}</th>" for name in shown)
    yield "</tr>"
    for who, side in ((facet.value_or_threshold, own), ("all others", others)):
        yield f"<tr><td>{escape(who)}</td>"
        yield from (f"<td class='n'>{_share(name, side.get(name))}</td>" for name in shown)
        yield "</tr>"
    yield "</table>"
    if facet.clary.rows_left_out:
        lacks = "lack a facet, label or prediction and count nowhere"
        yield f"<p class='note'>{facet.clary.rows_left_out} rows {lacks}.</p>"


def _share(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if name == "rows" else f"{value:.1%}"


def _table(metrics: Sequence[MetricValue]) -> Iterator[str]:
    yield "<table><tr><th>metric</th><th class='n'>value</th>"
    yield "<th>with its interval, -1 to 1</th></tr>"
    for one in metrics:
        meaning = escape(_MEANINGS.get(one.name, ""))
        yield f"<tr><td>{escape(one.description or one.name)}"
        yield f"<div class='note'>{meaning}</div></td>"
        if one.number is None:
            error = "" if one.error is msgspec.UNSET else one.error
            yield f"<td class='n'>-</td><td class='note'>{escape(error)}</td></tr>"
            continue
        kind = "more" if _is_beyond_chance(one) else "less"
        yield f"<td class='n {kind}'>{_number(one.number)}</td><td>{_picture(one)}</td></tr>"
    yield "</table>"


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.3g}".replace("inf", "∞")


def _is_beyond_chance(metric: MetricValue) -> bool:
    between, target = metric.interval, ideal(metric.name)
    return between is not None and not between[0] <= target <= between[1]


def _picture(metric: MetricValue) -> str:
    """Draw value and interval as distances from the ideal, cut off at 1."""
    target, value = ideal(metric.name), metric.number or 0.0
    low, high = metric.interval or (value, value)
    x, left, right = (_place(one - target) for one in (value, low, high))
    colour = "#a3341f" if _is_beyond_chance(metric) else "#3d6b4f"
    middle, centre = _HEIGHT // 2, _WIDTH // 2
    said = f"{_number(value)}, between {_number(low)} and {_number(high)}"
    return (
        f"<svg width='{_WIDTH}' height='{_HEIGHT}' role='img' aria-label='{said}'>"
        f"<line x1='0' x2='{_WIDTH}' y1='{middle}' y2='{middle}' stroke='#e0e4e9'/>"
        f"<line x1='{centre}' x2='{centre}' y1='0' y2='{_HEIGHT}' stroke='#8a94a1'/>"
        f"<line x1='{left:.1f}' x2='{right:.1f}' y1='{middle}' y2='{middle}' "
        f"stroke='{colour}' stroke-width='4' opacity='.45'/>"
        f"<circle cx='{x:.1f}' cy='{middle}' r='4' fill='{colour}'/></svg>"
    )


def _place(distance: float) -> float:
    return _WIDTH / 2 * (1 + max(-1.0, min(1.0, distance)))
