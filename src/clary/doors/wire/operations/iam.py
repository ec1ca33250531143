"""IAM: roles and the policies that hang on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from clary.governance.model import Role
from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.paging import decode_token, encode_token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.doors.wire.call import Call
    from clary.governance.roles import Roles
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject


def create_role(call: Call) -> JsonObject:
    """Make a role."""
    params = call.params
    tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags", ())}
    role = Role(
        account=call.account,
        name=params["RoleName"],
        created_at=now(),
        trust_policy=params["AssumeRolePolicyDocument"],
        path=params.get("Path", "/"),
        description=params.get("Description", ""),
        max_session_s=params.get("MaxSessionDuration", 3600),
    )
    return {"Role": _document(_roles(call).create(role, actor=call.actor, tags=tags), tags)}


def get_role(call: Call) -> JsonObject:
    """Describe a role with its tags."""
    roles = _roles(call)
    role = roles.get(_ref(call))
    return {"Role": _document(role, dict(roles.tags(role.ref)))}


def list_roles(call: Call) -> JsonObject:
    """List roles by name."""
    params = call.params
    roles, token = _roles(call).list(
        call.account,
        path_prefix=params.get("PathPrefix", "/"),
        limit=params.get("MaxItems", 100),
        token=params.get("Marker", ""),
    )
    more = {"Marker": token} if token else {}
    return {"Roles": [_document(role, {}) for role in roles], "IsTruncated": bool(token), **more}


def update_role(call: Call) -> JsonObject:
    """Change a role's description or the longest life of its keys."""
    params = call.params
    _roles(call).update(
        _ref(call),
        actor=call.actor,
        description=params.get("Description"),
        max_session_s=params.get("MaxSessionDuration"),
    )
    return {}


def delete_role(call: Call) -> JsonObject:
    """Remove a role without policies."""
    _roles(call).delete(_ref(call), actor=call.actor)
    return {}


def update_assume_role_policy(call: Call) -> JsonObject:
    """Replace who may take the role."""
    document = call.params["PolicyDocument"]
    _roles(call).set_trust_policy(_ref(call), document, actor=call.actor)
    return {}


def attach_role_policy(call: Call) -> JsonObject:
    """Hang a managed policy on a role."""
    _roles(call).attach(_ref(call), call.params["PolicyArn"], actor=call.actor)
    return {}


def detach_role_policy(call: Call) -> JsonObject:
    """Take a managed policy off a role."""
    _roles(call).detach(_ref(call), call.params["PolicyArn"], actor=call.actor)
    return {}


def list_attached_role_policies(call: Call) -> JsonObject:
    """List a role's managed policies, in the order they were attached."""
    attached = _roles(call).get(_ref(call)).attached
    names = [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in attached]
    return _page(call, "AttachedPolicies", names)


def put_role_policy(call: Call) -> JsonObject:
    """Set an inline policy of a role."""
    params = call.params
    _roles(call).put_policy(
        _ref(call), params["PolicyName"], params["PolicyDocument"], actor=call.actor
    )
    return {}


def get_role_policy(call: Call) -> JsonObject:
    """Read an inline policy of a role."""
    name = call.params["PolicyName"]
    role = _roles(call).get(_ref(call))
    if name not in role.inline:
        raise NotFound(f"policy {name} of {role.ref}")
    document = quote(role.inline[name])
    return {"RoleName": role.name, "PolicyName": name, "PolicyDocument": document}


def list_role_policies(call: Call) -> JsonObject:
    """List the names of a role's inline policies."""
    return _page(call, "PolicyNames", sorted(_roles(call).get(_ref(call)).inline))


def delete_role_policy(call: Call) -> JsonObject:
    """Remove an inline policy of a role."""
    _roles(call).delete_policy(_ref(call), call.params["PolicyName"], actor=call.actor)
    return {}


def _roles(call: Call) -> Roles:
    return call.platform.governance.roles


def _ref(call: Call) -> Ref:
    return _roles(call).ref(call.account, call.params["RoleName"])


def _page(call: Call, member: str, items: Sequence[Any]) -> JsonObject:
    """Answer the page of ``items`` that Marker and MaxItems ask for."""
    marker = call.params.get("Marker")
    start = decode_token(marker, field="Marker") if marker else 0
    if not isinstance(start, int) or start < 0:
        raise InvalidInput("Marker", f"{marker!r} is not a marker of this list")
    end = start + call.params.get("MaxItems", 100)
    more = {"Marker": encode_token(end)} if end < len(items) else {}
    return {member: items[start:end], "IsTruncated": bool(more), **more}


def _document(role: Role, tags: dict[str, str]) -> JsonObject:
    """Write a role as IAM does; policy documents travel percent-encoded."""
    return {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": role.created_at,
        "AssumeRolePolicyDocument": quote(role.trust_policy),
        "Description": role.description,
        "MaxSessionDuration": role.max_session_s,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
