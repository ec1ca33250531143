"""Opaque page tokens."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from clary.kernel.errors import InvalidInput


def encode_token(position: Any) -> str:
    """Write a JSON-able position as an opaque token."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode()


def decode_token(token: str, *, field: str = "NextToken") -> Any:
    """Read a token back.

    Raises
    ------
    InvalidInput
        It is no token that ``encode_token`` wrote; names ``field``.

    Examples
    --------
    >>> decode_token(encode_token(["abalone", 3]))
    ['abalone', 3]
    """
    try:
        return msgspec.json.decode(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, msgspec.DecodeError, ValueError, RecursionError):
        raise InvalidInput(field, f"{token[:40]!r} is not a token of this list") from None
