"""What every ``MetricStore`` does."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from clary.experiments.ports import Point
from clary.kernel.errors import LimitExceeded

if TYPE_CHECKING:
    from clary.experiments.ports import MetricStore

AT = datetime(2026, 1, 2, tzinfo=UTC)


def point(value: float, step: int | None = None, *, name: str = "loss", s: float = 0) -> Point:
    """Make a point, ``s`` seconds after ``AT``."""
    return Point(name, value, AT + timedelta(seconds=s), step)


class MetricStoreContract:
    """Subclass it with a fixture ``store`` that gives an empty store."""

    def test_points_come_back_as_they_arrived(self, store: MetricStore) -> None:
        given = [point(3.0, 2, s=1.5), point(1.0), point(2.0, 1, s=9)]
        store.append("run", given[:1])
        store.append("run", given[1:])
        store.append("other", [point(7.0)])
        assert list(store.points("run", "loss")) == given
        assert list(store.points("run", "none")) == []
        assert list(store.points("nobody", "loss")) == []

    def test_points_come_in_the_order_asked_for(self, store: MetricStore) -> None:
        given = [point(3.0, 2, s=1), point(1.0, s=2), point(2.0, 1, s=9), point(4.0, 1, s=0)]
        store.append("run", given)
        by_step = [one.value for one in store.points("run", "loss", order="step")]
        assert by_step == [2.0, 4.0, 3.0]
        by_time = [one.value for one in store.points("run", "loss", order="time")]
        assert by_time == [4.0, 3.0, 1.0, 2.0]

    def test_bounds_are_inclusive(self, store: MetricStore) -> None:
        store.append("run", [point(float(n), n, s=n) for n in range(6)])
        some = store.points("run", "loss", order="step", start=2, end=3)
        assert [one.step for one in some] == [2, 3]
        second = int(AT.timestamp() * 1_000_000) + 4_000_000
        some = store.points("run", "loss", order="time", start=second)
        assert [one.step for one in some] == [4, 5]
        assert [one.step for one in store.points("run", "loss", end=0)] == [0]
        assert len(list(store.points("run", "loss", start=-(10**30), end=10**30))) == 6

    def test_summaries(self, store: MetricStore) -> None:
        store.append("run", [point(1.0, 0, s=1), point(3.0, 1, s=2), point(8.0, name="acc")])
        store.append("run", [point(2.0, 5, s=0)])
        found = store.summaries(["run", "nobody"])
        assert list(found) == ["run"]
        acc, loss = found["run"]
        assert (acc.name, loss.name) == ("acc", "loss")
        assert (loss.count, loss.minimum, loss.maximum, loss.mean) == (3, 1.0, 3.0, 2.0)
        assert math.isclose(loss.deviation, math.sqrt(2 / 3))
        assert (loss.last, loss.last_step, loss.last_at) == (3.0, 1, AT + timedelta(seconds=2))

    def test_of_equal_times_the_later_step_is_last(self, store: MetricStore) -> None:
        store.append("run", [point(1.0, 2), point(2.0, 1), point(3.0)])
        assert store.summaries(["run"])["run"][0].last == 1.0
        store.append("run", [point(4.0, 2)])
        assert store.summaries(["run"])["run"][0].last == 4.0

    def test_what_is_no_number_is_kept(self, store: MetricStore) -> None:
        store.append("run", [point(2.0), point(math.nan), point(math.inf)])
        values = [one.value for one in store.points("run", "loss")]
        assert values[0] == 2.0
        assert math.isnan(values[1])
        assert values[2] == math.inf
        summary = store.summaries(["run"])["run"][0]
        assert (summary.count, summary.minimum, summary.maximum) == (3, 2.0, math.inf)
        assert math.isnan(summary.mean)
        assert math.isnan(summary.deviation)
        store.append("none", [point(math.nan)])
        assert math.isnan(store.summaries(["none"])["none"][0].minimum)

    def test_replacing_again_changes_nothing(self, store: MetricStore) -> None:
        store.append("run", [point(9.0), point(5.0, name="acc")])
        for _ in range(2):
            store.replace("run", [point(1.0, 0), point(2.0, 1)])
        assert [one.value for one in store.points("run", "loss")] == [1.0, 2.0]
        assert [one.value for one in store.points("run", "acc")] == [5.0]
        assert store.summaries(["run"])["run"][1].count == 2

    def test_what_is_forgotten_is_gone(self, store: MetricStore) -> None:
        store.append("run", [point(1.0)])
        store.append("other", [point(2.0)])
        store.forget("run")
        store.forget("nobody")
        assert list(store.points("run", "loss")) == []
        assert list(store.summaries(["run", "other"])) == ["other"]

    def test_too_many_series_are_refused_whole(self, store: MetricStore) -> None:
        many = [point(1.0, name=f"m{n}") for n in range(2_000)]
        store.append("run", many)
        with pytest.raises(LimitExceeded, match="2000 metrics"):
            store.append("run", [point(1.0, name="m0"), point(1.0, name="one more")])
        assert len(list(store.points("run", "m0"))) == 1
        with pytest.raises(LimitExceeded):
            store.append("other", [*many, point(1.0)])
        assert store.summaries(["other"]) == {}
