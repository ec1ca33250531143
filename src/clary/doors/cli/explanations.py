"""What is behind violations, written for people at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from clary.analysis.violation_words import percent
from clary.doors.cli.output import note, printable, show, table

if TYPE_CHECKING:
    from datetime import datetime

    from clary.monitoring.causes import Cause, Explanation
    from clary.monitoring.upstream import Change

_INDENT = (0, 0, 0, 2)
_MOST_EXAMPLES = 3


def show_explanation(found: Explanation) -> None:
    """Print an explanation."""
    window = f"{_time(found.start)} to {_time(found.end)}"
    show(Text(f"{found.schedule} looked at {window} (execution {found.execution})", style="dim"))
    if not found.causes:
        show(Text("It found nothing."))
    for cause in found.causes:
        _show_cause(cause)
    show(Text(""))
    _show_changes(found)
    for line in found.notes:
        note(line)


def _show_cause(cause: Cause) -> None:
    show(Text(""))
    for said in cause.said:
        show(Text.assemble((printable(cause.of), "bold"), ": ", printable(said)))
    if cause.before or cause.now:
        both = (("baseline", cause.before), ("now", cause.now))
        names = dict.fromkeys([*cause.before, *cause.now])
        rows = [{"": who, **{name: one.get(name, "-") for name in names}} for who, one in both]
        show(Padding(table(rows), _INDENT))
    if cause.moved:
        shares = [
            {"values": one.what, "baseline": percent(one.before), "now": percent(one.now)}
            for one in cause.moved
        ]
        show(Padding(table(shares), _INDENT))
    for group in cause.rows:
        show(
            Padding(Text(f"{group.count:,} of {group.of:,} rows {printable(group.what)}"), _INDENT)
        )
        examples = [
            {"value": one.value, "at": one.at, "request": one.inference_id or one.event_id}
            for one in group.examples[:_MOST_EXAMPLES]
        ]
        show(Padding(table(examples), _INDENT))


def _show_changes(found: Explanation) -> None:
    since = f" since the baseline of {_time(found.baseline_at)}" if found.baseline_at else ""
    if not found.changes:
        show(Text(f"Nothing that is recorded has changed upstream{since}."))
        return
    show(Text(f"Changed upstream{since}:"))
    show(Padding(table([_change(one) for one in found.changes]), _INDENT))


def _change(one: Change) -> dict[str, str]:
    return {"at": _time(one.at), "what": f"{one.of} {one.what}"}


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "?"
