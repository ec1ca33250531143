import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref, arn, parse_arn

WORD = st.from_regex(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,9}", fullmatch=True)
ACCOUNT = st.from_regex(r"[0-9]{12}", fullmatch=True)
REGION = st.sampled_from(["us-east-1", "eu-central-1", "us-gov-west-1"])
KIND = st.sampled_from(["training-job", "model", "model-package-group", "pipeline", "artifact"])
PATH = st.lists(WORD, min_size=2, max_size=2).map("/".join)
REFS = st.one_of(
    st.builds(Ref, ACCOUNT, REGION, KIND, WORD),
    st.builds(Ref, ACCOUNT, REGION, st.just("model-package"), WORD, st.integers(0, 999_999_999)),
    st.builds(Ref, ACCOUNT, REGION, st.just("pipeline-execution"), PATH),
    st.builds(Ref, ACCOUNT, st.just(""), st.just("role"), WORD | PATH),
)
NEARLY = st.builds(
    "arn:aws:{}:{}:{}:{}".format,
    st.sampled_from(["sagemaker", "iam", "s3", "lambda"]),
    st.sampled_from(["us-east-1", ""]),
    st.sampled_from(["123456789012", "", "12345678901²"]),
    st.lists(
        st.sampled_from(
            ["/", ":", "pipeline", "execution", "model-package", "role", "7", "²", "a"]
        ),
        max_size=8,
    ).map("".join),
)


@given(REFS)
def test_a_ref_survives_as_an_arn(ref):
    assert parse_arn(arn(ref)) == ref


@given(st.text() | NEARLY)
def test_an_arn_is_read_or_refused(text):
    with contextlib.suppress(InvalidInput):
        ref = parse_arn(text)
        assert parse_arn(arn(ref)).name == ref.name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "arn:aws:sagemaker:us-east-1:123456789012:model",
        "arn:aws:sagemaker:us-east-1:123456789012:model/",
        "arn:aws:sagemaker:us-east-1:12345:model/a",
        "arn:aws:dynamodb:us-east-1:123456789012:table/f",
        "arn:aws:iam::123456789012:user/bob",
        "arn:aws:sagemaker:us-east-1:123456789012:model/a\n",
        "arn:aws:sagemaker:us-east-1:123456789012:pipeline/../a",
    ],
)
def test_what_is_no_arn_of_ours_is_refused(text):
    with pytest.raises(InvalidInput, match="RoleArn"):
        parse_arn(text, field="RoleArn")


@pytest.mark.parametrize("version", ["0", "007", "9" * 20, "9" * 5000, "²", "-1", "a/1"])
def test_a_version_that_is_none_is_refused(version):
    start = "arn:aws:sagemaker:us-east-1:123456789012:model-package/abalone/"
    assert parse_arn(start + "7").version == 7
    with pytest.raises(InvalidInput, match="names no resource"):
        parse_arn(start + version)


def test_a_ref_reads_as_a_person_would_say_it():
    ref = Ref("123456789012", "us-east-1", "model-package", "abalone", 3)
    assert str(ref) == "model-package abalone/3"
    assert str(ref.sibling("model-package-group", "abalone")) == "model-package-group abalone"
