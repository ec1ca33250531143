from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from clary.governance.tokens import Claims, mint

UNCHECKED = Config(parameter_validation=False)
ACCOUNT, OTHER = "123456789012", "210987654321"


def as_client(server, credentials, service="sts"):
    return server.client(
        service,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def test_the_homes_key_is_a_session_of_the_default_role(server):
    caller = server.client("sts").get_caller_identity()
    assert caller["Account"] == ACCOUNT
    assert caller["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/ClaryRole/owner"
    role = server.client("iam").get_role(RoleName="ClaryRole")["Role"]
    assert caller["UserId"] == f"{role['RoleId']}:owner"


def test_a_role_is_assumed_in_this_account_and_in_others(server):
    for account in (ACCOUNT, OTHER):
        given = server.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{account}:role/ClaryRole",
            RoleSessionName="ada@sea",
            DurationSeconds=900,
        )
        arn = f"arn:aws:sts::{account}:assumed-role/ClaryRole/ada@sea"
        assert given["AssumedRoleUser"]["Arn"] == arn
        left = given["Credentials"]["Expiration"] - datetime.now(UTC)
        assert timedelta(minutes=13) < left <= timedelta(minutes=15)
        caller = as_client(server, given["Credentials"]).get_caller_identity()
        assert (caller["Account"], caller["Arn"]) == (account, arn)
        assert caller["UserId"] == given["AssumedRoleUser"]["AssumedRoleId"]


def test_an_account_sees_only_its_own(server, name):
    given = server.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{OTHER}:role/ClaryRole", RoleSessionName="guest"
    )
    theirs = as_client(server, given["Credentials"], "sagemaker")
    theirs.create_model_package_group(ModelPackageGroupName=name)
    seen = theirs.describe_model_package_group(ModelPackageGroupName=name)
    assert f":{OTHER}:" in seen["ModelPackageGroupArn"]
    with pytest.raises(ClientError, match="does not exist"):
        server.client("sagemaker").describe_model_package_group(ModelPackageGroupName=name)
    with pytest.raises(ClientError, match="AccessDenied"):
        as_client(server, given["Credentials"]).assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/ClaryRole", RoleSessionName="back"
        )


def test_a_session_token_speaks_for_the_same_principal(server):
    given = server.client("sts").get_session_token(DurationSeconds=3600)["Credentials"]
    caller = as_client(server, given).get_caller_identity()
    assert caller["Arn"].endswith(":assumed-role/ClaryRole/owner")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/Nobody"}, "AccessDenied"),
        ({"RoleArn": f"arn:aws:s3:::{ACCOUNT}-bucket-of-mine"}, "ValidationError"),
        ({"RoleArn": "x" * 30}, "ValidationError"),
        ({"RoleSessionName": "a b"}, "ValidationError"),
        ({"DurationSeconds": 899}, "ValidationError"),
        ({"DurationSeconds": 43201}, "ValidationError"),
    ],
)
def test_bad_requests(server, change, code):
    given = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/ClaryRole", "RoleSessionName": "ada"}
    with pytest.raises(ClientError) as caught:
        server.client("sts", config=UNCHECKED).assume_role(**{**given, **change})
    assert caught.value.response["Error"]["Code"] == code


def test_keys_that_expired_and_keys_that_were_tampered_with(server):
    secret = bytes.fromhex(server.keys["signing_secret"])
    claims = Claims(ACCOUNT, "ClaryRole", "late", int(datetime.now(UTC).timestamp()) - 1, "n")
    late = mint(secret, claims)
    forged = mint(b"other" * 8, claims)
    for keys, code in ((late, "ExpiredToken"), (forged, "InvalidClientTokenId")):
        client = as_client(
            server,
            {
                "AccessKeyId": keys.access_key_id,
                "SecretAccessKey": keys.secret_key,
                "SessionToken": keys.session_token,
            },
        )
        with pytest.raises(ClientError) as caught:
            client.get_caller_identity()
        assert caught.value.response["Error"]["Code"] == code
