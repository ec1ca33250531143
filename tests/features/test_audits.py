from __future__ import annotations

import math

import pytest

from clary.adapters.fact_files import FactFiles
from clary.features.audits import aggregates, compare, consistent, drawn
from clary.features.fact_queries import FactQueries
from clary.features.fact_sources import LoggedSource
from clary.features.facts import Fact, encode, table
from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref

OF = Ref("123456789012", "us-east-1", "facts", "clicks")


def test_aggregates_are_by_time_and_name():
    values = [1, 3.0, None, math.nan, True, "x"]
    facts = [Fact("e", at, at, {"a": value}) for at, value in enumerate(values)]
    facts.append(Fact("e", 5, 5, {"b": 2}))
    facts.append(Fact("e", 10, 10, {"a": 7}))
    first, b, last = aggregates(facts, every_us=10)
    assert (first.start_us, first.name, first.count, first.missing) == (0, "a", 7, 2)
    assert (first.not_finite, first.smallest, first.largest) == (1, 1.0, 3.0)
    assert first.mean == pytest.approx(5 / 3)
    assert first.types == ["bool", "float", "int", "str"]
    assert (b.name, b.count, b.missing) == ("b", 7, 6)
    assert (last.start_us, last.mean) == (10, 7.0)
    with pytest.raises(InvalidInput, match="0 is no length"):
        aggregates(facts, every_us=0)


def test_consistent_samples_hold_whole_entities():
    facts = [Fact(f"e{at % 1000}", at, at, {}) for at in range(3_000)]
    some = list(consistent(facts, 0.2))
    entities = {fact.entity for fact in some}
    assert 150 < len(entities) < 250
    assert len(some) == 3 * len(entities)
    assert entities == {fact.entity for fact in consistent(reversed(facts), 0.2)}
    assert entities < {fact.entity for fact in consistent(facts, 0.5)}
    assert entities != {fact.entity for fact in consistent(facts, 0.2, salt="other")}
    assert list(consistent(facts, 0)) == []
    assert list(consistent(facts, 1)) == facts
    with pytest.raises(InvalidInput, match="no share"):
        consistent(facts, 1.5)


def test_random_samples_are_even_and_repeat():
    facts = [Fact("e", at, at, {}) for at in range(1_000)]
    found = [fact.event_us for fact in drawn(facts, 200, seed=3)]
    assert found == sorted(set(found))
    assert found == [fact.event_us for fact in drawn(facts, 200, seed=3)]
    assert 60 < sum(at >= 500 for at in found) < 140
    assert drawn(facts[:5], 10) == facts[:5]
    with pytest.raises(InvalidInput, match="out of bounds"):
        drawn(facts, 0)


def test_samples_are_compared_with_the_source(tmp_path):
    store = FactFiles(tmp_path)
    history = [Fact("e", 10, 10, {"a": 1, "b": 1}), Fact("e", 15, 99, {"a": 2, "b": 1})]
    store.append(table(OF), [encode(fact) for fact in history])
    used = [Fact("e", 12, 12, {"a": 1, "b": 3}), Fact("e", 20, 20, {"a": 1, "b": 1})]
    source = LoggedSource(FactQueries(store), OF, ["a", "b"])
    a, b = compare(used, source)
    assert (a.name, a.compared, a.different, a.late) == ("a", 2, 0, 1)
    assert (b.name, b.compared, b.different, b.late) == ("b", 2, 1, 0)
