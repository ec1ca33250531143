"""S3: multipart uploads."""

from __future__ import annotations

import base64
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from clary.doors.wire.checksums import CHECKSUMS
from clary.doors.wire.errors import WireError
from clary.doors.wire.operations.s3 import copy_source
from clary.doors.wire.operations.s3_access import (
    account_as_owner,
    checked_key,
    open_bucket,
    refuse,
)
from clary.doors.wire.operations.s3_bodies import CheckedBody, computing
from clary.doors.wire.operations.s3_conditions import expected_version, precondition_failed
from clary.doors.wire.operations.s3_facts import (
    CHECKSUM_MEMBERS,
    CHECKSUM_TYPE,
    TAGS,
    UNOFFERED,
    checksum_header,
    checksums,
    content_headers,
    quoted,
    unquoted,
    user_metadata,
)
from clary.doors.wire.operations.s3_listing import page_size, written_as
from clary.doors.wire.operations.s3_tags import checked_tags
from clary.doors.wire.operations.s3_uploads import MADE_BY, Upload, Uploads
from clary.kernel.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import ObjectInfo

_MOST_PARTS = 10_000
_SMALLEST_PART = 5 << 20
_WHOLE = ("CRC64NVME",)


def create_multipart_upload(call: Call) -> JsonObject:
    """Begin an upload."""
    refuse(call, UNOFFERED)
    params = call.params
    bucket, key = open_bucket(call), checked_key(params["Key"])
    headers = content_headers(params)
    if tags := params.get("Tagging"):
        headers[TAGS] = checked_tags(tags)
    algorithm = params.get("ChecksumAlgorithm", "")
    kind = ""
    if algorithm:
        checksum_header(algorithm)
        kind = params.get("ChecksumType") or ("FULL_OBJECT" if algorithm in _WHOLE else "COMPOSITE")
    upload = Uploads(call.platform.objects, bucket).begin(
        key, headers, user_metadata(params), algorithm=algorithm, checksum_type=kind
    )
    return {"Bucket": bucket, "Key": key, "UploadId": upload.id, **_checksum_kind(upload)}


def upload_part(call: Call) -> JsonObject:
    """Store a part that comes with the request."""
    refuse(call, UNOFFERED)
    uploads, upload = _open(call)
    headers: dict[str, str] = {}
    body = CheckedBody(call, headers, algorithm=upload.algorithm)
    info = uploads.add_part(upload, _number(call), body, headers)
    return {"ETag": quoted(info.etag), **_checksums_of_part(info)}


def upload_part_copy(call: Call) -> JsonObject:
    """Store a part that is read from another object."""
    refuse(call, (*UNOFFERED, "CopySourceSSECustomerKey"))
    uploads, upload = _open(call)
    headers: dict[str, str] = {}
    _, content = copy_source(call)
    if upload.algorithm:
        content = computing(content, checksum_header(upload.algorithm), headers)
    info = uploads.add_part(upload, _number(call), content, headers)
    return {
        "CopyPartResult": {
            "ETag": quoted(info.etag),
            "LastModified": info.modified_at,
            **_checksums_of_part(info),
        }
    }


def complete_multipart_upload(call: Call) -> JsonObject:
    """Make the object of an upload's parts; repeating it changes nothing more."""
    bucket, key, upload_id = open_bucket(call), call.params["Key"], call.params["UploadId"]
    uploads = Uploads(call.platform.objects, bucket)
    info = _made_before(call, bucket, key, upload_id)
    if info is None:
        upload = uploads.find(key, upload_id)
        parts = _chosen_parts(call, dict(uploads.parts(upload)))
        info = _assemble(call, upload, parts, uploads)
    uploads.forget(f"{bucket}/{upload_id}")
    return {
        "Location": f"/{bucket}/{key}",
        "Bucket": bucket,
        "Key": key,
        "ETag": quoted(info.etag),
        **checksums(info.headers),
    }


def abort_multipart_upload(call: Call) -> None:
    """Remove an upload and its parts."""
    refuse(call, ("IfMatchInitiatedTime",))
    uploads, upload = _open(call)
    uploads.forget(upload.place)


