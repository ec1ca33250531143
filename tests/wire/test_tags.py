from __future__ import annotations

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def arn(sagemaker, name):
    return sagemaker.create_model_package_group(
        ModelPackageGroupName=name, Tags=[{"Key": "made", "Value": "here"}]
    )["ModelPackageGroupArn"]


def pairs(tags):
    return [(tag["Key"], tag["Value"]) for tag in tags]


def tag(**tags):
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def refused(call, **params):
    with pytest.raises(ClientError) as error:
        call(**params)
    said = error.value.response["Error"]
    return said["Code"], said["Message"]


def test_tags_are_added_changed_listed_and_removed(sagemaker, arn):
    answer = sagemaker.add_tags(ResourceArn=arn, Tags=tag(b="1", a="é +-=._:/@"))
    assert pairs(answer["Tags"]) == [("a", "é +-=._:/@"), ("b", "1"), ("made", "here")]
    sagemaker.add_tags(ResourceArn=arn, Tags=tag(b="2"))
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["made", "never"])
    assert pairs(sagemaker.list_tags(ResourceArn=arn)["Tags"]) == [("a", "é +-=._:/@"), ("b", "2")]


def test_listing_in_pages(sagemaker, arn):
    for start in (0, 25):
        sagemaker.add_tags(
            ResourceArn=arn, Tags=tag(**{f"k{n:02}": "v" for n in range(start, start + 24)})
        )
    pages = list(
        sagemaker.get_paginator("list_tags").paginate(
            ResourceArn=arn, PaginationConfig={"PageSize": 50}
        )
    )
    assert sum(len(page["Tags"]) for page in pages) == 49


def test_fifty_tags_at_most(sagemaker, arn):
    sagemaker.add_tags(ResourceArn=arn, Tags=tag(**{f"k{n}": "v" for n in range(49)}))
    code, message = refused(sagemaker.add_tags, ResourceArn=arn, Tags=tag(more="v"))
    assert code == "ResourceLimitExceeded"
    assert "51 tags; legal: at most 50" in message
    sagemaker.add_tags(ResourceArn=arn, Tags=tag(k1="changed"))


def test_reserved_and_repeated_keys_are_refused(sagemaker, arn):
    code, message = refused(sagemaker.add_tags, ResourceArn=arn, Tags=tag(**{"aws:x": "v"}))
    assert code == "ValidationException"
    assert "'aws:x'" in message
    twice = [*tag(a="1"), *tag(a="2")]
    assert refused(sagemaker.add_tags, ResourceArn=arn, Tags=twice)[0] == "ValidationException"


@pytest.mark.parametrize("call", ["add_tags", "delete_tags", "list_tags"])
def test_an_absent_resource_is_said(sagemaker, arn, call):
    params = {"add_tags": {"Tags": tag(a="b")}, "delete_tags": {"TagKeys": ["a"]}}.get(call, {})
    code, message = refused(getattr(sagemaker, call), ResourceArn=f"{arn}-other", **params)
    assert code == "ValidationException"
    assert "does not exist" in message
    other = arn.replace("123456789012", "999999999999")
    code, _ = refused(getattr(sagemaker, call), ResourceArn=other, **params)
    assert code == "AccessDeniedException"


def test_changes_are_in_the_journal(sagemaker, arn, platform):
    sagemaker.add_tags(ResourceArn=arn, Tags=tag(a="b"))
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a"])
    name = arn.rpartition("/")[2]
    events = [event for event in platform.store.events(limit=10_000) if event.ref.name == name]
    assert [event.action for event in events[-2:]] == [
        "model-package-group.tagged",
        "model-package-group.untagged",
    ]
    assert events[-1].detail == {"tags": {"a": None}}
