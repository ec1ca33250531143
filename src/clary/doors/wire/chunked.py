"""S3's ``aws-chunked`` bodies: framing, chunk signatures, trailing checksums."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

from clary.doors.wire.checksums import CHECKSUMS
from clary.doors.wire.errors import WireError
from clary.doors.wire.sigv4 import sign

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from clary.doors.wire.checksums import Digest
    from clary.doors.wire.sigv4 import Claim

_LONGEST_LINE = 8192
_MOST_TRAILERS = 16
_LARGEST_CHUNK = 1 << 32
_EMPTY = hashlib.sha256(b"").hexdigest()


class ChunkSigner:
    """Signs chunk after chunk, each on top of the one before, starting from the request's."""

    def __init__(self, claim: Claim, key: bytes) -> None:
        self._claim = claim
        self._key = key
        self._previous = claim.signature

    def check(self, digest: str, signature: str, kind: str = "PAYLOAD") -> None:
        """Verify the next signature. Raises WireError."""
        claim = self._claim
        parts = [f"AWS4-HMAC-SHA256-{kind}", claim.stamp, claim.scope, self._previous]
        parts += [_EMPTY, digest] if kind == "PAYLOAD" else [digest]
        expected = sign(self._key, "\n".join(parts))
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise WireError("SignatureDoesNotMatch", "A chunk's signature does not match", 403)
        self._previous = expected


class _Source:
    """Lines and counted bytes from pieces of a body."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = b""
        self._at = 0

    def line(self) -> bytes:
        held = b""
        while True:
            end = self._piece.find(b"\n", self._at)
            if end >= 0:
                held += self._piece[self._at : end]
                self._at = end + 1
                return held.removesuffix(b"\r")
            held += self._piece[self._at :]
            if len(held) > _LONGEST_LINE:
                raise _broken(f"has a line over {_LONGEST_LINE} bytes")
            self._next()

    def take(self, most: int) -> bytes:
        if self._at == len(self._piece):
            self._next()
        taken = self._piece[self._at : self._at + most]
        self._at += len(taken)
        return taken

    def _next(self) -> None:
        for piece in self._pieces:
            if piece:
                self._piece, self._at = piece, 0
                return
        raise WireError("IncompleteBody", "The body ended before its last chunk", 400)


def _broken(problem: str) -> WireError:
    return WireError("InvalidRequest", f"The aws-chunked body {problem}", 400)


class ChunkedBody:
    """The bytes inside an ``aws-chunked`` body; iterating raises WireError when one is wrong.

    Parameters
    ----------
    pieces
        The body as it came.
    signer
        Verifies chunks and trailers; None when they are not signed.
    announced
        The trailer's names, from ``X-Amz-Trailer``.
    length
        ``X-Amz-Decoded-Content-Length``; None when it was not sent.
    """

    def __init__(
        self,
        pieces: Iterable[bytes],
        signer: ChunkSigner | None,
        *,
        announced: Iterable[str] = (),
        length: int | None = None,
    ) -> None:
        self._pieces = pieces
        self._signer = signer
        self._length = length
        self._announced = frozenset(announced)
        self._digests: dict[str, Digest] = {
            name: CHECKSUMS[name]() for name in self._announced if name in CHECKSUMS
        }
        for name in self._announced - CHECKSUMS.keys():
            raise WireError(
                "NotImplemented",
                f"clary does not verify the trailer {name!r}; legal: {', '.join(CHECKSUMS)}",
                501,
            )
        self.trailers: Mapping[str, str] = {}

    def __iter__(self) -> Iterator[bytes]:
        """Yield the content; checks its signatures, length and trailers before it ends."""
        source = _Source(self._pieces)
        total = 0
        while size := self._begin_chunk(source):
            running = hashlib.sha256()
            digests = [*self._digests.values(), *([running] if self._signer else ())]
            left = size
            while left:
                data = source.take(left)
                left -= len(data)
                for digest in digests:
                    digest.update(data)
                yield data
            total += size
            self._check_chunk(running.hexdigest())
            if source.line():
                raise _broken("has a chunk longer than it says")
        self._check_chunk(_EMPTY)
        if self._length is not None and total != self._length:
            raise WireError(
                "IncompleteBody",
                f"X-Amz-Decoded-Content-Length is {self._length}, but {total} bytes came",
                400,
            )
        self._read_trailers(source)

    def _begin_chunk(self, source: _Source) -> int:
        size, _, extension = source.line().partition(b";")
        name, _, signature = extension.partition(b"=")
        self._signature = signature.decode("latin-1") if name == b"chunk-signature" else ""
        try:
            value = int(size, 16)
        except ValueError:
            raise _broken(f"has a chunk of size {size[:40]!r}") from None
        if not 0 <= value <= _LARGEST_CHUNK:
            raise _broken(f"has a chunk of size {size[:40]!r}")
        return value

    def _check_chunk(self, digest: str) -> None:
        if self._signer is not None:
            self._signer.check(digest, self._signature)

    def _read_trailers(self, source: _Source) -> None:
        found: dict[str, str] = {}
        for _ in range(_MOST_TRAILERS):
            line = source.line()
            if not line:
                break
            name, _, value = line.decode("latin-1").partition(":")
            found[name.strip().lower()] = value.strip()
        else:
            raise _broken(f"has over {_MOST_TRAILERS} trailers")
        signature = found.pop("x-amz-trailer-signature", None)
        if self._announced - found.keys():
            raise _broken(f"lacks the trailer {', '.join(sorted(self._announced - found.keys()))}")
        if self._signer is not None and found:
            canonical = "".join(f"{name}:{value}\n" for name, value in found.items())
            digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
            self._signer.check(digest, signature or "", "TRAILER")
        for name, running in self._digests.items():
            if found[name] != base64.b64encode(running.digest()).decode():
                raise WireError(
                    "BadDigest", f"The trailer {name} does not match the content received", 400
                )
        self.trailers = found
