"""The text that Prometheus reads: format 0.0.4."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from clary.metrics.model import Tally
    from clary.metrics.recorder import Total

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS_S = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Upper bounds of a histogram's buckets, in seconds."""
_MICROSECONDS = 1e6
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ILLEGAL = re.compile(r"[^a-zA-Z0-9_]")
_LABELS = {"EndpointName": "endpoint", "VariantName": "variant"}
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(slots=True)
class Family:
    """Every sample of one metric.

    Parameters
    ----------
    name, kind, text
        What it is called, what it is, and a line that says what it means.
    samples
        Labels and value; for a histogram labels and tally, in microseconds.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    samples: list[tuple[Mapping[str, str], float | Tally]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Known:
    """How a recorded metric is shown."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: Mapping[str, str] = field(default_factory=dict)


_ERRORS = "clary_invocation_errors_total"
_ERRORS_TEXT = "Requests that ended with an error."
_KNOWN = {
    "Invocations": _Known("clary_invocations_total", "counter", "Requests to endpoints."),
    "Invocation4XXErrors": _Known(_ERRORS, "counter", _ERRORS_TEXT, {"class": "4xx"}),
    "Invocation5XXErrors": _Known(_ERRORS, "counter", _ERRORS_TEXT, {"class": "5xx"}),
    "InvocationModelErrors": _Known(
        "clary_model_errors_total", "counter", "Requests that a model answered with an error."
    ),
    "ModelLatency": _Known(
        "clary_model_latency_seconds", "histogram", "What models took to answer."
    ),
    "OverheadLatency": _Known(
        "clary_overhead_latency_seconds", "histogram", "What requests took beside their model."
    ),
    "ModelSetupTime": _Known(
        "clary_model_setup_seconds", "histogram", "What it took to start a serverless worker."
    ),
    "ConcurrentRequestsPerModel": _Known(
        "clary_concurrent_requests", "gauge", "Requests under way at once, in the last second."
    ),
}
_PASSED_OVER = {"InvocationsPerInstance"}


def families(totals: Iterable[Total]) -> Sequence[Family]:
    """Gather what a process has measured, by name; of what is not known, the counts."""
    found: dict[str, Family] = {}
    for total in totals:
        metric = total.metric
        known = _KNOWN.get(metric.name)
        if metric.name in _PASSED_OVER or (known is None and metric.unit != "Count"):
            continue
        if known is None:
            text = f"{metric.namespace} {metric.name}."
            known = _Known(f"clary_{_snake(metric.name)}_total", "counter", text)
        labels = {"account": metric.account, "region": metric.region, **known.labels}
        labels |= {_LABELS.get(name, _snake(name)): value for name, value in metric.dimensions}
        family = found.setdefault(known.name, Family(known.name, known.kind, known.text))
        match known.kind:
            case "histogram":
                family.samples.append((labels, total.tally))
            case "gauge":
                family.samples.append((labels, total.latest))
            case _:
                family.samples.append((labels, total.tally.total))
    return [found[name] for name in sorted(found)]


def expose(every: Iterable[Family]) -> bytes:
    """Write families of samples."""
    lines: list[str] = []
    for family in every:
        lines.append(f"# HELP {family.name} {_one_line(family.text)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        for labels, value in family.samples:
            if isinstance(value, (int, float)):
                lines.append(_sample(family.name, labels, value))
            else:
                lines += _histogram(family.name, labels, value)
    return "".join(f"{line}\n" for line in lines).encode()


def _histogram(name: str, labels: Mapping[str, str], tally: Tally) -> Iterator[str]:
    for bound in BOUNDS_S:
        count = tally.at_most(bound * _MICROSECONDS)
        yield _sample(f"{name}_bucket", {**labels, "le": f"{bound:g}"}, count)
    yield _sample(f"{name}_bucket", {**labels, "le": "+Inf"}, tally.count)
    yield _sample(f"{name}_sum", labels, tally.total / _MICROSECONDS)
    yield _sample(f"{name}_count", labels, tally.count)


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    pairs = ",".join(f'{key}="{text.translate(_ESCAPED)}"' for key, text in labels.items())
    return f"{name}{{{pairs}}} {value!r}" if pairs else f"{name} {value!r}"


def _snake(name: str) -> str:
    word = _ILLEGAL.sub("_", _WORD.sub("_", name)).lower()
    return f"_{word}" if word[:1].isdigit() else word


def _one_line(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", " ")
