"""S3: listing a bucket's objects."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from clary.doors.wire.errors import WireError
from clary.doors.wire.operations.s3_access import account_as_owner, open_bucket
from clary.doors.wire.operations.s3_facts import checksums, quoted
from clary.kernel.paging import decode_token, encode_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import ObjectInfo, ObjectPage

_MOST_KEYS = 1000


def list_objects(call: Call) -> JsonObject:
    """List by marker."""
    page, result = _page(call, call.params.get("Marker", ""))
    result["Marker"] = call.params.get("Marker", "")
    if page.next_after and call.params.get("Delimiter"):
        result["NextMarker"] = page.next_after
    owner = account_as_owner(call.account)
    for entry in result["Contents"]:
        entry["Owner"] = owner
    return _written(call, result)


def list_objects_v2(call: Call) -> JsonObject:
    """List by continuation token."""
    params = call.params
    after = params.get("StartAfter", "")
    if "ContinuationToken" in params:
        after = _position(params["ContinuationToken"])
    page, result = _page(call, after)
    result["KeyCount"] = len(page.objects) + len(page.prefixes)
    for member in ("ContinuationToken", "StartAfter"):
        if member in params:
            result[member] = params[member]
    if page.next_after:
        result["NextContinuationToken"] = encode_token(page.next_after)
    if params.get("FetchOwner"):
        owner = account_as_owner(call.account)
        for entry in result["Contents"]:
            entry["Owner"] = owner
    return _written(call, result)


def page_size(given: int | None, field: str) -> int:
    """Return how many entries a page may have. Raises WireError for a negative number."""
    if given is not None and given < 0:
        raise WireError("InvalidArgument", f"{field} is {given}; legal: 0 to 2147483647")
    return min(_MOST_KEYS, _MOST_KEYS if given is None else given)


def written_as(encoding: str | None) -> Callable[[str], str]:
    """Return how keys are written under an ``EncodingType``."""
    if encoding is None:
        return str
    if encoding != "url":
        raise WireError("InvalidArgument", f"encoding-type is {encoding!r}; legal: url")
    return quote


def _page(call: Call, after: str) -> tuple[ObjectPage, JsonObject]:
    params = call.params
    bucket = open_bucket(call)
    prefix, delimiter = params.get("Prefix", ""), params.get("Delimiter", "")
    size = page_size(params.get("MaxKeys"), "max-keys")
    page = call.platform.objects.list(
        bucket, prefix=prefix, delimiter=delimiter, after=after, limit=size
    )
    result: JsonObject = {
        "Name": bucket,
        "Prefix": prefix,
        "MaxKeys": size,
        "IsTruncated": bool(page.next_after),
        "Contents": [_entry(info) for info in page.objects],
        "CommonPrefixes": [{"Prefix": common} for common in page.prefixes],
    }
    if delimiter:
        result["Delimiter"] = delimiter
    return page, result


def _entry(info: ObjectInfo) -> JsonObject:
    entry = {
        "Key": info.key,
        "LastModified": info.modified_at,
        "ETag": quoted(info.etag),
        "Size": info.size_bytes,
        "StorageClass": "STANDARD",
    }
    if known := checksums(info.headers):
        entry["ChecksumType"] = known.pop("ChecksumType")
        entry["ChecksumAlgorithm"] = [name.removeprefix("Checksum") for name in known]
    return entry


def _written(call: Call, result: JsonObject) -> JsonObject:
    encoding = call.params.get("EncodingType")
    write = written_as(encoding)
    if encoding is None:
        return result
    for entry in result["Contents"]:
        entry["Key"] = write(entry["Key"])
    for entry in result["CommonPrefixes"]:
        entry["Prefix"] = write(entry["Prefix"])
    for member in ("Prefix", "Delimiter", "Marker", "NextMarker", "StartAfter"):
        if member in result:
            result[member] = write(result[member])
    return {**result, "EncodingType": encoding}


def _position(token: str) -> str:
    position = decode_token(token, field="continuation-token")
    if not isinstance(position, str):
        raise WireError("InvalidArgument", "The continuation token is not one of this list")
    return position
