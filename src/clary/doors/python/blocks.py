"""What a pipeline's body says beside calling steps: when, otherwise, fail, register, raw_step."""

from __future__ import annotations

import contextlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

from clary.doors.python.handles import Output, Property, Test, Value
from clary.doors.python.tracing import Branches, Raw, tracing
from clary.doors.python.values import JSON, MODEL
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_APPROVALS = ("PendingManualApproval", "Approved", "Rejected")
_CSV, _JSON_TYPE = "text/csv", "application/json"


@contextlib.contextmanager
def when(condition: Test, *, name: str = "") -> Iterator[None]:
    """Run the steps of the ``with`` block only if a condition holds: ``report["mse"] <= 6``.

    Raises
    ------
    InvalidInput
        It is no condition on values of this pipeline.
    """
    trace = tracing("clary.when")
    if not isinstance(condition, Test):
        legal = 'a comparison, as report["mse"] <= limit'
        raise InvalidInput("clary.when", f"{condition!r} is no condition", legal=legal)
    trace.own(condition)
    node = Branches(trace.name(name or f"when-{condition.subject}", Branches), condition)
    trace.add(node)
    with trace.recording(node.then):
        yield


@contextlib.contextmanager
def otherwise() -> Iterator[None]:
    """Run the steps of the ``with`` block if the condition of the ``when`` before does not hold."""
    trace = tracing("clary.otherwise")
    last = trace.last
    if not isinstance(last, Branches) or last.otherwise:
        raise InvalidInput("clary.otherwise", "there is no `with clary.when(...)` just before it")
    with trace.recording(last.otherwise):
        yield


def fail(message: str) -> None:
    """End the execution as failed, with a message; f-strings may name parameters and results."""
    trace = tracing("clary.fail")
    document = {
        "Name": trace.name("fail", fail),
        "Type": "Fail",
        "Arguments": {"ErrorMessage": trace.text(str(message))},
    }
    trace.add(Raw(document))


def register(
    model: Any,
    *,
    group: str,
    metrics: Any = None,
    approval: Any = "PendingManualApproval",
    description: str = "",
) -> Property:
    """Register a model as the next version of a group, which is made when it is missing.

    Parameters
    ----------
    model
        The result of a step that declares a class: ``xgboost.Booster``, a scikit-learn estimator.
    group
        The model package group.
    metrics
        The JSON result of a step, kept as the version's quality metrics.
    approval
        PendingManualApproval, Approved, Rejected, or a parameter.

    Returns
    -------
    Property
        The version; ``version["ModelPackageArn"]`` names it.
    """
    trace = tracing("clary.register")
    if not isinstance(model, Output) or model.declared.form != "model":
        problem = f"{model!r} is no model"
        if isinstance(model, Output):
            problem = f"{model!r} is declared as {model.declared}"
        legal = "the result of a step that declares its class: -> xgboost.Booster"
        raise InvalidInput("clary.register, model", problem, legal=legal)
    if not isinstance(approval, Value) and approval not in _APPROVALS:
        raise InvalidInput("clary.register, approval", repr(approval), legal=", ".join(_APPROVALS))
    arguments: dict[str, Any] = {
        "ModelPackageGroupName": group,
        "ModelApprovalStatus": approval,
        "InferenceSpecification": {
            "Containers": [{"Image": _image(model), "ModelDataUrl": _below(model, MODEL)}],
            "SupportedContentTypes": [_CSV, _JSON_TYPE],
            "SupportedResponseMIMETypes": [_CSV, _JSON_TYPE],
        },
    }
    if description:
        arguments["ModelPackageDescription"] = description
    if metrics is not None:
        arguments["ModelMetrics"] = _metrics(metrics)
    name = trace.name(f"register-{group}"[:60], register)
    return raw_step({"Name": name, "Type": "RegisterModel", "Arguments": arguments}, named=True)


def raw_step(document: Mapping[str, Any], *, named: bool = False) -> Property:
    """Add a step of any type as its document; values of the pipeline may stand anywhere in it.

    A result stands for the URI of where it is stored.

    Parameters
    ----------
    document
        Name, Type and Arguments, as the definition schema 2020-12-01 has them.
    named
        Whether its name has been given out by the pipeline.

    Returns
    -------
    Property
        What the step is described by: ``step["ModelName"]``, for other steps and conditions.
    """
    trace = tracing("clary.raw_step")
    for member in ("Name", "Type"):
        if not isinstance(document.get(member), str):
            raise InvalidInput(f"clary.raw_step, {member}", "is missing, or no text")
    name = document["Name"]
    if not named and trace.name(name, object()) != name:
        raise InvalidInput(f"step {name}", "two steps have this name")
    trace.add(Raw(trace.document(dict(document))))
    return Property(trace, name)


def _image(model: Output) -> str:
    """Name the image that serves a model: of the XGBoost that wrote it, or any with a script."""
    if model.declared.tree["is"] != "xgboost.Booster":
        return "sagemaker-scikit-learn:1.2-1-cpu-py3"
    found = (_version(name) for name in ("xgboost", "xgboost-cpu"))
    version = next((one for one in found if one), "1.7")
    return f"sagemaker-xgboost:{'.'.join(version.split('.')[:2])}-1"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _below(output: Output, name: str) -> Any:
    return {"Std:Join": {"On": "/", "Values": [output.uri(), name]}}


def _metrics(metrics: Any) -> dict[str, Any]:
    if not isinstance(metrics, Output) or metrics.declared.form != "json":
        legal = "the result of a step that declares -> dict"
        raise InvalidInput("clary.register, metrics", f"{metrics!r}", legal=legal)
    statistics = {"ContentType": _JSON_TYPE, "S3Uri": _below(metrics, JSON)}
    return {"ModelQuality": {"Statistics": statistics}}
