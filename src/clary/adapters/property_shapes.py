"""What steps' properties look like, from the API model that botocore ships."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Shapes = Mapping[str, Mapping[str, Any]]

_DESCRIBED_BY = {
    "ClarifyCheck": "ClarifyCheckStepMetadata",
    "Endpoint": "DescribeEndpointOutput",
    "EndpointConfig": "DescribeEndpointConfigOutput",
    "Model": "DescribeModelOutput",
    "QualityCheck": "QualityCheckStepMetadata",
    "Processing": "DescribeProcessingJobResponse",
    "RegisterModel": "DescribeModelPackageOutput",
    "Training": "DescribeTrainingJobResponse",
    "Transform": "DescribeTransformJobResponse",
    "Tuning": "DescribeHyperParameterTuningJobResponse",
}
_LISTED_BY = {"Tuning": "ListTrainingJobsForHyperParameterTuningJobResponse"}
"""Properties of a step that are no members of its Describe document."""


def check_property(step_type: str, path: Sequence[str | int]) -> None:
    """Refuse a path that no Describe document of such a step has.

    Raises
    ------
    InvalidInput
        Says which member is unknown, and which there are.
    """
    if step_type not in _DESCRIBED_BY:
        return
    shapes = _shapes()
    name = _DESCRIBED_BY[step_type]
    listed = _LISTED_BY.get(step_type, name)
    if path and path[0] in shapes[listed]["members"]:
        name = listed
    for key in path:
        shape = shapes[name]
        if shape["type"] == "structure":
            if key not in shape["members"]:
                raise InvalidInput("", f"no {key!r} in {name}", legal=", ".join(shape["members"]))
            name = shape["members"][key]["shape"]
        elif shape["type"] in {"list", "map"}:
            name = shape["member" if shape["type"] == "list" else "value"]["shape"]
        else:
            raise InvalidInput("", f"nothing below {name}, which is a {shape['type']}")


@lru_cache(maxsize=1)
def _shapes() -> Shapes:
    """Load the shapes that Describe documents of steps consist of, and let go of the others."""
    import botocore.loaders  # noqa: PLC0415 - a home that is only looked at needs none

    model = botocore.loaders.Loader().load_service_model("sagemaker", "service-2")
    every: Shapes = model["shapes"]
    needed: dict[str, Mapping[str, Any]] = {}
    pending = [*_DESCRIBED_BY.values(), *_LISTED_BY.values()]
    while pending:
        name = pending.pop()
        if name not in needed:
            needed[name] = every[name]
            pending += _parts(every[name])
    return needed


def _parts(shape: Mapping[str, Any]) -> list[str]:
    members = [*shape.get("members", {}).values(), shape.get("member"), shape.get("value")]
    return [member["shape"] for member in members if member is not None]
