"""S3: objects."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from clary.doors.wire.errors import WireError
from clary.doors.wire.operations.s3_access import (
    checked_key,
    no_such_key,
    open_bucket,
    refuse,
)
from clary.doors.wire.operations.s3_bodies import CheckedBody, computing
from clary.doors.wire.operations.s3_conditions import (
    check_conditions,
    chosen_range,
    expected_version,
    precondition_failed,
)
from clary.doors.wire.operations.s3_facts import (
    CHECKSUM_TYPE,
    TAGS,
    UNOFFERED,
    checksum_header,
    checksums,
    content_headers,
    described,
    is_checksum,
    quoted,
    user_metadata,
)
from clary.doors.wire.operations.s3_tags import checked_tags
from clary.doors.wire.operations.s3_uploads import MADE_BY
from clary.kernel.errors import ClaryError, Conflict, InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import ObjectInfo

_MOST_DELETED = 1000
_OVERRIDES = (
    *("CacheControl", "ContentDisposition", "ContentEncoding"),
    *("ContentLanguage", "ContentType", "Expires"),
)


def put_object(call: Call) -> JsonObject:
    """Store an object."""
    refuse(call, UNOFFERED)
    bucket, key = open_bucket(call), checked_key(call.params["Key"])
    headers = content_headers(call.params)
    if tags := call.params.get("Tagging"):
        headers[TAGS] = checked_tags(tags)
    body = CheckedBody(call, headers)
    try:
        info = call.platform.objects.put(
            bucket,
            key,
            body,
            headers=headers,
            metadata=user_metadata(call.params),
            expected=expected_version(call),
        )
    except Conflict:
        raise precondition_failed("If-None-Match or If-Match") from None
    return {"ETag": quoted(info.etag), **checksums(info.headers)}


def get_object(call: Call) -> JsonObject:
    """Stream an object, or a range of it."""
    objects = call.platform.objects
    bucket = open_bucket(call)
    while True:
        info, result, (start, end) = _found(call, bucket)
        try:
            body = objects.read(bucket, info.key, start=start, end=end, expected=info.etag)
        except Conflict:
            continue  # replaced between the two: describe the new one
        except NotFound:
            raise no_such_key(info.key) from None
        return {**result, "Body": body}


def head_object(call: Call) -> JsonObject:
    """Describe an object as GetObject would."""
    return _found(call, open_bucket(call))[1]


def copy_object(call: Call) -> JsonObject:
    """Store an object's content under another key, or with other metadata."""
    refuse(call, (*UNOFFERED, "CopySourceSSECustomerKey"))
    bucket, key = open_bucket(call), checked_key(call.params["Key"])
    info, content = copy_source(call)
    replaces = call.params.get("MetadataDirective") == "REPLACE"
    headers = _copied_headers(call, info, replaces=replaces)
    if (info.bucket, info.key) == (bucket, key) and not _changes_itself(call, replaces=replaces):
        raise WireError("InvalidRequest", "An object cannot be copied to itself unchanged")
    metadata = user_metadata(call.params) if replaces else info.metadata
    try:
        copied = call.platform.objects.put(
            bucket,
            key,
            _digested(call, content, headers),
            headers=headers,
            metadata=metadata,
            expected=expected_version(call),
        )
    except Conflict:
        raise precondition_failed("If-None-Match or If-Match") from None
    return {
        "CopyObjectResult": {
            "ETag": quoted(copied.etag),
            "LastModified": copied.modified_at,
            **checksums(copied.headers),
        }
    }


def delete_object(call: Call) -> None:
    """Remove an object; removing an absent one is no error."""
    refuse(call, ("IfMatch", "IfMatchLastModifiedTime", "IfMatchSize"))
    call.platform.objects.delete(open_bucket(call), checked_key(call.params["Key"]))


def delete_objects(call: Call) -> JsonObject:
    """Remove many objects; each succeeds or fails by itself."""
    bucket = open_bucket(call)
    named = call.params["Delete"]["Objects"]
    if not 1 <= len(named) <= _MOST_DELETED:
        problem = f"{len(named)} objects are named; legal: 1 to {_MOST_DELETED}"
        raise WireError("MalformedXML", problem)
    deleted: list[JsonObject] = []
    errors: list[JsonObject] = []
    for entry in named:
        key = entry["Key"]
        try:
            _check_deletable(entry)
            call.platform.objects.delete(bucket, checked_key(key))
            deleted.append({"Key": key})
        except WireError as error:
            errors.append({"Key": key, "Code": error.code, "Message": error.message})
        except ClaryError as error:
            errors.append({"Key": key, "Code": "InvalidArgument", "Message": error.message})
    quiet = call.params["Delete"].get("Quiet")
    return {"Deleted": [] if quiet else deleted, "Errors": errors}


