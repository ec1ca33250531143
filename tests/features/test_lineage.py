"""From groups by training sets and queries to models: who was trained on what."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime

import pandas as pd
import pytest

import clary
from clary.doors.python.session import connect
from clary.features.views import VIEW
from clary.kernel.clock import now
from clary.kernel.resource import Bucket, Event, Resource
from clary.lineage.entities import entity_of
from clary.lineage.model import of_object

DAY = datetime(2026, 1, 2, tzinfo=UTC)
LABELS = pd.DataFrame({"id": ["7"], "event_time": [DAY]})


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    with connect(tmp_path_factory.mktemp("lineage") / "home") as opened:
        opened.platform.objects.create_bucket(
            Bucket("sets", opened.account, opened.platform.config.region, now())
        )
        group = clary.FeatureGroup(
            "people", identifier="id", event_time="at", features={"age": int}
        )
        group.put({"id": "7", "at": "2026-01-01T00:00:00Z", "age": 41})
        yield opened


def trained(session, name, bucket, key):
    """Record a job that read an object, and the model version that it made."""
    store, lineage = session.platform.store, session.platform.lineage
    job, model = session.ref("training-job", name), session.ref("model-package", name)
    model, moment = model.sibling(model.kind, name, 1), now()
    info = session.platform.objects.stat(bucket, key)
    made = session.platform.objects.put("sets", f"{name}/model.tar.gz", [name.encode()])
    with store.begin() as change:
        for ref in (job, model):
            change.insert(Resource(ref, {"request": {}}, moment, moment))
        lineage.record(
            change, job, inputs=[("train", of_object(info))], outputs=[("model", of_object(made))]
        )
        lineage.record(change, model, inputs=[("model", of_object(made))])
        change.append(Event(moment, "test", "model-package.created", model))
    return model


def nodes(tree):
    yield tree
    for child in tree.children:
        yield from nodes(child)


def test_a_model_knows_the_view_and_the_versions_of_tables(session):
    view = session.views.define("adults", {"is_adult": "age >= 18"}, sources={"people": ["age"]})
    view.training_set(LABELS, name="first", to="s3://sets/first.parquet")
    made = [session.platform.store.get(session.ref("training-set", "first"))]
    copied = b"".join(session.platform.objects.read("sets", "first.parquet"))
    session.platform.objects.put("sets", "copy.parquet", [copied])
    model = trained(session, "m", "sets", "copy.parquet")
    found = list(nodes(session.platform.lineage.tree(model)))
    said = [f"{one.role}: {one.ref}" for one in found]
    assert {": training-job m", ": training-set first", "view: feature-view adults/1"} <= set(said)
    [version] = [one.body["question"]["sources"][0]["version"] for one in made]
    assert f"table version {version}: feature-group people" in said
    assert hashlib.sha256(copied).hexdigest() in {one.digest for one in found}
    used = {
        (one.kind, one.name)
        for one in session.platform.feature_store.discovery.usage(
            session.ref("feature-group", "people"), "age"
        )
    }
    assert {("training-set", "first"), ("training-job", "m"), ("model-package", "m")} <= used
    first = trained(session, "n", "sets", "first.parquet")
    assert session.platform.feature_store.views.trained_on(first) == view.ref
    assert view.ref.kind == VIEW


def test_the_public_graph_goes_from_the_group_to_the_model(session):
    clary.features.training_set(LABELS, ["people.age"], name="plain", to="s3://sets/plain.parquet")
    model = trained(session, "p", "sets", "plain.parquet")
    graph = session.platform.lineage.graph
    start = entity_of(model)
    deadline = time.monotonic() + 20
    types = {}
    while time.monotonic() < deadline and "TrainingSet" not in types.values():
        types = {one.ref: one.type for one in graph.walk([start], "Ascendants", 10).vertices}
    assert {"TrainingSet", "FeatureGroup", "TrainingJob", "DataSet"} <= set(types.values())
    assert entity_of(session.ref("feature-group", "people")) in types


def test_the_result_of_a_query_knows_the_tables_it_read(session):
    executions = session.platform.feature_store.executions
    people = session.platform.features.group(session.ref("feature-group", "people"))
    asked = executions.start(
        session.ref("query-execution", ""),
        {
            "QueryString": f'SELECT id, age FROM "{people.catalog_table}"',
            "QueryExecutionContext": {"Database": "sagemaker_featurestore"},
            "ResultConfiguration": {"OutputLocation": "s3://sets/answers"},
        },
        actor="test",
    )
    deadline = time.monotonic() + 30
    while executions.describe(asked.ref).status not in ("SUCCEEDED", "FAILED"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert executions.describe(asked.ref).status == "SUCCEEDED"
    model = trained(session, "q", "sets", f"answers/{asked.ref.name}.csv")
    found = {one.ref: one for one in nodes(session.platform.lineage.tree(model))}
    assert asked.ref in found
    assert found[people.ref].role.startswith("table version ")


def test_a_group_knows_the_object_it_was_filled_from(session):
    rows = b"id,at,age\n1,2026-01-01T00:00:00Z,30\n2,2026-01-01T00:00:00Z,x\n"
    session.platform.objects.put("sets", "rows.csv", [rows])
    group = clary.FeatureGroup(
        "filled", identifier="id", event_time="at", features={"age": int}, online=False
    )
    with pytest.raises(clary.InvalidInput, match="row 1: age: 'x'"):
        group.ingest("s3://sets/rows.csv")
    assert group.history("1") == []
    assert list(group.ingest("s3://sets/rows.csv", partial=True)) == [1]
    assert len(group.history("1")) == 1
    [source] = group.lineage()["children"]
    assert (source["role"], source["uri"]) == ("ingest", "s3://sets/rows.csv")
    assert source["digest"] == hashlib.sha256(rows).hexdigest()


@pytest.mark.parametrize(
    ("to", "said"),
    [("s3://sets/x.csv", "parquet"), ("/tmp/x", "s3://"), ("s3://no/x.parquet", "no")],
)
def test_where_a_set_cannot_be_written(session, to, said):
    with pytest.raises(clary.ClaryError, match=said):
        clary.features.training_set(LABELS, ["people.age"], to=to)
