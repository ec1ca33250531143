"""The report's sections on attribution."""

from __future__ import annotations

from clary.analysis.bias_page import page
from clary.analysis.bias_report import Analysis
from clary.analysis.explanation_page import sections

EXPLAINED = {
    "kernel_shap": {
        "label0": {
            "global_shap_values": {"age": 0.1, "<i>": 0.4, **{f"f{n}": 0.01 for n in range(40)}},
            "expected_value": 0.25,
        }
    },
    "pdp": [
        {
            "feature_name": "age",
            "feature_values": [20.0, 30.0, 40.0],
            "data_distribution": [0.2, 0.5, 0.3],
            "model_predictions": [[0.1, 0.2, 0.4]],
        },
        {"feature_name": "city", "feature_values": ["x&y"], "model_predictions": [[0.3]]},
    ],
}


def test_features_come_by_how_much_they_move():
    text = sections(Analysis(explanations=EXPLAINED))
    assert text.index("&lt;i&gt;") < text.index("<td>age</td>") < text.index("<td>f0</td>")
    assert "<td>f39</td>" not in text
    assert "12 more move less" in text
    assert "Predictions by age" in text
    assert "from 20 to 40" in text
    assert "x&amp;y" in text
    assert text in page(Analysis(explanations=EXPLAINED), more=text)


def test_nothing_explained_is_no_section():
    assert sections(Analysis()) == ""
