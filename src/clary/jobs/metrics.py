"""Training metrics: the last value of each pattern in the log."""

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
    """Find the last value of each metric; a pattern's first group is the value.

    ``#011`` is how the log service shows a tab; here it is one, in patterns and in lines. A
    pattern that does not compile, or that takes too long, gives no metric and is logged.
    """
    compiled = _compiled(patterns)
    found: dict[str, Metric] = {}
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
                found[name] = Metric(name, value, line.at)
    return tuple(found.values())


def values(lines: Iterable[LogLine], pattern: str) -> Iterator[float]:
    """Yield every value of one metric in the order of the lines, read as by ``last_values``."""
    for compiled in _compiled([("", pattern)]).values():
        for line in lines:
            try:
                value = _value(compiled, line.text[:_LINE].replace("#011", "\t"))
            except TimeoutError:
                _log.warning("the pattern %r takes too long; lines are left out", pattern)
                return
            if value is not None:
                yield value


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
