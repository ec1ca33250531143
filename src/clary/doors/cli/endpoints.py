"""clary endpoints."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from clary.doors.cli.endpoint_rows import (
    capture_state,
    listed,
    measured,
    rollout_state,
    shadow_rows,
    shown,
)
from clary.doors.cli.homes import find_one, open_home
from clary.doors.cli.options import Home, Json, Limit, new_app
from clary.doors.cli.output import note, printable, show_document, show_json, show_rows
from clary.doors.cli.views import find_view
from clary.endpoints import body
from clary.endpoints.invocations import Invocation
from clary.endpoints.model import ENDPOINT, LOG_GROUP
from clary.endpoints.options import ALONE, Options, Rollout
from clary.endpoints.skew import views_of
from clary.endpoints.summaries import variants
from clary.endpoints.viewed import asked_by
from clary.governance.presence import find
from clary.kernel.errors import ClaryError, InvalidInput, JobFailed, ModelFailed
from clary.kernel.names import Ref
from clary.kernel.resource import Query, Resource
from clary.platform import Platform

app = new_app(several=True)
Name = Annotated[str, typer.Argument(help="The endpoint's name or ARN.")]
Model = Annotated[
    str,
    typer.Argument(help="GROUP/VERSION, GROUP, a model's name, a file, a folder or s3://…."),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return at once.")]
_GOING_ON = {"Creating", "Updating", "RollingBack", "Deleting"}
_LOOK_S = 0.05
_TAIL = 20


@app.command("list")
def list_(
    status: Annotated[str, typer.Option(help="Only those in this status, as Failed.")] = "",
    home: Home = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List endpoints, the newest first."""
    platform = open_home(home)
    account = platform.governance.owner.account
    query = Query(ENDPOINT, account, statuses=[status] if status else [], limit=limit)
    rows = [listed(platform, item) for item in platform.endpoints.list(query).items]
    show_rows(rows, as_json=as_json, empty="no endpoints yet; `clary endpoints deploy` makes one")


@app.command()
def show(
    name: Name,
    home: Home = None,
    as_json: Json = False,
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="How far to count back.")] = 60,
    whole: Annotated[bool, typer.Option("--whole", help="Show the public document.")] = False,
) -> None:
    """Show an endpoint: its variants, what answers and how, its requests, its last rollout."""
    platform = open_home(home)
    found = _find(platform, name)
    document = platform.endpoints.describe(found.ref)
    if whole:
        show_document(document, as_json=as_json)
        return
    rows = [
        {**shown(row), **measured(platform, found.ref, row["variant"], minutes)}
        for row in variants(found, document).values()
    ]
    facts = {
        "endpoint": found.ref.name,
        "status": found.status,
        "configuration": document["EndpointConfigName"],
        "modified": found.modified_at,
        **rollout_state(found),
        **capture_state(platform, found, minutes),
    }
    if as_json:
        show_json({**facts, "variants": rows})
        return
    show_document(facts, as_json=False)
    typer.echo()
    show_rows(rows, as_json=False, empty="no variants yet")


