"""What is behind violations, as a part of the report for people; all from data is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from clary.analysis.violation_words import percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from clary.monitoring.causes import Cause, Explanation

_MOST_CAUSES = 50


def sections(found: Explanation) -> Iterator[str]:
    """Write the rows behind violations, and what changed upstream; nothing where none is."""
    if not found.causes:
        return
    yield "<h2>What is behind it</h2>"
    for cause in found.causes[:_MOST_CAUSES]:
        yield from _cause(cause)
    if len(found.causes) > _MOST_CAUSES:
        yield f"<p class='note'>{len(found.causes) - _MOST_CAUSES} more are not explained here.</p>"
    yield from _changes(found)
    yield from (f"<p class='note'>{escape(line)}</p>" for line in found.notes)


def _cause(cause: Cause) -> Iterator[str]:
    if not cause.moved and not cause.rows:
        return
    yield f"<div class='card off'><h3>{escape(cause.of)}</h3>"
    if cause.moved:
        shares = [(one.what, percent(one.before), percent(one.now)) for one in cause.moved]
        yield _table(("values", "baseline", "now"), shares)
    for rows in cause.rows:
        yield f"<p>{rows.count:,} of {rows.of:,} rows {escape(rows.what)}</p>"
        examples = [
            (one.value or "", one.at, one.inference_id or one.event_id) for one in rows.examples
        ]
        yield _table(("value", "at", "request"), examples)
    yield "</div>"


def _changes(found: Explanation) -> Iterator[str]:
    since = f" since the baseline of {_time(found.baseline_at)}" if found.baseline_at else ""
    if not found.changes:
        yield f"<p>Nothing that is recorded has changed upstream{since}.</p>"
        return
    yield f"<p>Changed upstream{since}:</p>"
    yield _table(("at", "what", ""), [(_time(one.at), one.of, one.what) for one in found.changes])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = (f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{names}</tr>{''.join(lines)}</table>"


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""
