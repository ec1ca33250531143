"""clary models."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from clary.doors.cli.homes import find_one, open_home
from clary.doors.cli.options import Home, Json, Limit, new_app
from clary.doors.cli.output import note, show_document, show_rows
from clary.doors.cli.scan import scan_path, scan_uri, scan_version, show_report
from clary.kernel.errors import Conflict, InvalidInput, NotFound
from clary.kernel.names import parse_arn
from clary.kernel.resource import Query, Resource
from clary.platform import Platform

app = new_app(several=True)
Version = Annotated[str, typer.Argument(help="GROUP/VERSION, GROUP for the newest, or an ARN.")]
_VERSION = re.compile(r"[A-Za-z0-9-]+(/[0-9]+)?")
Note = Annotated[str, typer.Option("--note", help="Why; kept with the decision.")]


@app.command("list")
def list_(
    group: Annotated[str, typer.Argument(help="Only versions of this group.")] = "",
    home: Home = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List model versions, the newest first."""
    platform = open_home(home)
    parent = _group(platform, group).ref if group else None
    query = Query("model-package", platform.governance.owner.account, parent=parent, limit=limit)
    rows = [
        {
            "version": _name(item),
            "region": item.ref.region,
            "status": item.status,
            "approval": item.body["request"].get("ModelApprovalStatus", ""),
            "created": item.created_at,
        }
        for item in platform.models.list(query).items
    ]
    show_rows(rows, as_json=as_json, empty="no model versions yet")


@app.command()
def show(version: Version, home: Home = None, as_json: Json = False) -> None:
    """Show a model version, and the version of a feature view that it was trained on."""
    platform = open_home(home)
    ref = find_version(platform, version).ref
    show_document(platform.models.describe_package(ref), as_json=as_json)
    try:
        note(f"trained on {platform.feature_store.views.trained_on(ref)}")
    except NotFound:  # of no view
        return
    except Conflict as error:  # of several
        note(error.message)


@app.command()
def approve(version: Version, reason: Note = "", home: Home = None) -> None:
    """Approve a model version."""
    _decide(version, "Approved", reason, open_home(home))


@app.command()
def reject(version: Version, reason: Note = "", home: Home = None) -> None:
    """Reject a model version."""
    _decide(version, "Rejected", reason, open_home(home))


@app.command()
def scan(
    target: Annotated[
        str, typer.Argument(help="A file, a folder, s3://…, or GROUP/VERSION of a model.")
    ],
    strict: Annotated[
        bool, typer.Option("--strict", help="Count what is unknown as dangerous.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show what a model would import and call when loaded; nothing of it is loaded.

    Exits with 0 when nothing of it is dangerous, with 1 when something is, and with 2 when
    something cannot be read.
    """
    if target.startswith("s3://"):
        report = scan_uri(open_home(home).objects, target)
    elif Path(target).exists() or not (target.startswith("arn:") or _VERSION.fullmatch(target)):
        report = scan_path(Path(target))
    else:
        platform = open_home(home)
        report = scan_version(platform.objects, find_version(platform, target))
    show_report(report, strict=strict, as_json=as_json)


def find_version(platform: Platform, text: str) -> Resource:
    """Find a model version by GROUP/VERSION, by GROUP (its newest) or by ARN.

    Raises NotFound, and InvalidInput for the ARN of something else.
    """
    if text.startswith("arn:"):
        ref = parse_arn(text, field="version")
        if ref.kind != "model-package":
            raise InvalidInput(
                "version", f"{text} is a {ref.kind}", legal="GROUP/VERSION or its ARN"
            )
        group, number = ref.sibling("model-package-group", ref.name), str(ref.version)
    else:
        name, _, number = text.partition("/")
        group = _group(platform, name).ref
    query = Query("model-package", parent=group, sort_by="version", limit=1000)
    for item in platform.models.list(query).items:
        if number in ("", str(item.ref.version)):
            return item
    raise NotFound(f"model version {text}", hint="`clary models list` names them")


def _group(platform: Platform, name: str) -> Resource:
    account = platform.governance.owner.account
    return find_one(platform.models.list, ["model-package-group"], account, name)


def _decide(version: str, decision: str, reason: str, platform: Platform) -> None:
    found = find_version(platform, version)
    request: dict[str, Any] = {"ModelApprovalStatus": decision}
    if reason:
        request["ApprovalDescription"] = reason
    platform.models.update_package(
        found.ref, request, actor=platform.governance.owner.principal_arn
    )
    note(f"{found.ref} is {decision}")


def _name(item: Resource) -> str:
    return f"{item.ref.name}/{item.ref.version}" if item.ref.version else item.ref.name
