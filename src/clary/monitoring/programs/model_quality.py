"""Model quality as a job: measure, suggest bounds or hold the metrics against them."""

from __future__ import annotations

from dataclasses import replace
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
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs.model_quality_data import read, read_settings
from clary.monitoring.programs.settings import placed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from clary.analysis.quality import Quality
    from clary.analysis.violations import Violation
    from clary.monitoring.programs.model_quality_data import Data, Settings

_MOST_BYTES = 64 << 20


def run(environment: Mapping[str, str], ml: Path) -> tuple[Violation, ...]:
    """Measure what the environment names, and write its documents to the output path.

    ``statistics.json`` always; ``constraints.json`` of a data set; ``constraint_violations.json``
    where there are bounds to hold the metrics against.

    Raises
    ------
    InvalidInput
        Settings or files are not legal.
    """
    given = read_settings(environment)
    data = read(given, ml)
    quality = _measured(given, data)
    output = placed(given.output_path, ml)
    output.mkdir(parents=True, exist_ok=True)
    found: tuple[Violation, ...] = ()
    if given.baseline_constraints:
        found, quality = _checked(placed(given.baseline_constraints, ml), quality)
        (output / "constraint_violations.json").write_bytes(
            documents.write(Violations(violations=found))
        )
    if not data.is_live:
        _write(output / "constraints.json", suggest(quality).to_document())
    _write(output / "statistics.json", quality.to_document())
    return found


def _measured(given: Settings, data: Data) -> Quality:
    threshold = given.probability_threshold_attribute
    at = f"{clock.now():%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    quality = measure(
        given.problem_type, data.labelled.outcomes(), threshold=threshold, evaluated_at=at
    )
    if not data.merged:
        return quality
    return replace(quality, extra={**quality.extra, "merged": data.merged})


def _checked(file: Path, quality: Quality) -> tuple[tuple[Violation, ...], Quality]:
    if not file.is_file() or file.stat().st_size > _MOST_BYTES:
        raise InvalidInput("baseline_constraints", f"{file} is no file of at most 64 MiB")
    constraints = read_quality_constraints(file.read_bytes(), field=file.name)
    found = tuple(broken(quality, constraints))
    if reasons := unchecked(quality, constraints):
        quality = replace(quality, extra={**quality.extra, "unchecked": reasons})
    return found, quality


def _write(file: Path, document: dict[str, Any]) -> None:
    file.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))
