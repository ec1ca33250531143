"""The step kind that functions offer to pipelines: Lambda."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.functions import model
from clary.functions.model import ENDED, Asked, parse_function
from clary.kernel.codec import digest, from_json, to_json
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import Ref, arn
from clary.kernel.outputs import declared, listed, typed
from clary.kernel.steps import StepResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.functions.invocations import Invocations
    from clary.functions.model import Invocation
    from clary.functions.service import Functions
    from clary.kernel.outputs import Value
    from clary.kernel.ports import Transaction
    from clary.kernel.steps import StepRun

_FIELD = "FunctionArn"


class LambdaStep:
    """Calls a function with the step's arguments; its outputs are members of what it returns."""

    def __init__(self, functions: Functions, invocations: Invocations) -> None:
        self._functions = functions
        self._invocations = invocations

    def check(self, step: Mapping[str, Any]) -> None:
        """Refuse a step without a function, or with outputs that are not declared well."""
        text = step.get(_FIELD)
        parts = text.split(":") if isinstance(text, str) else []
        if not isinstance(text, str) or len(parts) < 7:
            raise InvalidInput(_FIELD, f"{text!r:.200}", legal="the ARN of a function")
        parse_function(text, account=parts[4], region=parts[3], place=_FIELD)
        declared(step)

    def key(self, run: StepRun) -> Mapping[str, Any] | None:
        """Name the code, how it runs, and what it is given."""
        try:
            function = model.read(self._functions.get(_function(run)))
        except NotFound:
            return None
        how = function.configuration
        return {
            "function": run.step[_FIELD],
            "code": function.code.sha256,
            "handler": how.handler,
            "runtime": how.runtime,
            "environment": digest(how.environment.variables),
            "arguments": run.arguments,
            "outputs": run.step.get("OutputParameters") or [],
        }

    def made(self, job: Ref) -> Mapping[str, str]:  # noqa: ARG002 - port
        """Say that its result refers to nothing that could change."""
        return {}

    def start(self, run: StepRun, transaction: Transaction) -> StepResult:
        """Call the function, in the step's transaction."""
        asked = Asked(to_json(run.arguments), run.actor, outputs=declared(run.step))
        job = self._invocations.start(
            _function(run), asked, transaction=transaction, parent=run.execution
        )
        return StepResult("Executing", job=job, metadata=_metadata(job))

    def poll(self, job: Ref) -> StepResult:
        """Say whether the function has returned."""
        try:
            status, call = self._invocations.get(job)
        except NotFound as error:
            return StepResult("Failed", job=job, reason=error.message)
        if status not in ENDED:
            return StepResult("Executing", job=job, metadata=_metadata(job))
        try:
            values = _outputs(call)
        except InvalidInput as error:
            return StepResult("Failed", job=job, metadata=_metadata(job), reason=error.message)
        return StepResult(
            "Succeeded",
            job=job,
            properties={"OutputParameters": values},
            metadata=_metadata(job, values),
        )

    def stop(self, job: Ref) -> None:
        """Let it finish: a function that was called cannot be stopped."""


def _function(run: StepRun) -> Ref:
    execution = run.execution
    return parse_function(
        run.step[_FIELD], account=execution.account, region=execution.region, place=_FIELD
    )


def _outputs(call: Invocation) -> Mapping[str, Value]:
    if call.failure is not None:
        raise InvalidInput(call.failure.error_type, call.failure.error_message)
    result = from_json(call.result)
    if call.outputs and not isinstance(result, dict):
        problem = f"the function returned {call.result:.100}"
        raise InvalidInput("OutputParameters", problem, legal="an object with the outputs")
    return typed(call.outputs, result if isinstance(result, dict) else {})


def _metadata(job: Ref, values: Mapping[str, Value] | None = None) -> dict[str, Any]:
    function = job.sibling(model.FUNCTION, job.name.partition("/")[0])
    found: dict[str, Any] = {"Arn": arn(function)}
    if values:
        found["OutputParameters"] = listed(values)
    return {"Lambda": found}
