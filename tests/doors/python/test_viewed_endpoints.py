"""Models deployed with a view: asked by keys, with the features that they were trained on."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

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


def test_a_view_that_is_none_is_refused(session):
    with pytest.raises(clary.NotFound, match="nothing"):
        session.endpoints.deploy(Speller(), "unseen", view="nothing")
    with pytest.raises(clary.InvalidInput, match="NAME/VERSION"):
        session.endpoints.deploy(Speller(), "unseen", view="viewed/x")
