"""CloudWatch metrics, as lines of JSON in the folder that is published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.kernel.clock import now
from clary.kernel.codec import to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from clary.analysis.checks import Observation
    from clary.monitoring.programs.settings import Settings

FOLDER = "output/metrics/cloudwatch"
FILE = "cloudwatch_metrics.jsonl"


def write(observed: Iterable[Observation], settings: Settings, ml: Path) -> None:
    """Write the metrics of every feature whose constraints do not turn them off.

    ``feature_data_<name>``: range, sum and count of its numbers; ``feature_non_null_<name>``: the
    share of rows with a value; ``feature_baseline_drift_<name>``: the distance to the baseline.
    """
    publish(_metrics(observed), settings, ml)


def publish(metrics: Iterable[tuple[str, dict[str, Any]]], settings: Settings, ml: Path) -> None:
    """Write metrics: each a name, and its ``Value`` or ``StatisticValues``."""
    at = settings.metric_time or settings.end_time or f"{now():%Y-%m-%dT%H:%M:%SZ}"
    of = {
        "Endpoint": settings.sagemaker_endpoint_name,
        "MonitoringSchedule": settings.sagemaker_monitoring_schedule_name,
    }
    dimensions = {name: value for name, value in of.items() if value}
    put(((name, value, dimensions) for name, value in metrics), ml / FOLDER / FILE, at)


def put(data: Iterable[tuple[str, dict[str, Any], Mapping[str, str]]], file: Path, at: str) -> None:
    """Write lines of metrics: names, values and dimensions at a moment, which may be empty."""
    file.parent.mkdir(parents=True, exist_ok=True)
    moment = {"Timestamp": at} if at else {}
    with file.open("wb") as opened:
        for name, value, dimensions in data:
            told = [{"Name": one, "Value": text} for one, text in dimensions.items()]
            line = {"MetricName": name, **moment, "Dimensions": told, **value}
            opened.write(to_json(line) + b"\n")


def _metrics(observed: Iterable[Observation]) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in observed:
        if not one.settings.emits_metrics:
            continue
        name, numbers = one.feature.name, one.column.numbers
        if numbers.count:
            yield (
                f"feature_data_{name}",
                {
                    "StatisticValues": {
                        "SampleCount": numbers.count,
                        "Sum": numbers.total,
                        "Minimum": numbers.minimum,
                        "Maximum": numbers.maximum,
                    }
                },
            )
        yield f"feature_non_null_{name}", {"Value": one.column.completeness}
        if one.distance is not None:
            yield f"feature_baseline_drift_{name}", {"Value": one.distance}
