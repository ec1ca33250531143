"""Studies by Optuna: within the ranges, the same again, and refused without Optuna."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.adapters.optuna_studies import OptunaStudies
from clary.kernel.errors import NotSupported
from clary.tuning.ranges import Choices, Integers, Reals, drawn

RANGES = [
    Integers("depth", 1, 9),
    Integers("width", 1, 4096, "Logarithmic"),
    Integers("fixed", 3, 3),
    Reals("eta", -1.0, 1.0),
    Reals("alpha", 1e-6, 10.0, "Logarithmic"),
    Reals("momentum", 0.0, 0.999, "ReverseLogarithmic"),
    Choices("booster", ("tree", "line")),
]


def open_study(sampling="Bayesian", *, maximize=False, seed=1, ranges=RANGES):
    return OptunaStudies().open(ranges, sampling, maximize=maximize, seed=seed)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["Bayesian", "Random"]))
def test_every_proposal_lies_within_the_ranges(seed, sampling):
    study = open_study(sampling, seed=seed)
    for number in range(14):
        values = study.ask(number)
        assert drawn(RANGES, values) is not None, values
        study.tell(number, float(values["eta"]) if number % 3 else None)


def test_the_reverse_scale_looks_closest_at_what_is_near_one():
    study = open_study("Random", ranges=[Reals("momentum", 0.0, 0.999, "ReverseLogarithmic")])
    values = [float(study.ask(number)["momentum"]) for number in range(300)]
    assert 60 <= sum(value >= 0.99 for value in values) <= 140  # a third of the decades


@pytest.mark.parametrize("sampling", ["Bayesian", "Random"])
def test_a_study_that_is_told_the_same_proposes_the_same(sampling):
    first = open_study(sampling)
    told = []
    for number in range(25):
        values = first.ask(number)
        told.append((values, float(values["eta"]) ** 2))
        first.tell(number, told[-1][1])
    other = open_study(sampling)
    for number, (values, value) in enumerate(told):
        other.add(number, values)
        other.tell(number, value)
    assert other.ask(25) == first.ask(25)
    assert open_study(sampling, seed=2).ask(25) != open_study(sampling).ask(25)


def test_it_finds_the_greatest_or_the_least():
    for maximize in (True, False):
        study = open_study(maximize=maximize, ranges=[Reals("eta", -1.0, 1.0)])
        tried = []
        for number in range(40):
            tried.append(float(study.ask(number)["eta"]))
            study.tell(number, tried[-1])
        mean = sum(tried[-10:]) / 10
        assert mean > 0.5 if maximize else mean < -0.5


def test_values_outside_the_ranges_are_left_out():
    study = open_study(ranges=[Reals("eta", 0.0, 1.0)])
    study.add(-1, {"eta": "7"})
    study.add(-2, {})
    study.tell(-1, 0.0)
    study.tell(-2, None)
    assert 0 <= float(study.ask(0)["eta"]) <= 1


def test_without_optuna_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(NotSupported, match="needs Optuna") as caught:
        OptunaStudies().require()
    assert "clary[tuning]" in caught.value.hint