def list_parts(call: Call) -> JsonObject:
    """List the parts of an upload, by number."""
    params = call.params
    uploads, upload = _open(call)
    size = page_size(params.get("MaxParts"), "max-parts")
    marker = params.get("PartNumberMarker", 0)
    found = list(islice(uploads.parts(upload, after=max(0, marker)), size + 1))
    page = found[:size]
    result: JsonObject = {
        "Bucket": upload.bucket,
        "Key": upload.key,
        "UploadId": upload.id,
        "PartNumberMarker": marker,
        "MaxParts": size,
        "IsTruncated": bool(page) and len(found) > size,
        "Parts": [
            {
                "PartNumber": number,
                "LastModified": info.modified_at,
                "ETag": quoted(info.etag),
                "Size": info.size_bytes,
                **_checksums_of_part(info),
            }
            for number, info in page
        ],
        "Initiator": account_as_owner(call.account),
        "Owner": account_as_owner(call.account),
        "StorageClass": "STANDARD",
        **_checksum_kind(upload),
    }
    if page:
        result["NextPartNumberMarker"] = page[-1][0]
    return result


def list_multipart_uploads(call: Call) -> JsonObject:
    """List a bucket's unfinished uploads, by key and age."""
    params = call.params
    bucket = open_bucket(call)
    write = written_as(params.get("EncodingType"))
    size = page_size(params.get("MaxUploads"), "max-uploads")
    prefix, delimiter = params.get("Prefix", ""), params.get("Delimiter", "")
    found = list(_rolled_up(_waiting(call, bucket), prefix, delimiter))
    page = found[:size]
    result: JsonObject = {
        "Bucket": bucket,
        "KeyMarker": write(params.get("KeyMarker", "")),
        "UploadIdMarker": params.get("UploadIdMarker", ""),
        "Prefix": write(prefix),
        "MaxUploads": size,
        "IsTruncated": bool(page) and len(found) > size,
        "Uploads": [
            {
                "Key": write(entry.key),
                "UploadId": entry.id,
                "Initiated": entry.initiated_at,
                "StorageClass": "STANDARD",
                "Owner": account_as_owner(call.account),
                "Initiator": account_as_owner(call.account),
                **_checksum_kind(entry),
            }
            for entry in page
            if isinstance(entry, Upload)
        ],
        "CommonPrefixes": [{"Prefix": write(entry)} for entry in page if isinstance(entry, str)],
    }
    if delimiter:
        result["Delimiter"] = write(delimiter)
    if params.get("EncodingType"):
        result["EncodingType"] = params["EncodingType"]
    if result["IsTruncated"]:
        last = page[-1]
        result["NextKeyMarker"] = write(last if isinstance(last, str) else last.key)
        result["NextUploadIdMarker"] = "" if isinstance(last, str) else last.id
    return result


def _open(call: Call) -> tuple[Uploads, Upload]:
    uploads = Uploads(call.platform.objects, open_bucket(call))
    return uploads, uploads.find(call.params["Key"], call.params["UploadId"])


def _number(call: Call) -> int:
    number: int = call.params["PartNumber"]
    if not 1 <= number <= _MOST_PARTS:
        raise WireError("InvalidArgument", f"PartNumber is {number}; legal: 1 to {_MOST_PARTS}")
    return number


def _made_before(call: Call, bucket: str, key: str, upload_id: str) -> ObjectInfo | None:
    try:
        info = call.platform.objects.stat(bucket, checked_key(key))
    except NotFound:
        return None
    return info if info.headers.get(MADE_BY) == upload_id else None


def _chosen_parts(call: Call, stored: dict[int, ObjectInfo]) -> list[ObjectInfo]:
    named = call.params.get("MultipartUpload", {}).get("Parts") or []
    if not 1 <= len(named) <= _MOST_PARTS:
        raise WireError("MalformedXML", f"{len(named)} parts are named; legal: 1 to {_MOST_PARTS}")
    numbers = [part.get("PartNumber", 0) for part in named]
    if any(first >= second for first, second in pairwise(numbers)):
        raise WireError("InvalidPartOrder", "The parts are not named by rising PartNumber")
    chosen = [_chosen_part(part, stored) for part in named]
    for number, info in zip(numbers[:-1], chosen, strict=False):
        if info.size_bytes < _SMALLEST_PART:
            raise WireError(
                "EntityTooSmall",
                f"Part {number} has {info.size_bytes} bytes; legal: at least {_SMALLEST_PART}"
                " for all but the last",
                members={
                    "PartNumber": str(number),
                    "ETag": info.etag,
                    "ProposedSize": str(info.size_bytes),
                    "MinSizeAllowed": str(_SMALLEST_PART),
                },
            )
    return chosen


