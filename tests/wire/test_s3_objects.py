import base64
import hashlib
import os
import threading
import zlib
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import urllib3
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from clary.doors.wire import checksums

NASTY_KEYS = [
    *("a b+c%25?&=#é\U0001f600.txt", "../../etc/passwd", "..", "./.", "a//b", "/lead", "trail/"),
    *("a", "a/b", "%=x", "x" * 1024, "é" * 300, "dir/" + "y" * 254, "q'\"<>&;:@$,!*()[]{}|\\^`~"),
]


@pytest.fixture
def bucket(s3, name):
    s3.create_bucket(Bucket=name)
    return name


def refusal(call, *args, **kwargs):
    """Return code, status and message of the error that a call ends in."""
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    answer = caught.value.response
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return answer["Error"]["Code"], status, answer["Error"].get("Message", "")


@pytest.mark.parametrize("key", NASTY_KEYS)
def test_any_key_goes_there_and_back(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == key.encode()
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    assert deleted["Deleted"] == [{"Key": key}]
    assert refusal(s3.get_object, Bucket=bucket, Key=key)[:2] == ("NoSuchKey", 404)


def test_what_is_known_of_an_object(s3, bucket):
    expires = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)
    facts = {
        "ContentType": "text/csv; charset=utf-8",
        "CacheControl": "no-store",
        "ContentDisposition": 'attachment; filename="x.csv"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "Metadata": {"owner": "zoe", "run-id": "7"},
    }
    put = s3.put_object(
        Bucket=bucket, Key="k", Body=b"data", Expires=expires, Tagging="a=1&b=x%20y", **facts
    )
    assert put["ETag"] == f'"{hashlib.sha256(b"data").hexdigest()[:32]}-1"'
    for answer in (
        s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED"),
        s3.get_object(Bucket=bucket, Key="k"),
    ):
        assert {member: answer[member] for member in facts} == facts
        assert answer["ExpiresString"] == "Sun, 04 May 2031 03:02:01 GMT"
        assert (answer["ContentLength"], answer["ETag"]) == (4, put["ETag"])
        assert (answer["TagCount"], answer["AcceptRanges"]) == (2, "bytes")
        assert answer["ChecksumCRC32"] == put["ChecksumCRC32"]
        assert abs(answer["LastModified"] - datetime.now(UTC)) < timedelta(minutes=1)
    plain = s3.put_object(Bucket=bucket, Key="plain")
    assert plain["ETag"].endswith('-1"')
    assert s3.head_object(Bucket=bucket, Key="plain")["ContentType"] == "binary/octet-stream"


