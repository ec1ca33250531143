"""Who an MLflow client speaks for: basic authentication with a key, or a bearer token."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from typing import TYPE_CHECKING

from clary.doors.mlflow.errors import MlflowError
from clary.governance.bearer import read_bearer
from clary.governance.model import Credentials
from clary.kernel.errors import Forbidden

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.governance.model import Identity
    from clary.governance.service import Governance

_LONGEST_HEADER = 8192
_REGION = re.compile(r"[a-z0-9-]{1,32}")
_LEGAL = (
    "MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    " with an access key id and its secret key; `clary env` sets them"
)


class Authenticator:
    """Checks what clients send against the platform's keys.

    Parameters
    ----------
    governance
        Knows the keys.
    region
        Of those who do not say theirs.
    required
        False: nobody is refused but web pages; a known key still says who it is.
    """

    def __init__(self, governance: Governance, *, region: str, required: bool) -> None:
        self._governance = governance
        self._region = region
        self._required = required

    def identify(self, headers: Mapping[str, str]) -> tuple[Identity, str]:
        """Say who asks, and for which region.

        Raises
        ------
        MlflowError
            There are no credentials, or they are unknown, expired or wrong.
        """
        if not self._required and "origin" in headers:
            raise _refused("no web page may use a server without keys")
        try:
            credentials, region = self._claimed(headers.get("authorization", ""))
            identity = self._governance.authenticate(
                credentials.access_key_id, credentials.session_token or None
            )
            if not _same(identity.secret_key, credentials.secret_key):
                raise _refused("the secret key is not that of the access key")
        except (MlflowError, Forbidden) as error:
            if not self._required:
                return self._governance.owner, self._region
            if isinstance(error, Forbidden):
                raise _refused(error.message) from None
            raise
        return identity, region if _REGION.fullmatch(region) else self._region

    def _claimed(self, header: str) -> tuple[Credentials, str]:
        if not header:
            raise _refused("the request has no credentials")
        scheme, _, word = header[:_LONGEST_HEADER].partition(" ")
        if scheme.lower() == "basic":
            return _basic(word.strip()), self._region
        if scheme.lower() == "bearer":
            try:
                return read_bearer(word.strip())
            except ValueError:
                raise _refused("the bearer token is none of this home's") from None
        raise _refused("the request's credentials are neither basic nor a bearer token")


def _basic(word: str) -> Credentials:
    try:
        name, _, secret = base64.b64decode(word, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeError):
        raise _refused("the basic credentials cannot be read") from None
    return Credentials(name, secret)


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())


def _refused(problem: str) -> MlflowError:
    return MlflowError("UNAUTHENTICATED", f"{problem}; legal: {_LEGAL}", 401)
