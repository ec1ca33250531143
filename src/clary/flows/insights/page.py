"""The report for people: one HTML text; all that comes from data is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from clary.analysis.page_style import opening
from clary.analysis.violation_words import number
from clary.flows.insights import charts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from clary.flows.insights.columns import Column
    from clary.flows.insights.report import Report
    from clary.flows.insights.target import QuickModel, Target

MOST_COLUMNS = 200
_SHOWN = 20
STYLE = f"""{charts.STYLE}
.card{{border:1px solid #d5dae1;border-radius:6px;padding:.2rem 1rem .6rem;margin:1rem 0}}
.card{{break-inside:avoid}}.card h3{{margin-top:.6rem}}.wide{{overflow-x:auto}}
.wide td{{white-space:nowrap}}
.tag{{border-radius:4px;padding:0 .4rem;font-size:.85rem;white-space:nowrap}}
.high{{background:#f9e7e2;color:#862714}}.medium{{background:#fbf1d9;color:#6b4e00}}
.low{{background:#e8ebef;color:#3a4552}}code{{font-size:.85rem}}
"""


def framed(page: str) -> str:
    """Show a page within a notebook, whose own style it leaves alone."""
    return f"<iframe srcdoc='{escape(page)}' style='width:100%;height:40rem;border:0'></iframe>"


def report(told: Report, title: str) -> str:
    """Write a report as a page."""
    return "\n".join([opening(title, STYLE), *_parts(told)])


def _parts(told: Report) -> Iterator[str]:
    yield (
        f"<p class='note'>{told.rows:,} rows, {len(told.columns)} columns. Histograms, models, "
        f"correlations and anomalies are of {told.sampled:,} of the rows, all else is of all.</p>"
    )
    yield table(
        ("", "share"),
        (
            ("missing values", _percent(told.missing)),
            ("valid values: of the type that most of their column are", _percent(told.valid)),
            ("duplicate rows", _percent(told.duplicates / told.rows)),
            ("anomalous rows", _percent(told.anomalies.share)),
        ),
        numbers=1,
    )
    yield f"<h2>Warnings</h2>{_warnings(told)}"
    if told.target is not None:
        yield f"<h2>Target: {escape(told.target.column)}</h2>"
        yield from _target(told, told.target)
    yield "<h2>Columns</h2>"
    yield from map(_card, told.columns[:MOST_COLUMNS])
    if len(told.columns) > MOST_COLUMNS:
        more = len(told.columns) - MOST_COLUMNS
        yield f"<p class='note'>{more} columns more are in the JSON.</p>"
    if len(told.correlation.columns) > 1:
        yield "<h2>Correlations</h2><p class='note'>Pearson's coefficient between numbers, "
        yield "Cramér's V between categories, the correlation ratio between one and the other.</p>"
        yield charts.heat(told.correlation)
    if told.anomalies.rows:
        yield "<h2>The most anomalous rows</h2><p class='note'>By an isolation forest.</p>"
        yield rows(told.anomalies.rows)


def _warnings(told: Report) -> str:
    if not told.warnings:
        return "<p>None.</p>"
    shown = [
        (
            f"<span class='tag {one.severity}'>{one.severity}</span>",
            escape(one.message),
            f"<code>{escape(one.step)}</code>" if one.step else "",
        )
        for one in told.warnings[:MOST_COLUMNS]
    ]
    return _table(("", "what", "a step of a flow that helps"), shown)


def _target(told: Report, target: Target) -> Iterator[str]:
    [its] = [one.numbers for one in told.columns if one.name == target.column]
    if target.classes:
        yield charts.bars({name: float(count) for name, count in target.classes[:_SHOWN]})
    elif its is not None and its.histogram is not None:
        yield charts.histograms({target.column: its.histogram})
    if told.quick_model is not None:
        yield "<h3>A quick model</h3>"
        yield model(told.quick_model)
    if told.powers:
        yield "<h3>How well each column alone tells the target</h3>"
        yield charts.bars({one.column: one.power for one in told.powers[:_SHOWN]})


def model(one: QuickModel) -> str:
    """Write what a quick model got."""
    text = (
        f"<p>A random forest of {one.rows:,} rows gets {one.metric} {number(one.score)} on the "
        f"{_percent(one.held_out)} it has not seen; guessing gets {number(one.guessing)}.</p>"
    )
    weights = "<p class='note'>What it goes by: the importance of each column, together 1.</p>"
    weights += charts.bars(dict(one.importances[:_SHOWN]))
    if not one.confusion or len(one.classes) > _SHOWN:
        return text + weights
    head = ("actual ↓ predicted →", *one.classes)
    counted = [
        (name, *(f"{count:,}" for count in row))
        for name, row in zip(one.classes, one.confusion, strict=True)
    ]
    return text + weights + table(head, counted, numbers=1)


def _card(one: Column) -> str:
    facts = [
        f"{escape(one.kind)} ({escape(one.type)})",
        f"{_percent(one.missing)} missing",
        f"about {one.distinct:,} different",
    ]
    drawn = ""
    if one.numbers is not None:
        told = one.numbers
        facts += [
            f"mean {number(told.mean)} ± {number(told.deviation)}",
            f"from {number(told.minimum)} to {number(told.maximum)}",
            f"{_percent(told.outliers)} outliers",
        ]
        drawn = charts.histograms({one.name: told.histogram}) if told.histogram else ""
    elif one.top and one.kind != "text":
        drawn = charts.bars({name: float(count) for name, count in one.top})
    if one.patterns:
        shown = ", ".join(f"<code>{escape(text)}</code> {_percent(x)}" for text, x in one.patterns)
        drawn += f"<p class='note'>patterns (a: letters, 9: digits): {shown}</p>"
    said = " · ".join(facts)
    return f"<div class='card'><h3>{escape(one.name)}</h3><p class='note'>{said}</p>{drawn}</div>"


def rows(found: Sequence[dict[str, str | None]]) -> str:
    """Write some rows of a table."""
    names = list(found[0]) if found else []
    told = [
        [one.get(name) if one.get(name) is not None else "-" for name in names] for one in found
    ]
    return f"<div class='wide'>{table(names, told)}</div>"


def table(head: Iterable[object], body: Iterable[Iterable[object]], *, numbers: int = 99) -> str:
    """Write a table of texts, which are escaped; columns from ``numbers`` on stand to the right."""
    cells = [[escape(str(one)) for one in row] for row in body]
    return _table([escape(str(one)) for one in head], cells, numbers)


def _table(head: Sequence[str], body: Sequence[Sequence[str]], numbers: int = 99) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        told = (
            f"<{tag}{' class=n' if at >= numbers else ''}>{cell}</{tag}>"
            for at, cell in enumerate(cells)
        )
        return f"<tr>{''.join(told)}</tr>"

    return f"<table>{row(head, 'th')}{''.join(row(one, 'td') for one in body)}</table>"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
