"""STS: who am I, and short-lived keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.kernel.errors import InvalidInput
from clary.kernel.names import parse_arn

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.governance.model import Credentials
    from clary.kernel.ports import JsonObject


def get_caller_identity(call: Call) -> JsonObject:
    """Answer the caller as a session of a role, as a notebook or a job is one."""
    caller = call.identity
    return {"UserId": caller.user_id, "Account": caller.account, "Arn": caller.principal_arn}


def assume_role(call: Call) -> JsonObject:
    """Give keys for a role. Session policies are not enforced, like all policies so far."""
    named = parse_arn(call.params["RoleArn"], field="RoleArn")
    if named.kind != "role":
        raise InvalidInput("RoleArn", f"{call.params['RoleArn']!r} names no role")
    governance = call.platform.governance
    identity, keys = governance.assume_role(
        call.identity,
        governance.roles.ref(named.account, named.name),
        call.params["RoleSessionName"],
        duration_s=call.params.get("DurationSeconds", 3600),
    )
    return {
        "Credentials": _document(keys),
        "AssumedRoleUser": {"AssumedRoleId": identity.user_id, "Arn": identity.principal_arn},
        "PackedPolicySize": 0,
    }


def get_session_token(call: Call) -> JsonObject:
    """Give short-lived keys for the caller itself."""
    duration_s = call.params.get("DurationSeconds", 43_200)
    keys = call.platform.governance.session_token(call.identity, duration_s=duration_s)
    return {"Credentials": _document(keys)}


def _document(keys: Credentials) -> JsonObject:
    return {
        "AccessKeyId": keys.access_key_id,
        "SecretAccessKey": keys.secret_key,
        "SessionToken": keys.session_token,
        "Expiration": keys.expires_at,
    }
