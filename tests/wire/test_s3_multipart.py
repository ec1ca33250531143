import base64
import hashlib
import io
import os
import signal
import zlib

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

PART = 5 << 20


@pytest.fixture
def bucket(s3, name):
    s3.create_bucket(Bucket=name)
    return name


def refusal(call, *args, **kwargs):
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def begun(s3, bucket, key="k", **options):
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **options)
    return {"Bucket": bucket, "Key": key, "UploadId": upload["UploadId"]}


def sent(s3, upload, *parts, **options):
    """Upload parts, and return what completes them."""
    named = []
    for number, data in enumerate(parts, 1):
        answer = s3.upload_part(PartNumber=number, Body=data, **upload, **options)
        checksums = {
            key: value
            for key, value in answer.items()
            if key.startswith("Checksum") and key != "ChecksumType"
        }
        named.append({"PartNumber": number, "ETag": answer["ETag"], **checksums})
    return {"Parts": named}


def test_files_go_there_and_back(s3, bucket, tmp_path):
    config = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20)
    data = os.urandom(20 << 20)
    (tmp_path / "up").write_bytes(data)
    s3.upload_file(
        str(tmp_path / "up"),
        bucket,
        "model.tar.gz",
        Config=config,
        ExtraArgs={"Metadata": {"a": "1"}, "ContentType": "application/gzip"},
    )
    head = s3.head_object(Bucket=bucket, Key="model.tar.gz", ChecksumMode="ENABLED")
    assert head["ETag"] == f'"{hashlib.sha256(data).hexdigest()[:32]}-3"'
    assert (head["Metadata"], head["ContentType"]) == ({"a": "1"}, "application/gzip")
    assert head["ChecksumType"] == "COMPOSITE"
    s3.download_file(bucket, "model.tar.gz", str(tmp_path / "down"), Config=config)
    assert (tmp_path / "down").read_bytes() == data
    s3.copy({"Bucket": bucket, "Key": "model.tar.gz"}, bucket, "copy", Config=config)
    copied = io.BytesIO()
    s3.download_fileobj(bucket, "copy", copied)
    assert copied.getvalue() == data
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_parts_can_be_replaced_and_left_out(s3, bucket):
    upload = begun(s3, bucket)
    first, second = os.urandom(PART), os.urandom(PART)
    s3.upload_part(PartNumber=7, Body=b"replaced", **upload)
    seventh = s3.upload_part(PartNumber=7, Body=second, **upload)["ETag"]
    s3.upload_part(PartNumber=8, Body=b"left out", **upload)
    tenth = s3.upload_part(PartNumber=10_000, Body=b"tail", **upload)["ETag"]
    third = s3.upload_part(PartNumber=3, Body=first, **upload)["ETag"]
    listed = s3.list_parts(**upload)["Parts"]
    assert [part["PartNumber"] for part in listed] == [3, 7, 8, 10_000]
    named = [
        {"PartNumber": number, "ETag": etag}
        for number, etag in ((3, third), (7, seventh), (10_000, tenth))
    ]
    done = s3.complete_multipart_upload(MultipartUpload={"Parts": named}, **upload)
    assert done["ETag"].endswith('-3"')
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == first + second + b"tail"


def test_completing_twice_is_completing_once(s3, bucket):
    upload = begun(s3, bucket)
    parts = sent(s3, upload, b"data")
    done = s3.complete_multipart_upload(MultipartUpload=parts, **upload)
    again = s3.complete_multipart_upload(MultipartUpload=parts, **upload)
    assert again["ETag"] == done["ETag"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"newer")
    late = refusal(s3.complete_multipart_upload, MultipartUpload=parts, **upload)
    assert late == ("NoSuchUpload", 404)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"newer"


def test_an_aborted_upload_is_gone(s3, bucket, server):
    upload = begun(s3, bucket)
    parts = sent(s3, upload, b"data")
    s3.abort_multipart_upload(**upload)
    assert refusal(s3.abort_multipart_upload, **upload) == ("NoSuchUpload", 404)
    assert refusal(s3.list_parts, **upload) == ("NoSuchUpload", 404)
    assert refusal(s3.upload_part, PartNumber=1, Body=b"", **upload) == ("NoSuchUpload", 404)
    completing = refusal(s3.complete_multipart_upload, MultipartUpload=parts, **upload)
    assert completing == ("NoSuchUpload", 404)
    assert not list((server.home / "buckets" / "clary-multipart-uploads").glob(f"{bucket}/*"))
    for wrong in ("../x", "", "0" * 32):
        forged = {**upload, "UploadId": wrong or "x"}
        assert refusal(s3.abort_multipart_upload, **forged) == ("NoSuchUpload", 404)


