"""Feature groups and their records through boto3."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/features"
EARLY, LATE = "2024-01-01T00:00:00Z", "2024-01-02T00:00:00.000Z"
DEFINITIONS = [
    {"FeatureName": "id", "FeatureType": "Integral"},
    {"FeatureName": "at", "FeatureType": "String"},
    {"FeatureName": "income", "FeatureType": "Fractional"},
    {"FeatureName": "tags", "FeatureType": "String", "CollectionType": "Set"},
    {
        "FeatureName": "place",
        "FeatureType": "Fractional",
        "CollectionType": "Vector",
        "CollectionConfig": {"VectorConfig": {"Dimension": 2}},
    },
]
ONLINE = {"OnlineStoreConfig": {"EnableOnlineStore": True}}
OFFLINE = {"OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://features/here/"}}}


def request(name, **more):
    return {
        "FeatureGroupName": name,
        "RecordIdentifierFeatureName": "id",
        "EventTimeFeatureName": "at",
        "FeatureDefinitions": DEFINITIONS,
        "RoleArn": ROLE,
        **(more or {**ONLINE, **OFFLINE}),
    }


def record(key="7", at=EARLY, **values):
    found = {"id": key, "at": at, **values}
    return [
        {
            "FeatureName": name,
            "ValueAsStringList" if isinstance(one, list) else "ValueAsString": one,
        }
        for name, one in found.items()
        if one is not None
    ]


def values(answer):
    return {
        one["FeatureName"]: one.get("ValueAsString", one.get("ValueAsStringList"))
        for one in answer["Record"]
    }


def refused(call, **params):
    with pytest.raises(ClientError) as error:
        call(**params)
    said = error.value.response["Error"]
    return said["Code"], said["Message"]


@pytest.fixture(autouse=True)
def bucket(s3):
    s3.create_bucket(Bucket="features")


@pytest.fixture
def runtime(server):
    return server.client("sagemaker-featurestore-runtime")


@pytest.fixture
def group(sagemaker, name):
    sagemaker.create_feature_group(**request(name))
    return name


@pytest.fixture
def put(runtime, group):
    def put(*args, **more):
        params = {"FeatureGroupName": group, **{k: more.pop(k) for k in list(more) if k[0] < "a"}}
        runtime.put_record(Record=record(*args, **more), **params)

    return put


@pytest.fixture
def get(runtime, group):
    def get(key="7", **more):
        answer = runtime.get_record(
            FeatureGroupName=group, RecordIdentifierValueAsString=key, **more
        )
        return values(answer) if "Record" in answer else None

    return get


def test_a_group_is_described(sagemaker, name):
    wanted = request(name) | {"Description": "who buys", "Tags": [{"Key": "team", "Value": "a"}]}
    wanted["OnlineStoreConfig"] = {
        "EnableOnlineStore": True,
        "TtlDuration": {"Unit": "Weeks", "Value": 2},
        "StorageType": "InMemory",
    }
    wanted["ThroughputConfig"] = {"ThroughputMode": "OnDemand"}
    arn = sagemaker.create_feature_group(**wanted)["FeatureGroupArn"]
    assert arn == f"arn:aws:sagemaker:us-east-1:123456789012:feature-group/{name}"
    found = sagemaker.describe_feature_group(FeatureGroupName=arn)
    assert found["FeatureGroupStatus"] == "Created"
    assert found["FeatureGroupArn"] == arn
    assert "Tags" not in found
    offline = found["OfflineStoreConfig"]
    assert offline["DataCatalogConfig"]["Catalog"] == "AwsDataCatalog"
    assert offline["DataCatalogConfig"]["Database"] == "sagemaker_featurestore"
    assert offline["DataCatalogConfig"]["TableName"].startswith(name.replace("-", "_"))
    output = offline["S3StorageConfig"]["ResolvedOutputS3Uri"]
    assert output.startswith(
        f"s3://features/here/123456789012/sagemaker/us-east-1/offline-store/{name}-"
    )
    assert found["OfflineStoreStatus"] == {"Status": "Active"}
    assert "LastUpdateStatus" not in found
    for member in set(wanted) - {"Tags", "OfflineStoreConfig"}:
        assert found[member] == wanted[member]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == wanted["Tags"]


def test_a_group_may_have_one_store(sagemaker, runtime, name):
    sagemaker.create_feature_group(**request(f"{name}-on", **ONLINE))
    sagemaker.create_feature_group(**request(f"{name}-off", **OFFLINE))
    found = sagemaker.describe_feature_group(FeatureGroupName=f"{name}-on")
    assert "OfflineStoreConfig" not in found
    assert "OfflineStoreStatus" not in found
    for which in ("on", "off"):
        runtime.put_record(FeatureGroupName=f"{name}-{which}", Record=record())
    code, message = refused(
        runtime.get_record, FeatureGroupName=f"{name}-off", RecordIdentifierValueAsString="7"
    )
    assert (code, "no online store" in message) == ("ValidationError", True)
    code, message = refused(
        runtime.put_record,
        FeatureGroupName=f"{name}-on",
        Record=record(),
        TargetStores=["OfflineStore"],
    )
    assert (code, "no offline store" in message) == ("ValidationError", True)


def test_a_name_is_taken_once(sagemaker, group):
    code, message = refused(sagemaker.create_feature_group, **request(group))
    assert code == "ResourceInUse"
    assert "already exists" in message


TWICE = [*DEFINITIONS, {"FeatureName": "ID", "FeatureType": "String"}]
VECTOR = {"FeatureName": "v", "FeatureType": "String", "CollectionType": "Vector"}
CANNOT_BE = [
    ({}, "a group without a store"),
    ({"OnlineStoreConfig": {"EnableOnlineStore": False}}, "a group without a store"),
    ({"RecordIdentifierFeatureName": "who"}, "RecordIdentifierFeatureName: 'who'"),
    ({"RecordIdentifierFeatureName": "tags"}, "RecordIdentifierFeatureName: 'tags'"),
    ({"EventTimeFeatureName": "id"}, "String or Fractional"),
    ({"RecordIdentifierFeatureName": "at"}, "is the identifier too"),
    ({"FeatureDefinitions": TWICE}, "'ID' is there already"),
    ({"FeatureDefinitions": [*DEFINITIONS, VECTOR]}, "a vector of String"),
    (
        {"FeatureDefinitions": [*DEFINITIONS, {**VECTOR, "FeatureName": "is_deleted"}]},
        "is a column of every table",
    ),
    ({"ThroughputConfig": {"ThroughputMode": "Provisioned"}}, "ThroughputConfig: Provisioned"),
    (
        {
            "OnlineStoreConfig": {
                "EnableOnlineStore": True,
                "TtlDuration": {"Unit": "Weeks", "Value": 10**8},
            }
        },
        "TtlDuration: 100000000 Weeks is too long",
    ),
]


@pytest.mark.parametrize(("changes", "problem"), CANNOT_BE)
def test_what_makes_no_group_is_refused(sagemaker, name, changes, problem):
    stores = {} if "without a store" in problem else ONLINE
    wanted = {**request(name, x=1), **stores, **changes}
    del wanted["x"]
    code, message = refused(sagemaker.create_feature_group, **wanted)
    assert code == "ValidationException"
    assert problem in message
    code, _ = refused(sagemaker.describe_feature_group, FeatureGroupName=name)
    assert code == "ResourceNotFound"


def test_the_latest_event_wins(put, get):
    assert get() is None
    put(income="1.50", tags=["b", "a", "b"], place=["1", "-0.0"])
    assert get() == {
        "id": "7",
        "at": EARLY,
        "income": "1.5",
        "tags": ["a", "b"],
        "place": ["1.0", "-0.0"],
    }
    put(at=LATE, income="2")
    put(at=EARLY, income="3")
    assert get() == {"id": "7", "at": LATE, "income": "2.0"}
    put(at=LATE, income="4")
    assert get(FeatureNames=["income", "tags"]) == {"income": "4.0"}
    assert get("007") == get("7")


def test_records_are_deleted(put, get, runtime, group):
    def delete(at, mode="SoftDelete"):
        runtime.delete_record(
            FeatureGroupName=group,
            RecordIdentifierValueAsString="7",
            EventTime=at,
            DeletionMode=mode,
        )

    put(at=LATE)
    delete(EARLY)
    assert get()["at"] == LATE
    code, message = refused(delete, at=EARLY, mode="HardDelete")
    assert (code, "at: the record has a later one" in message) == ("ValidationError", True)
    assert get()["at"] == LATE
    delete(LATE)
    assert get() is None
    put(at=EARLY)
    assert get() is None, "a deletion is a record of its time"
    delete(LATE, "HardDelete")
    assert get() is None
    put(at=EARLY)
    assert get()["at"] == EARLY, "nothing is left of a record that was deleted hard"
    code, message = refused(delete, at="yesterday")
    assert code == "ValidationError"
    assert "at: 'yesterday'" in message


def test_records_expire(put, get, runtime, group):
    moment = (datetime.now(UTC) - timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    put(at=moment, TtlDuration={"Unit": "Seconds", "Value": 10})
    assert get() is None
    put(at=moment, TtlDuration={"Unit": "Hours", "Value": 1})
    answer = runtime.get_record(
        FeatureGroupName=group,
        RecordIdentifierValueAsString="7",
        ExpirationTimeResponse="Enabled",
    )
    wanted = datetime.fromisoformat(moment) + timedelta(hours=1)
    assert datetime.fromisoformat(answer["ExpiresAt"]) == wanted
    assert "ExpiresAt" not in runtime.get_record(
        FeatureGroupName=group, RecordIdentifierValueAsString="7"
    )


WRONG = [
    (record("7.5"), "id: '7.5'; legal: a whole number"),
    (record(at="2024-01-01"), "at: '2024-01-01'; legal: yyyy-MM-dd"),
    (record(at="2999-01-01T00:00:00Z"), "lies in the future"),
    (record(at=None), "at: is missing"),
    (record(None), "id: is missing"),
    (record(other="1"), "other: is no feature"),
    (record(income="much"), "income: 'much'; legal: a number"),
    (record(place=["1"]), "place: ['1']; legal: a vector of 2"),
    (record(tags="a"), "tags: 'a'; legal: a list"),
    (record(income=["1"]), "income: ['1']; legal: a number"),
    ([*record(), {"FeatureName": "id", "ValueAsString": "8"}], "id: is given twice"),
    (
        [*record(), {"FeatureName": "tags", "ValueAsString": "8", "ValueAsStringList": []}],
        "tags: has two values",
    ),
    (record(tags=["x" * 200_000, "y" * 200_000]), "Record: 400"),
]


@pytest.mark.parametrize(("wrong", "problem"), WRONG, ids=[one for _, one in WRONG])
def test_a_wrong_record_is_refused(runtime, group, get, wrong, problem):
    code, message = refused(runtime.put_record, FeatureGroupName=group, Record=wrong)
    assert code == "ValidationError"
    assert problem in message
    assert get() is None


def test_several_groups_are_read_at_once(sagemaker, runtime, put, group, name):
    other = f"{name}-2"
    arn = sagemaker.create_feature_group(**request(other, **ONLINE))["FeatureGroupArn"]
    put("1", income="1")
    put("2", income="2")
    runtime.put_record(FeatureGroupName=other, Record=record("1", income="3"))
    answer = runtime.batch_get_record(
        Identifiers=[
            {
                "FeatureGroupName": group,
                "RecordIdentifiersValueAsString": ["2", "5", "1"],
                "FeatureNames": ["income"],
            },
            {"FeatureGroupName": arn, "RecordIdentifiersValueAsString": ["1", "x"]},
            {"FeatureGroupName": "not-there", "RecordIdentifiersValueAsString": ["1"]},
        ]
    )
    assert [
        (one["FeatureGroupName"], one["RecordIdentifierValueAsString"], values(one)["income"])
        for one in answer["Records"]
    ] == [(group, "2", "2.0"), (group, "1", "1.0"), (arn, "1", "3.0")]
    assert [
        (one["FeatureGroupName"], one["RecordIdentifierValueAsString"], one["ErrorCode"])
        for one in answer["Errors"]
    ] == [(arn, "x", "ValidationError"), ("not-there", "1", "ResourceNotFound")]
    assert answer["UnprocessedIdentifiers"] == []


def test_several_records_are_written_at_once(runtime, group, get):
    wrong = {"FeatureGroupName": group, "Record": record("9", income="much")}
    answer = runtime.batch_write_record(
        Entries=[
            {"FeatureGroupName": group, "Record": record("8", income="1")},
            wrong,
            {"FeatureGroupName": group, "Record": record("7", income="2")},
        ]
    )
    assert [one["Entry"] for one in answer["Errors"]] == [wrong]
    assert "income: 'much'" in answer["Errors"][0]["ErrorMessage"]
    assert answer["UnprocessedEntries"] == []
    assert [get(key) is None for key in ("7", "8", "9")] == [False, False, True]


def test_some_values_are_changed(runtime, group, put, get):
    def update(key="7", ttl=None, **changes):
        features = [one for one in record(key, **changes) if one["FeatureName"] != "id"]
        runtime.update_record(
            FeatureGroupName=group,
            RecordIdentifierValueAsString=key,
            Features=features,
            **({"TtlDuration": ttl} if ttl else {}),
        )

    code, _ = refused(update, at=None, income="1")
    assert code == "ResourceNotFound"
    put(at=LATE, income="1", tags=["a"])
    update(at=None, income="2")
    assert get() == {"id": "7", "at": LATE, "income": "2.0", "tags": ["a"]}
    code, message = refused(update, at=EARLY, income="3")
    assert (code, "later" in message) == ("ConflictException", True)
    code, message = refused(update, at=None, income="much")
    assert (code, "income: 'much'" in message) == ("ValidationError", True)
    week = {"Unit": "Weeks", "Value": 5000}
    assert refused(update, at=None, income="3", ttl=week)[0] == "ValidationError"
    update(at="2024-01-03T00:00:00Z", ttl=week, income="3")
    update(at=None, income="4")
    answer = runtime.get_record(
        FeatureGroupName=group, RecordIdentifierValueAsString="7", ExpirationTimeResponse="Enabled"
    )
    assert answer["ExpiresAt"].startswith("2119-")
    assert values(answer)["income"] == "4.0"


def test_keys_are_listed_in_pages(runtime, group, put):
    for key in range(5):
        put(str(key))
    runtime.delete_record(FeatureGroupName=group, RecordIdentifierValueAsString="3", EventTime=LATE)
    found, token = [], {}
    while True:
        page = runtime.list_records(FeatureGroupName=group, MaxResults=2, **token)
        found += page["RecordIdentifiers"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert sorted(found) == ["0", "1", "2", "4"]
    page = runtime.list_records(FeatureGroupName=group, IncludeSoftDeletedRecords=True)
    assert sorted(page["RecordIdentifiers"]) == ["0", "1", "2", "3", "4"]


def test_features_are_added(sagemaker, runtime, group, put, get):
    put(income="1")
    added = {"FeatureName": "city", "FeatureType": "String"}
    sagemaker.update_feature_group(FeatureGroupName=group, FeatureAdditions=[added])
    found = sagemaker.describe_feature_group(FeatureGroupName=group)
    assert found["FeatureDefinitions"] == [*DEFINITIONS, added]
    assert found["LastUpdateStatus"] == {"Status": "Successful"}
    assert get(FeatureNames=["id", "city"]) == {"id": "7"}
    put(at=LATE, city="Łódź")
    assert get() == {"id": "7", "at": LATE, "city": "Łódź"}
    code, message = refused(
        sagemaker.update_feature_group,
        FeatureGroupName=group,
        FeatureAdditions=[{"FeatureName": "Income", "FeatureType": "String"}],
    )
    assert code == "ValidationException"
    assert "'Income' is there already" in message


def test_ttl_and_throughput_change(sagemaker, group, put, get):
    moment = (datetime.now(UTC) - timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ttl = {"TtlDuration": {"Unit": "Seconds", "Value": 10}}
    units = {
        "ThroughputMode": "Provisioned",
        "ProvisionedReadCapacityUnits": 10,
        "ProvisionedWriteCapacityUnits": 5,
    }
    sagemaker.update_feature_group(
        FeatureGroupName=group, OnlineStoreConfig=ttl, ThroughputConfig=units
    )
    found = sagemaker.describe_feature_group(FeatureGroupName=group)
    assert found["OnlineStoreConfig"] == {"EnableOnlineStore": True, **ttl}
    assert found["ThroughputConfig"] == units
    put(at=moment)
    assert get() is None


def test_what_is_said_of_a_feature(sagemaker, group):
    def describe():
        return sagemaker.describe_feature_metadata(FeatureGroupName=group, FeatureName="income")

    first = describe()
    assert first["FeatureType"] == "Fractional"
    assert first["Parameters"] == []
    assert "Description" not in first
    sagemaker.update_feature_metadata(
        FeatureGroupName=group,
        FeatureName="income",
        Description="in euros",
        ParameterAdditions=[{"Key": "owner", "Value": "ann"}, {"Key": "pii", "Value": "no"}],
    )
    sagemaker.update_feature_metadata(
        FeatureGroupName=group,
        FeatureName="income",
        ParameterAdditions=[{"Key": "owner", "Value": "ben"}],
        ParameterRemovals=["pii", "never"],
    )
    found = describe()
    assert found["Description"] == "in euros"
    assert found["Parameters"] == [{"Key": "owner", "Value": "ben"}]
    assert found["LastModifiedTime"] > found["CreationTime"]
    many = [{"Key": f"k{n}", "Value": "v"} for n in range(25)]
    code, message = refused(
        sagemaker.update_feature_metadata,
        FeatureGroupName=group,
        FeatureName="income",
        ParameterAdditions=many,
    )
    assert (code, "26 parameters" in message) == ("ResourceLimitExceeded", True)
    for params in ({"FeatureName": "other"}, {"FeatureGroupName": "other"}):
        whole = {"FeatureGroupName": group, "FeatureName": "income", **params}
        code, _ = refused(sagemaker.describe_feature_metadata, **whole)
        assert code == "ResourceNotFound"


def test_groups_and_features_are_searched(sagemaker, name):
    sagemaker.create_feature_group(**request(name, **ONLINE), Tags=[{"Key": "team", "Value": name}])

    def search(resource, *filters):
        found = sagemaker.search(
            Resource=resource,
            SearchExpression={
                "Filters": [{"Name": n, "Operator": o, "Value": v} for n, o, v in filters]
            },
        )
        return [one[resource] for one in found["Results"]]

    (found,) = search("FeatureGroup", ("Tags.team", "Equals", name))
    assert found["FeatureGroupName"] == name
    assert found["Tags"] == [{"Key": "team", "Value": name}]
    for wanted in (
        ("FeatureGroupName", "Contains", name),
        ("FeatureDefinitions.FeatureName", "Contains", "income"),
        ("FeatureGroupStatus", "Equals", "Created"),
        ("EventTimeFeatureName", "Equals", "at"),
    ):
        assert name in [one["FeatureGroupName"] for one in search("FeatureGroup", wanted)]
    sagemaker.update_feature_metadata(
        FeatureGroupName=name,
        FeatureName="income",
        ParameterAdditions=[{"Key": "unit", "Value": name}],
    )
    (feature,) = search("FeatureMetadata", ("Parameters.unit", "Equals", name))
    assert (feature["FeatureGroupName"], feature["FeatureName"]) == (name, "income")
    found = search("FeatureMetadata", ("FeatureGroupName", "Equals", name))
    assert sorted(one["FeatureName"] for one in found) == ["at", "id", "income", "place", "tags"]


def test_groups_are_listed(sagemaker, name):
    for number, stores in enumerate((ONLINE, OFFLINE, {**ONLINE, **OFFLINE})):
        sagemaker.create_feature_group(**request(f"{name}-{number}", **stores))

    def listed(**params):
        found = sagemaker.get_paginator("list_feature_groups").paginate(
            NameContains=name, PaginationConfig={"PageSize": 2}, **params
        )
        return [
            int(one["FeatureGroupName"][-1])
            for page in found
            for one in page["FeatureGroupSummaries"]
        ]

    assert listed() == [2, 1, 0]
    assert listed(SortBy="Name", SortOrder="Ascending") == [0, 1, 2]
    assert listed(OfflineStoreStatusEquals="Active") == [2, 1]
    assert listed(OfflineStoreStatusEquals="Disabled") == [0]
    assert listed(FeatureGroupStatusEquals="Deleting") == []
    assert len(listed(SortBy="FeatureGroupStatus", FeatureGroupStatusEquals="Created")) == 3


def listed(sagemaker, name):
    found = sagemaker.list_feature_groups(NameContains=name)["FeatureGroupSummaries"]
    assert all(one["FeatureGroupStatus"] == "Deleting" for one in found)
    return found


def test_a_group_made_anew_is_another(sagemaker, runtime, group, put, get):
    put()
    sagemaker.delete_feature_group(FeatureGroupName=group)
    while listed(sagemaker, group):
        time.sleep(0.05)
    code, _ = refused(runtime.get_record, FeatureGroupName=group, RecordIdentifierValueAsString="7")
    assert code == "ResourceNotFound"
    code, message = refused(runtime.put_record, FeatureGroupName=group, Record=record())
    assert (code, "does not exist" in message) == ("ValidationError", True)
    code, _ = refused(sagemaker.delete_feature_group, FeatureGroupName=group)
    assert code == "ResourceNotFound"
    sagemaker.create_feature_group(**request(group))
    assert get() is None


def test_changes_are_in_the_journal(sagemaker, platform, group):
    sagemaker.update_feature_group(
        FeatureGroupName=group, FeatureAdditions=[{"FeatureName": "x", "FeatureType": "String"}]
    )
    sagemaker.update_feature_metadata(FeatureGroupName=group, FeatureName="x", Description="new")
    sagemaker.delete_feature_group(FeatureGroupName=group)
    found = [
        event.action
        for event in platform.store.events(limit=10_000)
        if event.ref.name.split("/")[0] == group
    ]
    assert found == [
        "feature-group.created",
        "feature-group.updated",
        "feature.updated",
        "feature-group.deleted",
    ]
