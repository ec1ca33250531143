"""Models deployed with a view: asked by keys, with the features that they were trained on."""

from __future__ import annotations

import time
from contextlib import suppress

import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import clary
from clary.features.model import FEATURE_GROUP
from clary.kernel.clock import now
from clary.kernel.resource import Bucket


class Speller:
    """Says what frame it got."""

    def predict(self, frame):
        return [
            list(frame.columns),
            [[str(one) for one in row] for row in frame.to_numpy().tolist()],
        ]


@pytest.fixture(scope="module")
def view(session):
    region = session.platform.config.region
    session.platform.objects.create_bucket(Bucket("viewed", session.account, region, now()))
    kinds = {"id": "Integral", "at": "Fractional", "city": "String", "spent": "Fractional"}
    request = {
        "FeatureGroupName": "people",
        "RecordIdentifierFeatureName": "id",
        "EventTimeFeatureName": "at",
        "FeatureDefinitions": [
            {"FeatureName": name, "FeatureType": kind} for name, kind in kinds.items()
        ],
        "OnlineStoreConfig": {"EnableOnlineStore": True},
        "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://viewed/here"}},
    }
    group = session.ref(FEATURE_GROUP, "people")
    features = session.platform.features
    features.create(group, request, actor=session.actor)
    features.put_record(group, {"id": 7, "at": time.time() - 9, "city": 'B"ern, BE', "spent": 2.5})
    return session.views.define(
        "viewed",
        {"city": "city", "double": "spent * n", "n": "n"},
        sources={"people": ["city", "spent"]},
        inputs={"n": "Integral"},
    )


def test_a_deployed_object_gets_the_views_features(session, view):
    endpoint = session.endpoints.deploy(Speller(), "speller", view="viewed")
    try:
        columns, rows = endpoint.predict({"keys": {"id": 7}, "request": {"n": 2}})
        assert columns == ["city", "double", "n"]
        assert rows == [['B"ern, BE', "5.0", "2"]]
        _, rows = endpoint.predict([{"keys": {"id": 7}}, {"keys": {"id": 9}, "request": {"n": 1}}])
        assert rows[0] == ['B"ern, BE', "nan", "nan"]
        assert rows[1][1:] == ["nan", "1.0"]
        with pytest.raises(clary.ModelFailed, match="n \\(Integral\\)"):
            endpoint.predict({"keys": {"id": 7}, "request": {"n": "x"}})
        links = session.platform.store.links(view.ref, incoming=False)
        assert [link.role for link in links if link.target.kind == "model"] == ["view"]
        again = session.views.define(
            "viewed", {"n": "n + 1"}, sources={"people": ["city"]}, inputs={"n": "Integral"}
        )
        endpoint.update(Speller(), view=again)
        assert endpoint.predict({"keys": {"id": 7}, "request": {"n": 2}}) == [["n"], [["3"]]]
        endpoint.update(Speller())  # the view stays
        assert endpoint.predict({"keys": {"id": 7}, "request": {"n": 4}}) == [["n"], [["5"]]]
    finally:
        with suppress(clary.NotFound):
            endpoint.delete()


@pytest.fixture(scope="module")
def skewed(session, view):
    with session.endpoints.deploy(Speller(), "skewed", view=view) as endpoint:
        yield endpoint


def test_skew_of_what_an_endpoint_served(session, skewed):
    features, group = session.platform.features, session.ref(FEATURE_GROUP, "people")
    for key in (3, 5):
        features.put_record(
            group, {"id": key, "at": time.time() - 900, "city": "Bern", "spent": 2.5}
        )
    with pytest.raises(clary.NotFound, match="a logged request of endpoint skewed"):
        skewed.skew()
    asked = {"keys": {"id": 3}, "request": {"n": 2}}
    for _ in range(20):
        skewed.predict([asked, {"keys": {"id": 4}}])
    skewed.predict({"keys": {"id": 5}})
    report = skewed.skew()
    assert (report.is_equal, report.requests, report.cells) == (True, 41, 123)
    assert report.from_source

    features.put_record(group, {"id": 3, "at": time.time() - 500, "city": "Chur", "spent": 1.0})
    report = skewed.skew()
    assert report.causes == {"late": 40}
    assert report.features == {"city": 20, "double": 20}
    assert skewed.skew(logged_only=True).is_equal

    ttl = {"OnlineStoreConfig": {"TtlDuration": {"Unit": "Seconds", "Value": 60}}}
    features.update(group, {"FeatureGroupName": "people", **ttl}, actor=session.actor)
    found = [one for one in skewed.skew().differences if one.entity == "5"]
    assert [(one.feature, one.cause) for one in found] == [("city", "expired")]


def test_skew_after_another_version_was_deployed(session, skewed):
    sources, same = {"people": ["city", "spent"]}, {"city": "city", "n": "n"}
    skewed.predict({"keys": {"id": 3}, "request": {"n": 2}})
    before = skewed.skew(logged_only=True).requests
    changed = session.views.define(
        "viewed", {**same, "double": "n * 3"}, sources=sources, inputs={"n": "Integral"}
    )
    skewed.update(Speller(), view=changed)
    report = skewed.skew(logged_only=True)
    assert set(report.causes) == {"code"}
    assert set(report.features) == {"double"}
    assert "'n * 3'" in report.differences[0].detail

    texts = session.views.define("viewed", same, sources=sources, inputs={"n": "String"})
    skewed.update(Speller(), view=texts)
    report = skewed.skew(logged_only=True)
    assert report.requests == before
    assert report.causes["type"] >= 1
    assert {one.detail for one in report.differences if one.cause == "type"} == {"2 is no varchar"}

    skewed.update(Speller(), view="")
    with pytest.raises(clary.InvalidInput, match="no variant of skewed has a feature view"):
        skewed.skew()


def test_a_view_that_is_none_is_refused(session):
    with pytest.raises(clary.NotFound, match="nothing"):
        session.endpoints.deploy(Speller(), "unseen", view="nothing")
    with pytest.raises(clary.InvalidInput, match="NAME/VERSION"):
        session.endpoints.deploy(Speller(), "unseen", view="viewed/x")


@clary.step
def train(rows: pd.DataFrame) -> LinearRegression:
    return LinearRegression().fit(rows[["double", "n"]].fillna(0), rows["label"])


@clary.pipeline
def fitting(rows: clary.File) -> None:
    clary.register(train(rows), group="Viewed", approval="Approved")


def test_a_registered_model_goes_by_the_view_that_it_was_trained_on(session, view):
    one = session.views.define(
        "trained",
        {"double": "spent * n", "n": "n"},
        sources={"people": ["spent"]},
        inputs={"n": "Integral"},
    )
    session.views.define(
        "trained", {"n": "n"}, sources={"people": ["spent"]}, inputs={"n": "Integral"}
    )
    labels = pd.DataFrame({"id": [7, 7], "event_time": [now()] * 2, "n": [1, 3], "label": [5, 9]})
    place = f"s3://{session.bucket}/trained.parquet"
    one.training_set(labels, to=place)
    fitting.start(rows=place).wait()
    with session.endpoints.deploy("Viewed/1", "trained", view=True) as endpoint:
        asked = {"keys": {"id": 7}, "request": {"n": 3}}
        assert float(endpoint.predict(asked)[0]) == pytest.approx(9.0)
        assert endpoint.skew().is_equal
    with pytest.raises(clary.InvalidInput, match="not in the registry"):
        session.endpoints.deploy(Speller(), "other", view=True)
