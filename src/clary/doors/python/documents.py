"""From a recorded pipeline to its public definition (schema 2020-12-01)."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any

from clary.doors.python.arguments import Arguments
from clary.doors.python.packages import Package, pack
from clary.doors.python.tracing import Call, Raw
from clary.doors.python.values import JSON
from clary.jobs.instances import instance
from clary.jobs.launch import PRELOAD_VARIABLE
from clary.jobs.shared import SHARE
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clary.doors.python.packages import Package
    from clary.doors.python.tracing import Node, Trace
    from clary.doors.python.uploads import Uploads
    from clary.kernel.ports import JsonObject

VERSION = "2020-12-01"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
_ROOT = "/opt/ml/processing"
_LONGEST_CALL = 4096
_LIGHT_FORMS = frozenset({"json", "scalar", "file"})
_HEAVY = (b"numpy", b"pandas", b"scipy", b"sklearn", b"xgboost", b"pyarrow", b"polars", b"boto3")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a definition is to run: with which role, and where its files go.

    ``define`` makes an environment of requirements and returns its image. A function is packed
    once, however often it is called.
    """

    role: str
    uploads: Uploads
    define: Callable[[Sequence[str]], str]
    _packages: dict[Callable[..., Any], Package] = field(default_factory=dict)

    def package(self, call: Call) -> Package:
        """Pack a call's function. Raises InvalidInput."""
        if call.function not in self._packages:
            self._packages[call.function] = pack(call.function, f"step {call.name}")
        return self._packages[call.function]


def definition(trace: Trace, target: Target) -> JsonObject:
    """Write the definition; what it names in the object store is added to the target's uploads.

    Raises
    ------
    InvalidInput
        A step's function or argument cannot travel; names the step.
    """
    return {
        "Version": VERSION,
        "Metadata": {},
        "Parameters": trace.parameters,
        "Steps": [_step(node, target) for node in trace.nodes],
    }


def _step(node: Node, target: Target) -> JsonObject:
    if isinstance(node, Call):
        return _processing(node, target)
    if isinstance(node, Raw):
        return dict(node.document)
    return {
        "Name": node.name,
        "Type": "Condition",
        "Arguments": {
            "Conditions": list(node.test.conditions),
            "IfSteps": [_step(one, target) for one in node.then],
            "ElseSteps": [_step(one, target) for one in node.otherwise],
        },
    }


def _processing(call: Call, target: Target) -> JsonObject:
    """Write the Processing step that a call of a function becomes."""
    options, uploads = call.options, target.uploads
    package = target.package(call)
    made = Arguments(call, uploads)
    made.inputs["code"] = uploads.files("code", package.digest, package.files)
    sent = _sent(call, made) | {"libraries": _libraries(call, package)}
    text = json.dumps(sent, separators=(",", ":"))
    if len(text) > _LONGEST_CALL:
        digest = hashlib.sha256(text.encode()).hexdigest()
        made.inputs["call"] = uploads.files("calls", digest, {"call.json": text.encode()})
        text = "processing/input/call/call.json"
    for one in options.after:
        made.wait_for(one)
    instance(options.instance_type, field=f"step {call.name}")
    cluster = {"InstanceCount": 1, "InstanceType": options.instance_type, "VolumeSizeInGB": 30}
    results = [name for name, _ in call.returned.results]
    if options.feature_group:
        _refuse_no_rows(call)
    arguments: JsonObject = {
        "ProcessingResources": {"ClusterConfig": cluster},
        "AppSpecification": {
            "ImageUri": _image(call, target),
            "ContainerEntrypoint": ["python3", f"{_ROOT}/input/code/run.py"],
            "ContainerArguments": [text, *made.words],
        },
        "RoleArn": target.role,
        "ProcessingInputs": [_input(name, uri) for name, uri in made.inputs.items()],
        "ProcessingOutputConfig": {"Outputs": [_output(call, name, uploads) for name in results]},
    }
    if _is_light(call, package):
        share = dict([SHARE]) if options.may_share else {}
        arguments["Environment"] = {PRELOAD_VARIABLE: "none", **share}
    if options.timeout_s:
        arguments["StoppingCondition"] = {"MaxRuntimeInSeconds": options.timeout_s}
    step: JsonObject = {"Name": call.name, "Type": "Processing", "Arguments": arguments}
    if made.after:
        step["DependsOn"] = list(dict.fromkeys(made.after))
    if call.kept:
        step["PropertyFiles"] = [_property_file(name) for name in sorted(call.kept)]
    return step | options.members()


