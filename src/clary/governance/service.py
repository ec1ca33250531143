"""Who signs a request, and which keys they get."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from clary.governance.environment import client_environment
from clary.governance.keys import open_keys
from clary.governance.model import (
    DEFAULT_ROLE,
    OWNER_SESSION,
    Credentials,
    Identity,
    check_word,
)
from clary.governance.presence import find
from clary.governance.roles import Roles
from clary.governance.tokens import Claims, mint, verify
from clary.kernel.clock import now
from clary.kernel.errors import Forbidden, InvalidInput, NotFound
from clary.kernel.names import DEFAULT_ACCOUNT
from clary.kernel.resource import Event

if TYPE_CHECKING:
    from pathlib import Path

    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore

SHORTEST_S = 900
LONGEST_SESSION_S = 129_600
LONGEST_CHAINED_S = 3600
LONGEST_JOB_S = 28 * 86_400
_NOBODY = "http://127.0.0.1:9"
_FOUND_S = 0.25
"""How long the server that was found for a job counts as there."""


class Governance:
    """Accounts' keys and roles.

    Parameters
    ----------
    store
        Where roles and the journal are.
    home
        The directory that holds ``credentials.json``; made at first start.
    account
        The account of the keys made at first start.
    """

    def __init__(self, store: MetadataStore, home: Path, *, account: str = DEFAULT_ACCOUNT) -> None:
        keys = open_keys(home, account)
        self.roles = Roles(store)
        self._store = store
        self._home = home
        self._found = (-1.0, _NOBODY)
        self._secret = bytes.fromhex(keys.signing_secret)
        self.owner = Identity(
            keys.account,
            DEFAULT_ROLE,
            OWNER_SESSION,
            keys.access_key_id,
            keys.secret_access_key,
            is_owner=True,
        )

    def authenticate(self, access_key_id: str, session_token: str | None = None) -> Identity:
        """Say who a key belongs to; the caller then verifies the signature with its secret key.

        Raises
        ------
        Forbidden
            This home never gave the key, or the token is not the key's.
        CredentialsExpired
            The key was short-lived and its time is over.
        """
        if session_token:
            return verify(self._secret, access_key_id, session_token, now())
        if access_key_id == self.owner.access_key_id:
            return self.owner
        raise Forbidden(
            f"access key {access_key_id[:128]!r}",
            "sign requests to",
            "this home",
            hint='eval "$(clary env)" sets the keys of a home',
        )

    def owner_credentials(self) -> Credentials:
        """Return the home's own key pair, which does not expire."""
        return Credentials(self.owner.access_key_id, self.owner.secret_key)

    def assume_role(
        self, caller: Identity, role: Ref, session: str, *, duration_s: int = 3600
    ) -> tuple[Identity, Credentials]:
        """Take a role and get short-lived keys for it. An event of the journal.

        The owner may take any role; everybody else those of their own account, for an hour.

        Raises
        ------
        Forbidden
            There is no such role, or it is another account's.
        InvalidInput
            The session's name is no name, or the keys would live too long or too short.
        """
        check_word("RoleSessionName", session, least=2)
        if role.account != caller.account and not caller.is_owner:
            raise Forbidden(caller.name, "assume", role)
        try:
            longest = self.roles.get(role).max_session_s
        except NotFound:
            raise Forbidden(caller.name, "assume", role, hint="there is no such role") from None
        _check_duration(duration_s, longest if caller.is_owner else min(longest, LONGEST_CHAINED_S))
        with self._store.begin() as transaction:
            detail = {"session": session, "duration_s": duration_s}
            transaction.append(Event(now(), caller.principal_arn, "role.assumed", role, detail))
        return self._issue(role, session, duration_s)

    def session_token(self, caller: Identity, *, duration_s: int = 43_200) -> Credentials:
        """Return short-lived keys for the caller itself, who must sign with lasting ones.

        Raises
        ------
        Forbidden
            The caller's own keys are short-lived, and would outlive themselves.
        InvalidInput
            The keys would live too long or too short.
        """
        if not caller.is_owner:
            raise Forbidden(
                caller.name, "renew", "its own short-lived keys", hint="assume a role instead"
            )
        _check_duration(duration_s, LONGEST_SESSION_S)
        role = self.roles.ref(caller.account, caller.role)
        return self._issue(role, caller.session, duration_s)[1]

    def job_credentials(self, job: Ref, role: str) -> Credentials:
        """Return the keys a job acts with: a session of its role, named after the job.

        They live as long as the longest job may, and across restarts of the server.
        """
        session = job.name.rpartition("/")[2][:64]
        return self._issue(self.roles.ref(job.account, role), session, LONGEST_JOB_S)[1]

    def job_environment(self, job: Ref, role: str) -> dict[str, str]:
        """Return the variables by which a job's own AWS clients reach this platform.

        A job needs ``environment.CLIENT_DIR`` readable. Without a server its calls are refused
        by an address where nobody listens, and never leave the machine.
        """
        at, endpoint = self._found
        if time.monotonic() - at > _FOUND_S:
            server = find(self._home)
            endpoint = server.endpoint if server else _NOBODY
            self._found = time.monotonic(), endpoint
        return client_environment(endpoint, self.job_credentials(job, role), job.region)

    def _issue(self, role: Ref, session: str, duration_s: int) -> tuple[Identity, Credentials]:
        claims = Claims(
            role.account,
            role.name,
            session,
            int(now().timestamp()) + duration_s,
            secrets.token_urlsafe(9),
        )
        keys = mint(self._secret, claims)
        identity = Identity(role.account, role.name, session, keys.access_key_id, keys.secret_key)
        return identity, keys


def _check_duration(duration_s: int, longest_s: int) -> None:
    if not SHORTEST_S <= duration_s <= longest_s:
        raise InvalidInput(
            "DurationSeconds",
            f"{duration_s} s is no life for these keys",
            legal=f"{SHORTEST_S} to {longest_s}",
        )
