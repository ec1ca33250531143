"""Roles: made, listed, changed and removed; every change an event of the journal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from clary.governance.model import DEFAULT_ROLE, Role, check_word, role_ref
from clary.kernel.clock import now
from clary.kernel.codec import build, from_json, plain
from clary.kernel.errors import (
    AlreadyExists,
    Conflict,
    InvalidInput,
    LimitExceeded,
    NotFound,
)
from clary.kernel.resource import Event, Query, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore

LONGEST_POLICY = 10_240
MOST_POLICIES = 20
_SYSTEM = "clary"
_TRUST_ALL_JOBS = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    '"Principal":{"Service":"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)


class Roles:
    """The roles of every account. ``ClaryRole`` is there without being made."""

    def __init__(self, store: MetadataStore) -> None:
        self._store = store

    @staticmethod
    def ref(account: str, name: str) -> Ref:
        """Name a role, with or without its path: ``team/Trainer`` is ``Trainer``."""
        return role_ref(account, name.rpartition("/")[2])

    def create(self, role: Role, *, actor: str, tags: Mapping[str, str]) -> Role:
        """Make a role.

        Raises
        ------
        AlreadyExists
            The account has a role of that name, whatever its path.
        InvalidInput
            A member is malformed.
        """
        check_word("RoleName", role.name)
        check_policy("AssumeRolePolicyDocument", role.trust_policy)
        _check_session(role.max_session_s)
        if role.name == DEFAULT_ROLE:
            raise AlreadyExists(role.ref)
        self._insert(role, actor, tags)
        return role

    def get(self, ref: Ref) -> Role:
        """Read a role. Raises NotFound."""
        if ref.name == DEFAULT_ROLE:
            self._ensure_default(ref.account)
        resource = self._store.get(ref)
        if resource is None:
            raise NotFound(ref)
        return build(Role, resource.body)

    def tags(self, ref: Ref) -> Mapping[str, str]:
        """Tags of a role."""
        return self._store.tags(ref)

    def list(
        self, account: str, *, path_prefix: str = "/", limit: int = 100, token: str = ""
    ) -> tuple[Sequence[Role], str]:
        """List an account's roles by name: one page, and the token of the next.

        A page may hold fewer than ``limit``, because the prefix is applied to a page.
        """
        self._ensure_default(account)
        page = self._store.select(
            Query(
                "role", account=account, sort_by="name", descending=False, limit=limit, token=token
            )
        )
        roles = [build(Role, item.body) for item in page.items]
        return [role for role in roles if role.path.startswith(path_prefix)], page.token

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Remove a role without policies.

        Raises
        ------
        Conflict
            Policies hang on it, or it is the account's own ``ClaryRole``.
        NotFound
            There is none.
        """
        if ref.name == DEFAULT_ROLE:
            raise Conflict(f"{ref} belongs to every account and stays")
        with self._store.begin() as transaction:
            resource = transaction.get(ref)
            if resource is None:
                raise NotFound(ref)
            role = build(Role, resource.body)
            if role.inline or role.attached:
                raise Conflict(
                    f"{ref} still has policies", hint="detach and delete its policies first"
                )
            transaction.delete(ref)
            transaction.append(Event(now(), actor, "role.deleted", ref))

    def update(
        self,
        ref: Ref,
        *,
        actor: str,
        description: str | None = None,
        max_session_s: int | None = None,
    ) -> None:
        """Replace what is not None. Raises NotFound, InvalidInput."""
        if max_session_s is not None:
            _check_session(max_session_s)
        given = {"description": description, "max_session_s": max_session_s}
        members = {name: value for name, value in given.items() if value is not None}
        self._change(ref, actor, lambda _: members)

    def set_trust_policy(self, ref: Ref, document: str, *, actor: str) -> None:
        """Replace who may take the role. Raises NotFound, InvalidInput."""
        check_policy("PolicyDocument", document)
        self._change(ref, actor, lambda _: {"trust_policy": document})

    def put_policy(self, ref: Ref, name: str, document: str, *, actor: str) -> None:
        """Set an inline policy. Raises NotFound, InvalidInput, LimitExceeded."""
        check_word("PolicyName", name, most=128)
        check_policy("PolicyDocument", document)

        def put(role: Role) -> dict[str, Any]:
            inline = {**role.inline, name: document}
            if sum(map(len, inline.values())) > LONGEST_POLICY:
                raise LimitExceeded(
                    f"{ref}: its inline policies exceed {LONGEST_POLICY} characters"
                )
            return {"inline": inline}

        self._change(ref, actor, put)

    def delete_policy(self, ref: Ref, name: str, *, actor: str) -> None:
        """Remove an inline policy. Raises NotFound of the role or of the policy."""

        def remove(role: Role) -> dict[str, Any]:
            if name not in role.inline:
                raise NotFound(f"policy {name} of {ref}")
            return {"inline": {key: text for key, text in role.inline.items() if key != name}}

        self._change(ref, actor, remove)

    def attach(self, ref: Ref, policy_arn: str, *, actor: str) -> None:
        """Hang a managed policy on the role; again changes nothing.

        Raises
        ------
        NotFound
            There is no such role.
        LimitExceeded
            It has 20.
        """

        def add(role: Role) -> dict[str, Any]:
            attached = tuple(dict.fromkeys((*role.attached, policy_arn)))
            if len(attached) > MOST_POLICIES:
                raise LimitExceeded(f"{ref} may have {MOST_POLICIES} attached policies, no more")
            return {"attached": attached}

        self._change(ref, actor, add)

    def detach(self, ref: Ref, policy_arn: str, *, actor: str) -> None:
        """Take a managed policy off the role. Raises NotFound of the role or of the policy."""

        def remove(role: Role) -> dict[str, Any]:
            if policy_arn not in role.attached:
                raise NotFound(f"policy {policy_arn} of {ref}")
            return {"attached": tuple(arn for arn in role.attached if arn != policy_arn)}

        self._change(ref, actor, remove)

    def _change(self, ref: Ref, actor: str, change: Callable[[Role], dict[str, Any]]) -> None:
        if ref.name == DEFAULT_ROLE:
            self._ensure_default(ref.account)
        with self._store.begin() as transaction:
            resource = transaction.get(ref)
            if resource is None:
                raise NotFound(ref)
            role = build(Role, resource.body)
            members = change(role)
            changed = msgspec.structs.replace(role, **members)
            if changed == role:
                return
            transaction.update(replace(resource, body=plain(changed)))
            detail = {"members": sorted(members)}
            transaction.append(Event(now(), actor, "role.updated", ref, detail))

    def _ensure_default(self, account: str) -> None:
        ref = role_ref(account, DEFAULT_ROLE)
        if self._store.get(ref) is not None:
            return
        role = Role(
            account=account,
            name=DEFAULT_ROLE,
            created_at=now(),
            trust_policy=_TRUST_ALL_JOBS,
            description="The role every account has",
            max_session_s=43_200,
        )
        try:
            self._insert(role, _SYSTEM, {})
        except AlreadyExists:
            return  # another reader made it in between

    def _insert(self, role: Role, actor: str, tags: Mapping[str, str]) -> None:
        with self._store.begin() as transaction:
            transaction.insert(Resource(role.ref, plain(role), role.created_at, role.created_at))
            transaction.tag(role.ref, dict(tags))
            transaction.append(Event(role.created_at, actor, "role.created", role.ref))


def check_policy(field: str, document: str) -> None:
    """Refuse what is no policy: JSON with a Statement, at most 10,240 characters."""
    if len(document) > LONGEST_POLICY:
        raise LimitExceeded(f"{field} has {len(document)} characters, at most {LONGEST_POLICY}")
    policy = from_json(document, field=field)
    if not isinstance(policy, dict) or not policy.get("Statement"):
        raise InvalidInput(field, "is no policy", legal="a JSON object with a Statement")


def _check_session(max_session_s: int) -> None:
    if not 3600 <= max_session_s <= 43_200:
        raise InvalidInput("MaxSessionDuration", f"{max_session_s} s", legal="3600 to 43200")
