"""The step kinds that models offer to pipelines: Model and RegisterModel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.kernel.codec import plain
from clary.kernel.errors import InvalidInput
from clary.kernel.names import arn, parse_name
from clary.kernel.resource import Link
from clary.kernel.steps import ImmediateStep, StepResult
from clary.models import documents, requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.kernel.ports import JsonObject, Transaction
    from clary.kernel.steps import StepRun
    from clary.models.service import Models


class ModelStep(ImmediateStep):
    """Makes a model; its name is the platform's, so that each execution has its own."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def check(self, step: Mapping[str, Any]) -> None:
        """Refuse a step without containers."""
        if not {"PrimaryContainer", "Containers"} & step.get("Arguments", {}).keys():
            raise InvalidInput("Arguments", "no container", legal="PrimaryContainer or Containers")

    def start(self, run: StepRun, transaction: Transaction) -> StepResult:
        """Make the model, in the step's transaction."""
        name = run.name
        request = {**run.arguments, "ModelName": name}
        made = self._models.create_model(
            run.execution.sibling("model", name),
            request,
            actor=run.actor,
            tags=_tags(request),
            transaction=transaction,
        )
        transaction.link(Link(run.execution, "Produced", made.ref))
        return StepResult(
            "Succeeded",
            properties=plain(documents.model(made)),
            metadata={"Model": {"Arn": arn(made.ref)}},
        )


class RegisterModelStep(ImmediateStep):
    """Registers a model package version; makes the group when it is missing."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def check(self, step: Mapping[str, Any]) -> None:
        """Refuse a step that names a group and a package, or says nothing of how it is served."""
        members = step.get("Arguments", {}).keys()
        if {"ModelPackageGroupName", "ModelPackageName"} <= members:
            legal = "ModelPackageGroupName or ModelPackageName"
            raise InvalidInput("Arguments", "two names", legal=legal)
        served = {"InferenceSpecification", "SourceAlgorithmSpecification"}
        if "ModelPackageGroupName" not in members and not served & members:
            raise InvalidInput("Arguments.InferenceSpecification", "missing")

    def start(self, run: StepRun, transaction: Transaction) -> StepResult:
        """Register the version, in the step's transaction: exactly once."""
        generated = {"GeneratedBy": arn(run.execution)}
        given = run.arguments.get("MetadataProperties") or {}
        request = {**run.arguments, "MetadataProperties": generated | given}
        if "ModelPackageGroupName" not in request:
            request.setdefault("ModelPackageName", run.name)
        if name := requests.package(request).model_package_group_name:
            self._ensure_group(run, name, transaction)
        made = self._models.create_package(
            run.execution, request, actor=run.actor, tags=_tags(request), transaction=transaction
        )
        transaction.link(Link(run.execution, "Produced", made.ref))
        return StepResult(
            "Succeeded",
            properties=plain(documents.package(made)),
            metadata={"RegisterModel": {"Arn": arn(made.ref)}},
        )

    def _ensure_group(self, run: StepRun, name: str, transaction: Transaction) -> None:
        group = parse_name(
            name,
            "model-package-group",
            account=run.execution.account,
            region=run.execution.region,
            field="ModelPackageGroupName",
        )
        if transaction.get(group) is None:
            request = {"ModelPackageGroupName": group.name}
            self._models.create_group(group, request, actor=run.actor, transaction=transaction)


def _tags(request: JsonObject) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in request.get("Tags") or ()}
