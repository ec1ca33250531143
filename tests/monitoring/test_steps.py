"""Check steps: which job a step makes, with which baseline, and what it says of its end."""

import pytest
from tests.monitoring.world import ACCOUNT, BUCKET, REGION, check_step

from clary.jobs.model import read
from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref
from clary.kernel.steps import StepRun

EXECUTION = Ref(ACCOUNT, REGION, "pipeline-execution", "checked/4r83jejmhorv")
ANALYZER = "1.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
OUTPUT = f"s3://{BUCKET}/checks/4r83jejmhorv"


def step(**members):
    """Write a step that runs the analyzer."""
    made = check_step()
    made["Arguments"]["AppSpecification"] = {"ImageUri": ANALYZER}
    return made | members


def started(world, **members):
    """Start a step, and return its result and its job's request."""
    kind, document = world.platform.monitoring.steps["QualityCheck"], step(**members)
    run = StepRun(EXECUTION, document, document["Arguments"], "ada")
    with world.store.begin() as change:
        result = kind.start(run, change)
    return result, read(world.platform.jobs.get(result.job)).request


def package(world, approval, constraints):
    """Register a version that keeps a baseline."""
    group = Ref(ACCOUNT, REGION, "model-package-group", "prices")
    if world.store.get(group) is None:
        world.platform.models.create_group(group, {"ModelPackageGroupName": "prices"}, actor="ada")
    world.put(constraints, b"{}")
    kept = {"Constraints": {"ContentType": "x", "S3Uri": f"s3://{BUCKET}/{constraints}"}}
    request = {
        "ModelPackageGroupName": "prices",
        "ModelApprovalStatus": approval,
        "DriftCheckBaselines": {"ModelDataQuality": kept},
    }
    world.platform.models.create_package(group, request, actor="ada")


def test_the_job_reports_below_its_execution_and_has_the_baseline(world):
    result, request = started(world)
    [target] = request["ProcessingOutputConfig"]["Outputs"]
    assert target["S3Output"]["S3Uri"] == OUTPUT
    inputs = {one["InputName"]: one["S3Input"]["S3Uri"] for one in request["ProcessingInputs"]}
    assert inputs == {
        "data": f"s3://{BUCKET}/batch",
        "constraints": f"s3://{BUCKET}/before/constraints.json",
    }
    file = "/opt/ml/processing/baseline/constraints/constraints.json"
    assert request["Environment"]["baseline_constraints"] == file
    told = result.metadata["QualityCheck"]
    assert told["CalculatedBaselineConstraints"] == f"{OUTPUT}/constraints.json"
    assert told["BaselineUsedForDriftCheckConstraints"] == inputs["constraints"]
    assert told["ViolationReport"] == f"{OUTPUT}/constraint_violations.json"
    kind = world.platform.monitoring.steps["QualityCheck"]
    assert kind.poll(result.job).status == "Executing"
    kind.stop(result.job)


def test_a_check_that_is_skipped_compares_with_nothing(world):
    _, request = started(world, SkipCheck=True, RegisterNewBaseline="true")
    assert [one["InputName"] for one in request["ProcessingInputs"]] == ["data"]
    assert "baseline_constraints" not in request["Environment"]


def test_the_latest_approved_version_has_the_baseline(world):
    package(world, "Approved", "one/constraints.json")
    package(world, "Approved", "two/constraints.json")
    package(world, "Rejected", "three/constraints.json")
    named = {"ModelPackageGroupName": "prices", "SuppliedBaselineConstraints": None}
    result, _ = started(world, **named)
    told = result.metadata["QualityCheck"]
    assert told["BaselineUsedForDriftCheckConstraints"] == f"s3://{BUCKET}/two/constraints.json"


def test_without_a_baseline_it_says_what_to_do(world):
    with pytest.raises(InvalidInput, match="SkipCheck and RegisterNewBaseline"):
        started(world, SuppliedBaselineConstraints=None)


def test_its_key_names_the_content_of_data_and_baseline(world):
    kind = world.platform.monitoring.steps["QualityCheck"]

    def key(**members):
        document = step(**members)
        return kind.key(StepRun(EXECUTION, document, document["Arguments"], "ada"))

    assert key() is None, "the baseline is not there"
    world.put("before/constraints.json", b"{}")
    first = key()
    assert key() == first
    assert key(FailOnViolation=False) != first
    world.put("before/constraints.json", b'{"version": 0}')
    assert key() != first


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"CheckType": "DATA_BIAS"}, "CheckType"),
        ({"CheckType": "DATA_STYLE"}, "CheckType"),
        ({"SkipCheck": "perhaps"}, "SkipCheck"),
        ({"Arguments": {}}, "Arguments.ProcessingOutputConfig.Outputs"),
    ],
)
def test_what_can_never_run_is_refused(world, members, place):
    with pytest.raises(InvalidInput) as error:
        world.platform.monitoring.steps["QualityCheck"].check(step(**members))
    assert error.value.field == place


def test_expressions_are_left_for_later(world):
    computed = {"Get": "Parameters.Skip"}
    world.platform.monitoring.steps["QualityCheck"].check(step(SkipCheck=computed))
