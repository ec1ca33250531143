"""``clary.Flow``: chains, files, records, steps."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

import clary
from clary.flows.exports.python import program
from clary.flows.graphs import merged
from clary.flows.naming import OWN, methods

sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))
import flow_methods

PEOPLE = [
    {"id": 1, "age": 20, "city": "Rome"},
    {"id": 2, "age": 40, "city": "Oslo"},
    {"id": 3, "age": None, "city": "Rome"},
]


def ready(table):
    people = clary.Flow(table, name="people")
    return people.filter("age is not null").standard_scale("age").one_hot("city").drop("id")


def test_the_methods_are_those_of_the_transforms():
    assert flow_methods.stale() == [], "run tools/flow_methods.py"
    missing = [name for name in methods().values() if not hasattr(clary.Flow, name)]
    assert missing == []
    own = {name for name in vars(clary.Flow) if not name.startswith("_")}
    assert own <= OWN


def test_a_chain_gives_rows_and_records_and_leaves_what_it_came_from_alone():
    people = clary.Flow(pd.DataFrame(PEOPLE), name="people")
    flow = people.filter("age is not null").standard_scale("age").one_hot("city").drop("id")
    assert flow.to_pandas().columns.tolist() == ["age", "city_Oslo", "city_Rome", "city_unknown"]
    assert people.operators == ["source"]
    assert len(people.to_arrow()) == 3
    found = flow.record({"id": 9, "age": 30, "city": "Rome"})
    assert found == {"age": 0.0, "city_Oslo": 0.0, "city_Rome": 1.0, "city_unknown": 0.0}
    assert flow.record({"id": 9, "age": None, "city": "Rome"}) is None
    with pytest.raises(clary.InvalidInput, match="there is no column 'aeg'"):
        flow.record({"aeg": 3})


def test_a_flow_is_saved_with_what_it_has_learned(tmp_path):
    flow = ready(PEOPLE).fit()
    rows = flow.to_arrow()
    again = clary.Flow.load(flow.save(tmp_path / "people.flow.json"))
    assert (tmp_path / "people.fitted.json").is_file()
    assert again.document == flow.document
    assert again.fitted == flow.fitted
    one = [{"id": 7, "age": 40, "city": "Oslo"}]
    assert again.to_arrow({"people": one}).to_pylist() == rows.to_pylist()[1:]
    with pytest.raises(clary.InvalidInput, match="people"):
        again.to_arrow()
    with pytest.raises(clary.InvalidInput, match="there is no flow"):
        clary.Flow.load(tmp_path / "other.flow.json")


def test_flows_that_meet_share_what_is_the_same():
    people = clary.Flow(PEOPLE, name="people")
    old, young = people.filter("age > 30"), people.filter("age <= 30")
    whole, _, names = merged(old.document, young.document, young.fitted)
    assert [one.id for one in whole.nodes] == ["people", "filter", "filter_2"]
    assert names == {"people": "people", "filter": "filter_2"}
    other = clary.Flow(PEOPLE[:1], name="people")
    whole, _, names = merged(old.document, other.document, other.fitted, apart=["people"])
    assert names == {"people": "people_2"}


def test_an_argument_that_does_not_fit_is_named_when_it_is_given():
    with pytest.raises(clary.InvalidInput, match=r"encode\.one_hot\.unseen.*legal: error"):
        clary.Flow(PEOPLE).one_hot("city", unseen="never")  # type: ignore[arg-type]


def test_the_program_of_a_flow_makes_the_same_flow(tmp_path):
    flow = ready("people").called("ready")
    text = program(flow.document, title="People")
    names: dict = {}
    exec(text, names)
    assert names["ready"].document == flow.document


def test_a_flow_is_a_step_of_a_pipeline(tmp_path):
    people = tmp_path / "people.csv"
    pd.DataFrame(PEOPLE).to_csv(people, index=False)
    flow = ready("people").called("ready")

    @clary.step
    def total(rows: pd.DataFrame) -> float:
        return float(rows["city_Rome"].sum())

    @clary.pipeline
    def wrangle(data: clary.File = people) -> None:
        learned = flow.fit_step(name="learn")(data)
        total(flow(data, learned=learned))

    with clary.connect(tmp_path / "home"):
        with pytest.raises(clary.NotFound, match="an execution of pipeline wrangle"):
            wrangle.newest()
        run = wrangle.start().wait()
        assert wrangle.newest().id == run.id
        rows = run["ready"].result().to_pylist()
        assert rows == flow({"people": people}["people"]).to_pylist()
        assert run["total"].result() == 1.0
        learned = run["learn"].result()
        one = {"id": 4, "age": 30, "city": "Bonn"}
        assert flow([one], learned=learned).to_pylist() == [flow.record(one)]
        assert flow.with_learned(learned).record(one) == flow.record(one)
        with pytest.raises(clary.InvalidInput, match="fitted"):
            flow.with_learned({"nodes": 3})


def test_what_was_learned_is_kept_or_learned_anew(tmp_path):
    flow = clary.Flow("people").min_max_scale("age").write(tmp_path / "out.csv")
    first, second = [{"age": 0}, {"age": 2}], [{"age": 10}, {"age": 12}]
    flow.run({"people": first})
    flow.run({"people": second})
    assert (tmp_path / "out.csv").read_text() == "age\n5.0\n6.0\n"
    kept = flow.fitted
    flow.run({"people": second}, refit=True)
    assert (tmp_path / "out.csv").read_text() == "age\n0.0\n1.0\n"
    assert flow.fitted != kept


def test_a_step_learns_anew_where_that_is_asked(tmp_path):
    rows = tmp_path / "people.csv"
    rows.write_text("age\n10\n12\n")
    flow = clary.Flow("people").min_max_scale("age").called("ready")
    flow.fit({"people": [{"age": 0}, {"age": 2}]})
    keeping, learning = flow.step(name="keeping"), flow.step(refit=True, name="learning")

    @clary.pipeline
    def both(data: clary.File = rows) -> None:
        keeping(data)
        learning(data)

    with clary.connect(tmp_path / "home"):
        run = both.start().wait()
        assert run["keeping"].result()["age"].to_pylist() == [5.0, 6.0]
        assert run["learning"].result()["age"].to_pylist() == [0.0, 1.0]


def test_a_flow_answers_in_front_of_a_model(tmp_path):
    flow = clary.Flow(PEOPLE, name="people").one_hot("city").formula("age * 2.0", "twice")
    flow.fit()
    before = flow.inference(absent=["id"])
    with (
        clary.connect(tmp_path / "home"),
        clary.endpoints.deploy([before, Doubled], "people") as endpoint,
    ):
        asked = [{"age": 20, "city": "Rome"}, {"age": 3, "city": "Bonn"}]
        assert endpoint.predict(asked) == [[40, 2, 0, 0, 80], [6, 0, 0, 2, 12]]
        assert endpoint.predict(pd.DataFrame(asked)) == [[40, 2, 0, 0, 80], [6, 0, 0, 2, 12]]
        assert endpoint.predict("20,Rome\n") == [[40, 2, 0, 0, 80]]
        with pytest.raises(clary.ModelFailed, match="record 0: age: 'x' is a str") as failed:
            endpoint.predict({"age": "x"})
        assert failed.value.status == 400


class Doubled:
    """A model that doubles."""

    def predict(self, rows):
        return rows * 2
