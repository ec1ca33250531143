"""constraint_violations.json: which constraints the data did not fulfil."""

from __future__ import annotations

from typing import Any

import msgspec

from clary.analysis.documents import pretty
from clary.kernel.codec import build, from_json


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One constraint that is not fulfilled.

    Parameters
    ----------
    feature_name
        The column; None where the violation is about a metric.
    constraint_check_type
        Which check found it, such as ``data_type_check``.
    description
        What was observed and what was required, in the format's own words.
    metric_name, facet, facet_value
        The metric of a model's quality or bias, and the group it is about.
    clary
        The same as plain values, for programs; other readers leave it alone.
    """

    feature_name: str | None = None
    facet: str | None = None
    facet_value: str | None = None
    metric_name: str | None = None
    constraint_check_type: str
    description: str
    clary: dict[str, Any] | None = None


class Violations(msgspec.Struct, frozen=True, kw_only=True):
    """A whole constraint_violations.json; Clarify's has a version, Model Monitor's has none."""

    version: str | float | None = None
    violations: tuple[Violation, ...] = ()
    clary: dict[str, Any] | None = None


def read(data: bytes | str, *, source: str = "constraint_violations.json") -> Violations:
    """Read a constraint_violations.json.

    Raises
    ------
    InvalidInput
        It is none; names ``source`` and the place in it.
    """
    return build(Violations, from_json(data, field=source), field=source)


def write(violations: Violations) -> bytes:
    """Write the document."""
    return pretty(violations)


def exit_message(count: int) -> str:
    """Say how a monitoring job ended, in the words that programs look for.

    Examples
    --------
    >>> exit_message(60)
    'CompletedWithViolations: Job completed successfully with 60 violations.'
    """
    if count:
        return f"CompletedWithViolations: Job completed successfully with {count} violations."
    return "Completed: Job completed successfully with no violations."