def _is_light(call: Call, package: Package) -> bool:
    """Say whether a step names no library that takes long to import; a guess that costs time only.

    A pickled function holds the names of all that it imports and uses.
    """
    kinds = [*call.hints.values(), *(kind for _, kind in call.returned.results)]
    pickled = package.files["function.pkl"]
    return all(kind.form in _LIGHT_FORMS for kind in kinds) and not any(
        name in pickled for name in _HEAVY
    )


def _libraries(call: Call, package: Package) -> dict[str, str]:
    """Name the versions that the result depends on, so that another one is a step done anew.

    A step with requirements has an environment of its own, which says them.
    """
    if call.options.requirements:
        return {}
    kinds = [*call.hints.values(), *(kind for _, kind in call.returned.results)]
    frames = {kind.library for kind in kinds if kind.library}
    return {**package.libraries, **{name: metadata.version(name) for name in sorted(frames)}}


def _image(call: Call, target: Target) -> str:
    """Name the environment that the step asks for; the platform's own without requirements."""
    wanted = call.options.wanted()
    if not wanted:
        return f"python:{PYTHON}"
    kinds = [*call.hints.values(), *(kind for _, kind in call.returned.results)]
    has_frames = any(kind.library in {"pandas", "pyarrow"} for kind in kinds)
    if has_frames and not any(line.strip().startswith("pyarrow") for line in wanted):
        wanted.append("pyarrow")
    try:
        return target.define(wanted)
    except InvalidInput as error:
        place = f"step {call.name}, {error.field}"
        raise InvalidInput(place, error.problem, legal=error.legal) from None


def _sent(call: Call, made: Arguments) -> JsonObject:
    """Write the call as the step's program reads it."""
    return {
        "python": PYTHON,
        "args": [made.argument(one, name, call.hints[name]) for name, one in call.args],
        "kwargs": {
            name: made.argument(one, name, call.hints.get(name))
            for name, one in call.kwargs.items()
        },
        "outputs": [
            {"name": name, "form": kind.form, "type": kind.tree}
            for name, kind in call.returned.results
        ],
        "several": call.returned.several,
    }


def _input(name: str, uri: Any) -> JsonObject:
    return {
        "InputName": name,
        "AppManaged": False,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"{_ROOT}/input/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
            "S3CompressionType": "None",
        },
    }


def _output(call: Call, name: str, uploads: Uploads) -> JsonObject:
    run = {"Get": "Execution.PipelineExecutionId"}
    parts = ["s3:/", uploads.bucket, call.trace.pipeline, run, call.name, name]
    group = call.options.feature_group
    return {
        **({"FeatureStoreOutput": {"FeatureGroupName": group}} if group else {}),
        "OutputName": name,
        "AppManaged": False,
        "S3Output": {
            "S3Uri": {"Std:Join": {"On": "/", "Values": parts}},
            "LocalPath": f"{_ROOT}/output/{name}",
            "S3UploadMode": "EndOfJob",
        },
    }


def _refuse_no_rows(call: Call) -> None:
    """Refuse a step whose result is no rows of a feature group."""
    forms = [kind.form for _, kind in call.returned.results]
    if forms not in (["frame"], ["file"]):
        problem = f"its result cannot fill {call.options.feature_group}"
        legal = "a frame, or the path of a file of rows: def … -> pd.DataFrame"
        raise InvalidInput(f"step {call.name}", problem, legal=legal)


def _property_file(name: str) -> JsonObject:
    return {"PropertyFileName": name, "OutputName": name, "FilePath": JSON}
