"""Training metrics: the values of patterns in the log."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

import regex

from clary.jobs.model import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from clary.jobs.ports import LogLine

_log = logging.getLogger(__name__)
_LINE = 4096
"""No metric is looked for behind so many characters of a line."""
_PATTERN_S = 1.0
"""What one pattern may spend on one line before it is given up."""
_TOTAL_S = 30.0
"""What all patterns may spend on a log; the values found by then count."""


def last_values(
    lines: Iterable[LogLine], patterns: Sequence[tuple[str, str]]
) -> tuple[Metric, ...]:
    """Find the last value of each metric, read as by ``every_value``."""
    return tuple({one.name: one for one in every_value(lines, patterns)}.values())


def every_value(lines: Iterable[LogLine], patterns: Sequence[tuple[str, str]]) -> Iterator[Metric]:
    """Yield the values of metrics in the order of the lines; a pattern's first group is the value.

    ``#011`` is how the log service shows a tab; here it is one, in patterns and in lines. A
    pattern that does not compile, or that takes too long, gives no metric and is logged.
    """
    compiled = _compiled(patterns)
    deadline = time.monotonic() + _TOTAL_S
    for line in lines:
        if time.monotonic() > deadline:
            _log.warning("a log takes too long to search for metrics; the rest is left out")
            break
        text = line.text[:_LINE].replace("#011", "\t")
        for name, pattern in list(compiled.items()):
            try:
                value = _value(pattern, text)
            except TimeoutError:
                _log.warning("the pattern of metric %s takes too long; it is left out", name)
                del compiled[name]
                continue
            if value is not None:
                yield Metric(name, value, line.at)


def _compiled(patterns: Sequence[tuple[str, str]]) -> dict[str, regex.Pattern[str]]:
    compiled = {}
    for name, pattern in patterns:
        try:
            compiled[name] = regex.compile(pattern.replace("#011", r"\t"))
        except regex.error as error:
            _log.warning("the pattern of metric %s is left out: %s", name, error)
    return compiled


def _value(pattern: regex.Pattern[str], text: str) -> float | None:
    match = pattern.search(text, timeout=_PATTERN_S)
    try:
        value = float(match[1 if pattern.groups else 0]) if match else math.nan
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