def test_answers_can_be_overridden(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/plain")
    answer = s3.get_object(
        Bucket=bucket,
        Key="k",
        ResponseContentType="application/json",
        ResponseContentDisposition="inline",
        ResponseExpires=datetime(2031, 5, 4, tzinfo=UTC),
    )
    assert answer["ContentType"] == "application/json"
    assert answer["ContentDisposition"] == "inline"
    assert answer["ExpiresString"] == "Sun, 04 May 2031 00:00:00 GMT"


def test_ranges(s3, bucket):
    data = os.urandom(3_000_000)
    s3.put_object(Bucket=bucket, Key="k", Body=data)
    for text, expected in {
        "bytes=0-0": data[:1],
        "bytes=10-2000010": data[10:2_000_011],
        "bytes=2999990-": data[-10:],
        "bytes=-7": data[-7:],
        "bytes=-9999999": data,
        "bytes=5-99999999": data[5:],
    }.items():
        answer = s3.get_object(Bucket=bucket, Key="k", Range=text)
        assert answer["Body"].read() == expected
        start = data.index(expected)
        shown = f"bytes {start}-{start + len(expected) - 1}/{len(data)}"
        assert answer["ContentRange"] == shown
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert s3.head_object(Bucket=bucket, Key="k", Range=text)["ContentLength"] == len(expected)
    for text in ("bytes=5-4", "bytes=-", "lines=1-2", "bytes=0-1,4-5", "nonsense"):
        answer = s3.get_object(Bucket=bucket, Key="k", Range=text)
        assert answer["Body"].read() == data
        assert "ContentRange" not in answer
    for text in ("bytes=3000000-", "bytes=-0"):
        code, status, message = refusal(s3.get_object, Bucket=bucket, Key="k", Range=text)
        assert (code, status) == ("InvalidRange", 416)
        assert text in message


def test_an_empty_object_has_no_ranges(s3, bucket):
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    assert s3.get_object(Bucket=bucket, Key="empty")["Body"].read() == b""
    code, status, _ = refusal(s3.get_object, Bucket=bucket, Key="empty", Range="bytes=0-0")
    assert (code, status) == ("InvalidRange", 416)


def test_conditions_of_reading(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    past, future = (datetime.now(UTC) + timedelta(days=days) for days in (-1, 1))
    holds = [
        {"IfMatch": etag},
        {"IfMatch": "*"},
        {"IfMatch": f'"other", {etag}'},
        {"IfNoneMatch": '"other"'},
        {"IfModifiedSince": past},
        {"IfUnmodifiedSince": future},
        {"IfMatch": etag, "IfUnmodifiedSince": past},
        {"IfNoneMatch": '"other"', "IfModifiedSince": future},
    ]
    fails = [
        ({"IfMatch": '"other"'}, 412),
        ({"IfUnmodifiedSince": past}, 412),
        ({"IfNoneMatch": etag}, 304),
        ({"IfNoneMatch": "*"}, 304),
        ({"IfModifiedSince": future}, 304),
        ({"IfMatch": '"other"', "IfNoneMatch": etag}, 412),
    ]
    for condition in holds:
        assert s3.get_object(Bucket=bucket, Key="k", **condition)["Body"].read() == b"x"
        s3.head_object(Bucket=bucket, Key="k", **condition)
    for condition, status in fails:
        assert refusal(s3.get_object, Bucket=bucket, Key="k", **condition)[1] == status
        assert refusal(s3.head_object, Bucket=bucket, Key="k", **condition)[1] == status
    assert refusal(s3.get_object, Bucket=bucket, Key="k", IfMatch="no")[0] == "PreconditionFailed"


def test_conditions_of_writing(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    again = refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    assert again[:2] == ("PreconditionFailed", 412)
    other = refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"2", IfMatch='"other"')
    assert other[:2] == ("PreconditionFailed", 412)
    absent = refusal(s3.put_object, Bucket=bucket, Key="none", Body=b"2", IfMatch=etag)
    assert absent[:2] == ("NoSuchKey", 404)
    s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"2"


def test_one_of_many_conditional_writers_wins(server, s3, bucket):
    won = []

    def write(number):
        client = server.client("s3")
        try:
            client.put_object(Bucket=bucket, Key="k", Body=str(number), IfNoneMatch="*")
        except ClientError:
            return
        won.append(str(number))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert won == [s3.get_object(Bucket=bucket, Key="k")["Body"].read().decode()]


def digest_of(name, data):
    digest = checksums.CHECKSUMS[f"x-amz-checksum-{name}"]()
    digest.update(data)
    return digest.digest()


CHECKSUMS = {
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "CRC64NVME": lambda data: digest_of("crc64nvme", data),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_checksums_are_verified_and_given_back(s3, bucket, algorithm):
    member = f"Checksum{algorithm}"
    right = base64.b64encode(CHECKSUMS[algorithm](b"data")).decode()
    wrong = base64.b64encode(CHECKSUMS[algorithm](b"other")).decode()
    asked_for = [{member: right}]
    if algorithm != "CRC64NVME":  # which boto3 cannot compute by itself
        asked_for.append({"ChecksumAlgorithm": algorithm})
    for asked in asked_for:
        put = s3.put_object(Bucket=bucket, Key="k", Body=b"data", **asked)
        assert (put[member], put["ChecksumType"]) == (right, "FULL_OBJECT")
        got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
        assert (got[member], got["Body"].read()) == (right, b"data")
    code, status, message = refusal(
        s3.put_object, Bucket=bucket, Key="k", Body=b"evil", **{member: wrong}
    )
    assert (code, status) == ("BadDigest", 400)
    assert algorithm.lower() in message
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"data"


def test_content_md5(s3, bucket):
    md5 = base64.b64encode(hashlib.md5(b"data").digest()).decode()
    s3.put_object(Bucket=bucket, Key="k", Body=b"data", ContentMD5=md5)
    wrong = refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"evil", ContentMD5=md5)
    assert wrong[:2] == ("BadDigest", 400)
    for value in ("nonsense!", base64.b64encode(b"short").decode()):
        invalid = refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"data", ContentMD5=value)
        assert invalid[:2] == ("InvalidDigest", 400)


def test_copies(s3, bucket, name):
    other = f"{name}-other"
    s3.create_bucket(Bucket=other)
    s3.put_object(
        Bucket=bucket, Key="k", Body=b"x", Metadata={"a": "1"}, ContentType="text/x", Tagging="t=1"
    )
    source = {"Bucket": bucket, "Key": "k"}
    copied = s3.copy_object(Bucket=other, Key="k2", CopySource=source)["CopyObjectResult"]
    head = s3.head_object(Bucket=other, Key="k2")
    assert (head["Metadata"], head["ContentType"], head["TagCount"]) == ({"a": "1"}, "text/x", 1)
    assert copied["ETag"] == head["ETag"]
    s3.copy_object(
        Bucket=other,
        Key="k3",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"b": "2"},
        ChecksumAlgorithm="SHA256",
        TaggingDirective="REPLACE",
        Tagging="u=2&v=3",
    )
    head = s3.head_object(Bucket=other, Key="k3", ChecksumMode="ENABLED")
    assert (head["Metadata"], head["TagCount"]) == ({"b": "2"}, 2)
    assert head["ContentType"] == "binary/octet-stream"
    assert head["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    itself = refusal(s3.copy_object, Bucket=bucket, Key="k", CopySource=source)
    assert itself[:2] == ("InvalidRequest", 400)
    s3.copy_object(Bucket=bucket, Key="k", CopySource=source, MetadataDirective="REPLACE")
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {}


def test_copies_of_what_is_not_there(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for source, code in {
        f"{bucket}/none": "NoSuchKey",
        "no-such-bucket-here/k": "NoSuchBucket",
        bucket: "InvalidArgument",
        f"{bucket}/k?versionId=abc": "InvalidArgument",
    }.items():
        assert refusal(s3.copy_object, Bucket=bucket, Key="c", CopySource=source)[0] == code
    source = {"Bucket": bucket, "Key": "k"}
    failed = refusal(
        s3.copy_object, Bucket=bucket, Key="c", CopySource=source, CopySourceIfMatch='"other"'
    )
    assert failed[:2] == ("PreconditionFailed", 412)


def test_tags(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"kept": "yes"})
    tags = [{"Key": "stage", "Value": "dev & test"}, {"Key": "empty", "Value": ""}]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["Metadata"], head["TagCount"]) == ({"kept": "yes"}, 2)
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    many = {"TagSet": [{"Key": str(number), "Value": ""} for number in range(11)]}
    assert refusal(s3.put_object_tagging, Bucket=bucket, Key="k", Tagging=many)[0] == "InvalidTag"


