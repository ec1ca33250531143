"""What rows do not fulfil, in the format's own words."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clary.analysis import (
    baselines,
    checks,
    constraints,
    statistics,
    suggestions,
    violations,
)
from clary.analysis.drift import drift
from clary.analysis.profiles import Profile
from clary.analysis.profiling import of_batches
from clary.analysis.samples import Categories, of_profile
from clary.kernel.errors import InvalidInput


def check(profile, required, baseline, *, is_deequ=False):
    observed = checks.observe(profile, required, baseline, is_deequ=is_deequ)
    return (*checks.columns_off(profile, required), *checks.violated(observed))


def profiled(columns, *, mode="fast"):
    batch = pa.RecordBatch.from_pydict({name: pa.array(one) for name, one in columns.items()})
    return of_batches(batch.schema.names, [batch], mode=mode)


def checked(before, after, **options):
    """Check rows against the constraints and distributions of others."""
    baseline = profiled(before)
    required = suggestions.suggest(baseline, **options)
    return check(profiled(after), required, of_profile(baseline))


def kinds(found):
    return [(one.feature_name, one.constraint_check_type) for one in found]


def test_rows_like_the_baseline_s_fulfil_all():
    rows = {"n": [1, 2, 3] * 50, "s": ["a", "b", None] * 50}
    assert checked(rows, rows) == ()


def test_types_are_checked_value_by_value():
    (found,) = checked({"n": [1, 2, 3, 4] * 60}, {"n": ["1", "2", "3", "x"] * 60})
    assert found.constraint_check_type == "data_type_check"
    assert found.description == (
        "Data type match requirement is not met. Expected data type: Integral, "
        "Expected match: 100.0%. Observed: Only 75.0% of data is Integral."
    )
    assert found.clary == {"observed": 0.75, "required": 1.0}


@pytest.mark.parametrize(
    ("before", "after", "fits"),
    [
        ([1.5, 2.0], [1, 2], True),
        ([1, 2], [1.5, 2.0], False),
        (["a", "1"], ["a", "2"], True),
        (["a", "1"], [1, 2], False),
        ([True, False], [True, False], True),
    ],
)
def test_which_types_fit(before, after, fits):
    found = kinds(checked({"x": before}, {"x": after}))
    assert (("x", "data_type_check") not in found) is fits


def test_completeness_categories_and_signs():
    before = {"n": [1, 2] * 50, "s": ["a", "b"] * 50, "p": [0.5, 1.0] * 50}
    after = {"n": [1, None] * 50, "s": ["a", "c"] * 50, "p": [0.5, 0.5, 0.5, -1.0] * 25}
    found = {
        one.feature_name: one
        for one in checked(before, after)
        if one.constraint_check_type != "baseline_drift_check"
    }
    assert kinds(found.values()) == [
        ("n", "completeness_check"),
        ("s", "categorical_values_check"),
        ("p", "non_negative_check"),
    ]
    assert found["n"].description == "Value: 0.5 does not meet the constraint requirement! "
    assert found["s"].clary == {"observed": 0.5, "required": 1.0}
    assert found["p"].clary == {"observed": 0.75, "required": 1.0}


def test_an_empty_column_is_incomplete_and_nothing_else():
    found = checked({"n": [1, 2], "s": ["a", "a"]}, {"n": [None, None], "s": [None, None]})
    assert kinds(found) == [("n", "completeness_check"), ("s", "completeness_check")]


def test_columns_that_are_missing_or_extra():
    missing, extra = checked({"a": [1], "b": [2]}, {"a": [1], "c": [3], "d": [4]})
    assert missing.feature_name == "Missing columns"
    assert missing.clary == {"columns": ["b"]}
    assert extra.constraint_check_type == "extra_column_check"
    assert extra.clary == {"columns": ["c", "d"]}
    assert extra.description == (
        "There are extra columns in current dataset. Number of columns in current dataset: 3, "
        "Number of columns in baseline constraints: 2"
    )


def test_a_flip_of_a_binary_column_drifts():
    before = {"n": [0] * 450 + [1] * 50, "s": ["x"] * 450 + ["y"] * 50}
    after = {"n": [1] * 450 + [0] * 50, "s": ["y"] * 450 + ["x"] * 50}
    found = checked(before, after)
    assert kinds(found) == [("n", "baseline_drift_check"), ("s", "baseline_drift_check")]
    for one in found:
        assert one.description.startswith("Baseline drift distance: 0.686")
        assert one.description.endswith("exceeds threshold: 0.1")


def test_columns_of_mixed_types_are_compared_as_the_baseline_has_them():
    numbers = [str(n % 50) for n in range(400)]
    moved = [str(n % 50 + 25) for n in range(399)] + ["none"]
    found = checked({"x": list(map(int, numbers))}, {"x": moved})
    assert kinds(found) == [("x", "data_type_check"), ("x", "baseline_drift_check")]
    assert found[1].description.startswith("Baseline drift distance: 0.37")
    codes = ["07", "ab", "11"] * 100
    assert kinds(checked({"x": codes}, {"x": ["11"] * 250})) == [
        ("x", "data_type_check"),
        ("x", "baseline_drift_check"),
    ]


def test_deequ_s_way_overlooks_it():
    before, after = [0] * 450 + [1] * 50, [1] * 450 + [0] * 50
    baseline = profiled({"n": before}, mode="deequ")
    required = suggestions.suggest(baseline)
    now = profiled({"n": after}, mode="deequ")
    before = of_profile(baseline)
    assert check(now, required, before, is_deequ=True) == ()
    assert kinds(check(now, required, before)) == [("n", "baseline_drift_check")]


def test_drift_of_categories_by_chi_squared():
    before, after = ["x"] * 500 + ["y"] * 500, ["x"] * 540 + ["y"] * 460
    assert checked({"s": before}, {"s": after}) == ()
    found = checked({"s": before}, {"s": after}, categorical_drift_method="ChiSquared")
    (one,) = found
    assert one.description.startswith("Baseline drift p-value: 0.07")
    assert one.description.endswith("is below threshold: 0.1")


def test_overrides_and_switches():
    before, after = {"a": [1] * 50, "b": [1] * 50}, {"a": [9] * 50, "b": [9] * 50}
    baseline = profiled(before)
    document = suggestions.suggest(baseline)
    text = constraints.write(document).decode()
    off = '"completeness": 1.0, "monitoring_config_overrides": {"evaluate_constraints": "Disabled"}'
    required = constraints.read(text.replace('"completeness": 1.0', off, 1))
    found = check(profiled(after), required, of_profile(baseline))
    assert kinds(found) == [("b", "baseline_drift_check")]
    none = text.replace('"evaluate_constraints": "Enabled"', '"evaluate_constraints": "Disabled"')
    assert check(profiled({"z": [1]}), constraints.read(none), {}) == ()
    still = text.replace('"perform_comparison": "Enabled"', '"perform_comparison": "Disabled"')
    assert check(profiled(after), constraints.read(still), of_profile(baseline)) == ()


def test_the_baseline_is_in_its_statistics():
    draw = np.random.default_rng(21)
    rows = {"n": draw.normal(size=9_000).tolist(), "s": ["a", "b", "c"] * 3_000}
    profile = profiled(rows)
    document = statistics.read(statistics.write(baselines.baseline(profile)))
    kept = baselines.samples_of(document)
    assert kept["n"].values.tolist() == of_profile(profile)["n"].values.tolist()
    assert kept["s"] == of_profile(profile)["s"]
    assert baselines.profile_of(document).rows == 9_000


def test_a_baseline_of_another_program_has_sketches_and_categories():
    rows = {"n": [0] * 90 + [1] * 10, "s": ["a"] * 60 + ["b"] * 40}
    document = statistics.statistics(profiled(rows))
    kept = baselines.samples_of(statistics.read(statistics.write(document)))
    assert kept["n"].counts.tolist() == [90.0, 10.0]
    assert kept["s"] == Categories({"a": 60, "b": 40})


@pytest.mark.parametrize("text", ["!", "eJw=", "AAAA"])
def test_a_damaged_block_is_refused(text):
    document = statistics.read(
        b'{"version":0.0,"dataset":{"item_count":0},"features":[],"clary":{"profile":"%s"}}'
        % text.encode()
    )
    with pytest.raises(InvalidInput, match=r"statistics\.clary\.profile"):
        baselines.samples_of(document)


def test_nameless_columns_are_those_of_the_same_places():
    required = suggestions.suggest(profiled({"answer": [1], "age": [2]}))
    for names in (("_c0", "_c1", "_c2"), ("000", "001", "002")):
        now = checks.named(profiled({name: [1] for name in names}), required)
        assert [one.name for one in now.columns] == ["answer", "age", names[2]]
    named = profiled({"other": [1]})
    assert checks.named(named, required) is named
    with pytest.raises(InvalidInput, match="no features"):
        checks.named(Profile(), constraints.Constraints())


def test_significant_drifts_beyond_thresholds_of_ones_own():
    draw = np.random.default_rng(22)
    before = of_profile(profiled({"x": draw.normal(size=2_000)}))
    after = of_profile(profiled({"x": draw.normal(0.3, size=2_000)}))
    drifts = drift(before, after)
    asked = constraints.Drift(
        thresholds={"population_stability_index": 0.05, "kolmogorov_smirnov": 0.9}
    )
    document = constraints.Constraints(clary=constraints.Extra(drift=asked))
    (found,) = checks.drifted(drifts, document)
    assert found.clary["metric"] == "population_stability_index"
    assert found.clary["observed"] > 0.05
    assert list(checks.drifted(drifts, constraints.Constraints())) == []


CELLS = st.one_of(
    st.none(),
    st.integers(-3, 3).map(str),
    st.floats().map(repr),
    st.sampled_from(["a", "b", "true", "", "NaN", "1e999"]),
    st.text(max_size=3),
)
COLUMNS = st.integers(1, 40).flatmap(
    lambda rows: st.dictionaries(
        st.text(min_size=1, max_size=3),
        st.lists(CELLS, min_size=rows, max_size=rows),
        min_size=1,
        max_size=3,
    )
)


@example({"x": ["1e999"]}, "deequ", "LInfinity")
@settings(deadline=None)
@given(COLUMNS, st.sampled_from(["fast", "deequ"]), st.sampled_from(["LInfinity", "ChiSquared"]))
def test_any_rows_fulfil_what_they_suggest(columns, mode, method):
    batch = pa.RecordBatch.from_pydict(
        {name: pa.array(cells, pa.string()) for name, cells in columns.items()}
    )
    profile = of_batches(batch.schema.names, [batch], mode=mode)
    document = statistics.read(statistics.write(baselines.baseline(profile)))
    required = suggestions.suggest(profile, categorical_drift_method=method)
    required = constraints.read(constraints.write(required))
    kept = baselines.samples_of(document)
    assert check(profile, required, kept, is_deequ=mode == "deequ") == ()
    assert not any(one.is_significant for one in drift(kept, of_profile(profile, kept)))


@settings(deadline=None)
@given(COLUMNS, COLUMNS)
def test_any_two_tables_can_be_compared(before, after):
    profiles = []
    for columns in (before, after):
        cells = {name: pa.array(one, pa.string()) for name, one in columns.items()}
        batch = pa.RecordBatch.from_pydict(cells)
        profiles.append(of_batches(batch.schema.names, [batch]))
    required = suggestions.suggest(profiles[0])
    kept = of_profile(profiles[0])
    found = check(checks.named(profiles[1], required), required, kept)
    assert all(np.isfinite(one.p_value) for one in drift(kept, of_profile(profiles[1], kept)))
    document = violations.Violations(violations=found)
    assert violations.read(violations.write(document)) == document
