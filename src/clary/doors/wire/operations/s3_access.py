"""What every S3 operation asks first: is there such a bucket, and is it the caller's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clary.doors.wire.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clary.doors.wire.call import Call
    from clary.kernel.resource import Bucket

UPLOADS = "clary-multipart-uploads"
"""The bucket that holds unfinished uploads; no caller can name it."""
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NOT_NAMES = re.compile(r"[0-9]+(\.[0-9]+){3}|xn--.*|sthree-.*|.*-s3alias|.*--ol-s3|.*\.\..*")
_LONGEST_KEY = 1024


def check_bucket_name(name: str) -> None:
    """Refuse what cannot name a bucket."""
    if not _NAME.fullmatch(name) or _NOT_NAMES.fullmatch(name) or name == UPLOADS:
        raise WireError(
            "InvalidBucketName",
            f"{name!r} cannot name a bucket; legal: 3 to 63 of a-z, 0-9, '.' and '-', a letter or"
            " digit at both ends, no '..', no IP address, no reserved prefix or suffix",
            members={"BucketName": name},
        )


def buckets(call: Call) -> Sequence[Bucket]:
    """List the caller's buckets, by name."""
    found = call.platform.objects.buckets()
    return [held for held in found if held.account == call.account and held.name != UPLOADS]


def find_bucket(call: Call, name: str) -> Bucket | None:
    """Find anybody's bucket."""
    found = call.platform.objects.buckets()
    return next((held for held in found if held.name == name != UPLOADS), None)


def open_bucket(call: Call, name: str = "", owner: str | None = None) -> str:
    """Return a bucket's name: the one named, else the request's own.

    Parameters
    ----------
    owner
        The account that the caller takes it to belong to; the request's ``ExpectedBucketOwner``
        when no name is given.

    Raises
    ------
    WireError
        NoSuchBucket, or AccessDenied where it is not the caller's or not the expected owner's.
    """
    if not name:
        name, owner = call.params["Bucket"], call.params.get("ExpectedBucketOwner")
    bucket = find_bucket(call, name)
    if bucket is None:
        problem = f"The bucket {name!r} does not exist"
        raise WireError("NoSuchBucket", problem, 404, members={"BucketName": name})
    if bucket.account != call.account or (owner is not None and owner != bucket.account):
        whose = "you" if bucket.account != call.account else owner
        raise WireError("AccessDenied", f"The bucket {name!r} does not belong to {whose}", 403)
    return name


def checked_key(key: str) -> str:
    """Return a key that may be stored."""
    size = len(key.encode("utf-8", "surrogatepass"))
    if size > _LONGEST_KEY:
        problem = f"The key has {size} bytes; legal: at most {_LONGEST_KEY}"
        raise WireError("KeyTooLongError", problem, members={"Size": str(size)})
    return key


def no_such_key(key: str) -> WireError:
    """Say that there is no such object."""
    return WireError("NoSuchKey", f"The key {key!r} does not exist", 404, members={"Key": key})


def refuse(call: Call, members: Iterable[str]) -> None:
    """Refuse members whose meaning is not offered, rather than pass over them."""
    for member in members:
        if call.params.get(member) not in (None, False):
            raise WireError("NotImplemented", f"clary does not offer {member}", 501)
    if call.params.get("VersionId", "null") != "null":
        raise WireError("NoSuchVersion", "clary keeps one version, named 'null', of objects", 404)


def account_as_owner(account: str) -> dict[str, str]:
    """Write an account as an owner."""
    return {"DisplayName": account, "ID": account}
