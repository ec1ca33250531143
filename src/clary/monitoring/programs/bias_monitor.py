"""Bias on live data: measured where labels are known, and held against a baseline."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec

from clary.analysis import attribution_check, bias_drift, bias_report
from clary.analysis import violations as documents
from clary.analysis.bias import Facet, Question, analyze
from clary.analysis.bias_metrics import names
from clary.analysis.bias_page import page
from clary.analysis.violations import Violations
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs import clarify_config, measurements
from clary.monitoring.programs.bias_live import PREDICTION, merge
from clary.monitoring.programs.clarify_dataset import column, load_csv, unreadable
from clary.monitoring.programs.live_rows import Settings
from clary.monitoring.programs.settings import document, placed, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clary.analysis.bias_report import Analysis
    from clary.analysis.violations import Violation
    from clary.monitoring.programs.bias_live import Merged
    from clary.monitoring.programs.clarify_config import AnalysisConfig

_FILE = "bias.jsonl"
_TABLE = "live"
_STAGES = {
    "pre_training_bias_metrics": "Pre-Training",
    "post_training_bias_metrics": "Post-Training",
}


def run(environment: Mapping[str, str], config: AnalysisConfig, ml: Path) -> tuple[Violation, ...]:
    """Measure, write analysis.json and, against a baseline, constraint_violations.json.

    Raises
    ------
    InvalidInput
        Settings, configuration or baseline are not legal.
    """
    given = read(environment, Settings)
    output = placed(given.output_path, ml)
    output.mkdir(parents=True, exist_ok=True)
    baseline = read_baseline(given.baseline_constraints, ml)
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / "rows.csv"
        merged = merge(given, config, ml, file)
        made = bias_report.Analysis()
        if merged.rows:
            made = _measured(given, config, merged, (file, baseline))
    made = msgspec.structs.replace(made, clary={"merged": merged.notes})
    (output / bias_report.FILE).write_bytes(bias_report.write(made))
    if given.publishes_metrics:
        at = given.metric_time or given.start_time
        measurements.put(_metrics(made), ml / measurements.FOLDER / _FILE, at)
    found = check(baseline, made, output, needs_certainty=True) if baseline else ()
    title = f"Bias of {given.sagemaker_endpoint_name or 'live data'}"
    (output / "report.html").write_text(page(made, title=title, violations=found), "utf-8")
    return found


def read_baseline(path: str, ml: Path) -> Analysis | None:
    """Read the analysis.json that holds the constraints; None where no path is given.

    Raises
    ------
    InvalidInput
        It is not there, too large, or no such document.
    """
    if not path:
        return None
    name = "baseline_constraints"
    found = bias_report.read(document(path, ml, field=name), field=PurePosixPath(path).name)
    if not found.stages and found.explanations is msgspec.UNSET:
        legal = "an analysis.json, with metrics of bias or explanations"
        raise InvalidInput(name, f"{path} holds neither", legal=legal)
    return found


def check(
    baseline: Analysis, made: Analysis, output: Path, *, needs_certainty: bool
) -> tuple[Violation, ...]:
    """Hold metrics and attributions against a baseline, and write constraint_violations.json."""
    found = (
        *bias_drift.drift(baseline, made, needs_certainty=needs_certainty),
        *attribution_check.check(baseline, made),
    )
    left = bias_drift.unchecked(baseline, made)
    notes = {"unchecked": left} if left else None
    document = Violations(version="1.0", violations=found, clary=notes)
    (output / "constraint_violations.json").write_bytes(documents.write(document))
    return found


def _measured(
    given: Settings, config: AnalysisConfig, merged: Merged, files: tuple[Path, Analysis | None]
) -> Analysis:
    file, baseline = files
    with duckdb.connect() as connection:
        try:
            load_csv(connection, _TABLE, [str(file)], merged.columns, ())
            asked = _question(given, config, merged.columns, baseline)
            return analyze(connection, _TABLE, asked)
        except duckdb.Error as error:
            raise unreadable(error, "dataset") from error


def _question(
    given: Settings, config: AnalysisConfig, columns: Sequence[str], baseline: Analysis | None
) -> Question:
    """Ask for what the configuration names; else for what the baseline has; else after training."""
    facets = [
        Facet(column(columns, one.name_or_index, field="facet"), one.values) for one in config.facet
    ]
    group = config.group_variable
    threshold = given.probability_threshold_attribute
    before = clarify_config.metrics(config.methods.pre_training_bias, "pre_training")
    after = clarify_config.metrics(config.methods.post_training_bias, "post_training")
    if not before and not after and baseline is not None:
        before = _asked(baseline, "pre_training_bias_metrics")
        after = _asked(baseline, "post_training_bias_metrics")
    if not before and not after:
        after = tuple(names("post_training"))
    return Question(
        label=columns[-2],
        positive=config.label_values_or_threshold,
        facets=facets,
        prediction=PREDICTION,
        threshold=config.threshold if threshold is None else threshold,
        group=column(columns, group, field="group_variable") if group is not None else "",
        before=before,
        after=after,
        continuous=_continuous(baseline, columns[-2]) if baseline else {},
    )


def _asked(baseline: Analysis, stage: str) -> tuple[str, ...]:
    metrics = baseline.stages.get(stage)
    values = [one for many in metrics.facets.values() for one in many] if metrics else []
    return tuple(dict.fromkeys(metric.name for one in values for metric in one.metrics))


def _continuous(baseline: Analysis, label: str) -> dict[str, bool]:
    """Say which columns the baseline has thresholds of: a few live rows may look otherwise."""
    found = {}
    for stage in baseline.stages.values():
        found[label] = bias_report.is_interval(stage.label_value_or_threshold)
        for facet, values in stage.facets.items():
            found[facet] = any(bias_report.is_interval(one.value_or_threshold) for one in values)
    return found


def _metrics(made: Analysis) -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """Yield a datum a metric, as CloudWatch has Clarify's."""
    for stage, metrics in made.stages.items():
        for facet, values in metrics.facets.items():
            for one in values:
                dimensions = {
                    "BiasStage": _STAGES[stage],
                    "Label": metrics.label,
                    "LabelValue": metrics.label_value_or_threshold,
                    "Facet": facet,
                    "FacetValue": one.value_or_threshold,
                }
                for metric in one.metrics:
                    if isinstance(metric.value, float | int):
                        yield f"bias_metric_{metric.name}", {"Value": metric.value}, dimensions
