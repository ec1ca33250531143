"""What was served is what batch computes, or the report says why it is not."""

from __future__ import annotations

import math
import random
from collections import Counter
from contextlib import suppress

import pytest

from clary.adapters.duckdb_replay import DuckBatch
from clary.adapters.duckdb_session import DuckDB
from clary.adapters.fact_files import FactFiles
from clary.expressions import BIGINT, DOUBLE, VARCHAR, Type
from clary.features.fact_queries import FactQueries, Wanted
from clary.features.fact_sources import LoggedSource
from clary.features.facts import Fact, encode, table
from clary.features.replay import define, replay
from clary.features.skew import Skew, same
from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref

VIEW = Ref("123456789012", "us-east-1", "feature-view", "risk")
SOURCE = Ref("123456789012", "us-east-1", "facts", "clicks")
COLUMNS = {
    "clicks": BIGINT,
    "views": BIGINT,
    "spent": DOUBLE,
    "city": VARCHAR,
    "seen": Type("list", DOUBLE),
}
TEXTS = {
    "rate": "clicks / views",
    "whole": "clicks // views",
    "rest": "clicks % views",
    "big": "clicks * views * 1000000007",
    "spent": "spent",
    "halved": "-spent / 2 + 0.0",
    "rounded": "round(spent, 2)",
    "where": "coalesce(upper(city), 'nowhere')",
    "level": "CASE WHEN spent > 10 THEN 'high' WHEN spent IS NULL THEN NULL ELSE 'low' END",
    "most": "greatest(clicks, views)",
    "seen": "seen",
}


class Rig:
    def __init__(self, tmp_path):
        self.store = FactFiles(tmp_path / "facts")
        self.queries = FactQueries(self.store)
        self.batch = DuckBatch(DuckDB(tmp_path / "scratch"))
        self.skew = Skew(self.queries, self.batch)

    def keep(self, of, facts):
        self.store.append(table(of), [encode(fact) for fact in facts])

    def served(self, definition, requests):
        """Serve what can be served: a request that an expression fails on is refused."""
        for entity, at_us, facts in requests:
            with suppress(InvalidInput):
                yield self.serve(definition, entity, at_us, facts)

    def serve(self, definition, entity, at_us, facts, write_us=None):
        served = definition.compile()(facts)
        return Fact(
            entity,
            at_us,
            at_us if write_us is None else write_us,
            facts,
            {"model": "m"},
            f"r{at_us}",
            definition.digest,
            served,
        )


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


def drawn(random):
    numbers = (None, 0, 1, -7, 3, 2**62, -(2**63), random.randrange(-1000, 1000))
    floats = (None, math.nan, math.inf, -math.inf, -0.0, 0.0, 12.345, random.uniform(-50, 50))
    return {
        "clicks": random.choice(numbers),
        "views": random.choice(numbers),
        "spent": random.choice(floats),
        "city": random.choice((None, "", "Bern", "åÄ", "東京")),
        "seen": random.choice((None, [], [1.0, None, math.nan])),
    }


def tame(random):
    """Facts that no expression fails on."""
    return {
        **drawn(random),
        "clicks": random.randrange(1000),
        "views": random.choice((None, random.randrange(1, 1000))),
    }


def test_an_unchanged_definition_has_no_skew(rig):
    definition, source = define(COLUMNS, TEXTS), random.Random(5)
    drawn_ones = ((f"e{at % 97}", at, drawn(source)) for at in range(3_000))
    served = list(rig.served(definition, drawn_ones))
    rig.keep(VIEW, served)
    report = rig.skew.compare(VIEW, definition)
    assert report.differences == []
    assert report.is_equal
    assert (report.requests, report.cells) == (len(served), len(served) * len(TEXTS))
    assert report.cells >= 10_000


