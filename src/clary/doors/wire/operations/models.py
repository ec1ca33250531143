"""Models, model packages and their groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.wire.listing import answer, query, tags
from clary.kernel.errors import ClaryError
from clary.kernel.names import Ref, arn, parse_name
from clary.models import documents

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject

_GROUP, _PACKAGE = "model-package-group", "model-package"


def create_model(call: Call) -> JsonObject:
    """Make a model."""
    ref = _ref(call, "model", "ModelName")
    call.platform.models.create_model(ref, call.params, actor=call.actor, tags=tags(call))
    return {"ModelArn": arn(ref)}


def describe_model(call: Call) -> JsonObject:
    """Describe a model."""
    return call.platform.models.describe_model(_ref(call, "model", "ModelName"))


def list_models(call: Call) -> JsonObject:
    """List models."""
    page = call.platform.models.list(query(call, "model"))
    return answer("Models", map(documents.model_summary, page.items), page.token)


def delete_model(call: Call) -> JsonObject:
    """Remove a model; its files stay."""
    call.platform.models.delete_model(_ref(call, "model", "ModelName"), actor=call.actor)
    return {}


def create_model_package_group(call: Call) -> JsonObject:
    """Make a group for the versions of one model."""
    ref = _ref(call, _GROUP, "ModelPackageGroupName")
    call.platform.models.create_group(ref, call.params, actor=call.actor, tags=tags(call))
    return {"ModelPackageGroupArn": arn(ref)}


def describe_model_package_group(call: Call) -> JsonObject:
    """Describe a group."""
    return call.platform.models.describe_group(_ref(call, _GROUP, "ModelPackageGroupName"))


def list_model_package_groups(call: Call) -> JsonObject:
    """List groups; none are shared by other accounts."""
    if call.params.get("CrossAccountFilterOption") == "CrossAccount":
        return answer("ModelPackageGroupSummaryList", (), "")
    page = call.platform.models.list(query(call, _GROUP, descending=False))
    items = map(documents.group_summary, page.items)
    return answer("ModelPackageGroupSummaryList", items, page.token)


def delete_model_package_group(call: Call) -> JsonObject:
    """Remove a group without versions."""
    ref = _ref(call, _GROUP, "ModelPackageGroupName")
    call.platform.models.delete_group(ref, actor=call.actor)
    return {}


def create_model_package(call: Call) -> JsonObject:
    """Register a version of a group, or a package without a group."""
    near = Ref(call.account, call.region, _PACKAGE, "")
    made = call.platform.models.create_package(near, call.params, actor=call.actor, tags=tags(call))
    return {"ModelPackageArn": arn(made.ref)}


def describe_model_package(call: Call) -> JsonObject:
    """Describe a package."""
    document = call.platform.models.describe_package(_ref(call, _PACKAGE, "ModelPackageName"))
    if call.params.get("IncludedData") == "MetadataOnly":
        document.pop("ModelCard", None)
    return document


def update_model_package(call: Call) -> JsonObject:
    """Approve, reject or otherwise change a package."""
    ref = _ref(call, _PACKAGE, "ModelPackageArn")
    call.platform.models.update_package(ref, call.params, actor=call.actor)
    return {"ModelPackageArn": arn(ref)}


def list_model_packages(call: Call) -> JsonObject:
    """List a group's versions, or packages without a group unless another type is asked for."""
    params = call.params
    group = (
        _ref(call, _GROUP, "ModelPackageGroupName") if "ModelPackageGroupName" in params else None
    )
    kind = params.get("ModelPackageType", "Both" if group else "Unversioned")
    where = {} if kind == "Both" else {"type": kind}
    if approval := params.get("ModelApprovalStatus"):
        where["request.ModelApprovalStatus"] = approval
    page = call.platform.models.list(
        query(call, _PACKAGE, parent=group, descending=False, where=where)
    )
    items = map(documents.package_summary, page.items)
    return answer("ModelPackageSummaryList", items, page.token)


def batch_describe_model_package(call: Call) -> JsonObject:
    """Describe several packages; an error of one does not fail the others."""
    summaries: JsonObject = {}
    errors: JsonObject = {}
    for text in call.params["ModelPackageArnList"]:
        try:
            document = call.platform.models.describe_package(_named(call, text, _PACKAGE, "Arn"))
            summaries[text] = {member: document[member] for member in _BATCH if member in document}
        except ClaryError as error:
            errors[text] = {"ErrorCode": "ValidationException", "ErrorResponse": error.message}
    return {"ModelPackageSummaries": summaries, "BatchDescribeModelPackageErrorMap": errors}


_BATCH = (
    *("ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "CreationTime"),
    *("ModelPackageDescription", "InferenceSpecification", "ModelPackageStatus"),
    *("ModelApprovalStatus", "ModelPackageRegistrationType"),
)


def delete_model_package(call: Call) -> JsonObject:
    """Remove a package."""
    ref = _ref(call, _PACKAGE, "ModelPackageName")
    call.platform.models.delete_package(ref, actor=call.actor)
    return {}


def _ref(call: Call, kind: str, member: str) -> Ref:
    return _named(call, call.params[member], kind, member)


def _named(call: Call, text: str, kind: str, member: str) -> Ref:
    return parse_name(text, kind, account=call.account, region=call.region, field=member)
