"""The pipeline steps that check data and models against baselines: QualityCheck, ClarifyCheck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from clary.jobs.contract import join_uri
from clary.jobs.model import PROCESSING
from clary.jobs.steps import ProcessingStep, draft
from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import arn, parse_name
from clary.kernel.resource import Resource
from clary.kernel.steps import StepResult
from clary.monitoring.baselines import STATISTICS, Baseline, Check, registered
from clary.monitoring.plans import VIOLATIONS, baseline_inputs, baseline_variables
from clary.pipelines.expressions import is_expression

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.jobs.service import Jobs
    from clary.jobs.steps import Draft
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, Transaction
    from clary.kernel.steps import StepRun
    from clary.monitoring.reports import Reports

CHECK = "pipeline-check"
"""The kind of what is remembered of a check; named as its job."""
QUALITY: tuple[Check, ...] = ("DATA_QUALITY", "MODEL_QUALITY")
CLARIFY: tuple[Check, ...] = ("DATA_BIAS", "MODEL_BIAS", "MODEL_EXPLAINABILITY")
MODEL_NAME = "sagemaker_model_name"
"""The variable that names the model to ask, which the configuration in the bucket does not."""
_MISSING = (
    "there is no baseline to compare with; the first time, let SkipCheck and RegisterNewBaseline "
    "be true; later, name the ModelPackageGroupName whose latest approved version has it in its "
    "DriftCheckBaselines"
)


class Asked(Struct, frozen=True, rename="pascal"):
    """What a check step says beside its Arguments."""

    check_type: Check
    skip_check: bool = False
    fail_on_violation: bool = True
    register_new_baseline: bool = False
    model_package_group_name: str | None = None
    supplied_baseline_statistics: str | None = None
    supplied_baseline_constraints: str | None = None
    model_name: str | None = None


class Checked(Struct, frozen=True):
    """The body of a check: its settings, the baseline it compares with, and where it reports."""

    word: str
    asked: Asked
    baseline: Baseline
    output: str

    @property
    def calculated(self) -> Baseline:
        """The baseline that its job makes."""
        is_quality = self.asked.check_type in QUALITY
        name = "constraints.json" if is_quality else "analysis.json"
        statistics = join_uri(self.output, STATISTICS) if is_quality else ""
        return Baseline(join_uri(self.output, name), statistics)

    def properties(self, job: Ref) -> dict[str, Any]:
        """Write what later steps refer to, and ListPipelineExecutionSteps shows."""
        asked, made = self.asked, self.calculated
        used = made if asked.register_new_baseline else self.baseline
        document = {
            "CheckType": asked.check_type,
            "CalculatedBaselineConstraints": made.constraints,
            "CalculatedBaselineStatistics": made.statistics,
            "BaselineUsedForDriftCheckConstraints": used.constraints,
            "BaselineUsedForDriftCheckStatistics": used.statistics,
            "ModelPackageGroupName": asked.model_package_group_name,
            "ViolationReport": "" if asked.skip_check else join_uri(self.output, VIOLATIONS),
            "CheckJobArn": arn(job),
            "SkipCheck": asked.skip_check,
            "RegisterNewBaseline": asked.register_new_baseline,
        }
        return {name: value for name, value in document.items() if value not in (None, "")}


@dataclass(frozen=True, slots=True)
class CheckStep:
    """Runs the job that makes a baseline of what is there, and compares it with an earlier one.

    Parameters
    ----------
    jobs, store, reports
        Who runs it, where registered baselines are, and who reads violations.
    word
        ``QualityCheck`` or ``ClarifyCheck``.
    checks
        The check types it offers.
    """

    jobs: Jobs
    store: MetadataStore
    reports: Reports
    word: str
    checks: Sequence[Check]

    def check(self, step: Mapping[str, Any]) -> None:
        """Refuse a check type that it does not offer, settings and jobs that can never be."""
        known = {
            name: value
            for name, value in step.items()
            if value is not None and not is_expression(value)
        }
        if build(Asked, known).check_type not in self.checks:
            problem = f"{step['CheckType']!r} is none of a {self.word} step"
            raise InvalidInput("CheckType", problem, legal=", ".join(self.checks))
        _output(step.get("Arguments") or {})
        ProcessingStep(self.jobs).check(step)

    def key(self, run: StepRun) -> Mapping[str, Any] | None:
        """Name what its job's result depends on, its baseline's content, and its settings."""
        made, state = self._made_of(run)
        parts = self.jobs.key(made.ref, made.request)
        return None if parts is None else {**parts, "check": plain(state.asked)}

    def start(self, run: StepRun, transaction: Transaction) -> StepResult:
        """Create the job in the transaction that marks the step as started."""
        made, state = self._made_of(run)
        at = now()
        transaction.insert(Resource(_check_of(made.ref), plain(state), at, at))
        self.jobs.create(
            made.ref,
            made.request,
            actor=run.actor,
            tags=made.tags,
            transaction=transaction,
            parent=run.execution,
            kept=made.kept,
        )
        return StepResult("Executing", job=made.ref, metadata=self._metadata(state, made.ref))

    def poll(self, job: Ref) -> StepResult:
        """Say how far the job is; one that has ended well fails where its report has violations."""
        found = self.store.get(_check_of(job))
        if found is None:
            raise NotFound(_check_of(job))
        state = build(Checked, found.body)
        result = ProcessingStep(self.jobs).poll(job)
        if result.status == "Executing":
            return StepResult("Executing", job=job)
        properties, metadata = state.properties(job), self._metadata(state, job)
        if result.status != "Succeeded":
            return StepResult(
                result.status, job, properties, {}, metadata, "", result.reason, result.error
            )
        listed = [] if state.asked.skip_check else self.reports.violations(state.output) or []
        count = len(listed)
        if count and state.asked.fail_on_violation:
            reason = f"{count} violations: {join_uri(state.output, VIOLATIONS)}"
            return StepResult("Failed", job, properties, {}, metadata, reason=reason)
        return StepResult("Succeeded", job, properties, result.files, metadata)

    def stop(self, job: Ref) -> None:
        """Ask the job to stop; nothing happens when it has ended."""
        ProcessingStep(self.jobs).stop(job)

    def made(self, job: Ref) -> Mapping[str, str]:
        """Name the objects that the job stored."""
        return self.jobs.made(job)

    def _metadata(self, state: Checked, job: Ref) -> dict[str, Any]:
        return {self.word: state.properties(job)}

    def _made_of(self, run: StepRun) -> tuple[Draft, Checked]:
        """Compose the job: where it reports is its execution's own, and it has the baseline."""
        asked = build(Asked, {k: v for k, v in run.step.items() if v is not None})
        made = draft(PROCESSING, run)
        baseline = self._baseline(run, asked)
        compared = Baseline() if asked.skip_check else baseline
        request = dict(made.request)
        output = join_uri(_output(request), run.execution.name.partition("/")[2])
        outputs = request["ProcessingOutputConfig"]["Outputs"]
        first = {**outputs[0], "S3Output": {**outputs[0]["S3Output"], "S3Uri": output}}
        config = {**request["ProcessingOutputConfig"], "Outputs": [first, *outputs[1:]]}
        variables = baseline_variables(compared.constraints, compared.statistics)
        variables[MODEL_NAME] = asked.model_name or ""
        request |= {
            "ProcessingOutputConfig": config,
            "ProcessingInputs": [
                *(request.get("ProcessingInputs") or ()),
                *baseline_inputs(compared.constraints, compared.statistics),
            ],
            "Environment": {
                **(request.get("Environment") or {}),
                **{name: value for name, value in variables.items() if value},
            },
        }
        changed = type(made)(made.ref, request, made.tags, made.kept)
        return changed, Checked(self.word, asked, baseline, output)

    def _baseline(self, run: StepRun, asked: Asked) -> Baseline:
        """Find what to compare with: what was supplied, else what the registry keeps."""
        found = Baseline(
            asked.supplied_baseline_constraints or "", asked.supplied_baseline_statistics or ""
        )
        if not found.constraints and asked.model_package_group_name:
            group = parse_name(
                asked.model_package_group_name,
                "model-package-group",
                account=run.execution.account,
                region=run.execution.region,
                field="ModelPackageGroupName",
            )
            found = registered(self.store, group, asked.check_type)
        if not found.constraints and not asked.skip_check:
            raise InvalidInput("SuppliedBaselineConstraints", _MISSING)
        return found


def _check_of(job: Ref) -> Ref:
    return job.sibling(CHECK, job.name)


def _output(arguments: Mapping[str, Any]) -> Any:
    """Return the URI of the first output, where the job reports. Raises InvalidInput."""
    try:
        return arguments["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    except (KeyError, IndexError, TypeError):
        place = "Arguments.ProcessingOutputConfig.Outputs"
        raise InvalidInput(place, "names no place for the report") from None


def kinds(jobs: Jobs, store: MetadataStore, reports: Reports) -> dict[str, CheckStep]:
    """Return the step kinds of monitoring, by type."""
    offered: JsonObject = {"QualityCheck": QUALITY, "ClarifyCheck": CLARIFY}
    return {word: CheckStep(jobs, store, reports, word, checks) for word, checks in offered.items()}
