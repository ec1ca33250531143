"""Bias measured by the unmodified SDK, in jobs of the Clarify image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SDK = Path(__file__).parent / "sdk"
EXAMPLES = Path(__file__).parents[3] / "shared/examples/monitoring"


def test_before_training(sdk):
    data = EXAMPLES / "pipeline__clarify_check_step__dataset.csv"
    if not data.exists():
        pytest.skip("needs the recorded examples")
    done = sdk(str(SDK / "bias.py"), str(data))
    assert done.returncode == 0, done.stdout + done.stderr
    said = [one for one in done.stdout.splitlines() if one.startswith("ANALYSIS ")]
    found = json.loads(said[0].removeprefix("ANALYSIS "))
    recorded = EXAMPLES / "pipeline__clarify_check_step__data_bias__good_cases__analysis.json"
    wanted = json.loads(recorded.read_text("utf-8"))["pre_training_bias_metrics"]
    ours = found["pre_training_bias_metrics"]
    assert (ours["label"], ours["label_value_or_threshold"]) == ("Label", "1")
    (facet,) = ours["facets"]["F1"]
    assert facet["value_or_threshold"] == wanted["facets"]["F1"][0]["value_or_threshold"]
    for metric, theirs in zip(facet["metrics"], wanted["facets"]["F1"][0]["metrics"], strict=True):
        assert (metric["name"], metric["description"]) == (theirs["name"], theirs["description"])
        assert metric["value"] == pytest.approx(theirs["value"], abs=1e-6)
