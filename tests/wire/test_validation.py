from __future__ import annotations

import contextlib
import json

import pytest
import regex
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from clary.doors.wire import model, patterns, validation
from clary.doors.wire.patterns import TooCostly, compile_pattern
from clary.kernel.errors import InvalidInput

NO_CHECKS = Config(parameter_validation=False)
TRAINING = {
    "TrainingJobName": "a-job",
    "AlgorithmSpecification": {"TrainingInputMode": "File"},
    "RoleArn": "arn:aws:iam::123456789012:role/ClaryRole",
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}


def complaint(operation, params, *, service="sagemaker", strict=True):
    validator = validation.Validator(service, strict=strict)
    try:
        validator.validate(model.service(service).operations[operation], params)
    except InvalidInput as error:
        return error.message
    return None


def shapes_with_patterns():
    return {
        shape["pattern"]
        for name in model.SERVICES
        for shape in model.service(name).shapes.values()
        if "pattern" in shape
    }


def test_every_pattern_of_every_service_compiles():
    found = shapes_with_patterns()
    assert len(found) > 300
    for pattern in found:
        compile_pattern(pattern)


def test_no_pattern_hangs_on_values_made_to_make_it(monkeypatch):
    monkeypatch.setattr(patterns, "_TIMEOUT_S", 0.05)
    evil = ["a" * 4000 + "!", "a-" * 2000 + "!", "1" * 5000 + "\n", "/" * 4000 + "\0", " " * 4096]
    for source in shapes_with_patterns():
        pattern = compile_pattern(source)
        for value in evil:
            with contextlib.suppress(TooCostly):
                pattern.matches(value)


@pytest.mark.parametrize(
    ("java", "accepted", "refused"),
    [
        (r"\d+", ["12"], ["٣", ""]),
        (r"\w+", ["a_1"], ["é"]),
        (r"\D+", ["٣", "ab"], ["1"]),
        (r"[\w-]+", ["a-b"], ["é", "["]),
        (r"\p{L}+", ["é", "日"], ["1"]),
        (r"[\p{L}\p{N}]+", ["é1"], ["-"]),
        (r"\p{Alnum}+", ["a1"], ["é"]),
        (r"\P{Alnum}+", ["é-"], ["a"]),
        (r"[\p{Print}]*", ["a b~", ""], ["a\x7f", "\n"]),
        (r"\p{ASCII}*", ["\x00\x7f"], ["\x80"]),
        (r"\A\S[\p{Print}]*\z", ["ab c"], [" a", "a\n"]),
        (r".+", ["ab"], ["a\nb", "a\rb", "a\u2028b", ""]),
        (r"[.]", ["."], ["a"]),
        (r"a\.b", ["a.b"], ["axb"]),
        (r"[a[]+", ["a["], ["b"]),
        (r"(a*+)b", ["aab"], ["aa"]),
        (r"[\u0020-\uD7FF\uD800\uDC00-\uDBFF\uDFFF]", ["a", "\U0001f600"], ["\n"]),
        (r"(^s3$)|(^x$)", ["s3", "x"], ["s3\n", "y"]),
        (r"(?=.{1,3}$)a+", ["aaa"], ["aaaa"]),
        (r"(a){2}(?<!b)", ["aa"], ["a"]),
    ],
)
def test_java_patterns_mean_what_they_mean_in_java(java, accepted, refused):
    pattern = compile_pattern(java)
    assert [value for value in accepted if not pattern.matches(value)] == []
    assert [value for value in refused if pattern.matches(value)] == []


def test_a_costly_pattern_is_a_violation_not_a_hang(monkeypatch):
    monkeypatch.setattr(patterns, "_TIMEOUT_S", 0.05)
    pattern = compile_pattern(r"(?:a+a+)+[^a]\d")
    with pytest.raises(TooCostly):
        pattern.matches("a" * 4000)
    check = validation._pattern({"type": "string"}, pattern)
    with pytest.raises(InvalidInput, match="1 validation error detected"):
        check("a" * 4000)


def test_the_largest_pipeline_definition_is_checked_in_time():
    definition = json.dumps({"Steps": ["x" * 50] * 16_000}, indent=1)[: 1 << 20]
    assert (
        complaint(
            "CreatePipeline",
            {
                "PipelineName": "p",
                "PipelineDefinition": definition,
                "RoleArn": TRAINING["RoleArn"],
                "ClientRequestToken": "t" * 32,
            },
        )
        is None
    )


def test_a_good_request_passes():
    assert complaint("CreateTrainingJob", TRAINING) is None


