"""Model quality as a job: measure, suggest bounds or hold the metrics against them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from clary.analysis import violations as documents
from clary.analysis.estimators import fit_estimator, read_estimator
from clary.analysis.outcomes import measure
from clary.analysis.quality_constraints import (
    broken,
    broken_estimates,
    read_quality_constraints,
    suggest,
    unchecked,
)
from clary.analysis.violations import Violations
from clary.kernel import clock
from clary.monitoring.programs import measurements, scripts
from clary.monitoring.programs.model_quality_data import read_dataset
from clary.monitoring.programs.model_quality_live import read_live
from clary.monitoring.programs.model_quality_settings import Settings
from clary.monitoring.programs.settings import document, placed, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from clary.analysis.estimates import Estimates
    from clary.analysis.quality import Quality
    from clary.analysis.quality_constraints import QualityConstraints
    from clary.analysis.violations import Violation
    from clary.monitoring.programs.model_quality_data import Data

_ESTIMATOR = "estimator"


def run(environment: Mapping[str, str], ml: Path) -> tuple[Violation, ...]:
    """Measure what the environment names, and write its documents to the output path.

    ``statistics.json`` always; ``constraints.json`` of a data set; ``constraint_violations.json``
    where there are bounds to hold the metrics against.

    Raises
    ------
    InvalidInput
        Settings or files are not legal.
    """
    given = read(environment, Settings)
    output = placed(given.output_path, ml)
    output.mkdir(parents=True, exist_ok=True)
    bounds = _constraints(given, ml)
    estimates = None
    if given.is_live:
        quality, estimates = _live(given, ml, bounds)
    else:
        quality = _dataset(given, ml, output)
    found: tuple[Violation, ...] = ()
    if bounds:
        found = _violations(quality, estimates, bounds)
        report = documents.write(Violations(violations=found))
        (output / "constraint_violations.json").write_bytes(report)
        if reasons := unchecked(quality, bounds):
            quality = replace(quality, extra={**quality.extra, "unchecked": reasons})
    _write(output / "statistics.json", quality.to_document())
    if given.publishes_metrics:
        measurements.publish(_metrics(quality, estimates), given, ml)
    if given.post_analytics_processor_script:
        scripts.postprocess(placed(given.post_analytics_processor_script, ml))
    return found


def _dataset(given: Settings, ml: Path, output: Path) -> Quality:
    """Measure a data set, and suggest bounds and what estimates need."""
    data = read_dataset(given, ml)
    quality = _measured(given, data)
    constraints = suggest(quality)
    estimator = fit_estimator(given.problem_type, data.sample.outcomes(), data.sample.inputs)
    if estimator is not None:
        extra = {**constraints.extra, _ESTIMATOR: estimator.to_text()}
        constraints = replace(constraints, extra=extra)
    _write(output / "constraints.json", constraints.to_document())
    return quality


def _live(
    given: Settings, ml: Path, bounds: QualityConstraints | None
) -> tuple[Quality, Estimates | None]:
    """Measure the answers that have labels, and estimate those that have none."""
    text = bounds.extra.get(_ESTIMATOR) if bounds else None
    estimator = read_estimator(text, field=f"constraints.clary.{_ESTIMATOR}") if text else None
    data = read_live(given, ml, estimator.encoder.names if estimator else ())
    for fault in data.merged.get("unreadable", ()):
        sys.stdout.write(f"not read: {fault}\n")
    quality = _measured(given, data)
    extra: dict[str, Any] = {**quality.extra, "merged": data.merged}
    if estimator is None or estimator.kind != quality.kind:
        return replace(quality, extra=extra), None
    waiting = data.unlabelled
    estimates = estimator.estimate(
        waiting.outcomes(), waiting.inputs, given.probability_threshold_attribute
    )
    if not estimates.rows:
        return replace(quality, extra=extra), None
    return replace(quality, extra={**extra, "estimated": estimates.to_document()}), estimates


def _measured(given: Settings, data: Data) -> Quality:
    threshold = given.probability_threshold_attribute
    at = f"{clock.now():%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    return measure(
        given.problem_type, data.labelled.outcomes(), threshold=threshold, evaluated_at=at
    )


def _constraints(given: Settings, ml: Path) -> QualityConstraints | None:
    path = given.baseline_constraints
    if not path:
        return None
    data = document(path, ml, field="baseline_constraints")
    return read_quality_constraints(data, field=PurePosixPath(path).name)


def _violations(
    quality: Quality, estimates: Estimates | None, bounds: QualityConstraints
) -> tuple[Violation, ...]:
    """List what was measured beyond its bound; of the rest, what is estimated beyond it."""
    found = broken(quality, bounds)
    if estimates is None:
        return tuple(found)
    known = {one.metric_name for one in found}
    early = [one for one in broken_estimates(estimates, bounds) if one.metric_name not in known]
    return (*found, *early)


def _metrics(quality: Quality, estimates: Estimates | None) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, metric in quality.metrics.items():
        if metric.value is not None:
            yield name, {"Value": metric.value}
    for name, one in (estimates.metrics if estimates else {}).items():
        yield f"estimated_{name}", {"Value": one.value}


def _write(file: Path, document: dict[str, Any]) -> None:
    file.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))