def test_facts_of_the_source_make_the_same_until_they_come_late_or_are_too_old(rig):
    definition, source = define(COLUMNS, TEXTS), random.Random(6)
    history = [Fact(f"e{at % 50}", 10 * at, 10 * at, tame(source)) for at in range(1_000)]
    rig.keep(SOURCE, history)
    lookup = LoggedSource(rig.queries, SOURCE, list(COLUMNS))
    requests = [
        rig.serve(definition, fact.entity, fact.event_us + 3, fact.facts) for fact in history
    ]
    rig.keep(VIEW, requests)
    report = rig.skew.compare(VIEW, definition, source=lookup)
    assert (report.differences, report.cells) == ([], 1_000 * len(TEXTS))
    # late: of e7 something was true just before its fourth request, and is known only now
    late = Fact("e7", requests[157].event_us - 1, 10**9, {**requests[157].facts, "spent": 123.5})
    rig.keep(SOURCE, [late])
    report = rig.skew.compare(VIEW, definition, source=lookup)
    assert set(report.causes) == {"late"}
    assert {(one.request_id, one.entity) for one in report.differences} == {("r1573", "e7")}
    assert "spent" in report.features
    assert "whole" not in report.features
    assert "spent was" in report.differences[0].detail
    # expired: what was served had been true for 3 us
    aged = LoggedSource(rig.queries, SOURCE, list(COLUMNS), ttl_us=3)
    report = rig.skew.compare(VIEW, definition, Wanted(entity="e8"), source=aged)
    assert set(report.causes) == {"expired"}
    # source: what was used was never true
    wrong = rig.serve(definition, "e9", 10**6, {"clicks": 4, "views": 2})
    rig.keep(VIEW, [wrong])
    report = rig.skew.compare(VIEW, definition, Wanted(request_id="r1000000"), source=lookup)
    assert set(report.causes) == {"source"}


def test_a_changed_definition_is_told(rig):
    old, new = define(COLUMNS, TEXTS), define(COLUMNS, {"rate": "views / clicks", "new": "1"})
    rig.keep(VIEW, [rig.serve(old, "e", 5, {"clicks": 1, "views": 4, "spent": 2.0})])
    report = rig.skew.compare(VIEW, new)
    assert report.causes == Counter(code=len(TEXTS))
    assert report.added == {"new"}
    told = {one.feature: one for one in report.differences}
    assert (told["rate"].served, told["rate"].replayed) == (0.25, 4.0)
    assert "views / clicks" in told["rate"].detail
    assert "no feature any more" in told["most"].detail


def test_values_of_other_types_and_other_values_are_told(rig):
    definition = define(COLUMNS, TEXTS)
    good = rig.serve(definition, "e", 5, {"clicks": 6, "views": 4, "spent": 2.0})
    ints = Fact(
        "e", 6, 6, good.facts, digest=definition.digest, served={**good.served, "most": 6.0}
    )
    text = Fact("e", 7, 7, {**good.facts, "clicks": "6"}, {}, "", definition.digest, good.served)
    other = Fact("e", 8, 8, good.facts, {}, "", definition.digest, {**good.served, "rate": 1.25})
    zero = Fact("e", 9, 9, {"spent": 0.0}, digest=definition.digest, served={"halved": 0.0})
    rig.keep(VIEW, [ints, text, other, zero])
    report = rig.skew.compare(VIEW, definition)
    told = {(one.at_us, one.feature): one.cause for one in report.differences}
    assert told[6, "most"] == "type"
    assert told[7, "rate"] == "type"
    assert told[8, "rate"] == "engine"
    assert (7, "spent") not in told
    assert len([key for key in told if key[0] in (6, 8)]) == 2


def test_history_is_replayed_by_a_new_definition(rig):
    rig.keep(SOURCE, [Fact("e", at, at, {"clicks": at, "views": 2}) for at in range(25_000)])
    definition = define(COLUMNS, {"half": "clicks / views"})
    found = list(replay(definition, rig.queries.each(SOURCE), rig.batch))
    assert [made["half"] for _, made in found] == [at / 2 for at in range(25_000)]


def test_cells_are_the_same_by_type_and_bits():
    assert same([1, {"a": math.nan}], [1, {"a": math.nan}])
    assert not same([1], [1.0])
    assert not same(True, 1)
    assert not same({"a": 1}, {"b": 1})
