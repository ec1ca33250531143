"""S3: buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.wire.errors import WireError
from clary.doors.wire.operations.s3_access import (
    account_as_owner,
    buckets,
    check_bucket_name,
    find_bucket,
    open_bucket,
)
from clary.doors.wire.operations.s3_uploads import forget_uploads
from clary.kernel.clock import now
from clary.kernel.errors import AlreadyExists, Conflict
from clary.kernel.names import Ref
from clary.kernel.paging import decode_token, encode_token
from clary.kernel.resource import Bucket, Event

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject

_FIRST_REGION = "us-east-1"


def list_buckets(call: Call) -> JsonObject:
    """List the caller's buckets."""
    params = call.params
    after = _text_of(params["ContinuationToken"]) if "ContinuationToken" in params else ""
    found = [
        bucket
        for bucket in buckets(call)
        if bucket.name.startswith(params.get("Prefix", ""))
        and bucket.name > after
        and params.get("BucketRegion") in (None, bucket.region)
    ]
    page = found[: params.get("MaxBuckets", 10_000)]
    result: JsonObject = {
        "Owner": account_as_owner(call.account),
        "Buckets": [
            {
                "Name": bucket.name,
                "CreationDate": bucket.created_at,
                "BucketRegion": bucket.region,
                "BucketArn": f"arn:aws:s3:::{bucket.name}",
            }
            for bucket in page
        ],
    }
    if "Prefix" in params:
        result["Prefix"] = params["Prefix"]
    if len(page) < len(found):
        result["ContinuationToken"] = encode_token(page[-1].name)
    return result


def create_bucket(call: Call) -> JsonObject:
    """Make a bucket in the region that is named, else in the call's."""
    name = call.params["Bucket"]
    check_bucket_name(name)
    region = call.params.get("CreateBucketConfiguration", {}).get("LocationConstraint")
    if region and region != call.region != _FIRST_REGION:
        problem = f"LocationConstraint is {region!r}; legal here: {call.region!r}"
        raise WireError("IllegalLocationConstraintException", problem)
    try:
        call.platform.objects.create_bucket(
            Bucket(name, call.account, region or call.region, now())
        )
    except AlreadyExists:
        return _existing(call, name)
    _record(call, name, "created")
    return _location(name)


def head_bucket(call: Call) -> JsonObject:
    """Say that a bucket is there, and where."""
    name = open_bucket(call)
    bucket = find_bucket(call, name)
    region = bucket.region if bucket else call.region
    return {"BucketRegion": region, "BucketArn": f"arn:aws:s3:::{name}", "AccessPointAlias": False}


def get_bucket_location(call: Call) -> JsonObject:
    """Name a bucket's region, which S3 leaves empty for its first."""
    bucket = find_bucket(call, open_bucket(call))
    region = bucket.region if bucket else ""
    return {"LocationConstraint": "" if region == _FIRST_REGION else region}


def delete_bucket(call: Call) -> None:
    """Remove an empty bucket, and the uploads to it that were never finished."""
    name = open_bucket(call)
    try:
        call.platform.objects.delete_bucket(name)
    except Conflict as error:
        raise WireError(
            "BucketNotEmpty", error.message, 409, members={"BucketName": name}
        ) from None
    forget_uploads(call.platform.objects, name)
    _record(call, name, "deleted")


def _record(call: Call, name: str, what: str) -> None:
    """Write the journal's line, after the change: buckets are folders, not metadata."""
    ref = Ref(call.account, "", "bucket", name)
    with call.platform.store.begin() as change:
        change.append(Event(now(), call.actor, f"bucket.{what}", ref))


def _existing(call: Call, name: str) -> JsonObject:
    bucket = find_bucket(call, name)
    if bucket is None or bucket.account != call.account:
        raise WireError(
            "BucketAlreadyExists",
            f"The name {name!r} is taken by another account",
            409,
            members={"BucketName": name},
        )
    if call.region == bucket.region == _FIRST_REGION:
        return _location(name)  # as S3 does in that region alone
    raise WireError(
        "BucketAlreadyOwnedByYou",
        f"You have a bucket {name!r} already",
        409,
        members={"BucketName": name},
    )


def _location(name: str) -> JsonObject:
    return {"Location": f"/{name}", "BucketArn": f"arn:aws:s3:::{name}"}


def _text_of(token: str) -> str:
    position = decode_token(token, field="ContinuationToken")
    if not isinstance(position, str):
        raise WireError("InvalidArgument", "The continuation token is not one of this list")
    return position