def test_many_are_deleted_at_once(s3, bucket):
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=f"d/{number}", Body=b"")
    keys = [{"Key": f"d/{number}"} for number in (0, 1, 9)]
    long = "x" * 1100
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [*keys, {"Key": long}]})
    assert answer["Deleted"] == keys
    assert [(error["Key"], error["Code"]) for error in answer["Errors"]] == [
        (long, "KeyTooLongError")
    ]
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "d/2"}], "Quiet": True})
    assert "Deleted" not in quiet
    left = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [found["Key"] for found in left] == ["d/3", "d/4"]
    many = {"Objects": [{"Key": str(number)} for number in range(1001)]}
    assert refusal(s3.delete_objects, Bucket=bucket, Delete=many)[0] == "MalformedXML"


def test_refusals(s3, bucket):
    missing = {"Bucket": "no-such-bucket-here", "Key": "k"}
    for call in (s3.get_object, s3.put_object, s3.delete_object):
        assert refusal(call, **missing)[:2] == ("NoSuchBucket", 404)
    assert refusal(s3.head_object, **missing) == ("404", 404, "Not Found")
    assert refusal(s3.head_object, Bucket=bucket, Key="k") == ("404", 404, "Not Found")
    s3.delete_object(Bucket=bucket, Key="never")
    long = refusal(s3.put_object, Bucket=bucket, Key="x" * 1025, Body=b"")
    assert long[:2] == ("KeyTooLongError", 400)
    large = {"m": "x" * 2048}
    assert refusal(s3.put_object, Bucket=bucket, Key="k", Metadata=large)[0] == "MetadataTooLarge"
    version = refusal(s3.get_object, Bucket=bucket, Key="k", VersionId="abc")
    assert version[:2] == ("NoSuchVersion", 404)
    for member in ({"ObjectLockMode": "GOVERNANCE"}, {"ObjectLockLegalHoldStatus": "ON"}):
        locked = refusal(s3.put_object, Bucket=bucket, Key="k", **member)
        assert locked[:2] == ("NotImplemented", 501)
        assert next(iter(member)) in locked[2]


