"""What requests share that are answered without the gateway: who asks, and an answer's head."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from clary.doors.wire import sigv4
from clary.doors.wire.errors import WireError
from clary.doors.wire.message import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.doors.wire.authentication import Authenticator
    from clary.platform import Platform

_IDENTIFYING = (b"authorization", b"origin")


class Callers:
    """Knows who asks.

    Parameters
    ----------
    platform
        What is served.
    authenticator
        Verifies signatures.
    service
        What the requests are for, as botocore calls it.
    is_path_enough
        Whether an unsigned request can be for it; else its path may as well be one of S3's.
    """

    def __init__(
        self,
        platform: Platform,
        authenticator: Authenticator,
        service: str,
        *,
        is_path_enough: bool = False,
    ) -> None:
        self._authenticator = authenticator
        self._service = service
        self._region = platform.config.region
        self._anybody = (
            None
            if platform.config.authenticate or not is_path_enough
            else (platform.governance.owner.account, self._region)
        )

    def where(
        self, method: str, url: bytes, given: Mapping[bytes, bytes], body: bytes
    ) -> tuple[str, str] | None:
        """Say in whose account and region a request acts; None when it cannot be told here.

        Parameters
        ----------
        url
            Path and query, as they came.
        given
            The headers, names in lower case.
        """
        if self._anybody is not None and given.keys().isdisjoint(_IDENTIFYING):
            return self._anybody
        path, _, query = url.decode("latin-1").partition("?")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in given.items()}
        return self.who(Request(method, path, query, headers, (body,)))

    def who(self, request: Request) -> tuple[str, str] | None:
        """Say the same of a whole request, whose body can be iterated again."""
        try:
            claim = sigv4.read_claim(request)
            if claim is None or claim.service != "sagemaker":
                return None
            identity = self._authenticator.identify(request, claim, self._service)
        except WireError:
            return None
        return identity.account, claim.region or self._region


def request_id() -> str:
    """Name a request as AWS does: a UUID."""
    bits = f"{random.getrandbits(128):032x}"
    return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}"


def head(status: str, headers: Mapping[str, str], size: int) -> bytes:
    """Write the head of an answer of so many bytes, up to but without its last line."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{lines}content-length: {size}\r\n".encode("latin-1")
