"""S3: tags of objects, which are stored among an object's headers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from clary.doors.wire.errors import WireError
from clary.doors.wire.operations.s3_access import no_such_key, open_bucket, refuse
from clary.doors.wire.operations.s3_facts import TAGS
from clary.kernel.errors import Conflict, NotFound

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import ObjectInfo

_MOST_TAGS = 10
_LONGEST_KEY = 128
_LONGEST_VALUE = 256


def checked_tags(query: str) -> str:
    """Return tags that came as a query string, in the form they are stored in."""
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=_MOST_TAGS
        )
    except ValueError:
        legal = f"at most {_MOST_TAGS} pairs as in a query string"
        raise WireError("InvalidArgument", f"x-amz-tagging is {query!r}; legal: {legal}") from None
    return _written(pairs)


def get_object_tagging(call: Call) -> JsonObject:
    """List an object's tags."""
    info = _stat(call, open_bucket(call))
    pairs = parse_qsl(info.headers.get(TAGS, ""), keep_blank_values=True)
    return {"TagSet": [{"Key": key, "Value": value} for key, value in pairs]}


def put_object_tagging(call: Call) -> None:
    """Replace an object's tags."""
    pairs = [(tag["Key"], tag["Value"]) for tag in call.params["Tagging"]["TagSet"]]
    _store(call, _written(pairs))


def delete_object_tagging(call: Call) -> None:
    """Remove an object's tags."""
    _store(call, "")


def _store(call: Call, tags: str) -> None:
    bucket = open_bucket(call)
    objects = call.platform.objects
    while True:
        info = _stat(call, bucket)
        headers = {name: value for name, value in info.headers.items() if name != TAGS}
        if tags:
            headers[TAGS] = tags
        try:
            objects.put(
                bucket,
                info.key,
                objects.read(bucket, info.key, expected=info.etag),
                headers=headers,
                metadata=info.metadata,
                expected=info.etag,
                parts=int(info.etag.rpartition("-")[2]),
            )
        except Conflict:
            continue  # replaced meanwhile: tag the new one
        return


def _stat(call: Call, bucket: str) -> ObjectInfo:
    refuse(call, ())
    try:
        return call.platform.objects.stat(bucket, call.params["Key"])
    except NotFound:
        raise no_such_key(call.params["Key"]) from None


def _written(pairs: list[tuple[str, str]]) -> str:
    if len(pairs) > _MOST_TAGS or len(dict(pairs)) < len(pairs):
        problem = f"{len(pairs)} tags; legal: at most {_MOST_TAGS}, each key once"
        raise WireError("InvalidTag", problem)
    for key, value in pairs:
        if not 1 <= len(key) <= _LONGEST_KEY or len(value) > _LONGEST_VALUE:
            legal = f"keys of 1 to {_LONGEST_KEY} characters, values of at most {_LONGEST_VALUE}"
            raise WireError("InvalidTag", f"The tag {key[:40]!r} is too long; legal: {legal}")
    return urlencode(pairs)
