"""clary monitor."""

import re
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from clary.analysis import comparison, drift_page
from clary.analysis.profiles import Profile
from clary.analysis.profiling import profile
from clary.analysis.tables import open_table
from clary.doors.cli import explanations
from clary.doors.cli.homes import find_one, open_home
from clary.doors.cli.options import Home, Json, Limit, new_app
from clary.doors.cli.output import note, show_document, show_json, show_rows
from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref
from clary.kernel.resource import Query, Resource
from clary.monitoring.causes import Causes
from clary.monitoring.channels import CHANNEL, Channel, channel
from clary.monitoring.model import ENDED, EXECUTION, SCHEDULE, execution, schedule
from clary.monitoring.reports import Reports
from clary.platform import Platform

app = new_app(several=True)
alerts = new_app(several=True)
app.add_typer(alerts, name="alerts", help="List, add and remove those who are told.")
Name = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Its name or ARN.")]
_SPAN = re.compile(r"(\d{1,4})([mhd])")
_UNITS = {"m": 60, "h": 3600, "d": 86_400}
_LOOK_S = 0.2


@app.command("list")
def list_(home: Home = None, limit: Limit = 100, as_json: Json = False) -> None:
    """List monitoring schedules, what they found last, and what lasts."""
    platform = open_home(home)
    found = platform.store.select(Query(SCHEDULE, sort_by="created", limit=limit)).items
    rows = [_row(platform, one) for one in found]
    show_rows(rows, as_json=as_json, empty="no monitoring schedules yet")


@app.command()
def show(name: Name, home: Home = None, as_json: Json = False) -> None:
    """Show the violations that last, since when, and how often they were found."""
    platform = open_home(home)
    found = _schedule(platform, name)
    value = platform.monitoring.channels.findings(found.ref)
    rows = [
        {
            "of": _of(one.violation),
            "check": one.violation.get("constraint_check_type", ""),
            "since": one.first_at,
            "times": one.times,
            "what": one.violation.get("description", ""),
        }
        for one in value.open.values()
    ]
    muted = {name: until for name, until in value.muted.items() if until > now()}
    if as_json:
        show_json({"open": rows, "muted": muted})
        return
    show_rows(rows, as_json=False, empty=f"{found.ref.name} finds nothing that lasts")
    for feature, until in muted.items():
        what = "everything" if feature == "*" else feature
        note(f"{what} is muted until {until:%Y-%m-%d %H:%M} UTC")


@app.command()
def executions(name: Name, home: Home = None, limit: Limit = 20, as_json: Json = False) -> None:
    """List what a schedule has looked at, the newest first."""
    platform = open_home(home)
    found = _schedule(platform, name)
    query = Query(EXECUTION, parent=found.ref, sort_by="created", limit=limit)
    rows = [_execution_row(one) for one in platform.store.select(query).items]
    show_rows(rows, as_json=as_json, empty=f"{found.ref.name} has looked at nothing yet")


@app.command()
def run(name: Name, home: Home = None, as_json: Json = False) -> None:
    """Look now at what a schedule would look at, and print what it finds; ends with 1 then."""
    platform = open_home(home)
    found = _schedule(platform, name)
    made = platform.monitoring.schedules.execute(found.ref, actor=_actor(platform))
    platform.worker.start()
    try:
        while (last := platform.monitoring.executions.get(made)).status not in ENDED:
            time.sleep(_LOOK_S)
    finally:
        platform.worker.stop()
        platform.recorder.close()
    value = execution(last)
    listed = Reports(platform.objects, platform.metrics).violations(value.output) or []
    if as_json:
        show_json({**_execution_row(last), "violations": listed})
    else:
        show_document(_execution_row(last), as_json=False)
        _show_violations(listed)
    if last.status != "Completed":
        raise typer.Exit(1)


@app.command()
def report(
    name: Name,
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")],
    home: Home = None,
) -> None:
    """Write a report for people on what a schedule found last: one HTML file, opens offline."""
    platform = open_home(home)
    text = Causes(platform.store, platform.objects).page(_schedule(platform, name))
    output.write_text(text, encoding="utf-8")
    typer.echo(output)


