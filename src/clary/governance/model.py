"""Identities and the credentials that prove them."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from clary.kernel.errors import Forbidden, InvalidInput
from clary.kernel.names import Ref

DEFAULT_ROLE = "ClaryRole"
OWNER_SESSION = "owner"
_WORD = re.compile(r"[\w+=,.@-]+", re.ASCII)


class CredentialsExpired(Forbidden):
    """The keys were good once; their time is over."""

    def __init__(self, actor: str, expired_at: datetime) -> None:
        super().__init__(actor, "use", f"keys that expired at {expired_at:%Y-%m-%dT%H:%M:%SZ}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed a request: a session of a role in an account.

    Parameters
    ----------
    account
        The 12-digit account it acts in.
    role, session
        The role it has taken, and the name it gave itself.
    access_key_id
        The key it signs with.
    secret_key
        What its signatures are verified with.
    is_owner
        It signs with the key of the home itself, so it may take any role of any account here.
    """

    account: str
    role: str
    session: str
    access_key_id: str
    secret_key: str = field(repr=False)
    is_owner: bool = False

    @property
    def name(self) -> str:
        """Role and session, as a log line says it: ``ClaryRole/owner``."""
        return f"{self.role}/{self.session}"

    @property
    def principal_arn(self) -> str:
        """The ARN that GetCallerIdentity answers."""
        return f"arn:aws:sts::{self.account}:assumed-role/{self.name}"

    @property
    def user_id(self) -> str:
        """The unique id of the session: ``AROA…:owner``."""
        return f"{role_id(role_ref(self.account, self.role))}:{self.session}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client signs with; ``session_token`` and ``expires_at`` are of short-lived keys."""

    access_key_id: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    expires_at: datetime | None = None


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A role: who may take it, and the policies that hang on it.

    Policies are stored and listed; they are not enforced yet.

    Parameters
    ----------
    trust_policy
        JSON text: who may assume the role.
    max_session_s
        The longest life of keys made for it, seconds in [3600, 43200].
    inline
        Policy documents, JSON text, by name.
    attached
        ARNs of managed policies.
    """

    account: str
    name: str
    created_at: datetime
    trust_policy: str
    path: str = "/"
    description: str = ""
    max_session_s: int = 3600
    inline: dict[str, str] = {}
    attached: tuple[str, ...] = ()

    @property
    def ref(self) -> Ref:
        """Its full name."""
        return role_ref(self.account, self.name)

    @property
    def id(self) -> str:
        """Its unique id, ``AROA…``."""
        return role_id(self.ref)

    @property
    def arn(self) -> str:
        """Its ARN, which names the path too."""
        return f"arn:aws:iam::{self.account}:role{self.path}{self.name}"


def role_ref(account: str, name: str) -> Ref:
    """Name a role; roles have no region."""
    return Ref(account, "", "role", name)


def role_id(ref: Ref) -> str:
    """Return a role's unique id, ``AROA`` and 17 letters, which follows from its name."""
    return "AROA" + letters(f"{ref.account}/{ref.name}".encode())[:17]


def letters(data: bytes) -> str:
    """Return the SHA-256 of ``data`` in the alphabet of key ids, 52 letters."""
    return base64.b32encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def check_word(field_name: str, value: str, *, least: int = 1, most: int = 64) -> str:
    """Return ``value`` if it may name a role, session or policy.

    Raises
    ------
    InvalidInput
        It is too short or too long, or holds other characters; names ``field_name``.
    """
    if not least <= len(value) <= most or _WORD.fullmatch(value) is None:
        raise InvalidInput(
            field_name,
            f"{value[:most]!r} is not a name",
            legal=f"{least} to {most} letters, digits and _+=,.@-",
        )
    return value
