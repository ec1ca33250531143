"""What every ``SeriesStore`` does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from clary.kernel.clock import now
from clary.metrics.model import FINEST_S, KEPT_S, Metric, Slot, Tally
from clary.metrics.ports import Selection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.metrics.ports import SeriesStore

METRIC = Metric("123456789012", "us-east-1", "Mine", "loss", (("a", "1"), ("b", "2")), "Count")
EVER = 1 << 40


def hour() -> int:
    """Return when the last whole hour began."""
    return int(now().timestamp()) // 3600 * 3600 - 3600


def slot(at: int, *values: float, metric: Metric = METRIC) -> Slot:
    """Make a slot of values."""
    tally = Tally()
    for value in values:
        tally.add(value)
    return Slot(metric, at, tally)


def selection(**wanted: object) -> Selection:
    """Select in the account and region of ``METRIC``."""
    return replace(Selection(METRIC.account, METRIC.region), **wanted)  # type: ignore[arg-type]


def names(metrics: Sequence[Metric]) -> list[str]:
    """Name metrics."""
    return [one.name for one in metrics]


class SeriesStoreContract:
    """Subclass it with a fixture ``store`` that gives an empty store."""

    def test_slots_add_up_at_every_length(self, store: SeriesStore) -> None:
        begins = hour()
        store.add([slot(begins, 1.0, 2.0), slot(begins + 10, 4.0), slot(begins + 60, 8.0)])
        store.add([slot(begins + 10, -1.0, 0.0)])
        found = {
            length: store.read(METRIC, length_s=length, start=begins, end=begins + 3600)
            for length in KEPT_S
        }
        assert [one.at - begins for one in found[10]] == [0, 10, 60]
        assert [one.at - begins for one in found[60]] == [0, 60]
        assert [one.at - begins for one in found[3600]] == [0]
        (whole,) = found[3600]
        assert whole.metric == METRIC
        assert whole.tally == slot(begins, 1.0, 2.0, 4.0, 8.0, -1.0, 0.0).tally
        assert found[10][1].tally == slot(begins, 4.0, -1.0, 0.0).tally

    def test_bounds_include_the_start_only(self, store: SeriesStore) -> None:
        begins = hour()
        store.add([slot(begins + n * 10, float(n)) for n in range(4)])
        found = store.read(METRIC, length_s=10, start=begins + 10, end=begins + 30)
        assert [one.at - begins for one in found] == [10, 20]

    def test_metrics_differ_in_every_part_of_their_name(self, store: SeriesStore) -> None:
        begins = hour()
        others = [
            replace(METRIC, account="210987654321"),
            replace(METRIC, region="eu-west-1"),
            replace(METRIC, namespace="Other"),
            replace(METRIC, name="gain"),
            replace(METRIC, dimensions=(("a", "1"),)),
            replace(METRIC, dimensions=(("a", "1"), ("b", "3"))),
        ]
        store.add([slot(begins, 1.0, metric=one) for one in others])
        assert not store.read(METRIC, length_s=60, start=0, end=EVER)
        for one in others:
            (found,) = store.read(one, length_s=60, start=0, end=EVER)
            assert found.metric == one

    def test_units_are_read_one_or_all(self, store: SeriesStore) -> None:
        begins = hour()
        seconds = replace(METRIC, unit="Seconds")
        store.add([slot(begins, 1.0), slot(begins, 2.0, metric=seconds)])
        (found,) = store.read(seconds, length_s=60, start=0, end=EVER)
        assert found.tally.total == 2.0
        both = store.read(replace(METRIC, unit=""), length_s=60, start=0, end=EVER)
        assert [one.metric.unit for one in both] == ["Count", "Seconds"]

    def test_what_is_older_than_a_length_is_kept_is_not_kept_so(self, store: SeriesStore) -> None:
        old = hour() - KEPT_S[FINEST_S]
        store.add([slot(old, 1.0)])
        counts = {
            length: len(store.read(METRIC, length_s=length, start=0, end=EVER)) for length in KEPT_S
        }
        assert counts == {10: 0, 60: 1, 3600: 1}

    def test_pruning_removes_what_is_no_longer_kept(self, store: SeriesStore) -> None:
        begins = hour()
        store.add([slot(begins, 1.0)])
        store.prune(begins + KEPT_S[10] + 11)
        assert not store.read(METRIC, length_s=10, start=0, end=EVER)
        assert store.read(METRIC, length_s=60, start=0, end=EVER)
        assert store.list(selection())
        store.prune(begins + KEPT_S[3600] + 3601)
        assert not store.read(METRIC, length_s=3600, start=0, end=EVER)
        assert not store.list(selection())

    def test_metrics_are_listed_in_order_and_by_page(self, store: SeriesStore) -> None:
        begins = hour()
        every = [replace(METRIC, name=f"m{n}") for n in range(5)]
        store.add([slot(begins, 1.0, metric=one) for one in every[::-1]])
        assert store.list(selection()) == every
        assert store.list(selection(limit=2)) == every[:2]
        assert store.list(selection(limit=2, after=every[1])) == every[2:4]
        assert store.list(selection(account="210987654321")) == []

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ({"namespace": "Mine"}, ["gain", "loss", "loss"]),
            ({"name": "loss"}, ["loss", "loss"]),
            ({"namespace": "Other"}, []),
            ({"dimensions": {"a": None}}, ["gain", "loss"]),
            ({"dimensions": {"a": "1"}}, ["loss"]),
            ({"dimensions": {"a": "1", "b": None}}, ["loss"]),
            ({"dimensions": {"a": "1", "c": None}}, []),
            ({"dimensions": {"A": "1"}}, []),
        ],
    )
    def test_lists_are_filtered(
        self, store: SeriesStore, wanted: dict[str, object], found: list[str]
    ) -> None:
        begins = hour()
        gain = replace(METRIC, name="gain", dimensions=(("a", "x"),))
        bare = replace(METRIC, dimensions=())
        store.add([slot(begins, 1.0, metric=one) for one in (METRIC, gain, bare)])
        assert names(store.list(selection(**wanted))) == found

    def test_lists_leave_out_what_is_idle(self, store: SeriesStore) -> None:
        begins = hour()
        store.add([slot(begins, 1.0), slot(begins - 100, 1.0, metric=replace(METRIC, name="old"))])
        assert names(store.list(selection(active_since=begins))) == ["loss"]
        store.add([slot(begins - 200, 1.0)])
        assert names(store.list(selection(active_since=begins))) == ["loss"]
