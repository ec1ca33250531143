"""Model quality as a job: measure, suggest bounds or hold the metrics against them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from clary.analysis import violations as documents
from clary.analysis.outcomes import measure
from clary.analysis.quality_constraints import (
    broken,
    read_quality_constraints,
    suggest,
    unchecked,
)
from clary.analysis.violations import Violations
from clary.kernel import clock
from clary.kernel.codec import build
from clary.monitoring.programs.model_quality_data import Settings, read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.analysis.quality import Quality
    from clary.analysis.violations import Violation
    from clary.monitoring.programs.model_quality_data import Data


def run(environment: Mapping[str, str]) -> tuple[Violation, ...]:
    """Measure what the environment names, and write its documents to the output path.

    ``statistics.json`` always; ``constraints.json`` of a data set; ``constraint_violations.json``
    where there are bounds to hold the metrics against.

    Raises
    ------
    InvalidInput
        Settings or files are not legal.
    """
    given = {name: value for name, value in environment.items() if value}
    settings = build(Settings, given)
    data = read(settings)
    quality = _measured(settings, data)
    output = Path(settings.output_path)
    output.mkdir(parents=True, exist_ok=True)
    found: tuple[Violation, ...] = ()
    if settings.baseline_constraints:
        found, quality = _checked(settings, quality)
        (output / "constraint_violations.json").write_bytes(
            documents.write(Violations(violations=found))
        )
    if not data.is_live:
        _write(output / "constraints.json", suggest(quality).to_document())
    _write(output / "statistics.json", quality.to_document())
    return found


def _measured(settings: Settings, data: Data) -> Quality:
    threshold = settings.probability_threshold_attribute
    at = f"{clock.now():%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    quality = measure(
        settings.problem, data.labelled.outcomes(), threshold=threshold, evaluated_at=at
    )
    if not data.merged:
        return quality
    return replace(quality, extra={**quality.extra, "merged": data.merged})


def _checked(settings: Settings, quality: Quality) -> tuple[tuple[Violation, ...], Quality]:
    file = Path(settings.baseline_constraints)
    constraints = read_quality_constraints(file.read_bytes(), field=file.name)
    found = tuple(broken(quality, constraints))
    if reasons := unchecked(quality, constraints):
        quality = replace(quality, extra={**quality.extra, "unchecked": reasons})
    return found, quality


def _write(file: Path, document: dict[str, Any]) -> None:
    file.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))
