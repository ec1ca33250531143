"""Baselines of a data set, and checks of live data against them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from clary.analysis import (
    baselines,
    captured_rows,
    checks,
    constraints,
    drift,
    samples,
    statistics,
    suggestions,
    violations,
)
from clary.analysis.captures import Faults, captures, files
from clary.analysis.constraints import Drift
from clary.analysis.profiles import Profile
from clary.analysis.profiling import of_batches, profile
from clary.analysis.spool import Spool
from clary.analysis.tables import open_table
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs import measurements, scripts
from clary.monitoring.programs.settings import DatasetFormat, placed

if TYPE_CHECKING:
    from pathlib import Path

    from clary.analysis.constraints import Constraints
    from clary.analysis.samples import Sample
    from clary.analysis.violations import Violation
    from clary.monitoring.programs.settings import Settings

_MOST_DOCUMENT_BYTES = 256 << 20
_DRIFT_LEVEL = Drift().significance_level


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
    _write(output, "statistics.json", statistics.write(baselines.baseline(profile)))
    _write(output, "constraints.json", constraints.write(suggested))


def _suggestion(settings: Settings, profile: Profile) -> Constraints:
    method = settings.categorical_drift_method
    return suggestions.suggest(profile, categorical_drift_method=method)


def _checked(settings: Settings, ml: Path, output: Path, seen: Seen) -> tuple[Violation, ...]:
    required = constraints.read(_document(settings.baseline_constraints, ml))
    now = checks.named(seen.profile, required)
    now, required = checks.without(now, required, settings.excluded)
    found: tuple[Violation, ...] = ()
    block: dict[str, Any] = {"rows": now.rows, "rows_not_read": seen.faults.count}
    if now.rows:
        before = _baseline(settings, ml)
        observed = checks.observe(now, required, before, is_deequ=settings.is_deequ)
        drifts = _drifts(before, now, required)
        found = (
            *checks.columns_off(now, required),
            *checks.violated(observed),
            *checks.drifted(drifts, required),
        )
        block["drift"] = [one.to_document() for one in drifts]
        if settings.publishes_metrics:
            measurements.write(observed, settings, ml)
    document = violations.Violations(violations=found, clary=block)
    _write(output, "constraint_violations.json", violations.write(document))
    _write(output, "statistics.json", statistics.write(baselines.baseline(now)))
    if now.rows and settings.format and settings.format.format != "capture":
        _write(output, "constraints.json", constraints.write(_suggestion(settings, now)))
    return found


def _drifts(
    before: dict[str, Sample], now: Profile, required: Constraints
) -> tuple[drift.ColumnDrift, ...]:
    level = required.clary.drift.significance_level if required.clary else _DRIFT_LEVEL
    return drift.drift(before, samples.of_profile(now, before), level=level)


def _baseline(settings: Settings, ml: Path) -> dict[str, Sample]:
    if not settings.baseline_statistics:
        return {}
    document = statistics.read(_document(settings.baseline_statistics, ml))
    return baselines.samples_of(document)


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


def _document(path: str, ml: Path) -> bytes:
    file = placed(path, ml)
    if not file.is_file():
        raise InvalidInput("environment", f"{path} is no file")
    if file.stat().st_size > _MOST_DOCUMENT_BYTES:
        limit = f"at most {_MOST_DOCUMENT_BYTES >> 20} MiB"
        raise InvalidInput(file.name, f"is {file.stat().st_size} bytes", legal=limit)
    return file.read_bytes()


def _write(output: Path, name: str, data: bytes) -> None:
    (output / name).write_bytes(data)
