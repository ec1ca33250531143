"""Values of any shape as labels, classes and numbers."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.analysis.outcomes import Outcomes, class_names, measure, numbers, texts, truths, vector
from clary.kernel.errors import InvalidInput

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(JSON, min_size=1, max_size=10), st.lists(JSON, min_size=1, max_size=10))
def test_whatever_was_captured_is_measured_or_refused_in_words(labels, answers):
    rows = min(len(labels), len(answers))
    outcomes = Outcomes(labels[:rows], answers[:rows], answers[:rows])
    for problem in ("Regression", "BinaryClassification", "MulticlassClassification"):
        with suppress(InvalidInput):
            quality = measure(problem, outcomes)
            assert quality.rows + quality.extra.get("rows_left_out", 0) == rows


@pytest.mark.parametrize("value", [10**400, "9" * 5000, "1e999", [1, 2], {}, "nan", None])
def test_what_is_no_number_is_no_class_of_numbers_either(value):
    assert not np.isfinite(numbers([value])[0])
    assert truths([value])[0] == -1
    assert texts([value]) in ([None], ["9" * 5000], ["1e999"])


def test_arrays_are_read_as_lists_are():
    for array in (np.array([0, 1, 2]), np.array([0.0, 1.0, np.nan]), np.array([False, True])):
        assert truths(array).tolist() == truths(array.tolist()).tolist()
        assert numbers(array).tolist()[:2] == [0.0, 1.0]
        assert texts(array)[:2] in (["0", "1"], ["False", "True"])


def test_classes_of_probabilities_are_their_places():
    quality = measure(
        "MulticlassClassification", Outcomes([2, 0, 1], None, ["[0.1,0.2,0.7]", [0.9, 0.1, 0], "x"])
    )
    assert quality.members["confusion_matrix"] == {"0": {"0": 1, "2": 0}, "2": {"0": 0, "2": 1}}
    assert quality.extra == {"rows_left_out": 1}
    assert vector([0.5]).tolist() == []
    assert class_names(["2", "10", "x"]) == ["2", "10", "x"]


def test_thresholds_and_what_is_missing():
    outcomes = Outcomes([0, 1, 1], None, [0.2, 0.6, 0.7])
    recalls = [
        measure("BinaryClassification", outcomes, threshold=at).metrics["recall"].value
        for at in (0.5, 0.6, 0.9)
    ]
    assert recalls == [1.0, 0.5, 0.0]
    for problem in ("Regression", "BinaryClassification", "MulticlassClassification"):
        with pytest.raises(InvalidInput, match="is missing"):
            measure(problem, Outcomes([1]))
