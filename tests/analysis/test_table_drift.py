"""Drift from all rows: equal to SciPy's, and close to that of profiles."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy import stats

from clary.analysis.drift import drift
from clary.analysis.profiling import profile
from clary.analysis.samples import of_profile
from clary.analysis.table_drift import table_drift
from clary.analysis.tables import open_table

ROWS = 30_000


def columns(draw, shift):
    return {
        "normal": pa.array(draw.normal(shift, 1, ROWS), mask=draw.random(ROWS) < 0.1),
        "count": pa.array(draw.poisson(3 + 3 * shift, ROWS)),
        "plan": pa.array(draw.choice(["a", "b", "c"], ROWS, p=[0.5, 0.3 + shift, 0.2 - shift])),
        "sku": pa.array(np.char.add("s", draw.integers(0, 20_000, ROWS).astype(str))),
        "none": pa.nulls(ROWS, pa.float64()),
    }


@pytest.fixture
def both(tmp_path):
    draw = np.random.default_rng(31)
    files = []
    for name, shift in (("before", 0.0), ("now", 0.05)):
        files.append(tmp_path / f"{name}.parquet")
        extra = {"only": pa.array(np.arange(ROWS))} if name == "now" else {}
        parquet.write_table(pa.table(columns(draw, shift) | extra), files[-1])
    return files


def test_the_numbers_are_scipys(both):
    with open_table(both[0]) as before, open_table(both[1]) as now:
        found = {one.name: one for one in table_drift(before, now)}
    assert list(found) == ["normal", "count", "plan", "sku"]
    for name in ("normal", "count"):
        a, b = (parquet.read_table(file).column(name).drop_null().to_numpy() for file in both)
        expected = stats.ks_2samp(a, b, method="asymp")
        metrics = found[name].metrics
        assert metrics["kolmogorov_smirnov"] == pytest.approx(expected.statistic, abs=1e-13)
        assert metrics["wasserstein"] == pytest.approx(stats.wasserstein_distance(a, b))
        assert found[name].p_value == pytest.approx(expected.pvalue, abs=1e-4)
    assert [one.is_significant for one in found.values()] == [True, True, True, False]


def test_profiles_come_close(both):
    with open_table(both[0]) as before, open_table(both[1]) as now:
        exact = {one.name: one for one in table_drift(before, now)}
        profiles = [of_profile(profile(one)) for one in (before, now)]
    for one in drift(*profiles):
        assert one.is_significant == exact[one.name].is_significant, one.name
        for name, value in one.metrics.items():
            if name != "chi_squared" and one.name != "sku":
                assert value == pytest.approx(exact[one.name].metrics[name], abs=0.006), one.name