def test_wrong_parts(s3, bucket):
    upload = begun(s3, bucket)
    one, two = sent(s3, upload, b"small", b"last")["Parts"]

    def complete(*parts):
        return refusal(s3.complete_multipart_upload, MultipartUpload={"Parts": parts}, **upload)

    assert complete(one, two) == ("EntityTooSmall", 400)
    assert complete(two, one) == ("InvalidPartOrder", 400)
    assert complete(one, one) == ("InvalidPartOrder", 400)
    assert complete({**one, "ETag": two["ETag"]}) == ("InvalidPart", 400)
    assert complete({"PartNumber": 3, "ETag": one["ETag"]}) == ("InvalidPart", 400)
    assert complete({**one, "ChecksumCRC32": "AAAAAA=="}) == ("InvalidPart", 400)
    assert complete() == ("MalformedXML", 400)
    for number in (0, 10_001):
        assert refusal(s3.upload_part, PartNumber=number, Body=b"", **upload)[1] == 400
    s3.complete_multipart_upload(MultipartUpload={"Parts": [one]}, **upload)


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
def test_composite_checksums(s3, bucket, algorithm):
    def digest(data):
        if algorithm == "CRC32":
            return zlib.crc32(data).to_bytes(4, "big")
        return hashlib.sha256(data).digest()

    upload = begun(s3, bucket, ChecksumAlgorithm=algorithm)
    pieces = [os.urandom(PART), b"tail"]
    parts = sent(s3, upload, *pieces, ChecksumAlgorithm=algorithm)
    done = s3.complete_multipart_upload(MultipartUpload=parts, **upload)
    of_parts = digest(b"".join(map(digest, pieces)))
    assert done[f"Checksum{algorithm}"] == f"{base64.b64encode(of_parts).decode()}-2"
    assert done["ChecksumType"] == "COMPOSITE"


def test_whole_checksums(s3, bucket):
    upload = begun(s3, bucket, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    pieces = [os.urandom(PART), b"tail"]
    parts = sent(s3, upload, *pieces)
    whole = base64.b64encode(zlib.crc32(b"".join(pieces)).to_bytes(4, "big")).decode()
    wrong = {"MultipartUpload": parts, "ChecksumType": "FULL_OBJECT", "ChecksumCRC32": "AAAAAA=="}
    refused = refusal(s3.complete_multipart_upload, **wrong, **upload)
    assert refused == ("BadDigest", 400)
    assert refusal(s3.head_object, Bucket=bucket, Key="k")[1] == 404
    done = s3.complete_multipart_upload(**{**wrong, "ChecksumCRC32": whole}, **upload)
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (whole, "FULL_OBJECT")
    answer = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert answer["Body"].read() == b"".join(pieces)


def test_parts_copied_from_objects(s3, bucket):
    data = os.urandom(PART + 100)
    s3.put_object(Bucket=bucket, Key="source", Body=data)
    source = {"Bucket": bucket, "Key": "source"}
    upload = begun(s3, bucket)
    etags = [
        s3.upload_part_copy(PartNumber=number, CopySource=source, **options, **upload)[
            "CopyPartResult"
        ]["ETag"]
        for number, options in ((1, {}), (2, {"CopySourceRange": "bytes=10-19"}))
    ]
    for wrong in ("bytes=0-99999999", "bytes=5-", "0-4"):
        refused = refusal(
            s3.upload_part_copy,
            PartNumber=3,
            CopySource=source,
            CopySourceRange=wrong,
            **upload,
        )
        assert refused == ("InvalidArgument", 400)
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **upload)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data + data[10:20]


def test_conditional_completion(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"there")
    upload = begun(s3, bucket)
    parts = sent(s3, upload, b"data")
    refused = refusal(
        s3.complete_multipart_upload, MultipartUpload=parts, IfNoneMatch="*", **upload
    )
    assert refused == ("PreconditionFailed", 412)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.complete_multipart_upload(MultipartUpload=parts, IfNoneMatch="*", **upload)


def test_pages_of_parts_and_uploads(s3, bucket):
    uploads = [begun(s3, bucket, key) for key in ("a", "a", "b/1", "b/2", "c d")]
    sent(s3, uploads[0], b"1", b"2", b"3")
    pages = s3.get_paginator("list_parts").paginate(**uploads[0], PaginationConfig={"PageSize": 2})
    numbers = [[part["PartNumber"] for part in page["Parts"]] for page in pages]
    assert numbers == [[1, 2], [3]]
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 2}
    )
    found = [(upload["Key"], upload["UploadId"]) for page in pages for upload in page["Uploads"]]
    assert found == [(upload["Key"], upload["UploadId"]) for upload in uploads]
    rolled = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [common["Prefix"] for common in rolled["CommonPrefixes"]] == ["b/"]
    assert [upload["Key"] for upload in rolled["Uploads"]] == ["a", "a", "c d"]
    some = s3.list_multipart_uploads(Bucket=bucket, Prefix="b/")["Uploads"]
    assert [upload["Key"] for upload in some] == ["b/1", "b/2"]
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_an_upload_survives_a_killed_server(launch, tmp_path):
    with launch(tmp_path / "home") as first:
        s3 = first.client("s3")
        s3.create_bucket(Bucket="survivor")
        upload = begun(s3, "survivor", Metadata={"a": "1"})
        data = os.urandom(PART)
        parts = sent(s3, upload, data, b"tail")
        os.kill(first.pid, signal.SIGKILL)
    with launch(tmp_path / "home") as second:
        s3 = second.client("s3")
        s3.complete_multipart_upload(MultipartUpload=parts, **upload)
        answer = s3.get_object(Bucket="survivor", Key="k")
        assert (answer["Metadata"], answer["Body"].read()) == ({"a": "1"}, data + b"tail")
