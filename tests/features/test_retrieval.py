from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.adapters.lmdb_records import LmdbRecords
from clary.features.model import Feature, Record, Schema
from clary.features.retrieval import Retrieval, Wanted
from clary.kernel.clock import now_us
from clary.kernel.errors import InvalidInput

AT_US = now_us()


def schema(identifier: str, *names: str) -> Schema:
    features = [Feature(identifier, "String"), Feature("at", "Fractional")]
    features += [Feature(name, "Fractional") for name in names]
    return Schema(tuple(features), identifier, "at")


USERS, ITEMS = schema("user", "age", "spent"), schema("item", "price")


def record(key: str, *values: float, event_us: int = 0, **how: object) -> Record:
    return Record(key, AT_US + event_us, AT_US, (key, 1.0, *values), **how)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = LmdbRecords(tmp_path_factory.mktemp("online") / "online")
    yield made
    made.close()


@pytest.fixture
def filled(store):
    store.drop("users"), store.drop("items"), store.drop("scores")
    store.write("users", [record("1", 30.0, 5.0), record("2", 40.0, 6.0)])
    store.write("scores", [record("1", 0.5)])
    store.write("items", [record("a", 9.5)])
    return store


def test_rows_come_in_the_order_asked(filled):
    plan = Retrieval(filled, [Wanted("users", USERS, ("spent", "age"))])
    assert (plan.entities, plan.columns) == (("user",), ("spent", "age"))
    assert plan.tuples(["2", "none", "1", "2"]) == [
        (6.0, 40.0),
        (None, None),
        (5.0, 30.0),
        (6.0, 40.0),
    ]
    assert plan.dicts(["1"]) == [{"spent": 5.0, "age": 30.0}]
    assert plan.tuples([]) == []


def test_one_feature_is_a_row_too(filled):
    assert Retrieval(filled, [Wanted("users", USERS, ("age",))]).tuples(["1"]) == [(30.0,)]


def test_all_features_unless_it_says_which(filled):
    plan = Retrieval(filled, [Wanted("users", USERS)])
    assert plan.columns == ("user", "at", "age", "spent")
    assert plan.tuples(["1"]) == [("1", 1.0, 30.0, 5.0)]


def test_several_groups_answer_in_one_row(filled):
    scores = schema("user", "score")
    plan = Retrieval(
        filled,
        [
            Wanted("users", USERS, ("age",)),
            Wanted("items", ITEMS, {"price": "cost"}),
            Wanted("scores", scores, ("score",)),
        ],
    )
    assert plan.entities == ("user", "item")
    assert plan.columns == ("age", "cost", "score")
    asked = [("1", "a"), ("2", "a"), ("1", "b"), ["3", "b"]]
    assert plan.tuples(asked) == [
        (30.0, 9.5, 0.5),
        (40.0, 9.5, None),
        (30.0, None, 0.5),
        (None, None, None),
    ]
    assert [[one and one.key for one in records] for records in plan.records(asked)] == [
        ["1", "a", "1"],
        ["2", "a", None],
        ["1", None, "1"],
        [None, None, None],
    ]


def test_deleted_and_expired_records_are_not_there(filled):
    filled.write("users", [Record("1", AT_US + 1, AT_US, (), is_deleted=True)])
    filled.write("users", [record("2", 41.0, 7.0, event_us=1, expires_us=AT_US + 10_000_000_000)])
    plan = Retrieval(filled, [Wanted("users", USERS, ("age", "spent"))])
    assert plan.tuples(["1", "2"]) == [(None, None), (41.0, 7.0)]
    assert plan.tuples(["2"], AT_US + 9_999_999_999) == [(41.0, 7.0)]
    assert plan.tuples(["2"], AT_US + 10_000_000_000) == [(None, None)]
    ((deleted,), (expired,)) = plan.records(["1", "2"])
    assert deleted.is_deleted
    assert expired.expires_us == AT_US + 10_000_000_000


def test_records_of_older_schemas_lack_what_came_later(filled):
    grown = schema("user", "age", "spent", "visits")
    plan = Retrieval(filled, [Wanted("users", grown, ("visits", "age"))])
    assert plan.tuples(["1"]) == [(None, 30.0)]
    assert Retrieval(filled, [Wanted("users", grown, ("visits",))]).tuples(["1"]) == [(None,)]
    filled.write("users", [record("1", 31.0, 5.0, 3.0, event_us=1)])
    assert plan.tuples(["1"]) == [(3.0, 31.0)]
    older = Retrieval(filled, [Wanted("users", USERS)])
    assert older.tuples(["1"]) == [("1", 1.0, 31.0, 5.0)]
    assert Retrieval(filled, [Wanted("users", USERS, ("spent",))]).tuples(["1"]) == [(5.0,)]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ([Wanted("users", USERS, ("ages",))], "'ages' is no feature.*legal: user, at, age, spent"),
        ([Wanted("users", USERS), Wanted("items", ITEMS)], "two are called 'at'"),
        ([], "nothing is asked"),
    ],
)
def test_what_cannot_be_asked_is_named(store, wanted, says):
    with pytest.raises(InvalidInput, match=says):
        Retrieval(store, wanted)


@pytest.mark.parametrize("keys", ["ab", ("a",), ("a", "b", "c")])
def test_every_identifier_needs_a_key(store, keys):
    plan = Retrieval(store, [Wanted("users", USERS, ("age",)), Wanted("items", ITEMS, ("price",))])
    with pytest.raises(InvalidInput, match="'user', 'item'"):
        plan.tuples([keys])


KEYS = st.sampled_from("abcd")
WRITES = st.lists(
    st.tuples(KEYS, st.integers(0, 4), st.booleans(), st.none() | st.integers(-2, 2)), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(WRITES, WRITES, st.lists(KEYS, max_size=5))
def test_rows_are_what_a_plain_search_finds(store, first, second, asked):
    tables = {"p": first, "q": second}
    wanted = [
        Wanted(table, schema("key", f"{table}0", f"{table}1"), (f"{table}1", f"{table}0"))
        for table in tables
    ]
    written = {}
    for table, rows in tables.items():
        store.drop(table)
        written[table] = [
            Record(key, event, n, (key, 1.0, float(n), -float(n)), 1, gone, expires)
            for n, (key, event, gone, expires) in enumerate(rows)
        ]
        store.write(table, written[table])

    def search(table, key):
        of_key = [one for one in written[table] if one.key == key]
        latest = max(of_key, key=lambda one: (one.event_us, one.write_us), default=None)
        if latest is None or latest.is_deleted or latest.expires_us in {-2, -1, 0}:
            return (None, None)
        return latest.values[:1:-1]

    found = Retrieval(store, wanted).tuples(asked, 0)
    assert found == [search("p", key) + search("q", key) for key in asked]