def _chosen_part(part: JsonObject, stored: dict[int, ObjectInfo]) -> ObjectInfo:
    number = part.get("PartNumber", 0)
    info = stored.get(number)
    if info is None or unquoted(part.get("ETag", "")) != info.etag:
        raise _invalid_part(number, "was not uploaded, or its ETag is another")
    for member, header in CHECKSUM_MEMBERS.items():
        if member in part and info.headers.get(header) != part[member]:
            raise _invalid_part(number, f"has another {member}")
    return info


def _invalid_part(number: int, problem: str) -> WireError:
    return WireError("InvalidPart", f"Part {number} {problem}", members={"PartNumber": str(number)})


def _assemble(call: Call, upload: Upload, parts: list[ObjectInfo], uploads: Uploads) -> ObjectInfo:
    headers = {**upload.headers, MADE_BY: upload.id}
    content: Iterable[bytes] = _content(uploads, parts)
    _check_total(call, parts)
    if upload.algorithm:
        header = checksum_header(upload.algorithm)
        headers[CHECKSUM_TYPE] = upload.checksum_type
        if upload.checksum_type == "COMPOSITE":
            headers[header] = _composite(header, parts)
            _check_whole(call, header, headers)
        else:
            content = _verified(call, computing(content, header, headers), header, headers)
    try:
        return call.platform.objects.put(
            upload.bucket,
            upload.key,
            content,
            headers=headers,
            metadata=upload.metadata,
            expected=expected_version(call),
            parts=len(parts),
        )
    except Conflict:
        raise precondition_failed("If-None-Match or If-Match") from None


def _content(uploads: Uploads, parts: list[ObjectInfo]) -> Iterator[bytes]:
    for info in parts:
        number = int(info.key.rpartition("/")[2])
        try:
            yield from uploads.read_part(info)
        except (Conflict, NotFound):
            raise _invalid_part(number, "was replaced or removed meanwhile") from None


def _check_total(call: Call, parts: list[ObjectInfo]) -> None:
    total = sum(info.size_bytes for info in parts)
    announced = call.params.get("MpuObjectSize", total)
    if announced != total:
        raise WireError(
            "InvalidRequest", f"x-amz-mp-object-size is {announced}, but the parts have {total}"
        )


def _composite(header: str, parts: list[ObjectInfo]) -> str:
    digest = CHECKSUMS[header]()
    for info in parts:
        digest.update(base64.b64decode(info.headers[header]))
    return f"{base64.b64encode(digest.digest()).decode()}-{len(parts)}"


def _check_whole(call: Call, header: str, headers: dict[str, str]) -> None:
    members = (member for member, name in CHECKSUM_MEMBERS.items() if name == header)
    given = next((call.params[member] for member in members if member in call.params), None)
    if given not in (None, headers[header]):
        raise WireError("BadDigest", f"{header} does not match the object that the parts make")


def _verified(
    call: Call, content: Iterable[bytes], header: str, headers: dict[str, str]
) -> Iterator[bytes]:
    yield from content
    _check_whole(call, header, headers)


def _checksum_kind(upload: Upload) -> JsonObject:
    if not upload.algorithm:
        return {}
    return {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.checksum_type}


def _checksums_of_part(info: ObjectInfo) -> JsonObject:
    found = checksums(info.headers)
    found.pop("ChecksumType", None)
    return found


def _waiting(call: Call, bucket: str) -> list[Upload]:
    params = call.params
    marker = params.get("KeyMarker", "")
    waiting = sorted(
        Uploads(call.platform.objects, bucket).all(),
        key=lambda upload: (upload.key, upload.initiated_at, upload.id),
    )
    same = [upload.id for upload in waiting if upload.key == marker]
    behind: list[str] = []
    if params.get("UploadIdMarker") in same:
        behind = same[same.index(params["UploadIdMarker"]) + 1 :]
    return [upload for upload in waiting if upload.key > marker or upload.id in behind]


def _rolled_up(waiting: list[Upload], prefix: str, delimiter: str) -> Iterator[Upload | str]:
    last = ""
    for upload in waiting:
        if not upload.key.startswith(prefix):
            continue
        cut = upload.key.find(delimiter, len(prefix)) if delimiter else -1
        if cut < 0:
            yield upload
        elif (common := upload.key[: cut + len(delimiter)]) != last:
            last = common
            yield common
