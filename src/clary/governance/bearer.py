"""One word that holds credentials and a region, for clients that send a bearer token."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import msgspec

from clary.governance.model import Credentials

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_BEARER = 4096
_PARTS = 4


def bearer(credentials: Credentials, region: str) -> str:
    """Write credentials and the region they are for as one word.

    A session token alone would not do: it stands in presigned URLs, which are given to others.

    Examples
    --------
    >>> read_bearer(bearer(Credentials("AKIA", "secret"), "us-east-1"))[1]
    'us-east-1'
    """
    parts = (
        credentials.access_key_id,
        credentials.secret_key,
        credentials.session_token,
        region,
    )
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode()


def read_bearer(word: str) -> tuple[Credentials, str]:
    """Read what ``bearer`` wrote; raises ValueError when it is no such word."""
    if len(word) > LONGEST_BEARER:
        raise ValueError("too long")
    try:
        parts: Sequence[str] = msgspec.json.decode(
            base64.b64decode(word, altchars=b"-_", validate=True), type=list[str]
        )
    except (binascii.Error, msgspec.MsgspecError, UnicodeError) as error:
        raise ValueError("no bearer token of this kind") from error
    if len(parts) != _PARTS:
        raise ValueError(f"{len(parts)} parts")
    key, secret, token, region = parts
    return Credentials(key, secret, token), region
