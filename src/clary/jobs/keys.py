"""What a job's result depends on, before it runs: content instead of places.

The key of a request has its arguments without what only names things or says where outputs go, and
a digest of the content in place of every URI that is read. The same digests are recorded in
lineage when the job runs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from clary.jobs import plans
from clary.jobs.contract import join_uri
from clary.jobs.inputs import find
from clary.jobs.model import PROCESSING, TRAINING, TRANSFORM, Job
from clary.kernel.codec import plain
from clary.kernel.errors import ClaryError
from clary.lineage.model import MOST_FILES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.jobs.contract import Plan, Target
    from clary.jobs.environments import Environments
    from clary.jobs.inputs import Found
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, ObjectStore
    from clary.lineage.model import Artifact

_NAMES = {
    PROCESSING: ("ProcessingJobName",),
    TRAINING: ("TrainingJobName",),
    TRANSFORM: ("TransformJobName", "ModelName", "TransformOutput.S3OutputPath"),
}
_NOT_READ = (
    *("RoleArn", "Tags", "ExperimentConfig", "OutputDataConfig.S3OutputPath"),
    *("CheckpointConfig.S3Uri", "HyperParameters.sagemaker_job_name"),
    "DataCaptureConfig.DestinationS3Uri",
)
"""Members that a result does not depend on: rights, labels, and where outputs go."""


def key(objects: ObjectStore, environments: Environments, ref: Ref, job: Job) -> dict[str, Any]:
    """Name everything that the result of ``job`` depends on.

    Raises
    ------
    ClaryError
        An input is not there, the request can never run, or its result is in a feature group too.
    """
    plan = plans.plan(ref, job)
    if any(one.group for one in plan.targets):
        raise ClaryError("rows of a feature group are written anew each time")
    found = [one for source in plan.sources if (one := find(objects, source)) is not None]
    named = {one.source.uri: f"the content of {one.source.name}" for one in reversed(found)}
    parts: dict[str, Any] = {
        "arguments": _content(_read_arguments(ref, job.request), named),
        "inputs": {one.source.name: _digest(one) for one in found if not one.source.code},
        "code": {one.source.name: _digest(one) for one in found if one.source.code},
        "environment": environments.depends_on(plan),
    }
    if job.containers:
        parts["model"] = _content(plain(job.containers), named)
    return parts


def _digest(found: Found) -> str:
    """Name content; a single object with its name, which a tree's digest covers."""
    text = f"sha256:{found.artifact.digest}"
    return f"{text} {found.items[0].path}" if found.artifact.type == "object" else text


def made(plan: Plan, outputs: Mapping[str, Artifact]) -> dict[str, str]:
    """Say which objects hold a job's outputs: digests by URI, a tree's with a slash at its end.

    Parameters
    ----------
    plan
        The job's.
    outputs
        What it made, by the target's name.
    """
    objects: dict[str, str] = {}
    for target in plan.targets:
        artifact = outputs.get(target.name)
        if artifact is not None:
            objects |= _objects(target, artifact)
    return objects


def _objects(target: Target, artifact: Artifact) -> dict[str, str]:
    if artifact.type == "object":
        return {target.uri: artifact.digest}
    if artifact.file_count <= MOST_FILES:
        return {join_uri(target.uri, file.path): file.sha256 for file in artifact.files}
    return {join_uri(target.uri, ""): artifact.digest}


def _read_arguments(ref: Ref, request: JsonObject) -> JsonObject:
    arguments: JsonObject = plain(request)
    for path in (*_NAMES[ref.kind], *_NOT_READ):
        holder: Any = arguments
        *above, member = path.split(".")
        for name in above:
            holder = holder.get(name) or {}
        holder.pop(member, None)
    for output in (arguments.get("ProcessingOutputConfig") or {}).get("Outputs") or ():
        (output.get("S3Output") or {}).pop("S3Uri", None)
    return arguments


def _content(value: Any, named: Mapping[str, str]) -> Any:
    """Replace the URIs of inputs by whose content they are, also those in a JSON text."""
    if isinstance(value, dict):
        return {name: _content(item, named) for name, item in value.items()}
    if isinstance(value, list):
        return [_content(item, named) for item in value]
    if isinstance(value, str):
        return named.get(value) or named.get(_unquoted(value), value)
    return value


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text
