"""Event patterns."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.kernel.errors import InvalidInput
from clary.pipelines.patterns import matches, parse_pattern

EVENT = {
    "source": "aws.sagemaker",
    "detail-type": "SageMaker Model Package State Change",
    "resources": ["arn:one", "arn:two"],
    "detail": {
        "ModelApprovalStatus": "Approved",
        "ModelPackageVersion": 3,
        "CertifyForMarketplace": False,
        "Reason": None,
        "Containers": [{"Image": "xgboost:1.5"}, {"Image": "sklearn:1.2"}],
    },
}


@pytest.mark.parametrize(
    ("pattern", "result"),
    [
        ({"source": ["aws.sagemaker"]}, True),
        ({"source": ["aws.s3", "aws.sagemaker"]}, True),
        ({"source": ["aws.s3"]}, False),
        ({"detail": {"ModelPackageVersion": [3]}}, True),
        ({"detail": {"ModelPackageVersion": [3.0]}}, True),
        ({"detail": {"ModelPackageVersion": ["3"]}}, False),
        ({"detail": {"CertifyForMarketplace": [False]}}, True),
        ({"detail": {"CertifyForMarketplace": [0]}}, False),
        ({"detail": {"Reason": [None]}}, True),
        ({"detail": {"Other": [None]}}, False),
        ({"resources": ["arn:two"]}, True),
        ({"resources": [{"suffix": ":one"}]}, True),
        ({"detail": {"ModelApprovalStatus": [{"prefix": "App"}]}}, True),
        ({"detail": {"ModelApprovalStatus": [{"prefix": {"equals-ignore-case": "APP"}}]}}, True),
        ({"detail": {"ModelApprovalStatus": [{"equals-ignore-case": "approved"}]}}, True),
        ({"detail": {"ModelApprovalStatus": [{"anything-but": "Rejected"}]}}, True),
        ({"detail": {"ModelApprovalStatus": [{"anything-but": ["Approved", "x"]}]}}, False),
        ({"detail": {"ModelApprovalStatus": [{"anything-but": {"prefix": "App"}}]}}, False),
        ({"detail": {"Other": [{"anything-but": "x"}]}}, False),
        ({"detail": {"ModelPackageVersion": [{"numeric": [">", 2, "<=", 3]}]}}, True),
        ({"detail": {"ModelPackageVersion": [{"numeric": ["<", 3]}]}}, False),
        ({"detail": {"ModelApprovalStatus": [{"numeric": ["<", 3]}]}}, False),
        ({"detail": {"ModelApprovalStatus": [{"exists": True}]}}, True),
        ({"detail": {"ModelApprovalStatus": [{"exists": False}]}}, False),
        ({"detail": {"Other": [{"exists": False}]}}, True),
        ({"other": {"deeper": [{"exists": False}]}}, True),
        ({"detail": {"Containers": {"Image": [{"prefix": "sklearn"}]}}}, True),
        ({"detail": {"Containers": {"Image": ["tensorflow"]}}}, False),
        ({"detail-type": [{"wildcard": "SageMaker*State*"}]}, True),
        ({"detail-type": [{"wildcard": "*Training*"}]}, False),
        ({"$or": [{"source": ["a"]}, {"source": ["aws.sagemaker"]}]}, True),
        ({"$or": [{"source": ["a"]}, {"source": ["b"]}]}, False),
        ({"source": ["aws.sagemaker"], "detail": {"ModelPackageVersion": [4]}}, False),
    ],
)
def test_what_matches(pattern, result):
    assert matches(parse_pattern(json.dumps(pattern)), EVENT) is result


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "{",
        '{"a": "b"}',
        '{"a": []}',
        '{"a": {}}',
        '{"a": [["b"]]}',
        '{"a": [{"like": "b"}]}',
        '{"a": [{"prefix": "b", "suffix": "c"}]}',
        '{"a": [{"prefix": 1}]}',
        '{"a": [{"anything-but": []}]}',
        '{"a": [{"anything-but": {"numeric": [1]}}]}',
        '{"a": [{"numeric": [">"]}]}',
        '{"a": [{"numeric": ["~", 1]}]}',
        '{"a": [{"numeric": [[], 1]}]}',
        '{"a": [{"exists": "yes"}]}',
        '{"$or": []}',
        '{"$or": [1]}',
        '{"a": ["' + "x" * 5000 + '"]}',
    ],
)
def test_what_is_no_pattern_is_refused(text):
    with pytest.raises(InvalidInput, match="EventPattern"):
        parse_pattern(text)


def stars(pattern, text):
    """Match a wildcard naively."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(stars(pattern[1:], text[n:]) for n in range(len(text) + 1))
    return text[:1] == pattern[0] and stars(pattern[1:], text[1:])


@given(pattern=st.text("ab*", min_size=1, max_size=8), text=st.text("ab", max_size=10))
def test_a_wildcard_is_what_trying_everything_finds(pattern, text):
    assert matches({"a": [{"wildcard": pattern}]}, {"a": text}) is stars(pattern, text)
