"""Baselines of a data set, and checks of live data against them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.analysis import baselines, checks, constraints, statistics, suggestions, violations
from clary.analysis.profiling import profile
from clary.analysis.tables import open_table
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs.settings import DatasetFormat, placed

if TYPE_CHECKING:
    from pathlib import Path

    from clary.analysis.constraints import Constraints
    from clary.analysis.profiles import Profile
    from clary.analysis.violations import Violation
    from clary.monitoring.programs.settings import Settings

_MOST_DOCUMENT_BYTES = 256 << 20


def run(settings: Settings, ml: Path) -> tuple[Violation, ...]:
    """Write statistics.json, and constraints.json or constraint_violations.json.

    Without a baseline constraints are suggested; with one the data is checked against it, and
    what it does not fulfil is returned.

    Raises
    ------
    InvalidInput
        Data, baseline or settings cannot be read; names the file and the place.
    """
    output = placed(settings.output_path, ml)
    output.mkdir(parents=True, exist_ok=True)
    seen = _profile(settings, ml)
    required = _constraints(settings, ml)
    if required is None:
        suggested = suggestions.suggest(
            seen, categorical_drift_method=settings.categorical_drift_method
        )
        (output / "statistics.json").write_bytes(statistics.write(baselines.baseline(seen)))
        (output / "constraints.json").write_bytes(constraints.write(suggested))
        return ()
    seen = checks.named(seen, required)
    found = _check(settings, ml, seen, required)
    (output / "statistics.json").write_bytes(statistics.write(statistics.statistics(seen)))
    document = violations.Violations(violations=found)
    (output / "constraint_violations.json").write_bytes(violations.write(document))
    return found


def _profile(settings: Settings, ml: Path) -> Profile:
    given = settings.format or DatasetFormat("csv")
    source = placed(settings.dataset_source, ml)
    with open_table(source, format=given.format, header=given.header) as table:
        return profile(table, mode=settings.sketch_mode)


def _constraints(settings: Settings, ml: Path) -> Constraints | None:
    if not settings.baseline_constraints:
        return None
    return constraints.read(_document(settings.baseline_constraints, ml))


def _check(
    settings: Settings, ml: Path, seen: Profile, required: Constraints
) -> tuple[Violation, ...]:
    baseline = {}
    if settings.baseline_statistics:
        document = statistics.read(_document(settings.baseline_statistics, ml))
        baseline = baselines.samples_of(document)
    return checks.check(seen, required, baseline, is_deequ=settings.sketch_mode == "deequ")


def _document(path: str, ml: Path) -> bytes:
    """Read a document; the SDK names a folder where it holds one file."""
    file = placed(path, ml)
    if not file.is_file():
        raise InvalidInput("environment", f"{path} is no file")
    if file.stat().st_size > _MOST_DOCUMENT_BYTES:
        limit = f"{_MOST_DOCUMENT_BYTES >> 20} MiB"
        raise InvalidInput(file.name, "is too large", legal=limit)
    return file.read_bytes()
