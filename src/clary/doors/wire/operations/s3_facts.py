"""Members of S3 requests and answers that describe an object, and how they are stored with it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from clary.doors.wire.checksums import CHECKSUMS
from clary.doors.wire.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import ObjectInfo

_CONTENT = {
    "CacheControl": "cache-control",
    "ContentDisposition": "content-disposition",
    "ContentEncoding": "content-encoding",
    "ContentLanguage": "content-language",
    "ContentType": "content-type",
    "WebsiteRedirectLocation": "x-amz-website-redirect-location",
}
_DEFAULT_TYPE = "binary/octet-stream"
_MOST_METADATA_BYTES = 2048
_PREFIX = "x-amz-checksum-"
CHECKSUM_TYPE = "x-amz-checksum-type"
TAGS = "x-amz-tagging"
UNOFFERED = (
    "SSECustomerAlgorithm",
    "SSECustomerKey",
    "ObjectLockMode",
    "ObjectLockRetainUntilDate",
    "ObjectLockLegalHoldStatus",
    "WriteOffsetBytes",
)
"""What a client must not believe to be done: its keys and locks."""
CHECKSUM_MEMBERS = {
    f"Checksum{name}": f"{_PREFIX}{name.lower()}"
    for name in (
        *("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512"),
        *("MD5", "XXHASH64", "XXHASH3", "XXHASH128"),
    )
}


def content_headers(params: Mapping[str, object]) -> dict[str, str]:
    """Return the content headers of a request, as they are stored."""
    found = {
        header: str(params[member]) for member, header in _CONTENT.items() if params.get(member)
    }
    codings = [part.strip() for part in found.pop("content-encoding", "").split(",")]
    kept = ",".join(part for part in codings if part not in ("", "aws-chunked"))
    if kept:
        found["content-encoding"] = kept
    expires = params.get("Expires")
    if isinstance(expires, datetime):
        found["expires"] = expires.isoformat()
    found.setdefault("content-type", _DEFAULT_TYPE)
    _check_text(found)
    return found


def user_metadata(params: Mapping[str, object]) -> dict[str, str]:
    """Return the pairs of ``x-amz-meta-*``, bounded as in S3."""
    given = params.get("Metadata") or {}
    assert isinstance(given, dict)  # noqa: S101 by the operation's model
    metadata = {name.lower(): value for name, value in given.items()}
    _check_text(metadata)
    size = sum(len(f"{name}{value}".encode()) for name, value in metadata.items())
    if size > _MOST_METADATA_BYTES:
        raise WireError(
            "MetadataTooLarge",
            f"The metadata have {size} bytes; legal: at most {_MOST_METADATA_BYTES}",
            members={"Size": str(size), "MaxSizeAllowed": str(_MOST_METADATA_BYTES)},
        )
    return metadata


def described(info: ObjectInfo) -> JsonObject:
    """Describe an object as GetObject and HeadObject do, without its checksums."""
    headers = info.headers
    result: JsonObject = {
        "LastModified": info.modified_at,
        "ContentLength": info.size_bytes,
        "ETag": quoted(info.etag),
        "AcceptRanges": "bytes",
        "Metadata": dict(info.metadata),
        "ContentType": _DEFAULT_TYPE,
        **{member: headers[header] for member, header in _CONTENT.items() if header in headers},
    }
    if "expires" in headers:
        result["Expires"] = datetime.fromisoformat(headers["expires"])
    if tags := headers.get(TAGS):
        result["TagCount"] = tags.count("=")
    return result


def checksums(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the stored checksums as members of an answer."""
    found = {member: headers[name] for member, name in CHECKSUM_MEMBERS.items() if name in headers}
    return {**found, "ChecksumType": headers.get(CHECKSUM_TYPE, "FULL_OBJECT")} if found else {}


def is_checksum(header: str) -> bool:
    """Say whether a stored header is a checksum or the kind of one."""
    return header.startswith(_PREFIX)


def checksum_header(algorithm: str) -> str:
    """Return the header of an algorithm that can be computed. Raises WireError for others."""
    header = _PREFIX + algorithm.lower()
    if header not in CHECKSUMS:
        legal = ", ".join(name.removeprefix(_PREFIX).upper() for name in CHECKSUMS)
        problem = f"clary does not compute the checksum {algorithm}; legal: {legal}"
        raise WireError("NotImplemented", problem, 501)
    return header


def quoted(etag: str) -> str:
    """Write an etag as headers and documents have it."""
    return f'"{etag}"'


def unquoted(etag: str) -> str:
    """Read an etag as a client sends it."""
    return etag.strip().removeprefix("W/").strip('"')


def _check_text(values: Mapping[str, str]) -> None:
    for name, value in values.items():
        try:
            f"{name}{value}".encode()
        except UnicodeEncodeError:
            raise WireError("InvalidArgument", f"The header {name!r} is not UTF-8") from None
