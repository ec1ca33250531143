"""The program of the image ``sagemaker-clarify-processing``: settings in analysis_config.json."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from clary.analysis import bias_report
from clary.analysis.bias import Facet, Question, analyze
from clary.analysis.bias_page import page
from clary.analysis.explanation_page import sections
from clary.analysis.violations import exit_message
from clary.kernel.codec import from_json
from clary.kernel.errors import ClaryError, InvalidInput, NotFound
from clary.monitoring.programs import (
    bias_monitor,
    clarify_config,
    explanation_monitor,
    explanations,
)
from clary.monitoring.programs.clarify_dataset import opened
from clary.monitoring.programs.clarify_joins import complete, predicted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.analysis.bias_report import Analysis
    from clary.analysis.violations import Violation
    from clary.monitoring.programs.clarify_config import AnalysisConfig
    from clary.monitoring.programs.clarify_dataset import Dataset

CONFIG = "analysis_config.json"
_MOST_CONFIG_BYTES = 64 << 20


def run(environment: Mapping[str, str], ml: Path) -> str:
    """Do what the configuration asks, and return the job's last words.

    Parameters
    ----------
    environment
        What the job was told: an execution of a schedule names its analysis there, and a check
        step its baseline and its model.
    ml
        What the job's ``/opt/ml`` is.

    Raises
    ------
    ClaryError
        It cannot be done; says why.
    """
    config = clarify_config.read(_document(ml / "processing/input/config"))
    config = config.asking(environment.get("sagemaker_model_name", ""))
    analysis = environment.get("analysis_type", "")
    if analysis == "MODEL_BIAS":
        return exit_message(len(bias_monitor.run(environment, config, ml)))
    if analysis == "MODEL_EXPLAINABILITY":
        return exit_message(len(explanation_monitor.run(environment, config, ml)))
    if analysis:
        legal = "MODEL_BIAS or MODEL_EXPLAINABILITY"
        raise InvalidInput("analysis_type", f"{analysis!r} is unknown", legal=legal)
    output = ml / "processing/output"
    output.mkdir(parents=True, exist_ok=True)
    made = _made(config, ml, output)
    (output / bias_report.FILE).write_bytes(bias_report.write(made))
    baseline = bias_monitor.read_baseline(environment.get("baseline_constraints", ""), ml)
    found: tuple[Violation, ...] = ()
    if baseline is not None:
        found = bias_monitor.check(baseline, made, output, needs_certainty=False)
    if report := config.methods.report:
        file = output / f"{report.file}.html"
        text = page(made, title=report.title, violations=found, more=sections(made))
        file.write_text(text, "utf-8")
    return exit_message(len(found))


def _made(config: AnalysisConfig, ml: Path, output: Path) -> Analysis:
    methods, made = config.methods, bias_report.Analysis()
    with opened(ml / "processing/input/data", config) as data:
        dataset = complete(data, config)
        if methods.post_training_bias and not dataset.prediction:
            dataset = predicted(dataset, config)
        if methods.pre_training_bias or methods.post_training_bias:
            made = analyze(dataset.connection, dataset.table, question(config, dataset))
        if methods.shap is not None or methods.pdp is not None:
            found = explanations.explain(dataset, config, output)
            made = msgspec.structs.replace(
                made, explanations=found.explanations, clary=found.clary or msgspec.UNSET
            )
    return made


def question(config: AnalysisConfig, dataset: Dataset) -> Question:
    """Ask of a dataset what the configuration asks.

    Raises
    ------
    InvalidInput
        A member that bias needs is missing, or names no column.
    """
    if not dataset.label:
        raise InvalidInput("label", "is missing: which column has the outcomes?")
    facets = [
        Facet(dataset.column(one.name_or_index, field="facet"), one.values) for one in config.facet
    ]
    return Question(
        label=dataset.label,
        positive=config.label_values_or_threshold,
        facets=facets,
        prediction=dataset.prediction,
        threshold=config.threshold,
        group=dataset.group,
        before=clarify_config.metrics(config.methods.pre_training_bias, "pre_training"),
        after=clarify_config.metrics(config.methods.post_training_bias, "post_training"),
        ignored=[dataset.join] if dataset.join else [],
    )


def _document(folder: Path) -> object:
    found = sorted(one for one in folder.glob("*") if one.is_file()) if folder.is_dir() else []
    file = folder / CONFIG
    if not file.is_file() and len(found) == 1:
        (file,) = found
    if not file.is_file():
        raise NotFound(f"{CONFIG} in the input of the configuration")
    if file.stat().st_size > _MOST_CONFIG_BYTES:
        raise InvalidInput(CONFIG, "is too large", legal=f"{_MOST_CONFIG_BYTES >> 20} MiB")
    return from_json(file.read_bytes(), field=CONFIG)


def main() -> int:
    """Run the methods that the configuration names; 1 when they cannot be."""
    ml = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    try:
        said, code = run(os.environ, ml), 0
    except ClaryError as error:
        said, code = f"ClientError: {error}", 1
    sys.stdout.write(f"{said}\n")
    message = ml / "output/message"
    message.parent.mkdir(parents=True, exist_ok=True)
    message.write_text(said, "utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
