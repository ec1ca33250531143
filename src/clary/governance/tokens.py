"""Short-lived credentials without a store: a signed token, from which the keys follow."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime

import msgspec

from clary.governance.model import Credentials, CredentialsExpired, Identity, letters
from clary.kernel.errors import Forbidden

LONGEST_TOKEN = 2048


class Claims(msgspec.Struct, frozen=True, array_like=True):
    """What a token says: who it speaks for, and until when (seconds since 1970).

    ``nonce`` makes two tokens of the same session differ.
    """

    account: str
    role: str
    session: str
    expires_s: int
    nonce: str

    @property
    def expires_at(self) -> datetime:
        """When the keys end."""
        return datetime.fromtimestamp(self.expires_s, UTC)


def mint(secret: bytes, claims: Claims) -> Credentials:
    """Make the keys for ``claims``; the same claims give the same keys."""
    payload = msgspec.json.encode(claims)
    token = _text(payload) + "." + _text(_seal(secret, b"token", payload))
    return Credentials(
        _access_key_id(payload), _secret_key(secret, payload), token, claims.expires_at
    )


def verify(secret: bytes, access_key_id: str, token: str, at: datetime) -> Identity:
    """Say who holds the token.

    Raises
    ------
    Forbidden
        ``mint`` did not write it with this secret, or it belongs to another key.
    CredentialsExpired
        Its time is over.
    """
    payload = _payload(secret, token)
    if payload is None or _access_key_id(payload) != access_key_id:
        raise Forbidden(
            "the session token", "sign requests to", "this home", hint="ask for new keys"
        )
    claims = msgspec.json.decode(payload, type=Claims)
    if at >= claims.expires_at:
        raise CredentialsExpired(f"{claims.role}/{claims.session}", claims.expires_at)
    return Identity(
        claims.account, claims.role, claims.session, access_key_id, _secret_key(secret, payload)
    )


def _payload(secret: bytes, token: str) -> bytes | None:
    """Return what a token says, if its seal is ours."""
    body, _, seal = token[: LONGEST_TOKEN + 1].partition(".")
    try:
        payload, sealed = _bytes(body), _bytes(seal)
    except (binascii.Error, ValueError):
        return None
    genuine = hmac.compare_digest(_seal(secret, b"token", payload), sealed)
    return payload if genuine and len(token) <= LONGEST_TOKEN else None


def _access_key_id(payload: bytes) -> str:
    return "ASIA" + letters(payload)[:16]


def _secret_key(secret: bytes, payload: bytes) -> str:
    return _text(_seal(secret, b"secret", payload))[:40]


def _seal(secret: bytes, purpose: bytes, payload: bytes) -> bytes:
    return hmac.digest(secret, purpose + b":" + payload, hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, altchars=b"-_", validate=True)
