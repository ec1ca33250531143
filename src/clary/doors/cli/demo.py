"""clary demo: the Abalone pipeline, driven through boto3 as any client would."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Annotated, Any

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError

from clary.config import Config, default_home
from clary.doors.cli.demo_view import report, watching
from clary.doors.cli.env import environment_of
from clary.doors.cli.options import new_app
from clary.doors.cli.output import note
from clary.doors.cli.servers import server_of
from clary.doors.cli.settings import settings
from clary.governance.environment import conflicts
from clary.kernel.errors import ClaryError, Unavailable

app = new_app()
PIPELINE = "AbalonePipeline"
_SCRIPTS = ("preprocessing.py", "evaluation.py")
_GOING_ON = ("Executing", "Stopping")
_LOOK_EVERY_S = 0.25


@app.command()
def demo(
    home: Annotated[
        Path | None, typer.Option(help="The home directory. [default: $CLARY_HOME, else ./.clary]")
    ] = None,
    mse_threshold: Annotated[
        float, typer.Option(help="The largest mean squared error that is registered.")
    ] = 6.0,
) -> None:
    """Run the Abalone pipeline from its data to a batch of scores.

    Ends with 1 and the failing step's reason when it fails.
    """
    here = Path(os.environ.get("CLARY_HOME") or ".clary")
    config = settings(home or here)
    source = _source()
    with tempfile.TemporaryDirectory() as folder:
        data = subprocess.Popen(  # beside the start of the server: both take their time
            [sys.executable, str(source / "data.py"), folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            with server_of(config.home) as server:
                note(f"server  {server.endpoint}, home {config.home}")
                _become_client(config)
                made = _run(source, Path(folder), data, mse_threshold)
        except (BotoCoreError, ClientError) as error:
            log = config.home / "server.log"
            raise Unavailable(f"the server answered: {error}", hint=f"see {log}") from error
        finally:
            data.kill()
            data.wait()
    _say_what_next(config, made)


def _run(
    source: Path, folder: Path, data: subprocess.Popen[str], mse_threshold: float
) -> Mapping[str, str]:
    """Upload, create, start, watch and report; return the names of what was made, by step.

    ``data`` writes the data into ``folder``, beside the making of clients: that takes its time too.
    """
    sts, sagemaker, s3 = (boto3.client(name) for name in ("sts", "sagemaker", "s3"))
    _finish(data)
    caller = sts.get_caller_identity()
    role = f"arn:aws:iam::{caller['Account']}:role/{caller['Arn'].split('/')[1]}"
    bucket = f"sagemaker-{sagemaker.meta.region_name}-{caller['Account']}"
    files = [folder / "abalone.csv", folder / "batch.csv", *(source / name for name in _SCRIPTS)]
    _upload(s3, bucket, files)

    text = (source / "definition.json").read_text(encoding="utf-8")
    definition = Template(text).substitute(bucket=bucket, role=role)
    _put_pipeline(sagemaker, definition, role)
    threshold = {"Name": "MseThreshold", "Value": str(mse_threshold)}
    arn = sagemaker.start_pipeline_execution(PipelineName=PIPELINE, PipelineParameters=[threshold])[
        "PipelineExecutionArn"
    ]
    note(f"started {arn}\n")
    ended = _watch(sagemaker, arn, json.loads(definition))
    if ended["PipelineExecutionStatus"] != "Succeeded":
        reason = ended.get("FailureReason", ended["PipelineExecutionStatus"])
        execution = arn.rpartition("/")[2]
        raise ClaryError(
            f"the pipeline failed: {reason}", hint=f"{program()} executions show {execution}"
        )
    return report(sagemaker, s3, arn)


def _watch(sagemaker: Any, arn: str, definition: dict[str, Any]) -> dict[str, Any]:
    """Show the steps as they go, until the execution has ended; return its description."""
    with watching(definition) as show:
        while True:
            execution: dict[str, Any] = sagemaker.describe_pipeline_execution(
                PipelineExecutionArn=arn
            )
            page = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)
            show(page["PipelineExecutionSteps"])
            if execution["PipelineExecutionStatus"] not in _GOING_ON:
                return execution
            time.sleep(_LOOK_EVERY_S)


def _upload(s3: Any, bucket: str, files: list[Path]) -> None:
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError:
        s3.create_bucket(Bucket=bucket)
    for file in files:
        folder = f"{PIPELINE}/code" if file.suffix == ".py" else "abalone"
        s3.put_object(Bucket=bucket, Key=f"{folder}/{file.name}", Body=file.read_bytes())


def _put_pipeline(sagemaker: Any, definition: str, role: str) -> None:
    document = {"PipelineName": PIPELINE, "PipelineDefinition": definition, "RoleArn": role}
    try:
        sagemaker.create_pipeline(**document)
    except ClientError as error:
        if "already exists" not in error.response["Error"]["Message"]:
            raise
        sagemaker.update_pipeline(**document)


def _become_client(config: Config) -> None:
    """Set this process up as ``clary run`` sets up another."""
    for name in conflicts(os.environ):
        del os.environ[name]
    os.environ.update(environment_of(config))
    sys.path.insert(0, os.environ["PYTHONPATH"].split(os.pathsep)[0])


def _finish(data: subprocess.Popen[str]) -> None:
    said = data.communicate()[1]
    if data.returncode:
        last = said.strip().rpartition("\n")[2]
        hint = "pip install 'clary[demo]'" if "ModuleNotFoundError" in last else ""
        raise Unavailable(f"the data cannot be prepared: {last}", hint=hint)


def _source() -> Path:
    """Find the example: in the installed package, or in the checkout."""
    package = Path(__file__).resolve().parents[2]
    places = (package / "examples" / "abalone", package.parent.parent / "examples" / "abalone")
    for place in places:
        if place.is_dir():
            return place
    raise Unavailable(f"the example is neither at {places[0]} nor at {places[1]}")


def program() -> str:
    """Say how to call clary from here."""
    called = Path(sys.argv[0])
    found = shutil.which("clary")
    if found and Path(found).resolve() == called.resolve():
        return "clary"
    return _short(called) if called.name == "clary" else "python -m clary"


def _short(path: Path) -> str:
    """Write a path below the working directory without it."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _say_what_next(config: Config, made: Mapping[str, str]) -> None:
    home = "" if default_home().absolute() == config.home else f" --home {_short(config.home)}"
    for words, what in (
        (f"lineage {made['AbaloneRegisterModel']}", "what it was made from, down to the digests"),
        (f"models approve {made['AbaloneRegisterModel']}", "let it go into use"),
        (f"logs {made['AbaloneTrain']}", "what a job printed"),
        ("up", "serve this home to your own programs: `run -- python your_pipeline.py`"),
    ):
        typer.echo(f"  {program()} {words}{home}  # {what}")
