"""Showing how an execution goes: in a terminal, in a notebook, or line by line."""

from __future__ import annotations

import html
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from clary.kernel.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from clary.doors.python.executions import Execution, StepRun

_COLOURS = {"Succeeded": "green", "Failed": "red", "Stopped": "yellow", "Stopping": "yellow"}
_COLUMNS = ("step", "status", "seconds", "made")
_AROUND = 4
"""Lines of a terminal that are not steps."""


@contextmanager
def watching(execution: Execution, *, show: bool | None) -> Iterator[Callable[[], None]]:
    """Give a function that looks at the execution and shows what has changed."""
    notebook = _notebook()
    if show is False or (show is None and notebook is None and not sys.stdout.isatty()):
        yield lambda: None
    elif notebook is not None:
        handle = notebook.display(_Html(execution), display_id=True)
        yield lambda: handle.update(_Html(execution))
    elif sys.stdout.isatty():
        console = Console(highlight=False)
        with Live(console=console, refresh_per_second=8) as live:
            yield lambda: live.update(_drawn(_rows(execution), console.height - _AROUND))
    else:
        yield _Lines(execution).look
        sys.stdout.write("\n" + text_table(_rows(execution)))


class _Lines:
    """Prints a line for each change."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._said: dict[str, str] = {}

    def look(self) -> None:
        steps = [step for step in self._execution.steps.values() if step.started_at]
        for step in sorted(steps, key=lambda step: step.started_at or now()):
            if self._said.get(step.name) != step.status:
                self._said[step.name] = step.status
                print(f"{now():%H:%M:%S} {step.name} {step.status}", flush=True)  # noqa: T201 - asked for


class _Html:
    """What a notebook shows: the table as HTML."""

    def __init__(self, execution: Execution) -> None:
        self._rows = _rows(execution)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{column}</th>" for column in _COLUMNS)
        lines = (
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._rows
        )
        return f"<table><tr>{head}</tr>{''.join(lines)}</table>"

    def __repr__(self) -> str:
        return text_table(self._rows)


def _notebook() -> Any:
    """Return IPython's display module when this runs in a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    return sys.modules.get("IPython.display")


def _rows(execution: Execution) -> list[tuple[str, str, str, str]]:
    return [(one.name, one.status, _seconds(one), _made(one)) for one in execution.steps.values()]


def _seconds(step: StepRun) -> str:
    if step.started_at is None:
        return ""
    return f"{((step.ended_at or now()) - step.started_at).total_seconds():.1f}"


def _made(step: StepRun) -> str:
    if step.reason:
        return step.reason.splitlines()[0]
    made = step.outcome or step.made.rpartition(":")[2].partition("/")[2]
    return "cached" if step.cached else made


def fitting(rows: Sequence[tuple[str, ...]], most: int) -> Sequence[tuple[str, ...]]:
    """Choose the rows to show where not all fit: what goes on or failed, then what ended last."""
    if len(rows) <= most:
        return rows
    done = [row for row in rows if row[1] == "Succeeded"]
    busy = [row for row in rows if row[1] not in {"Succeeded", "NotStarted"}][-most:]
    room = most - len(busy)
    return [*(done[-room:] if room else []), *busy]


def _drawn(rows: Sequence[tuple[str, ...]], most: int) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    shown = fitting(rows, most)
    if len(shown) < len(rows):
        done = sum(row[1] == "Succeeded" for row in rows)
        table.caption = f"{done} of {len(rows)} steps have succeeded"
    for column in _COLUMNS:
        right = column == "seconds"
        table.add_column(column, justify="right" if right else "left", no_wrap=column != "made")
    for name, status, seconds, made in shown:
        if status == "NotStarted":
            table.add_row(name, "-", "", "", style="dim")
            continue
        colour = _COLOURS.get(status, "cyan")
        running = status == "Executing"
        drawn = Spinner("dots", status, style=colour) if running else Text(status, style=colour)
        table.add_row(Text(name), drawn, seconds, Text(made))
    return table


def text_table(rows: Sequence[tuple[str, ...]]) -> str:
    """Write rows below the columns' names as aligned text."""
    whole = [_COLUMNS, *(("-" if x == "NotStarted" else x for x in row) for row in rows)]
    lines = [tuple(row) for row in whole]
    widths = [max(len(line[place]) for line in lines) for place in range(len(_COLUMNS))]
    return "".join(
        "  ".join(
            cell.rjust(width) if place == 2 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        + "\n"
        for line in lines
    )
