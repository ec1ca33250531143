"""The public document of bias and attribution: ``analysis.json``, read and written."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import msgspec

from clary.kernel.codec import build, from_json, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE = "analysis.json"
_INTERVAL = re.compile(r"\(([^,]+), [^\]]+\]")
_INFINITIES = {"Infinity": math.inf, "-Infinity": -math.inf}


class MetricNotes(msgspec.Struct, frozen=True, omit_defaults=True):
    """What clary adds to a metric; readers of the public format pass over it.

    Parameters
    ----------
    confidence_interval
        Between which values the metric lies by chance alone at ``confidence_level``.
    sampled_rows
        From how many rows it was taken, where all were too many.
    """

    confidence_interval: tuple[float | str, float | str] | None = None
    confidence_level: float | None = None
    sampled_rows: int | None = None


class MetricValue(msgspec.Struct, frozen=True):
    """One metric of one facet value; ``value`` is None where ``error`` says why there is none."""

    name: str
    description: str = ""
    value: float | str | None = None
    error: str | msgspec.UnsetType = msgspec.UNSET
    clary: MetricNotes | msgspec.UnsetType = msgspec.UNSET

    @property
    def number(self) -> float | None:
        """The value as a number, which may be infinite."""
        return number(self.value)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The confidence interval, where there is one."""
        if self.clary is msgspec.UNSET or self.clary.confidence_interval is None:
            return None
        low, high = (number(one) for one in self.clary.confidence_interval)
        return None if low is None or high is None else (low, high)


class FacetNotes(msgspec.Struct, frozen=True, omit_defaults=True):
    """What clary adds to a facet value: how many rows it is about, and how many were left out.

    ``groups`` tells of those who are not sensitive, then of those who are: rows, and the shares of
    positive labels and predictions, and of right predictions.
    """

    rows: int = 0
    rows_left_out: int = 0
    groups: tuple[dict[str, float | None], ...] = ()


class FacetValue(msgspec.Struct, frozen=True):
    """The metrics of those whom a facet's value, or an interval of it, makes sensitive."""

    value_or_threshold: str
    metrics: tuple[MetricValue, ...] = ()
    clary: FacetNotes | msgspec.UnsetType = msgspec.UNSET


class BiasMetrics(msgspec.Struct, frozen=True):
    """The metrics of one stage, before or after training, by facet."""

    label: str = ""
    facets: dict[str, tuple[FacetValue, ...]] = msgspec.field(default_factory=dict)
    label_value_or_threshold: str = ""


class Analysis(msgspec.Struct, frozen=True):
    """The document; ``explanations`` are the attributions' own."""

    version: str = "1.0"
    pre_training_bias_metrics: BiasMetrics | msgspec.UnsetType = msgspec.UNSET
    post_training_bias_metrics: BiasMetrics | msgspec.UnsetType = msgspec.UNSET
    explanations: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    clary: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET

    @property
    def stages(self) -> Mapping[str, BiasMetrics]:
        """The stages that there are, by their member's name."""
        both = {
            "pre_training_bias_metrics": self.pre_training_bias_metrics,
            "post_training_bias_metrics": self.post_training_bias_metrics,
        }
        return {name: one for name, one in both.items() if one is not msgspec.UNSET}

    def metrics(self) -> Iterator[tuple[str, str, MetricValue]]:
        """Walk through facet, facet value and metric of both stages."""
        for stage in self.stages.values():
            for facet, values in stage.facets.items():
                for one in values:
                    for metric in one.metrics:
                        yield facet, one.value_or_threshold, metric


def read(data: bytes | str, *, field: str = FILE) -> Analysis:
    """Read a document.

    Raises
    ------
    InvalidInput
        It is none; names the member below ``field``.
    """
    return build(Analysis, from_json(data, field=field), field=field)


def write(analysis: Analysis) -> bytes:
    """Write a document, indented for people."""
    return msgspec.json.format(msgspec.json.encode(plain(analysis)), indent=2) + b"\n"


def is_interval(title: str) -> bool:
    """Say whether a facet's or label's value is what lies above a threshold.

    Examples
    --------
    >>> is_interval("(0.5, 0.99]"), is_interval("1")
    (True, False)
    """
    return _INTERVAL.fullmatch(title) is not None


def place(title: str) -> str:
    """Name what lies above a threshold by it alone: the other end is the largest in the data.

    Examples
    --------
    >>> place("(40, 76.5]"), place("F")
    ('> 40', 'F')
    """
    match = _INTERVAL.fullmatch(title)
    if match is None:
        return title
    low = float(match[1])
    return f"> {int(low) if low.is_integer() else low!r}"


def number(value: float | str | None) -> float | None:
    """Read a value, of which infinite ones are texts.

    Examples
    --------
    >>> number("-Infinity"), number(0.5), number(None)
    (-inf, 0.5, None)
    """
    return _INFINITIES.get(value) if isinstance(value, str) else value


def document(value: float | None) -> float | str | None:
    """Write a value: infinite ones as texts, an undefined one as None.

    Examples
    --------
    >>> document(float("inf")), document(0.5), document(float("nan"))
    ('Infinity', 0.5, None)
    """
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
