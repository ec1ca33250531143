"""clary batch."""

import secrets
import time
from typing import Annotated, Any

import typer

from clary.doors.cli.homes import open_home
from clary.doors.cli.models import find_version
from clary.doors.cli.options import Home, Json, new_app
from clary.doors.cli.output import note, show_document
from clary.doors.cli.servers import server_of
from clary.jobs.model import ENDED, TRANSFORM
from clary.kernel.errors import JobFailed
from clary.kernel.names import Ref, arn
from clary.platform import Platform

app = new_app()
_LOOK_EVERY_S = 0.1


@app.command()
def batch(  # noqa: PLR0917 - each is a named option on the command line
    version: Annotated[str, typer.Argument(help="GROUP/VERSION, GROUP for the newest, or ARN.")],
    data: Annotated[str, typer.Argument(help="s3:// URI of the objects, one record a line.")],
    output: Annotated[str, typer.Argument(help="s3:// URI below which predictions go.")],
    content_type: Annotated[str, typer.Option(help="Of the data.")] = "text/csv",
    accept: Annotated[str, typer.Option(help="Of the predictions; the model's default.")] = "",
    join: Annotated[
        bool, typer.Option("--join", help="Write each record with its prediction.")
    ] = False,
    capture: Annotated[
        str, typer.Option(help="s3:// URI for manifests; predictions get inference ids.")
    ] = "",
    instances: Annotated[int, typer.Option(min=1, help="Processes that share the objects.")] = 1,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Predict objects with a registered model version, and wait for the end."""
    platform = open_home(home)
    package = find_version(platform, version).ref
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": data}}
    request: dict[str, Any] = {
        "TransformInput": {
            "DataSource": source,
            "ContentType": content_type,
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": output,
            "AssembleWith": "Line",
            **({"Accept": accept} if accept else {}),
        },
        "TransformResources": {"InstanceCount": instances, "InstanceType": "ml.m5.large"},
    }
    if join:
        request["DataProcessing"] = {"JoinSource": "Input"}
    if capture:
        place = {"DestinationS3Uri": capture, "GenerateInferenceId": True}
        request["DataCaptureConfig"] = place
    with server_of(platform.config.home):
        ref = _start(platform, package, request)
        while platform.jobs.get(ref).status not in ENDED:
            time.sleep(_LOOK_EVERY_S)
    described = platform.jobs.describe(ref)
    if described["TransformJobStatus"] != "Completed":
        hint = f"`clary logs {ref.name}` prints its log"
        raise JobFailed(ref, f"{described.get('FailureReason', 'it was stopped')}; {hint}")
    show_document(described, as_json=as_json)


def _start(platform: Platform, package: Ref, request: dict[str, Any]) -> Ref:
    """Make a model of the version and a job that transforms with it, of the same name."""
    actor = platform.governance.owner.principal_arn
    name = f"{package.name}-{package.version}-{secrets.token_hex(4)}"[-63:].lstrip("-")
    ref = package.sibling(TRANSFORM, name)
    container = {"ModelPackageName": arn(package)}
    model = {"ModelName": name, "Containers": [container]}
    job = {"TransformJobName": name, "ModelName": name, **request}
    with platform.store.begin() as change:
        platform.models.create_model(
            package.sibling("model", name), model, actor=actor, transaction=change
        )
        platform.jobs.create(ref, job, actor=actor, transaction=change)
    note(f"{ref} predicts with {package}")
    return ref
