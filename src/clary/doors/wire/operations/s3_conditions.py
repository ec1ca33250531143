"""The conditions and ranges of S3 requests."""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING

from clary.doors.wire.errors import WireError
from clary.doors.wire.operations.s3_access import no_such_key
from clary.doors.wire.operations.s3_facts import quoted, unquoted
from clary.kernel.errors import NotFound

if TYPE_CHECKING:
    from datetime import datetime

    from clary.doors.wire.call import Call
    from clary.kernel.resource import ObjectInfo

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def check_conditions(call: Call, info: ObjectInfo, *, prefix: str = "") -> None:
    """Compare an object with what the caller knows of it, in the order of RFC 9110.

    Parameters
    ----------
    prefix
        Before the members' names: ``CopySource``; then nothing is NotModified, only failed.

    Raises
    ------
    WireError
        PreconditionFailed or NotModified.
    """
    match, none_match, modified_since, unmodified_since = (
        call.params.get(f"{prefix}If{name}")
        for name in ("Match", "NoneMatch", "ModifiedSince", "UnmodifiedSince")
    )
    if match is not None:
        if not _matches(match, info):
            raise precondition_failed("If-Match")
    elif unmodified_since is not None and _is_later(info, unmodified_since):
        raise precondition_failed("If-Unmodified-Since")
    if none_match is not None:
        changed = not _matches(none_match, info)
    else:
        changed = modified_since is None or _is_later(info, modified_since)
    if not changed:
        raise precondition_failed("If-None-Match") if prefix else _not_modified(info)


def expected_version(call: Call) -> str | None:
    """Return the etag that a write expects to replace; empty: none; None: anything.

    Raises
    ------
    WireError
        NoSuchKey, PreconditionFailed, or NotImplemented for what S3 does not offer either.
    """
    if (none_match := call.params.get("IfNoneMatch")) is not None:
        if none_match != "*":
            raise WireError("NotImplemented", "If-None-Match of a write must be '*'", 501)
        return ""
    match = call.params.get("IfMatch")
    if match is None:
        return None
    try:
        info = call.platform.objects.stat(call.params["Bucket"], call.params["Key"])
    except NotFound:
        raise no_such_key(call.params["Key"]) from None
    if not _matches(match, info):
        raise precondition_failed("If-Match")
    return info.etag


def chosen_range(text: str | None, size: int) -> tuple[int, int] | None:
    """Return the bytes ``[start, end)`` that a Range header asks for; None for all of them.

    As HTTP has it, a header that is malformed or asks for several ranges is passed over.

    Raises
    ------
    WireError
        InvalidRange: it lies behind the object's end.
    """
    match = _RANGE.fullmatch(text.strip()) if text else None
    if text is None or match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= end:
        raise WireError(
            "InvalidRange",
            f"The range {text!r} is behind the object's {size} bytes",
            416,
            members={"RangeRequested": text, "ActualObjectSize": str(size)},
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, end


def precondition_failed(condition: str) -> WireError:
    """Say which condition of a request does not hold."""
    return WireError(
        "PreconditionFailed",
        f"The condition {condition} does not hold",
        412,
        members={"Condition": condition},
    )


def _not_modified(info: ObjectInfo) -> WireError:
    headers = {"ETag": quoted(info.etag)}
    return WireError("NotModified", "The object is as you know it", 304, headers=headers)


def _matches(etags: str, info: ObjectInfo) -> bool:
    return any(unquoted(etag) in ("*", info.etag) for etag in etags.split(","))


def _is_later(info: ObjectInfo, moment: datetime) -> bool:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return info.modified_at.replace(microsecond=0) > moment
