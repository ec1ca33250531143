"""The step kinds that endpoints offer to pipelines: EndpointConfig and Endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from clary.endpoints import body, documents
from clary.endpoints.model import CONFIG, ENDPOINT
from clary.kernel.codec import plain
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import arn, parse_name
from clary.kernel.resource import Link
from clary.kernel.steps import ImmediateStep, StepResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.endpoints.service import Endpoints
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, Transaction
    from clary.kernel.resource import Resource
    from clary.kernel.steps import StepRun

_CONFIG_NAME, _NAME = "EndpointConfigName", "EndpointName"


class EndpointConfigStep(ImmediateStep):
    """Makes an endpoint configuration.

    It has the name that the arguments give, or one of the platform's own. One of that name that
    says the same is used as it is, so that a pipeline can run again.
    """

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def check(self, step: Mapping[str, Any]) -> None:
        """Refuse a step without variants."""
        if "ProductionVariants" not in step.get("Arguments", {}):
            raise InvalidInput("Arguments.ProductionVariants", "missing")

    def start(self, run: StepRun, transaction: Transaction) -> StepResult:
        """Make the configuration, in the step's transaction."""
        request = {**run.arguments, _CONFIG_NAME: run.arguments.get(_CONFIG_NAME, run.name)}
        ref = _ref(run, CONFIG, request[_CONFIG_NAME], _CONFIG_NAME)
        made = transaction.get(ref)
        tags = _tags(request)
        if made is None or made.body["request"] != request:
            made = self._endpoints.create_config(
                ref, request, actor=run.actor, tags=tags, transaction=transaction
            )
        transaction.link(Link(run.execution, "Produced", ref))
        return StepResult(
            "Succeeded",
            properties=plain(documents.config(made)),
            metadata={"EndpointConfig": {"Arn": arn(ref)}},
        )


class EndpointStep:
    """Brings a configuration into service: on a new endpoint, or on the one of that name."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def check(self, step: Mapping[str, Any]) -> None:
        """Refuse a step that names no configuration."""
        if _CONFIG_NAME not in step.get("Arguments", {}):
            raise InvalidInput(f"Arguments.{_CONFIG_NAME}", "missing")

    def key(self, run: StepRun) -> Mapping[str, Any] | None:  # noqa: ARG002 - port
        """Say that its result is never reused."""
        return None

    def start(self, run: StepRun, transaction: Transaction) -> StepResult:
        """Begin to deploy, in the step's transaction."""
        name = run.arguments.get(_NAME, run.name)
        ref = _ref(run, ENDPOINT, name, _NAME)
        request = {**run.arguments, _NAME: name}
        tags = _tags(request)
        if transaction.get(ref) is None:
            self._endpoints.create(
                ref,
                request,
                actor=run.actor,
                tags=tags,
                transaction=transaction,
                waiter=run.execution,
            )
        else:
            self._endpoints.update(
                ref, request, actor=run.actor, transaction=transaction, waiter=run.execution
            )
        transaction.link(Link(run.execution, "Produced", ref))
        return StepResult("Executing", job=ref, metadata=_metadata(ref))

    def poll(self, job: Ref) -> StepResult:
        """Say how far the deployment is; one that was rolled back has failed."""
        try:
            found = self._endpoints.get(job)
        except NotFound as error:
            return StepResult("Failed", job=job, reason=error.message)
        status, reason = _state(found)
        properties = plain(self._endpoints.document(found)) if status == "Succeeded" else {}
        return StepResult(
            status, job=job, properties=properties, metadata=_metadata(job), reason=reason
        )

    def stop(self, job: Ref) -> None:
        """Let a deployment go on to its end: half of one would serve nobody."""

    def made(self, job: Ref) -> Mapping[str, str]:  # noqa: ARG002 - port
        """Say that its result refers to nothing that could change."""
        return {}


def _state(found: Resource) -> tuple[Literal["Executing", "Succeeded", "Failed"], str]:
    if found.status in {"Creating", "Updating", "SystemUpdating", "RollingBack"}:
        return "Executing", ""
    reason = body.read(found).reason
    if found.status == "InService" and not reason:
        return "Succeeded", ""
    return "Failed", reason or f"{found.ref} is {found.status}"


def _ref(run: StepRun, kind: str, name: str, member: str) -> Ref:
    where = {"account": run.execution.account, "region": run.execution.region}
    return parse_name(name, kind, **where, field=member)


def _tags(request: JsonObject) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in request.pop("Tags", None) or ()}


def _metadata(ref: Ref) -> dict[str, Any]:
    return {"Endpoint": {"Arn": arn(ref)}}