@app.command()
def explain(
    name: Name,
    of: Annotated[
        str, typer.Argument(metavar="[OF]", help="Only this column or metric, as `show` names it.")
    ] = "",
    which: Annotated[
        str, typer.Option("--execution", help="Which, as `executions` names it, or its beginning.")
    ] = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Say what is behind the violations found last: columns, rows, and what changed upstream."""
    platform = open_home(home)
    causes = Causes(platform.store, platform.objects)
    found = causes.explain(_schedule(platform, name), of=of, which=which)
    if as_json:
        show_json(found)
    else:
        explanations.show_explanation(found)


@app.command()
def baseline(
    data: Annotated[Path, typer.Argument(help="A file or folder: CSV, JSON lines, Parquet, …")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of the two files.")],
    header: Annotated[bool, typer.Option(help="CSV files name their columns.")] = True,
) -> None:
    """Write the statistics.json and constraints.json of some data."""
    made = comparison.of_profile(_profile(data, header=header))
    output.mkdir(parents=True, exist_ok=True)
    for name, text in made.files().items():
        (output / name).write_bytes(text)
        typer.echo(output / name)


@app.command()
def check(
    data: Annotated[Path, typer.Argument(help="A file or folder: CSV, JSON lines, Parquet, …")],
    against: Annotated[Path, typer.Argument(metavar="BASELINE", help="The folder of its files.")],
    header: Annotated[bool, typer.Option(help="CSV files name their columns.")] = True,
    page: Annotated[
        Path | None, typer.Option("--report", help="Write a report for people, an HTML file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold data against a baseline; ends with 1 where it does not fit."""
    found = comparison.compare(_profile(data, header=header), comparison.read(against))
    if page is not None:
        text = drift_page.page(drift_page.of_comparison(found), title=f"Data quality: {data.name}")
        page.write_text(text, encoding="utf-8")
    listed = [
        {"of": one.feature_name, "check": one.constraint_check_type, "what": one.description}
        for one in found.violations
    ]
    if as_json:
        show_json({**found.block(), "violations": listed})
    else:
        show_rows(listed, as_json=False, empty=f"{found.rows} rows fit the baseline")
    if listed:
        raise typer.Exit(1)


@app.command()
def mute(
    name: Name,
    span: Annotated[str, typer.Option("--for", help="30m, 2h, 7d; 0m: tell again.")] = "1h",
    feature: Annotated[list[str] | None, typer.Option(help="Only of this feature.")] = None,
    home: Home = None,
) -> None:
    """Tell nobody of a schedule's violations for a while; they are noted all the same."""
    match = _SPAN.fullmatch(span)
    if match is None:
        raise InvalidInput("--for", repr(span), legal="such as 30m, 2h or 7d")
    platform = open_home(home)
    found = _schedule(platform, name)
    seconds = int(match[1]) * _UNITS[match[2]]
    until = now() + timedelta(seconds=seconds) if seconds else None
    platform.monitoring.channels.mute(
        found.ref, until, features=feature or (), actor=_actor(platform)
    )
    note(f"muted until {until:%Y-%m-%d %H:%M} UTC" if until else "no longer muted")


@alerts.command("list")
def channels(home: Home = None, as_json: Json = False) -> None:
    """List who is told of violations."""
    platform = open_home(home)
    found = platform.monitoring.channels.list(_ref(platform, ""))
    rows = [
        {"name": one.ref.name, "kind": given.kind, "to": given.target, "of": given.schedules}
        for one in found
        if (given := channel(one))
    ]
    show_rows(rows, as_json=as_json, empty="nobody is told yet: `clary monitor alerts add`")


@alerts.command()
def add(
    name: Annotated[str, typer.Argument(help="What the channel is called.")],
    to: Annotated[
        str, typer.Argument(help="https://…, mailto:ADDRESS (needs CLARY_SMTP) or pipeline:NAME.")
    ],
    of: Annotated[str, typer.Option("--schedules", help="Of which: a name or pattern.")] = "*",
    secret: Annotated[
        str, typer.Option(envvar="CLARY_WEBHOOK_SECRET", help="What webhooks are signed with.")
    ] = "",
    home: Home = None,
) -> None:
    """Have somebody told of new violations: a program, a person, or a pipeline that retrains."""
    platform = open_home(home)
    given = _channel(to, schedules=of, secret=secret, actor=_actor(platform))
    platform.monitoring.channels.add(_ref(platform, name), given)


@alerts.command()
def remove(name: str, home: Home = None) -> None:
    """Tell a channel no more."""
    platform = open_home(home)
    platform.monitoring.channels.remove(_ref(platform, name), actor=_actor(platform))


def _row(platform: Platform, one: Resource) -> dict[str, Any]:
    value = schedule(one)
    last = platform.store.get(one.ref.sibling(EXECUTION, value.last)) if value.last else None
    findings = platform.monitoring.channels.findings(one.ref)
    return {
        "schedule": one.ref.name,
        "type": value.type,
        "endpoint": value.endpoint,
        "status": one.status,
        "last": last.status if last else "",
        "at": last.modified_at if last else None,
        "open": len(findings.open),
    }


def _execution_row(one: Resource) -> dict[str, Any]:
    value = execution(one)
    return {
        "execution": one.ref.name.partition("/")[2],
        "at": value.scheduled_at,
        "status": one.status,
        "from": value.start,
        "to": value.end,
        "violations": value.violations,
        "reason": value.reason,
        "report": value.output,
    }


def _show_violations(listed: list[dict[str, Any]]) -> None:
    rows = [
        {
            "of": _of(one),
            "check": one.get("constraint_check_type", ""),
            "what": one.get("description", ""),
        }
        for one in listed
    ]
    if rows:
        show_rows(rows, as_json=False, empty="")


def _of(violation: dict[str, Any]) -> str:
    names = ("feature_name", "metric_name", "facet", "facet_value")
    return " ".join(str(violation[name]) for name in names if violation.get(name))


def _schedule(platform: Platform, name: str) -> Resource:
    return find_one(platform.store.select, [SCHEDULE], platform.config.account, name)


def _ref(platform: Platform, name: str) -> Ref:
    return Ref(platform.governance.owner.account, platform.config.region, CHANNEL, name)


def _actor(platform: Platform) -> str:
    return platform.governance.owner.principal_arn


def _channel(to: str, **members: str) -> Channel:
    scheme, _, rest = to.partition(":")
    if scheme in {"http", "https"}:
        return Channel("webhook", to, **members)
    if scheme == "mailto":
        return Channel("email", rest, **members)
    if scheme == "pipeline":
        return Channel("pipeline", rest, **members)
    legal = "https://…, http://…, mailto:ADDRESS or pipeline:NAME"
    raise InvalidInput("to", repr(to), legal=legal)


def _profile(path: Path, *, header: bool) -> Profile:
    if not path.exists():
        raise InvalidInput("data", f"there is nothing at {path}")
    with open_table(path, header=header) as table:
        return profile(table)
