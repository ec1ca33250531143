"""The key pair of a home, and the secret that its short-lived keys derive from."""

from __future__ import annotations

import os
import secrets
import string
from typing import TYPE_CHECKING

import msgspec

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

FILE = "credentials.json"
_LETTERS = string.ascii_uppercase + "234567"


class HomeKeys(msgspec.Struct, frozen=True):
    """What ``credentials.json`` holds; ``signing_secret`` is hex."""

    account: str
    access_key_id: str
    secret_access_key: str
    signing_secret: str

    def __repr__(self) -> str:
        return f"HomeKeys({self.account}, {self.access_key_id})"


def open_keys(home: Path, account: str) -> HomeKeys:
    """Read the keys of a home, or make them at its first start.

    Of several first starts at once, one makes the keys and all read them. The file is whole or
    absent at any moment, and only its owner may read it.

    Raises
    ------
    InvalidInput
        ``account`` is no account, or the file holds no keys.
    """
    path = home / FILE
    if not path.exists():
        _make(path, account)
    try:
        return msgspec.json.decode(path.read_bytes(), type=HomeKeys)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidInput(
            str(path), "holds no keys", hint="put its backup back, or remove it to get new keys"
        ) from None


def _make(path: Path, account: str) -> None:
    if len(account) != 12 or not account.isdecimal() or not account.isascii():
        raise InvalidInput("account", f"{account!r} is not an account", legal="12 digits")
    keys = HomeKeys(
        account,
        "AKIA" + "".join(secrets.choice(_LETTERS) for _ in range(16)),
        secrets.token_urlsafe(30),
        secrets.token_hex(32),
    )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{FILE}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(keys)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return  # another first start was faster: its keys are the keys
    finally:
        draft.unlink()
