"""A flow as a job at known times: a pipeline of one step, from ``s3://…`` to there or a group."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from clary.doors.python.documents import PYTHON, VERSION
from clary.doors.python.session import session
from clary.features.model import FEATURE_GROUP
from clary.flows import documents, fitted
from clary.flows.destinations import asked_of
from clary.flows.reach import is_remote
from clary.kernel.errors import InvalidInput
from clary.kernel.names import arn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.doors.python.session import Session
    from clary.doors.python.uploads import Uploads
    from clary.flows.fitted import Fitted
    from clary.flows.model import Flow, Node
    from clary.kernel.ports import JsonObject

_ROOT = "/opt/ml/processing"


class Schedules:
    """A flow that is run again and again by whatever works on the home."""

    document: Flow
    fitted: Fitted
    _node: str

    def schedule(self, expression: str, *, name: str = "", timezone: str = "UTC") -> None:
        """Run the flow at known times from now on: read its sources anew, write its destinations.

        What was learned until now is applied; what was not is learned by each run. The run is an
        execution of a pipeline, so it is recorded as any other, and ``unschedule`` ends it.

        Parameters
        ----------
        expression
            ``rate(1 day)``, ``cron(0 6 ? * MON-FRI *)`` or ``at(2027-01-31T06:00:00)``.
        name
            Of the pipeline and the schedule, which replaces the one of this name; the flow's
            node by default.
        timezone
            What ``cron`` and ``at`` mean, as ``Europe/Berlin``.

        Raises
        ------
        InvalidInput
            The expression or the time zone is not legal; there is no destination; or a source is
            not at ``s3://…``, or a destination neither there nor a feature group.
        NotFound
            There is no such group.
        """
        here, name = session(), name or self._node
        uploads = here.uploads()
        pipeline = _definition(here, uploads, name, self.document, self.fitted)
        here.send(uploads)
        here.upsert(name, pipeline)
        request = {
            "ScheduleExpression": expression,
            "ScheduleExpressionTimezone": timezone,
            "Target": {"Arn": arn(here.ref("pipeline", name))},
        }
        ref = here.ref("schedule", f"default/{name}")
        here.platform.schedules.put(ref, request, actor=here.actor)

    def unschedule(self, name: str = "") -> None:
        """Run the flow no more at the times of the schedule. Raises NotFound."""
        here = session()
        ref = here.ref("schedule", f"default/{name or self._node}")
        here.platform.schedules.delete(ref, actor=here.actor)


def _definition(
    here: Session, uploads: Uploads, name: str, flow: Flow, learned: Fitted
) -> JsonObject:
    """Write a pipeline that runs the flow."""
    sources = _at(flow, "source")
    ends = _at(flow, "destination")
    if not ends:
        hint = '.write("s3://bucket/rows.parquet") adds one'
        raise InvalidInput("flow", "has no destination: there is nothing to write", hint=hint)
    moved, outputs = {}, []
    for number, (node, uri) in enumerate(ends):
        folder, file = f"{_ROOT}/to/{number}", uri.rpartition("/")[2] or "rows.parquet"
        moved[node.id] = msgspec.structs.replace(
            node, with_={**_but(node), "path": f"{folder}/{file}"}
        )
        group = str(node.with_.get("feature_group", ""))
        if group:
            here.platform.features.group(here.ref(FEATURE_GROUP, group))
        to = _own(here.bucket, name, group) if group else uri.rpartition("/")[0]
        outputs.append(_output(f"to-{number}", to, folder, group))
    nodes = tuple(moved.get(one.id, one) for one in flow.nodes)
    text = documents.write(msgspec.structs.replace(flow, nodes=nodes)).encode()
    state = fitted.write(learned).encode()
    digest = hashlib.sha256(text + b"\0" + state).hexdigest()
    folder = uploads.files("flows", digest, {"flow.flow.json": text, "flow.fitted.json": state})
    given = [
        word
        for place, (node, uri) in enumerate(sources)
        for word in ("--source", f"{node.id}={_file(f'{_ROOT}/from/{place}', uri)}")
    ]
    inputs = [("flow", folder, f"{_ROOT}/flow")]
    inputs += [(f"from-{n}", uri, f"{_ROOT}/from/{n}") for n, (_, uri) in enumerate(sources)]
    run = ["python3", "-m", "clary", "flow", "run", f"{_ROOT}/flow/flow.flow.json"]
    arguments = {
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 30,
            }
        },
        "AppSpecification": {
            "ImageUri": f"python:{PYTHON}",
            "ContainerEntrypoint": [*run, *given, "--allow", _ROOT],
        },
        "RoleArn": here.role,
        "ProcessingInputs": [_input(*one) for one in inputs],
        "ProcessingOutputConfig": {"Outputs": outputs},
    }
    step = {"Name": "flow", "Type": "Processing", "Arguments": arguments}
    return {"Version": VERSION, "Metadata": {}, "Parameters": [], "Steps": [step]}


def _at(flow: Flow, operator: str) -> Sequence[tuple[Node, str]]:
    """Give the nodes of sources or destinations, and where each is at ``s3://…``, or a group."""
    found = []
    for node in flow.nodes:
        if node.operator == operator == "destination" and asked_of(node).feature_group:
            found.append((node, ""))
        elif node.operator == operator:
            place = str(node.with_.get("path") or node.with_.get("uri") or "")
            if not place or not is_remote(place) or "{{" in place:
                problem = f"is at {place or 'no place of its own'}, which a job does not reach"
                hint = "clary.Flow.read('s3://bucket/rows.csv'), .write('s3://bucket/made.parquet')"
                raise InvalidInput(f"{operator} {node.id}", problem, legal="s3://…", hint=hint)
            is_object = place.count("/") >= len("///") and not place.endswith("/")
            if operator == "destination" and not is_object:
                raise InvalidInput(f"{operator} {node.id}", f"{place} names no object")
            found.append((node, place))
    return found


def _but(node: Node) -> dict[str, Any]:
    places = {"path", "uri", "feature_group"}
    return {name: value for name, value in node.with_.items() if name not in places}


def _own(bucket: str, name: str, group: str) -> JsonObject:
    """Say where an execution leaves the rows of a group."""
    run = {"Get": "Execution.PipelineExecutionId"}
    return {"Std:Join": {"On": "/", "Values": ["s3:/", bucket, name, run, group]}}


def _file(folder: str, uri: str) -> str:
    """Say where an input lies: a file where its name has an ending, else a folder of files."""
    last = uri.rpartition("/")[2]
    return f"{folder}/{last}" if "." in last else folder


def _input(name: str, uri: str, place: str) -> JsonObject:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": place,
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    }


def _output(name: str, uri: str | JsonObject, place: str, group: str) -> JsonObject:
    target = {"S3Uri": uri, "LocalPath": place, "S3UploadMode": "EndOfJob"}
    into = {"FeatureStoreOutput": {"FeatureGroupName": group}} if group else {}
    return {"OutputName": name, "S3Output": target, **into}
