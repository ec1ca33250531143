"""PutRecord without the gateway says and writes what the gateway does."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.config import Config
from clary.doors.wire.gateway import Gateway
from clary.doors.wire.message import Request
from clary.doors.wire.record_writes import RecordWrites
from clary.features.model import FEATURE_GROUP
from clary.kernel.errors import InvalidInput
from clary.kernel.names import DEFAULT_ACCOUNT, DEFAULT_REGION, Ref
from clary.platform import open_platform

REF = Ref(DEFAULT_ACCOUNT, DEFAULT_REGION, FEATURE_GROUP, "numbers")
KINDS = {"id": "String", "at": "Fractional", "n": "Integral", "x": "Fractional"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    opened = open_platform(Config(home=tmp_path_factory.mktemp("home"), authenticate=False))
    request = {
        "FeatureGroupName": REF.name,
        "RecordIdentifierFeatureName": "id",
        "EventTimeFeatureName": "at",
        "FeatureDefinitions": [
            {"FeatureName": name, "FeatureType": kind} for name, kind in KINDS.items()
        ],
        "OnlineStoreConfig": {"EnableOnlineStore": True},
    }
    opened.features.create(REF, request, actor="me")
    return opened


SCOPE = "key/20260101/us-east-1/sagemaker/aws4_request"
SIGNED = {
    "authorization": f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=0",
    "x-amz-date": "20260101T000000Z",
}
TEXTS = st.sampled_from(["1", "1.5", "NaN", "x", "", "\n", "é", "2000000000000"]) | st.text()
VALUES = st.fixed_dictionaries(
    {"FeatureName": st.sampled_from([*KINDS, "other"])},
    optional={
        "ValueAsString": TEXTS | st.none(),
        "ValueAsStringList": st.lists(TEXTS, max_size=1),
        "More": st.just(1),
    },
)
GOOD = st.fixed_dictionaries({"id": st.just("k"), "at": st.just("5"), "n": TEXTS}).map(
    lambda row: [{"FeatureName": name, "ValueAsString": text} for name, text in row.items()]
)
DOCUMENTS = st.fixed_dictionaries(
    {"Record": GOOD | st.lists(VALUES, max_size=4)},
    optional={
        "TargetStores": st.lists(st.sampled_from(["OnlineStore", "OfflineStore", "None"])),
        "TtlDuration": st.just({"Unit": "Days", "Value": 1}),
    },
)


def put(document, path="/FeatureGroup/numbers", **headers):
    headers = {**SIGNED, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Request("PUT", path, headers=headers, body=(json.dumps(document).encode(),))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(DOCUMENTS)
def test_what_is_answered_is_what_the_gateway_answers(platform, document):
    gateway = Gateway(platform)
    quick = RecordWrites(platform, gateway.authenticator).answer(put(document))
    if quick is not None:
        written = platform.features.get_record(REF, document["Record"][0]["ValueAsString"])
        expected = gateway.handle(put(document))
        assert (quick.status, quick.body) == (expected.status, expected.body)
        assert quick.headers.keys() == expected.headers.keys()
        again = platform.features.get_record(REF, document["Record"][0]["ValueAsString"])
        assert str(written) == str(again)


def test_a_plain_record_is_written(platform):
    writes = RecordWrites(platform, Gateway(platform).authenticator)
    record = [
        {"FeatureName": "id", "ValueAsString": "plain"},
        {"FeatureName": "at", "ValueAsString": "1.0"},
        {"FeatureName": "n", "ValueAsString": "7"},
    ]
    assert writes.answer(put({"Record": record, "TargetStores": ["OnlineStore"]})).status == 200
    assert platform.features.get_record(REF, "plain")["n"] == 7
    unsigned = put({"Record": record})
    unsigned.headers.clear()
    for special in (
        unsigned,
        put({"Record": [*record, record[0]]}),
        put({"Record": record}, "/FeatureGroup/nowhere"),
        put({"Record": record}, "/FeatureGroup/numbers/"),
        put({"Record": record}, origin="http://page"),
        put({"Record": record}, content_encoding="gzip"),
        put({"Record": record, "TargetStores": ["OfflineStore"]}),
    ):
        assert writes.answer(special) is None


def test_an_unknown_durability_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="legal: disk, process"):
        open_platform(Config(home=tmp_path, durability="none"))
