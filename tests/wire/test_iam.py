from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*"}]}
MANAGED = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"


@pytest.fixture
def iam(server):
    return server.client("iam")


@pytest.fixture
def role(iam, name):
    made = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps(TRUST),
        Path="/sea/",
        Description="trains",
        MaxSessionDuration=7200,
        Tags=[{"Key": "team", "Value": "sea"}],
    )
    return made["Role"]


def code(caught):
    return caught.value.response["Error"]["Code"]


def test_a_role_comes_back_as_it_was_made(iam, name, role):
    found = iam.get_role(RoleName=name)["Role"]
    assert found == role
    assert found["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/sea/{name}"
    assert found["AssumeRolePolicyDocument"] == TRUST
    assert (found["Path"], found["Description"]) == ("/sea/", "trains")
    assert found["MaxSessionDuration"] == 7200
    assert found["Tags"] == [{"Key": "team", "Value": "sea"}]
    assert found["RoleId"].startswith("AROA")


def test_a_role_changes(iam, name, role):
    iam.update_role(RoleName=name, Description="rests")
    denied = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Effect": "Deny"}]}
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(denied))
    found = iam.get_role(RoleName=name)["Role"]
    assert (found["Description"], found["MaxSessionDuration"]) == ("rests", 7200)
    assert found["AssumeRolePolicyDocument"] == denied


def test_policies(iam, name, role):
    iam.attach_role_policy(RoleName=name, PolicyArn=MANAGED)
    listed = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert listed == [{"PolicyName": "AmazonSageMakerFullAccess", "PolicyArn": MANAGED}]
    for number in range(3):
        iam.put_role_policy(
            RoleName=name, PolicyName=f"own{number}", PolicyDocument=json.dumps(POLICY)
        )
    found = iam.get_role_policy(RoleName=name, PolicyName="own1")
    assert (found["RoleName"], found["PolicyDocument"]) == (name, POLICY)
    pages = iam.get_paginator("list_role_policies").paginate(
        RoleName=name, PaginationConfig={"PageSize": 2}
    )
    assert [page["PolicyNames"] for page in pages] == [["own0", "own1"], ["own2"]]
    with pytest.raises(ClientError) as caught:
        iam.delete_role(RoleName=name)
    assert code(caught) == "DeleteConflict"
    for number in range(3):
        iam.delete_role_policy(RoleName=name, PolicyName=f"own{number}")
    iam.detach_role_policy(RoleName=name, PolicyArn=MANAGED)
    iam.delete_role(RoleName=name)
    with pytest.raises(ClientError) as caught:
        iam.get_role(RoleName=name)
    assert code(caught) == "NoSuchEntity"


def test_lists_in_pages(iam, name, role):
    pages = iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 1})
    names = [role["RoleName"] for page in pages for role in page["Roles"]]
    assert {"ClaryRole", name} <= set(names)
    assert len(names) == len(set(names))
    below = iam.list_roles(PathPrefix="/sea/")["Roles"]
    assert {role["Path"] for role in below} == {"/sea/"}


@pytest.mark.parametrize(
    ("operation", "params", "expected"),
    [
        ("create_role", {"AssumeRolePolicyDocument": "{}"}, "ValidationError"),
        ("delete_role", {}, "NoSuchEntity"),
        ("attach_role_policy", {"PolicyArn": MANAGED}, "NoSuchEntity"),
        ("get_role_policy", {"PolicyName": "x"}, "NoSuchEntity"),
        ("list_role_policies", {"Marker": "?"}, "NoSuchEntity"),
    ],
)
def test_bad_requests(iam, operation, params, expected):
    with pytest.raises(ClientError) as caught:
        getattr(iam, operation)(RoleName="Nobody", **params)
    assert code(caught) == expected


def test_a_role_is_made_once(iam, name, role):
    with pytest.raises(ClientError) as caught:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    assert code(caught) == "EntityAlreadyExists"
