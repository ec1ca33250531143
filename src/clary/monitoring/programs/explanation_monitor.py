"""Attribution on live data: what features contribute now, held against a baseline."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from clary.analysis import bias_report
from clary.analysis.attribution_check import global_values
from clary.analysis.captures import Faults
from clary.monitoring.programs import measurements
from clary.monitoring.programs.bias_monitor import check, read_baseline
from clary.monitoring.programs.explanations import of_rows
from clary.monitoring.programs.live_rows import Settings, features_of
from clary.monitoring.programs.settings import placed, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clary.analysis.bias_report import Analysis
    from clary.analysis.violations import Violation
    from clary.monitoring.programs.clarify_config import AnalysisConfig

_FILE = "explainability.jsonl"
_MOST_ROWS = 2_000
"""How many live rows are explained, evenly taken from more: means are known to a few percent."""


def run(environment: Mapping[str, str], config: AnalysisConfig, ml: Path) -> tuple[Violation, ...]:
    """Explain live rows, write analysis.json and, against a baseline, the violations.

    Raises
    ------
    ClaryError
        Settings, configuration or baseline are not legal, or the model does not answer.
    """
    given = read(environment, Settings)
    output = placed(given.output_path, ml)
    output.mkdir(parents=True, exist_ok=True)
    baseline = read_baseline(given.baseline_constraints, ml)
    faults = Faults()
    rows, features = features_of(given, config, ml, faults)
    notes: dict[str, Any] = {"rows": len(rows), "unreadable_lines": faults.count}
    if faults.named:
        notes["unreadable"] = faults.named
    made = bias_report.Analysis(clary={"live": notes})
    if len(rows) > _MOST_ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, _MOST_ROWS).astype(int)]
    if len(rows):
        with TemporaryDirectory() as scratch:
            found = of_rows(rows, features, config, (Path(scratch), output))
        made = bias_report.Analysis(
            explanations=found.explanations, clary={"live": notes, **found.clary}
        )
    (output / bias_report.FILE).write_bytes(bias_report.write(made))
    if given.publishes_metrics:
        at = given.metric_time or given.start_time
        measurements.put(_metrics(made), ml / measurements.FOLDER / _FILE, at)
    if baseline is None or not len(rows):
        return ()
    return check(baseline, made, output, needs_certainty=True)


def _metrics(made: Analysis) -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """Yield a datum a feature and label, as CloudWatch has Clarify's."""
    of = {"ExplainabilityMethod": "KernelShap", "ValueType": "GlobalShapValues"}
    for label, values in global_values(made).items():
        for feature, value in values.items():
            yield f"feature_attribution_{feature}", {"Value": value}, {**of, "Label": label}