def test_another_owner_is_refused(s3, bucket):
    wrong = {"Bucket": bucket, "ExpectedBucketOwner": "999999999999"}
    right = {"Bucket": bucket, "ExpectedBucketOwner": "123456789012"}
    s3.put_object(Key="k", Body=b"x", **right)
    assert refusal(s3.get_object, Key="k", **wrong)[:2] == ("AccessDenied", 403)
    assert refusal(s3.put_object, Key="k", **wrong)[:2] == ("AccessDenied", 403)
    assert refusal(s3.list_objects_v2, **wrong)[:2] == ("AccessDenied", 403)
    assert refusal(s3.head_bucket, **wrong)[:2] == ("403", 403)
    source = refusal(
        s3.copy_object,
        Bucket=bucket,
        Key="c",
        CopySource=f"{bucket}/k",
        ExpectedSourceBucketOwner="999999999999",
    )
    assert source[:2] == ("AccessDenied", 403)


def test_presigned_urls(server, bucket):
    for version in ("s3v4", "s3"):
        _check_presigned(server, bucket, version)


def _check_presigned(server, bucket, version):
    client = server.client("s3", config=ClientConfig(signature_version=version))
    http = urllib3.PoolManager()
    named = {"Bucket": bucket, "Key": "dir/a b+é.txt"}
    url = client.generate_presigned_url("put_object", Params=named)
    assert http.request("PUT", url, body=b"presigned").status == 200
    url = client.generate_presigned_url("get_object", Params=named)
    answer = http.request("GET", url)
    assert (answer.status, answer.data) == (200, b"presigned")
    forged = urlsplit(url)._replace(path=f"/{bucket}/other").geturl()
    answer = http.request("GET", forged)
    assert answer.status == 403
    assert b"SignatureDoesNotMatch" in answer.data


def test_a_dropped_file_is_an_object(server, s3, bucket):
    folder = server.home / "buckets" / bucket / "by-hand"
    folder.mkdir(parents=True)
    (folder / "table.csv").write_text("a,b\n1,2\n")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="by-hand/")["Contents"]
    got = s3.get_object(Bucket=bucket, Key="by-hand/table.csv")
    assert got["Body"].read() == b"a,b\n1,2\n"
    assert got["ContentType"] == "text/csv"
    assert [found["ETag"] for found in listed] == [got["ETag"]]
    again = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [found["ETag"] for found in again] == [got["ETag"]]
