"""Logs through the real client, over streams written as jobs write them."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from clary.doors.wire.log_patterns import LogPattern

GROUP = "/aws/sagemaker/TrainingJobs"
START = 1_700_000_000_000


@pytest.fixture
def logs(server):
    return server.client("logs")


@pytest.fixture
def write(platform):
    def append(stream, *texts, at=START, region="us-east-1"):
        path = platform.logs.path("123456789012", region, GROUP, stream)
        with path.open("a", encoding="utf-8", newline="") as file:
            for number, text in enumerate(texts):
                file.write(f"{at + number} {text}\n")

    return append


def messages(answer):
    return [event["message"] for event in answer["events"]]


def code(call, **params):
    with pytest.raises(ClientError) as refused:
        call(**params)
    return refused.value.response["Error"]["Code"]


def test_groups_are_those_of_jobs(logs):
    names = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    assert names == [
        f"/aws/sagemaker/{kind}Jobs" for kind in ("Processing", "Training", "Transform")
    ]
    found = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/Tra")["logGroups"]
    assert len(found) == 2


def test_streams_are_found_by_prefix_in_pages(logs, write, name):
    for number in range(5):
        write(f"{name}/algo-{number}", "x", at=START - number)
    write(f"{name}/empty")
    query = {"logGroupName": GROUP, "logStreamNamePrefix": f"{name}/", "limit": 2}
    pages = list(
        logs.get_paginator("describe_log_streams").paginate(
            **{key: value for key, value in query.items() if key != "limit"},
            PaginationConfig={"PageSize": 2},
        )
    )
    found = [stream for page in pages for stream in page["logStreams"]]
    assert len(pages) == 3
    assert [stream["logStreamName"] for stream in found] == [
        *(f"{name}/algo-{number}" for number in range(5)),
        f"{name}/empty",
    ]
    assert found[1]["firstEventTimestamp"] == found[1]["lastEventTimestamp"] == START - 1
    assert "lastEventTimestamp" not in found[5]
    down = logs.describe_log_streams(**query, descending=True)
    assert down["logStreams"][0]["logStreamName"] == f"{name}/empty"
    rest = logs.describe_log_streams(**query, descending=True, nextToken=down["nextToken"])
    assert [stream["logStreamName"][-1] for stream in rest["logStreams"]] == ["3", "2"]


def test_streams_by_their_last_event(server, write, name):
    logs = server.client("logs", region="eu-west-3")  # where no other test writes
    for number, at in enumerate((START + 5, START + 9, START + 7)):
        write(f"{name}/{number}", "x", at=at, region="eu-west-3")
    order = {"logGroupName": GROUP, "orderBy": "LastEventTime", "descending": True}
    first = logs.describe_log_streams(**order, limit=1)
    second = logs.describe_log_streams(**order, limit=5, nextToken=first["nextToken"])
    found = [stream["logStreamName"] for stream in first["logStreams"] + second["logStreams"]]
    assert found == [f"{name}/1", f"{name}/2", f"{name}/0"]
    assert (
        code(logs.describe_log_streams, **order, logStreamNamePrefix="a")
        == "InvalidParameterException"
    )


def test_a_stream_is_followed_as_the_sdk_does(logs, write, name):
    place = {"logGroupName": GROUP, "logStreamName": name}
    write(name, "one", "two")
    first = logs.get_log_events(**place, startFromHead=True)
    assert messages(first) == ["one", "two"]
    assert [event["timestamp"] for event in first["events"]] == [START, START + 1]
    nothing = logs.get_log_events(**place, nextToken=first["nextForwardToken"])
    assert messages(nothing) == []
    assert nothing["nextForwardToken"] == first["nextForwardToken"]
    write(name, "three")
    new = logs.get_log_events(**place, nextToken=nothing["nextForwardToken"])
    assert messages(new) == ["three"]


def test_without_start_from_head_the_end_comes_first(logs, write, name):
    place = {"logGroupName": GROUP, "logStreamName": name}
    write(name, *"abcde")
    answer = logs.get_log_events(**place, limit=2)
    pages = [messages(answer)]
    token = answer["nextBackwardToken"]
    while True:
        answer = logs.get_log_events(**place, limit=2, nextToken=token)
        if answer["nextBackwardToken"] == token:
            break
        pages.append(messages(answer))
        token = answer["nextBackwardToken"]
    assert pages == [["d", "e"], ["b", "c"], ["a"]]
    assert messages(answer) == []
    again = logs.get_log_events(**place, nextToken=answer["nextForwardToken"])
    assert messages(again) == list("abcde")


def test_times_bound_events(logs, write, name):
    place = {"logGroupName": GROUP, "logStreamName": name}
    write(name, *"abcde")
    assert messages(
        logs.get_log_events(**place, startTime=START + 1, endTime=START + 3, startFromHead=True)
    ) == ["b", "c"]
    late = logs.get_log_events(**place, startTime=START + 4, startFromHead=True, limit=1)
    assert messages(late) == ["e"]


def test_a_large_stream_comes_in_bounded_pages(logs, write, name):
    place = {"logGroupName": GROUP, "logStreamName": name}
    write(name, *("x" * 100_000 for _ in range(25)))
    answer = logs.get_log_events(**place, startFromHead=True)
    assert 10 <= len(answer["events"]) < 25
    seen = len(answer["events"])
    while answer["events"]:
        answer = logs.get_log_events(**place, nextToken=answer["nextForwardToken"])
        seen += len(answer["events"])
    assert seen == 25


def test_filtering_by_terms_over_streams(logs, write, name):
    write(f"{name}/a", "an error: disk", "fine", at=START + 5)
    write(f"{name}/b", "an error: net", "another", at=START)
    query = {"logGroupName": GROUP, "logStreamNamePrefix": f"{name}/"}
    assert messages(logs.filter_log_events(**query, filterPattern='"an error"')) == [
        "an error: net",
        "an error: disk",
    ]
    assert messages(logs.filter_log_events(**query, filterPattern="error -disk")) == [
        "an error: net"
    ]
    pages = logs.get_paginator("filter_log_events").paginate(
        **query, PaginationConfig={"PageSize": 1}
    )
    assert sorted(text for page in pages for text in messages(page)) == [
        "an error: disk",
        "an error: net",
        "another",
        "fine",
    ]
    named = logs.filter_log_events(
        logGroupName=GROUP, logStreamNames=[f"{name}/b"], startTime=START + 1
    )
    assert messages(named) == ["another"]
    assert named["events"][0]["logStreamName"] == f"{name}/b"


@pytest.mark.parametrize("token", ["x", "f/", "b/-1", "f/99999999999999999999", "g/1"])
def test_a_token_of_another_kind_is_refused(logs, write, name, token):
    write(name, "a")
    place = {"logGroupName": GROUP, "logStreamName": name}
    assert code(logs.get_log_events, **place, nextToken=token) == "InvalidParameterException"


@pytest.mark.parametrize("token", ["x", "WzFd", "WyJhIiwgMV0=", "e30="])
def test_a_token_of_another_list_is_refused(logs, token):
    for call in (logs.describe_log_streams, logs.filter_log_events):
        assert code(call, logGroupName=GROUP, nextToken=token) == "InvalidParameterException"


def test_what_is_not_there_is_said(logs):
    missing = "ResourceNotFoundException"
    assert code(logs.get_log_events, logGroupName=GROUP, logStreamName="no-such") == missing
    assert code(logs.describe_log_streams, logGroupName="/other") == missing
    assert code(logs.filter_log_events, logGroupName=GROUP, logStreamNames=["no-such"]) == missing
    by_arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}"
    assert "logStreams" in logs.describe_log_streams(logGroupIdentifier=by_arn)


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("", "anything", None),
        ("a b", "b a", "a"),
        ("?a ?b", "b", "c"),
        ("a -b", "a", "a b"),
        ('"a b"', "xa bx", "b a"),
        (r'"say \"x\""', 'say "x"', "say x"),
        ("ERROR", "ERROR", "error"),
    ],
)
def test_patterns_of_terms(pattern, matching, other):
    assert LogPattern(pattern).matches(matching)
    assert other is None or not LogPattern(pattern).matches(other)


@pytest.mark.parametrize("pattern", ["{$.a=1}", "[a, b]", "%[0-9]%"])
def test_other_patterns_are_not_offered(logs, pattern):
    found = code(logs.filter_log_events, logGroupName=GROUP, filterPattern=pattern)
    assert found == "UnsupportedOperation"
