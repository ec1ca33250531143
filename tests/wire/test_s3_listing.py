import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.testing.object_store import expected_listing

KEYS = sorted(
    [
        "a",
        "a/b",
        "a/b/c",
        "a//",
        "b c+d%",
        "e/f/g",
        "e/f/h",
        "e/i",
        "é",
        "z\U0001f600",
        "a-b",
        "%41",
    ],
    key=str.encode,
)


@pytest.fixture(scope="module")
def bucket(server):
    client = server.client("s3")
    client.create_bucket(Bucket="listing-of-objects")
    for key in KEYS:
        client.put_object(Bucket="listing-of-objects", Key=key, Body=key.encode())
    return "listing-of-objects"


@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    prefix=st.sampled_from(["", "a", "a/", "e/", "é", "b c+", "none", "%"]),
    delimiter=st.sampled_from(["", "/", "-", "//", "+"]),
    after=st.sampled_from(["", "a", "a/", "a/b", "e/f/g", "é", "zz"]),
    size=st.integers(1, 5),
    version=st.sampled_from([1, 2]),
)
def test_pages_are_what_a_dict_gives(s3, bucket, *, prefix, delimiter, after, size, version):
    listed = s3.get_paginator("list_objects" if version == 1 else "list_objects_v2").paginate(
        Bucket=bucket,
        Prefix=prefix,
        Delimiter=delimiter,
        PaginationConfig={"PageSize": size},
        **{"Marker" if version == 1 else "StartAfter": after},
    )
    keys, prefixes = [], []
    for page in listed:
        keys += [found["Key"] for found in page.get("Contents", ())]
        prefixes += [found["Prefix"] for found in page.get("CommonPrefixes", ())]
        if version == 2:
            assert page["KeyCount"] == len(page.get("Contents", ())) + len(
                page.get("CommonPrefixes", ())
            )
    assert (keys, prefixes) == expected_listing(KEYS, prefix, delimiter, after)


def test_an_entry(s3, bucket):
    [entry] = s3.list_objects_v2(Bucket=bucket, Prefix="é", FetchOwner=True)["Contents"]
    head = s3.head_object(Bucket=bucket, Key="é")
    assert (entry["ETag"], entry["Size"]) == (head["ETag"], 2)
    assert entry["LastModified"].replace(microsecond=0) == head["LastModified"]
    assert entry["Owner"]["ID"] == "123456789012"


def test_no_keys_at_all(s3, bucket):
    answer = s3.list_objects_v2(Bucket=bucket, MaxKeys=0)
    assert (answer["KeyCount"], answer["IsTruncated"], answer["MaxKeys"]) == (0, False, 0)
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=5000)["MaxKeys"] == 1000


@pytest.mark.parametrize(
    "wrong", [{"ContinuationToken": "nonsense"}, {"MaxKeys": -1}, {"EncodingType": "xml"}]
)
def test_refusals(s3, bucket, wrong):
    with pytest.raises(ClientError) as caught:
        s3.list_objects_v2(Bucket=bucket, **wrong)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