def copy_source(call: Call) -> tuple[ObjectInfo, Iterator[bytes]]:
    """Open what ``CopySource`` names, or the ``CopySourceRange`` of it."""
    path, _, query = call.params["CopySource"].partition("?")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if not key or parse_qs(query).get("versionId", ["null"]) != ["null"]:
        problem = f"x-amz-copy-source is {call.params['CopySource']!r}; legal: <bucket>/<key>"
        raise WireError("InvalidArgument", problem)
    open_bucket(call, bucket, call.params.get("ExpectedSourceBucketOwner"))
    objects = call.platform.objects
    while True:
        info = _stat(call, bucket, key)
        check_conditions(call, info, prefix="CopySource")
        start, end = 0, info.size_bytes
        if text := call.params.get("CopySourceRange"):
            start, end = _exact_range(text, info.size_bytes)
        try:
            return info, objects.read(bucket, key, start=start, end=end, expected=info.etag)
        except Conflict:
            continue


def _found(call: Call, bucket: str) -> tuple[ObjectInfo, JsonObject, tuple[int, int]]:
    params = call.params
    refuse(call, ("SSECustomerKey",))
    info = _stat(call, bucket, checked_key(params["Key"]))
    check_conditions(call, info)
    result = described(info)
    part = chosen_range(params.get("Range"), info.size_bytes)
    if params.get("PartNumber"):
        result["PartsCount"] = _only_part(params["PartNumber"], info)
    if params.get("ChecksumMode") == "ENABLED" and part is None:
        result |= checksums(info.headers)
    start, end = part or (0, info.size_bytes)
    if part:
        result["ContentRange"] = f"bytes {start}-{end - 1}/{info.size_bytes}"
    result["ContentLength"] = end - start
    for member in _OVERRIDES:
        if (value := params.get(f"Response{member}")) is not None:
            result[member] = value
    return info, result, (start, end)


def _stat(call: Call, bucket: str, key: str) -> ObjectInfo:
    try:
        return call.platform.objects.stat(bucket, key)
    except (NotFound, InvalidInput):
        raise no_such_key(key) from None


def _only_part(number: int, info: ObjectInfo) -> int:
    parts = int(info.etag.rpartition("-")[2])
    if parts > 1:
        raise WireError("NotImplemented", "clary does not keep the parts of an object apart", 501)
    if number != 1:
        raise WireError("InvalidPartNumber", f"There is no part {number}", 416)
    return parts


def _exact_range(text: str, size: int) -> tuple[int, int]:
    part = chosen_range(text, size)
    if part is None or f"bytes={part[0]}-{part[1] - 1}" != text:
        problem = f"x-amz-copy-source-range is {text!r}; legal: bytes=<first>-<last> of {size}"
        raise WireError("InvalidArgument", problem)
    return part


def _copied_headers(call: Call, info: ObjectInfo, *, replaces: bool) -> dict[str, str]:
    kept = {
        name: value
        for name, value in info.headers.items()
        # a checksum of parts is none of the copy, which has no parts
        if not (is_checksum(name) and info.headers.get(CHECKSUM_TYPE) == "COMPOSITE")
        and name != MADE_BY
    }
    if replaces:
        kept = {name: value for name, value in kept.items() if is_checksum(name) or name == TAGS}
        kept |= content_headers(call.params)
    if call.params.get("TaggingDirective") == "REPLACE":
        kept[TAGS] = checked_tags(call.params.get("Tagging", ""))
    return kept


def _changes_itself(call: Call, *, replaces: bool) -> bool:
    others = ("TaggingDirective", "StorageClass", "WebsiteRedirectLocation", "ServerSideEncryption")
    return replaces or any(call.params.get(name) not in (None, "COPY") for name in others)


def _digested(call: Call, content: Iterator[bytes], headers: dict[str, str]) -> Iterator[bytes]:
    """Pass the content on, with the checksum that the copy is to have."""
    algorithm = call.params.get("ChecksumAlgorithm")
    return content if algorithm is None else computing(content, checksum_header(algorithm), headers)


def _check_deletable(entry: JsonObject) -> None:
    for member in ("ETag", "LastModifiedTime", "Size"):
        if member in entry:
            raise WireError("NotImplemented", f"clary does not offer {member} here", 501)
    if entry.get("VersionId", "null") != "null":
        raise WireError("NoSuchVersion", "clary keeps one version, named 'null', of objects", 404)
