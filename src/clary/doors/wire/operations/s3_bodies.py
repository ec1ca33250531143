"""Bodies that are stored: bounded, and checked against what the client says of them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

from clary.doors.wire.checksums import CHECKSUMS
from clary.doors.wire.errors import WireError
from clary.doors.wire.operations.s3_facts import CHECKSUM_MEMBERS, checksum_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from clary.doors.wire.call import Call
    from clary.doors.wire.checksums import Digest

_LARGEST_PUT = 5 << 30


class CheckedBody:
    """The bytes of a request; iterating raises WireError at their end when a checksum differs.

    Parameters
    ----------
    call
        A request with a ``Body``, and maybe checksums of it.
    headers
        Gets the checksums as they are known, at the end.
    algorithm
        A checksum to compute even if the client sends none.
    """

    def __init__(self, call: Call, headers: dict[str, str], *, algorithm: str = "") -> None:
        self._body: Iterable[bytes] = call.params.get("Body", ())
        self._headers = headers
        self._wanted = _announced(call)
        computed = {algorithm, call.params.get("ChecksumAlgorithm", "")} - {""}
        names = self._wanted.keys() | {checksum_header(name) for name in computed}
        self._digests: dict[str, Digest] = {name: CHECKSUMS[name]() for name in names}
        self._md5 = _announced_md5(call)
        _check_size(call.params.get("ContentLength", 0))

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes."""
        md5 = hashlib.md5(usedforsecurity=False)
        running = [*self._digests.values(), *([md5] if self._md5 else ())]
        size = 0
        for chunk in self._body:
            size += len(chunk)
            _check_size(size)
            for digest in running:
                digest.update(chunk)
            yield chunk
        if self._md5 and self._md5 != md5.digest():
            raise _bad_digest("Content-MD5")
        for name, digest in self._digests.items():
            value = digest.digest()
            if self._wanted.get(name, value) != value:
                raise _bad_digest(name)
            self._headers[name] = base64.b64encode(value).decode()


def computing(chunks: Iterable[bytes], name: str, headers: dict[str, str]) -> Iterator[bytes]:
    """Pass chunks on; behind the last, ``headers`` has their checksum under ``name``."""
    digest = CHECKSUMS[name]()
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    headers[name] = base64.b64encode(digest.digest()).decode()


def _announced(call: Call) -> dict[str, bytes]:
    return {
        checksum_header(member.removeprefix("Checksum")): _decoded(header, call.params[member])
        for member, header in CHECKSUM_MEMBERS.items()
        if member in call.params
    }


def _announced_md5(call: Call) -> bytes | None:
    text = call.params.get("ContentMD5")
    if text is None:
        return None
    value = _decoded("Content-MD5", text, code="InvalidDigest")
    if len(value) != 16:
        raise WireError("InvalidDigest", f"Content-MD5 is {text[:80]!r}, no MD5 in base64")
    return value


def _decoded(name: str, text: str, code: str = "InvalidRequest") -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise WireError(code, f"{name} is {text[:80]!r}, which is not base64") from None


def _bad_digest(name: str) -> WireError:
    return WireError("BadDigest", f"{name} does not match the content that came")


def _check_size(size: int) -> None:
    if size > _LARGEST_PUT:
        raise WireError(
            "EntityTooLarge",
            f"The body has over {_LARGEST_PUT} bytes; larger objects take a multipart upload",
            members={"MaxSizeAllowed": str(_LARGEST_PUT)},
        )
