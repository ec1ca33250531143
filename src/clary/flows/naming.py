"""What transforms are called as methods of ``clary.Flow``."""

from __future__ import annotations

import keyword
from collections import Counter
from functools import cache

from clary.flows import transforms

OWN = frozenset(
    {
        *("analyse", "called", "columns", "container", "diagram", "fit", "fit_step"),
        *("inference", "ingest"),
        *("load", "name", "node", "operators", "origins", "parameter", "pipeline", "preview"),
        *("read", "record", "records", "report", "run", "save", "source", "step", "then"),
        *("to_arrow", "to_pandas", "to_polars", "to_python", "to_sql", "write"),
    }
)
"""Methods that a flow has of its own."""


@cache
def methods() -> dict[str, str]:
    """Name the method of each operator: its verb, with its group where several have that verb."""
    verbs = Counter(operator.partition(".")[2] for operator in transforms.catalogue())
    return {one: _method(one, verbs) for one in transforms.catalogue()}


def _method(operator: str, verbs: Counter[str]) -> str:
    group, _, verb = operator.partition(".")
    is_plain = verbs[verb] == 1 and verb not in OWN and not keyword.iskeyword(verb)
    return verb if is_plain else f"{group}_{verb}"
