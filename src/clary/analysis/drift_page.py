"""The report on data for people: what is wrong, where it moved to, and since when.

One HTML text that needs nothing else to be read; all that comes from data is escaped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from clary.analysis.distribution_charts import BEFORE, NOW, chart, spark
from clary.analysis.page_style import opening
from clary.analysis.samples import Categories, Numbers
from clary.analysis.violation_words import number, percent, subject, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from clary.analysis.comparison import Comparison
    from clary.analysis.drift import ColumnDrift
    from clary.analysis.samples import Sample
    from clary.analysis.violations import Violation

MOST_COLUMNS = 200
_STYLE = f"""
.chart{{width:100%;max-width:560px;margin:.4rem 0}}.chart text{{font-size:12px;fill:#1c2430}}
.chart .dim{{fill:#5a6675}}.spark{{display:inline-block;vertical-align:middle}}
.verdict{{font-size:1.25rem;padding:.6rem .9rem;border-radius:6px;margin:1rem 0}}
.verdict.ok{{background:#e5f1e9;color:#23543a}}.verdict.no{{background:#f9e7e2;color:#862714}}
.card{{border:1px solid #d5dae1;border-radius:6px;padding:.2rem 1rem .6rem;margin:1rem 0}}
.card.off{{border-left:4px solid #a3341f}}.card{{break-inside:avoid}}.card h3{{margin-top:.6rem}}
.key{{display:inline-block;width:.8rem;height:.8rem;border-radius:2px;margin:0 .3rem 0 .9rem}}
.key.a{{background:{BEFORE}}}.key.b{{background:{NOW}}}.days{{overflow-x:auto}}
"""
_METRICS = {
    "kolmogorov_smirnov": "Kolmogorov-Smirnov",
    "l_infinity": "largest gap of shares",
    "population_stability_index": "population stability index",
    "jensen_shannon": "Jensen-Shannon",
    "normalized_wasserstein": "Wasserstein, in standard deviations",
}
_DISTANCES = ("kolmogorov_smirnov", "l_infinity")


@dataclass(frozen=True, slots=True)
class Past:
    """One of the looks that were taken before, or the present one.

    Parameters
    ----------
    at
        When.
    status
        How it ended, such as ``CompletedWithViolations``.
    violations
        How many; None where it did not get so far.
    distances
        By column, how far its distribution was from the baseline's.
    """

    at: datetime
    status: str
    violations: int | None = None
    distances: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Findings:
    """What the page is about.

    Parameters
    ----------
    rows
        How many were looked at; None where that is not known.
    violations
        What does not fulfil the constraints.
    drifts
        How far columns moved.
    before, now
        The columns' distributions.
    trend
        What was found so far, the oldest first, the present one last.
    """

    rows: int | None
    violations: Sequence[Violation]
    drifts: Sequence[ColumnDrift] = ()
    before: Mapping[str, Sample] = field(default_factory=dict)
    now: Mapping[str, Sample] = field(default_factory=dict)
    trend: Sequence[Past] = ()


def of_comparison(found: Comparison) -> Findings:
    """Tell of data that was held against a baseline here."""
    return Findings(found.rows, found.violations, found.drifts, found.before, found.now)


def distances(drifts: Sequence[ColumnDrift]) -> dict[str, float]:
    """Give the one distance a column that trends show, from 0 to 1."""
    return {
        one.name: one.metrics[name] for one in drifts for name in _DISTANCES if name in one.metrics
    }


def page(
    found: Findings, *, title: str, about: Sequence[str] = (), behind: Sequence[str] = ()
) -> str:
    """Write the page.

    Parameters
    ----------
    about
        What was looked at, a line each.
    behind
        What is behind the violations, as HTML that stands below them.
    """
    parts = [
        opening(title, _STYLE),
        *(f"<div class='note'>{escape(line)}</div>" for line in about),
        _verdict(found),
        *_violations(found.violations),
        *behind,
        *_trend(found.trend),
        *_columns(found),
    ]
    return "\n".join([*parts, "</html>", ""])


def _verdict(found: Findings) -> str:
    rows = f" in {found.rows:,} rows" if found.rows is not None else ""
    if found.violations:
        count = len(found.violations)
        names = len({subject(one) for one in found.violations})
        things = f", in {names} places" if names > 1 else ""
        said = f"{_counted(count, 'violation')}{rows}{things}"
        return f"<div class='verdict no'>{said}</div>"
    said = "There was nothing to look at" if found.rows == 0 else f"Nothing is wrong{rows}"
    return f"<div class='verdict ok'>{said}</div>"


def _violations(found: Sequence[Violation]) -> Iterator[str]:
    if not found:
        return
    yield "<h2>What is wrong</h2><ul>"
    for one in found:
        whose = escape(subject(one) or "the data")
        yield f"<li><b>{whose}</b>: {escape(words(one))}"
        yield f"<div class='note'>{escape(one.constraint_check_type)}</div></li>"
    yield "</ul>"


def _trend(found: Sequence[Past]) -> Iterator[str]:
    if len(found) < 2:
        return
    top = max((one.violations or 0 for one in found), default=0) or 1
    wide, high = 22, 80
    span = wide * len(found)
    yield f"<h2>The last {len(found)} times</h2><div class='days'>"
    yield f"<svg width='{span}' height='{high + 20}' role='img' aria-label='violations'>"
    for at, one in enumerate(found):
        tall = (high - 14) * (one.violations or 0) / top
        colour = "#a3341f" if one.violations else "#6b9c7d"
        if one.violations is None:
            colour = BEFORE
        shown = max(tall, 3.0)
        count = "?" if one.violations is None else str(one.violations)
        said = f"{one.at:%Y-%m-%d %H:%M}: {one.status}, {count}"
        x = at * wide
        yield (
            f"<g><title>{escape(said)}</title><rect x='{x + 2}' y='{high - shown:.1f}' "
            f"width='{wide - 4}' height='{shown:.1f}' fill='{colour}'/>"
            f"<text x='{x + wide / 2}' y='{high - shown - 3:.1f}' font-size='11' "
            f"text-anchor='middle'>{count}</text></g>"
        )
    yield "</svg></div>"
    first, last = found[0].at, found[-1].at
    yield f"<p class='note'>Violations by execution, {first:%Y-%m-%d %H:%M} to "
    yield f"{last:%Y-%m-%d %H:%M} UTC; grey: it could not look.</p>"


def _columns(found: Findings) -> Iterator[str]:
    names = list(dict.fromkeys([*found.before, *found.now]))
    if not names:
        return
    off: dict[str, list[Violation]] = {}
    for violation in found.violations:
        off.setdefault(violation.feature_name or "", []).append(violation)
    drifts = {one.name: one for one in found.drifts}
    names.sort(key=lambda name: (name not in off, not _has_moved(drifts.get(name))))
    yield f"<h2>{_counted(len(names), 'column')}</h2><p class='note'>"
    yield "<span class='key a'></span>baseline<span class='key b'></span>now</p>"
    for name in names[:MOST_COLUMNS]:
        kind = "card off" if name in off else "card"
        yield f"<div class='{kind}'><h3>{escape(name)}</h3>"
        yield from (f"<div class='more'>{escape(words(one))}</div>" for one in off.get(name, ()))
        before, now = found.before.get(name), found.now.get(name)
        yield chart(before, now) if before and now else _alone(before, now)
        yield _summary(before, now)
        yield from _moved(drifts.get(name))
        yield from _history(name, found.trend)
        yield "</div>"
    if len(names) > MOST_COLUMNS:
        yield f"<p class='note'>{len(names) - MOST_COLUMNS} more columns are not drawn.</p>"


def _alone(before: Sample | None, now: Sample | None) -> str:
    said = "no values now" if now is None else "not in the baseline"
    return f"<div class='note'>{said}</div>{chart(before, now)}"


def _summary(before: Sample | None, now: Sample | None) -> str:
    rows = [described(one) for one in (before, now)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th class='n'>{name}</th>" for name in names)
    lines = [
        f"<tr><td>{who}</td>"
        + "".join(f"<td class='n'>{row.get(name, '-')}</td>" for name in names)
        + "</tr>"
        for who, row in zip(("baseline", "now"), rows, strict=True)
    ]
    return f"<table><tr><th></th>{head}</tr>{''.join(lines)}</table>"


def described(one: Sample | None) -> dict[str, str]:
    """Describe a distribution in a few numbers, by their names; in none where there are no rows."""
    if one is None or not one.rows:
        return {}
    said = {"values": f"{one.rows:,.0f}"}
    if isinstance(one, Categories):
        most = max(one.counts.values(), default=0.0)
        more = "+" if one.others else ""
        return {
            **said,
            "different": f"{len(one.counts):,}{more}",
            "most frequent": percent(most / one.rows),
        }
    return said | _five(one)


def _five(one: Numbers) -> dict[str, str]:
    names = {"least": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "most": 1.0}
    last = len(one.values) - 1
    places = {name: min(last, int((one.below < share).sum())) for name, share in names.items()}
    return {name: number(one.values[at]) for name, at in places.items()}


def _moved(drift: ColumnDrift | None) -> Iterator[str]:
    if drift is None:
        return
    told = [
        f"{label} {value:.3g}"
        for name, label in _METRICS.items()
        if (value := drift.metrics.get(name)) is not None
    ]
    likely = "more than chance explains" if _has_moved(drift) else "within chance"
    p = "< 0.0001" if drift.adjusted_p_value < 1e-4 else f"{drift.adjusted_p_value:.4f}"
    yield f"<div class='note'>Distance to the baseline: {', '.join(told)}; "
    yield f"{likely} (p {p}, adjusted for all columns).</div>"


def _history(name: str, trend: Sequence[Past]) -> Iterator[str]:
    values = [one.distances[name] for one in trend if name in one.distances]
    if len(values) > 1:
        went = f"{number(values[0])} → {number(values[-1])}"
        yield f"<div class='note'>Distance over time {spark(values)} {went}</div>"


def _has_moved(drift: ColumnDrift | None) -> bool:
    return drift is not None and drift.is_significant


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
