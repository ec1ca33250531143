import pytest
from botocore.exceptions import ClientError
from botocore.handlers import validate_bucket_name

from clary.kernel.names import Ref

OWNER = "arn:aws:sts::123456789012:assumed-role/ClaryRole/owner"


def refusal(call, *args, **kwargs):
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_bucket_comes_and_goes(s3, name):
    assert refusal(s3.head_bucket, Bucket=name) == ("404", 404)
    assert s3.create_bucket(Bucket=name)["Location"] == f"/{name}"
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-east-1"
    assert name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    s3.put_object(Bucket=name, Key="deep/down/k", Body=b"x")
    assert refusal(s3.delete_bucket, Bucket=name) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=name, Key="deep/down/k")
    s3.delete_bucket(Bucket=name)
    assert refusal(s3.head_bucket, Bucket=name) == ("404", 404)
    assert refusal(s3.delete_bucket, Bucket=name) == ("NoSuchBucket", 404)


def test_the_journal_has_buckets(s3, platform, name):
    s3.create_bucket(Bucket=name)
    s3.delete_bucket(Bucket=name)
    lines = platform.store.events(ref=Ref("123456789012", "", "bucket", name))
    assert [line.action for line in lines] == ["bucket.created", "bucket.deleted"]
    assert {line.actor for line in lines} == {OWNER}


def test_regions(server, s3, name):
    europe = server.client("s3", region="eu-west-1")
    there = {"LocationConstraint": "eu-west-1"}
    europe.create_bucket(Bucket=name, CreateBucketConfiguration=there)
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-west-1"
    again = refusal(europe.create_bucket, Bucket=name, CreateBucketConfiguration=there)
    assert again == ("BucketAlreadyOwnedByYou", 409)
    elsewhere = {"LocationConstraint": "ap-south-1"}
    wrong = refusal(europe.create_bucket, Bucket=f"{name}-2", CreateBucketConfiguration=elsewhere)
    assert wrong == ("IllegalLocationConstraintException", 400)
    s3.create_bucket(Bucket=f"{name}-3")
    s3.create_bucket(Bucket=f"{name}-3")
    assert s3.get_bucket_location(Bucket=f"{name}-3")["LocationConstraint"] is None


@pytest.mark.parametrize(
    "bad", ["ab", "Upper", "under_score", "a..b", "192.168.0.1", "xn--x", "-a-", "x" * 64]
)
def test_names(server, s3, bad):
    s3.meta.events.unregister("before-parameter-build.s3", validate_bucket_name)
    assert refusal(s3.create_bucket, Bucket=bad) == ("InvalidBucketName", 400)


def test_pages_of_buckets(s3, name):
    names = [f"{name}-{number}" for number in range(5)]
    for one in names:
        s3.create_bucket(Bucket=one)
    pages = s3.get_paginator("list_buckets").paginate(
        Prefix=f"{name}-", PaginationConfig={"PageSize": 2}
    )
    found = [[bucket["Name"] for bucket in page["Buckets"]] for page in pages]
    assert found == [names[:2], names[2:4], names[4:]]


def test_the_bucket_of_uploads_cannot_be_named(s3, name):
    s3.create_bucket(Bucket=name)
    s3.create_multipart_upload(Bucket=name, Key="k")
    hidden = "clary-multipart-uploads"
    assert hidden not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert refusal(s3.list_objects_v2, Bucket=hidden) == ("NoSuchBucket", 404)
    assert refusal(s3.create_bucket, Bucket=hidden) == ("InvalidBucketName", 400)
    copy = {"Bucket": hidden, "Key": f"{name}/x/upload"}
    assert refusal(s3.copy_object, Bucket=name, Key="k", CopySource=copy) == ("NoSuchBucket", 404)
