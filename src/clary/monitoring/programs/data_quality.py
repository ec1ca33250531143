"""Baselines of a data set, and checks of live data against them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from clary.analysis import (
    baselines,
    captured_rows,
    constraints,
    statistics,
    suggestions,
    violations,
)
from clary.analysis.captures import Faults, captures, files
from clary.analysis.comparison import CONSTRAINTS, STATISTICS, Baseline, compare
from clary.analysis.profiles import Profile
from clary.analysis.profiling import of_batches, profile
from clary.analysis.spool import Spool
from clary.analysis.tables import open_table
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs import measurements, scripts
from clary.monitoring.programs.settings import DatasetFormat, document, placed

if TYPE_CHECKING:
    from pathlib import Path

    from clary.analysis.constraints import Constraints
    from clary.analysis.violations import Violation
    from clary.monitoring.programs.settings import Settings


@dataclass(frozen=True, slots=True)
class Seen:
    """A profile of the data, and what of the data could not be read."""

    profile: Profile
    faults: Faults = field(default_factory=Faults)


def run(settings: Settings, ml: Path) -> tuple[Violation, ...]:
    """Write statistics.json, and constraints.json or constraint_violations.json.

    Without a baseline constraints are suggested; with one the data is checked against it, and
    what it does not fulfil is returned. A data set that is no capture may be the next baseline, and
    so has constraints suggested in any case.

    Raises
    ------
    InvalidInput
        Data, baseline or settings cannot be read; names the file and the place.
    """
    output = placed(settings.output_path, ml)
    output.mkdir(parents=True, exist_ok=True)
    seen = _seen(settings, ml)
    for fault in seen.faults.named:
        sys.stdout.write(f"not read: {fault}\n")
    found: tuple[Violation, ...] = ()
    if settings.baseline_constraints:
        found = _checked(settings, ml, output, seen)
    else:
        _suggested(settings, output, seen.profile)
    if settings.post_analytics_processor_script:
        scripts.postprocess(placed(settings.post_analytics_processor_script, ml))
    return found


def _suggested(settings: Settings, output: Path, profile: Profile) -> None:
    suggested = _suggestion(settings, profile)
    _write(output, STATISTICS, statistics.write(baselines.baseline(profile)))
    _write(output, CONSTRAINTS, constraints.write(suggested))


def _suggestion(settings: Settings, profile: Profile) -> Constraints:
    method = settings.categorical_drift_method
    return suggestions.suggest(profile, categorical_drift_method=method)


def _checked(settings: Settings, ml: Path, output: Path, seen: Seen) -> tuple[Violation, ...]:
    found = compare(
        seen.profile,
        _baseline(settings, ml),
        excluded=settings.excluded,
        is_deequ=settings.is_deequ,
    )
    block = {**found.block(), "rows_not_read": seen.faults.count}
    if found.rows and settings.publishes_metrics:
        measurements.write(found.observed, settings, ml)
    report = violations.Violations(violations=found.violations, clary=block)
    _write(output, "constraint_violations.json", violations.write(report))
    _write(output, STATISTICS, statistics.write(baselines.baseline(found.profile)))
    if found.rows and settings.format and settings.format.format != "capture":
        _write(output, CONSTRAINTS, constraints.write(_suggestion(settings, found.profile)))
    return found.violations


def _baseline(settings: Settings, ml: Path) -> Baseline:
    """Read the baseline; without its statistics no distributions are compared."""
    name = "baseline_constraints"
    required = constraints.read(document(settings.baseline_constraints, ml, field=name))
    if not settings.baseline_statistics:
        return Baseline(statistics.statistics(Profile()), required)
    name = "baseline_statistics"
    held = statistics.read(document(settings.baseline_statistics, ml, field=name))
    return Baseline(held, required)


def _seen(settings: Settings, ml: Path) -> Seen:
    """Profile the data set; of none where nothing was captured in the window."""
    given = settings.format or DatasetFormat("csv")
    source = placed(settings.dataset_source, ml)
    is_live = bool(settings.baseline_constraints)
    if is_live and not (source.exists() and next(files(source), None)):
        return Seen(Profile())
    if given.format == "capture":
        return _captured(settings, given, ml)
    if settings.record_preprocessor_script:
        sys.stdout.write("the preprocessor is for captured requests, and was not run\n")
    is_delta = given.format == "parquet" and (source / "_delta_log").is_dir()
    found = "delta" if is_delta else given.format
    with open_table(source, format=found, header=given.header) as table:
        return Seen(profile(table, mode=settings.sketch_mode))


def _captured(settings: Settings, given: DatasetFormat, ml: Path) -> Seen:
    """Profile captured requests, those that can be read."""
    faults = Faults()
    source = placed(settings.dataset_source, ml)
    with TemporaryDirectory(prefix="captures-") as folder:
        spool = Spool(folder)
        window = settings.window
        if settings.record_preprocessor_script:
            script = placed(settings.record_preprocessor_script, ml)
            handler = scripts.load(script, scripts.PREPROCESSOR)
            lines = captures(source, faults, window=window)
            spool.add(scripts.preprocessed(lines, handler))
        else:
            captured_rows.put_down_files(source, spool, faults, sides=given.captures, window=window)
        rows = spool.rows()
        seen = of_batches(rows.schema.names, rows.to_batches(), mode=settings.sketch_mode)
    if faults.count and not seen.rows:
        said = f"none of {faults.count} captured requests can be read; {faults.named[0]}"
        raise InvalidInput("dataset_source", said)
    return Seen(seen, faults)


def _write(output: Path, name: str, data: bytes) -> None:
    (output / name).write_bytes(data)