def test_every_violation_is_named_with_its_value_and_what_is_legal():
    bad = TRAINING | {
        "TrainingJobName": "a_b",
        "ResourceConfig": {"InstanceType": "ml.z9", "InstanceCount": 1, "VolumeSizeInGB": -1},
        "Tags": [{"Key": "k", "Value": "v"}, {"Key": "", "Value": "v"}, None],
        "HyperParameters": {"k" * 257: "v", "ok": "v" * 2501},
        "EnableNetworkIsolation": True,
    }
    del bad["RoleArn"]
    message = complaint("CreateTrainingJob", bad)
    assert message.startswith("8 validation errors detected: ")
    parts = message.partition(": ")[2].split("; ")
    assert "Value null at 'roleArn' failed to satisfy constraint: Member must not be null" in parts
    assert (
        "Value 'a_b' at 'trainingJobName' failed to satisfy constraint: Member must satisfy regular"
        " expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    ) in parts
    assert any(
        part.startswith(
            "Value 'ml.z9' at 'resourceConfig.instanceType' failed to satisfy constraint:"
            " Member must satisfy enum value set: [ml.m4.xlarge, "
        )
        for part in parts
    )
    assert (
        "Value '-1' at 'resourceConfig.volumeSizeInGB' failed to satisfy constraint:"
        " Member must have value greater than or equal to 0"
    ) in parts
    assert (
        "Value '' at 'tags.2.member.key' failed to satisfy constraint:"
        " Member must have length greater than or equal to 1"
    ) in parts
    assert (
        "Value null at 'tags.3.member' failed to satisfy constraint: Member must not be null"
    ) in parts
    assert any("at 'hyperParameters.ok.member'" in part for part in parts)
    assert any(
        "at 'hyperParameters' failed to satisfy constraint: Map keys must satisfy constraint:"
        " [Member must have length less than or equal to 256]" in part
        for part in parts
    )


def test_lenient_relaxes_length_enum_and_pattern_only():
    loose = TRAINING | {
        "TrainingJobName": "a_b" * 99,
        "ResourceConfig": {"InstanceType": "ml.z9", "InstanceCount": 1, "VolumeSizeInGB": -1},
    }
    del loose["RoleArn"]
    message = complaint("CreateTrainingJob", loose, strict=False)
    assert message == (
        "2 validation errors detected: Value null at 'roleArn' failed to satisfy constraint:"
        " Member must not be null; Value '-1' at 'resourceConfig.volumeSizeInGB' failed to satisfy"
        " constraint: Member must have value greater than or equal to 0"
    )


@pytest.mark.parametrize(
    ("value", "good"),
    [({"S3Uris": []}, True), ({}, False), ({"S3Uris": [], "ModelPackageArns": []}, False)],
)
def test_a_union_takes_exactly_one_member(value, good):
    check = validation.Validator("sagemaker", strict=False)._check("AIAdapterSource")
    found = [violation.constraint for violation in check(value)]
    legal = "Member must have exactly one of its members set: [ModelPackageArns, S3Uris]"
    assert found == ([] if good else [legal])


def test_long_values_and_many_violations_are_cut():
    message = complaint("CreateTrainingJob", TRAINING | {"TrainingJobName": "_" * 100_000})
    assert len(message) < 2000
    tags = [{"Key": "", "Value": "v"}] * 1000
    message = complaint("AddTags", {"ResourceArn": "arn:aws:sagemaker:x", "Tags": tags})
    assert message.startswith("1002 validation errors detected: ")
    assert message.endswith("; and 902 more")


def test_a_hidden_value_is_not_said():
    shape = {"type": "string", "sensitive": True, "max": 3}
    validator = validation.Validator("sagemaker", strict=True)
    (violation,) = validator._string(shape)("secret")
    assert "secret" not in str(violation)


@given(
    st.dictionaries(st.sampled_from(["Key", "Value"]), st.text(max_size=300), max_size=2),
)
def test_tags_agree_with_a_naive_check(tag):
    shapes = model.service("sagemaker").shapes
    expected = 0
    for member, target in (("Key", "TagKey"), ("Value", "TagValue")):
        value, shape = tag.get(member), shapes[target]
        if value is None:
            expected += 1
            continue
        expected += not shape.get("min", 0) <= len(value) <= shape["max"]
        expected += regex.fullmatch(shape["pattern"], value) is None
    message = complaint("AddTags", {"ResourceArn": "arn:aws:sagemaker:x", "Tags": [tag]})
    got = 0 if message is None else int(message.split(" ", 1)[0])
    arn = complaint("AddTags", {"ResourceArn": "arn:aws:sagemaker:x", "Tags": []})
    assert got - (0 if arn is None else int(arn.split(" ", 1)[0])) == expected


def test_the_client_gets_it_in_the_words_of_its_service(server):
    sagemaker = server.client("sagemaker", config=NO_CHECKS)
    with pytest.raises(ClientError) as refused:
        sagemaker.create_training_job(**TRAINING | {"TrainingJobName": "a_b", "RoleArn": "x"})
    error = refused.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith("3 validation errors detected: ")
    with pytest.raises(ClientError) as refused:
        server.client("logs", config=NO_CHECKS).describe_log_streams(limit=0)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterException"
    with pytest.raises(ClientError) as refused:
        server.client("sts", config=NO_CHECKS).assume_role(RoleArn="x", RoleSessionName="y")
    assert refused.value.response["Error"]["Code"] == "ValidationError"
