"""Attributions of two analysis.json held against each other: the baseline's, and those of now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from clary.analysis import attribution_drift
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.analysis.attribution_drift import Shift
    from clary.analysis.bias_report import Analysis
    from clary.analysis.violations import Violation

METHOD = "kernel_shap"


def check(baseline: Analysis, made: Analysis) -> tuple[Violation, ...]:
    """Hold attributions against a baseline's, label by label; none where it has none.

    Raises
    ------
    InvalidInput
        The baseline is of other labels or features.
    """
    before, after = (global_values(one) for one in (baseline, made))
    if not before:
        return ()
    if before.keys() != after.keys():
        problem = f"is of the labels {', '.join(before)}; the model has {', '.join(after)}"
        raise InvalidInput("baseline_constraints", problem)
    return tuple(
        msgspec.structs.replace(one, clary={"label": label, **(one.clary or {})})
        for label, sizes in after.items()
        for one in attribution_drift.check(before[label], sizes, _shift(baseline, made, label))
    )


def global_values(analysis: Analysis) -> dict[str, dict[str, float]]:
    """Read by label what each feature contributes over all rows; empty where nothing was."""
    if analysis.explanations is msgspec.UNSET:
        return {}
    labels = analysis.explanations.get(METHOD, {})
    return {label: dict(one["global_shap_values"]) for label, one in labels.items()}


def _shift(baseline: Analysis, made: Analysis, label: str) -> Shift | None:
    """Test the sizes of single rows, where both documents kept them in the same unit."""
    kept = []
    for analysis in (baseline, made):
        if analysis.clary is msgspec.UNSET or "attribution" not in analysis.clary:
            return None
        kept.append(analysis.clary["attribution"])
    names, before, after = kept[0]["features"], kept[0]["samples"], kept[1]["samples"]
    is_same = all(kept[0][one] == kept[1][one] for one in ("features", "method", "scale"))
    if not is_same or label not in before or label not in after:
        return None
    sides = [np.array(one[label], np.float64).reshape(-1, len(names)) for one in (before, after)]
    return attribution_drift.shift(sides[0], sides[1], tuple(names))
