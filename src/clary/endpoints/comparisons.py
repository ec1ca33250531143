"""How the answers of a shadow compare with those of the variant that it shadows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clary.endpoints.invocations import JSON
from clary.kernel.codec import build, from_json, plain
from clary.kernel.errors import InvalidInput
from clary.metrics.model import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from clary.endpoints.invocations import Reply
    from clary.kernel.ports import JsonObject

_TOLERANCE = 1e-6
"""Numbers whose difference is within this share of the larger one agree."""
_PERCENTS = (50, 90, 99)
_DEEPEST = 32


@dataclass(slots=True)
class Comparison:
    """What the requests that a shadow was given came to; sums, so that two of them add up.

    Parameters
    ----------
    requests
        How many were copied to it.
    dropped
        How many more were not, because too many were waiting.
    errors
        How many it did not answer.
    unlike
        How many answers have another form: another number of values, or words for numbers.
    agreed
        How many answers have the same values, numbers to within a millionth.
    difference
        Of each answer with numbers, the largest absolute difference.
    latency_us, shadow_latency_us
        Microseconds that each took for the same requests.
    """

    requests: int = 0
    dropped: int = 0
    errors: int = 0
    unlike: int = 0
    agreed: int = 0
    difference: Tally = field(default_factory=Tally)
    latency_us: Tally = field(default_factory=Tally)
    shadow_latency_us: Tally = field(default_factory=Tally)

    def add(self, reply: Reply, latency_s: float, other: Reply | None, other_s: float) -> None:
        """Count a request: its answer, and the shadow's; None when it gave none."""
        self.requests += 1
        self.latency_us.add(latency_s * 1e6)
        if other is None:
            self.errors += 1
            return
        self.shadow_latency_us.add(other_s * 1e6)
        difference, agrees = compare(reply, other)
        if difference is None:
            self.unlike += not agrees
        elif difference < math.inf:
            self.difference.add(difference)
        self.agreed += agrees

    def merge(self, other: Comparison) -> None:
        """Count what another one has counted."""
        for name in ("requests", "dropped", "errors", "unlike", "agreed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.difference.merge(other.difference)
        self.latency_us.merge(other.latency_us)
        self.shadow_latency_us.merge(other.shadow_latency_us)

    def document(self) -> JsonObject:
        """Write it as JSON; tallies without values are left out, since they have no bounds."""
        whole: JsonObject = plain(self)
        return {k: v for k, v in whole.items() if not isinstance(v, dict) or v["count"]}


def read(document: Mapping[str, Any]) -> Comparison:
    """Read what ``Comparison.document`` wrote."""
    return build(Comparison, document)


@dataclass(frozen=True, slots=True)
class ShadowResult:
    """What is known of one shadow.

    Parameters
    ----------
    variant, shadow_of
        The shadow, and the variant that answers.
    since, until
        When its comparison began, and when it was last added to.
    requests, dropped, errors, unlike
        See ``Comparison``.
    agreement
        The share of the shadow's answers that agree; None before there is one.
    difference
        ``p50``, ``p90``, ``p99`` and ``max`` of the largest absolute difference in an answer;
        empty when answers are not numbers.
    latency_ms, shadow_latency_ms
        The same of both latencies, for the same requests.
    """

    variant: str
    shadow_of: str
    since: datetime
    until: datetime
    requests: int
    dropped: int
    errors: int
    unlike: int
    agreement: float | None
    difference: Mapping[str, float]
    latency_ms: Mapping[str, float]
    shadow_latency_ms: Mapping[str, float]


def quantiles(tally: Tally, scale: float = 1.0) -> Mapping[str, float]:
    """Give a tally's percentiles and maximum; empty without values."""
    if not tally.count:
        return {}
    found = {f"p{percent}": tally.percentile(percent) or 0.0 for percent in _PERCENTS}
    return {name: value * scale for name, value in {**found, "max": tally.maximum}.items()}


def compare(one: Reply, other: Reply) -> tuple[float | None, bool]:
    r"""Compare two answers value by value.

    Returns
    -------
    tuple
        The largest absolute difference of their numbers, None when they have none or another
        form; and whether they agree.

    Examples
    --------
    >>> from clary.endpoints.invocations import Reply
    >>> difference, agree = compare(Reply(b"0.5,1", "text/csv"), Reply(b"0.5,3\n", "text/csv"))
    >>> difference, agree
    (2.0, False)
    >>> compare(Reply(b'{"label": "F"}', JSON), Reply(b'{"label": "F"}', JSON))
    (None, True)
    """
    if not (isinstance(one.body, bytes) and isinstance(other.body, bytes)):
        return None, False
    if one.body == other.body:
        has_numbers = any(isinstance(value, float) for value in _values(one))
        return (0.0 if has_numbers else None), True
    pairs = list(zip(_values(one), _values(other), strict=False))
    if len(list(_values(one))) != len(pairs) or len(list(_values(other))) != len(pairs):
        return None, False
    return _largest(pairs)


def _largest(pairs: list[tuple[Any, Any]]) -> tuple[float | None, bool]:
    difference, agrees = None, True
    for left, right in pairs:
        if not (isinstance(left, float) and isinstance(right, float)):
            if type(left) is not type(right):
                return None, False
            agrees = agrees and left == right
            continue
        apart = 0.0 if left == right or (left != left and right != right) else abs(left - right)  # noqa: PLR0124 - two NaN agree
        apart = math.inf if math.isnan(apart) else apart
        difference = apart if difference is None else max(difference, apart)
        agrees = agrees and apart <= _TOLERANCE * max(abs(left), abs(right))
    return difference, agrees


def _values(reply: Reply) -> Iterator[float | str | bytes]:
    """Yield what an answer says: numbers as such, words as text; another format as it is."""
    body = reply.body if isinstance(reply.body, bytes) else b""
    kind = reply.content_type.partition(";")[0].strip().lower()
    try:
        if kind == JSON:
            yield from _inside(from_json(body), 0)
        elif kind.startswith("text/"):
            for token in body.decode().replace(",", " ").split():
                yield _number(token)
        else:
            yield body
    except (InvalidInput, UnicodeError):
        yield body


def _inside(value: Any, depth: int) -> Iterator[float | str]:
    if isinstance(value, dict) and depth < _DEEPEST:
        for name in sorted(value):
            yield from _inside(value[name], depth + 1)
    elif isinstance(value, list) and depth < _DEEPEST:
        for item in value:
            yield from _inside(item, depth + 1)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield _number(str(value))
    else:
        yield str(value)


def _number(token: str) -> float | str:
    try:
        return float(token)
    except ValueError:
        return token