@app.command()
def deploy(  # noqa: PLR0917 - each is a named option on the command line
    model: Model,
    name: Annotated[str, typer.Argument(help="What the endpoint is to be called.")],
    instances: Annotated[int, typer.Option(min=1, help="How many workers.")] = 1,
    instance_type: Annotated[str, typer.Option(help="Limits each worker.")] = "ml.m5.large",
    serverless: Annotated[
        bool, typer.Option("--serverless", help="Workers come and go by use.")
    ] = False,
    capture: Annotated[
        int, typer.Option(min=0, max=100, help="Percent of the requests to keep.")
    ] = 0,
    view: Annotated[
        str, typer.Option(help="Ask it by keys: this feature view, NAME or NAME/VERSION.")
    ] = "",
    no_wait: NoWait = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a model live, and wait until it answers."""
    platform = open_home(home)
    owner = platform.governance.owner
    ref = Ref(owner.account, platform.config.region, ENDPOINT, name)
    options: Options = {
        "instances": instances,
        "instance_type": instance_type,
        "serverless": serverless,
        "capture": float(capture) or False,
    }
    container = platform.sources.named(model, ref)
    if view:
        found = platform.feature_store.views.describe(find_view(platform, view))
        container = asked_by(container, found.ref)
    containers = {ALONE: container}
    platform.deployments.create(ref, containers, options, actor=owner.principal_arn)
    _finish(platform, ref, no_wait=no_wait, as_json=as_json)


@app.command()
def update(  # noqa: PLR0917 - each is a named option on the command line
    name: Name,
    model: Model,
    canary: Annotated[
        int, typer.Option(min=0, max=50, help="Percent that gets traffic first.")
    ] = 0,
    linear: Annotated[int, typer.Option(min=0, max=50, help="Percent of each step.")] = 0,
    rolling: Annotated[int, typer.Option(min=0, max=50, help="Percent of each batch.")] = 0,
    bake: Annotated[
        int | None, typer.Option(min=0, max=3600, help="Seconds to watch each step. [default: 60]")
    ] = None,
    alarm: Annotated[list[str], typer.Option(help="Go back when it rings; may be repeated.")] = [],  # noqa: B006 - typer copies it
    no_wait: NoWait = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Put another model in the place of an endpoint's, without a pause; a feature view stays."""
    platform = open_home(home)
    found = _find(platform, name)
    ref = found.ref
    rollout: Rollout = {"canary": canary, "linear": linear, "rolling": rolling, "alarms": alarm}
    if bake is not None:
        rollout["bake_s"] = bake
    container = platform.sources.named(model, ref)
    if views := views_of(found):
        container = asked_by(container, next(iter(views.values())))
    containers = {"": container}
    actor = platform.governance.owner.principal_arn
    platform.deployments.update(ref, containers, rollout, actor=actor)
    _finish(platform, ref, no_wait=no_wait, as_json=as_json)


@app.command()
def scale(
    name: Name,
    count: Annotated[int, typer.Argument(min=0, help="How many workers.")],
    variant: Annotated[str, typer.Option(help="Only this variant; all.")] = "",
    no_wait: NoWait = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Change how many workers an endpoint has."""
    platform = open_home(home)
    found = _find(platform, name)
    served = body.read(found).served
    names = [variant] if variant else [one.name for one in served.variants] if served else []
    wanted = [{"VariantName": one, "DesiredInstanceCount": count} for one in names]
    request = {"EndpointName": found.ref.name, "DesiredWeightsAndCapacities": wanted}
    actor = platform.governance.owner.principal_arn
    platform.endpoints.set_weights_and_capacities(found.ref, request, actor=actor)
    _finish(platform, found.ref, no_wait=no_wait, as_json=as_json)


@app.command()
def delete(name: Name, no_wait: NoWait = False, home: Home = None, as_json: Json = False) -> None:
    """Take an endpoint out of service, with the models made for it."""
    platform = open_home(home)
    ref = _find(platform, name).ref
    platform.deployments.delete(ref, actor=platform.governance.owner.principal_arn)
    _settle(platform, ref, no_wait=no_wait)
    gone = platform.store.get(ref) is None
    if as_json:
        show_json({"endpoint": ref.name, "status": "Deleted" if gone else "Deleting"})
    else:
        note(f"{ref} is gone" if gone else f"{ref} is being deleted")


@app.command()
def invoke(  # noqa: PLR0917 - each is a named option on the command line
    name: Name,
    data: Annotated[str, typer.Argument(help="The body; else --file, else stdin.")] = "",
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Read the body here.")] = None,
    content_type: Annotated[str, typer.Option(help="[default: JSON or CSV, by its looks]")] = "",
    accept: Annotated[str, typer.Option(help="The type of the answer.")] = "",
    variant: Annotated[str, typer.Option(help="The variant that must answer.")] = "",
    home: Home = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print who answered and the answer's type too, as JSON.")
    ] = False,
) -> None:
    """Ask an endpoint, and print its answer as it comes."""
    platform = open_home(home)
    ref = _find(platform, name).ref
    payload = _payload(data, file)
    kind = content_type or _looks_like(payload, file)
    platform.captures.start()
    try:
        target, reply = platform.serving.invoke(Invocation(ref, payload, kind, accept, variant))
        pieces = [reply.body] if isinstance(reply.body, bytes) else reply.body
        if as_json:
            body_text = b"".join(pieces).decode("utf-8", "replace")
            told = {"variant": target.variant, "content_type": reply.content_type}
            show_json({**told, "body": body_text})
            return
        for piece in pieces:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    except ModelFailed as error:
        raise ClaryError(
            error.message, hint=f"`clary endpoints logs {ref.name}` may say more"
        ) from error
    finally:
        platform.serving.close()
        platform.captures.close()
        platform.feature_store.close()
        platform.recorder.close()


@app.command()
def logs(
    name: Name,
    variant: Annotated[str, typer.Option(help="Only this variant.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Lines of each worker.")] = 100,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Print the last lines of an endpoint's workers."""
    platform = open_home(home)
    ref = _find(platform, name).ref
    lines = _lines(platform, ref, variant, limit)
    if as_json:
        show_json(lines)
        return
    for line in lines:
        typer.echo(printable(line))
    if not lines:
        note(f"{ref} has logged nothing; compiled models have no workers")


@app.command()
def shadow(name: Name, home: Home = None, as_json: Json = False) -> None:
    """Compare the answers of an endpoint's shadow with those that clients got."""
    platform = open_home(home)
    ref = _find(platform, name).ref
    rows = shadow_rows(platform.shadows.report(ref))
    show_rows(rows, as_json=as_json, empty=f"{ref} has no shadow")


def _find(platform: Platform, name: str) -> Resource:
    account = platform.governance.owner.account
    return find_one(platform.endpoints.list, [ENDPOINT], account, name)


def _finish(platform: Platform, ref: Ref, *, no_wait: bool, as_json: bool) -> None:
    """Wait until a change is through, and say how it ended."""
    _settle(platform, ref, no_wait=no_wait)
    found = platform.endpoints.get(ref)
    if as_json:
        show_json({"endpoint": ref.name, "status": found.status})
    else:
        note(f"{ref} is {found.status}")
    reason = body.read(found).reason
    if reason and found.status not in _GOING_ON:
        tail = "\n".join(_lines(platform, ref, "", _TAIL)[-_TAIL:])
        if tail:
            note(printable(tail))
        raise JobFailed(ref, reason)


def _settle(platform: Platform, ref: Ref, *, no_wait: bool) -> None:
    """Wait until nothing of an endpoint is under way; without a server, do the work here."""
    server = find(platform.config.home)
    if no_wait:
        if server is None:
            note("no server runs on this home: this goes on when `clary up` does")
        return
    with _working(platform) if server is None else _watching():
        while True:
            found = platform.store.get(ref)
            if found is None or found.status not in _GOING_ON:
                break
            time.sleep(_LOOK_S)
    if server is None and found is not None:
        note("no server runs on this home: nobody watches the workers until `clary up` does")


@contextmanager
def _working(platform: Platform) -> Iterator[None]:
    platform.worker.start()
    try:
        yield
    finally:
        platform.worker.stop()


@contextmanager
def _watching() -> Iterator[None]:
    yield


def _lines(platform: Platform, ref: Ref, variant: str, limit: int) -> list[str]:
    group, prefix = LOG_GROUP + ref.name, f"{variant}/" if variant else ""
    found: list[str] = []
    for stream in platform.logs.streams(ref.account, ref.region, group, prefix):
        page = platform.logs.tail(ref.account, ref.region, group, stream.name, limit)
        found += [line.text for line in page.lines]
    return found


def _payload(data: str, file: Path | None) -> bytes:
    if data and file is not None:
        raise InvalidInput("--file", "given beside a body", legal="one of both")
    if file is not None:
        return file.read_bytes()
    if data:
        return data.encode()
    if sys.stdin.isatty():
        raise InvalidInput("body", "there is none", legal="an argument, --file, or stdin")
    return sys.stdin.buffer.read()


def _looks_like(payload: bytes, file: Path | None) -> str:
    """Tell JSON from CSV."""
    suffix = file.suffix if file else ""
    if suffix == ".npy":
        return "application/x-npy"
    if suffix == ".parquet":
        return "application/vnd.apache.parquet"
    is_json = suffix == ".json" or payload.lstrip()[:1] in (b"{", b"[")
    return "application/json" if is_json else "text/csv"
