"""clary flow."""

import json
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from clary.doors.cli.options import Home, Json, new_app
from clary.doors.cli.output import note, show_rows
from clary.flow_programs import reach
from clary.flows import differences, files, local, spark
from clary.flows.bounds import Bounds
from clary.flows.exports import python, sql
from clary.flows.fitted import NOTHING, Fitted
from clary.flows.graphs import grown
from clary.flows.model import Flow, Node
from clary.flows.origins import told
from clary.flows.plans import ready
from clary.flows.reach import Reach
from clary.kernel.codec import plain
from clary.kernel.errors import InvalidInput

app = new_app(several=True)
File = Annotated[Path, typer.Argument(metavar="FLOW", help="Its file: .flow.json or .flow.")]
At = Annotated[str, typer.Option("--node", help="Whose rows are wanted. [default: the last]")]
Set = Annotated[list[str] | None, typer.Option("--set", help="A parameter: NAME=VALUE.")]
Source = Annotated[
    list[str] | None,
    typer.Option(help="Other rows for a source, named by its node or file: NAME=PATH."),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        help="What the flow may read and write besides its own folder and this one: a folder, "
        "s3://…, feature-group:NAME."
    ),
]
Refit = Annotated[bool, typer.Option("--refit", help="Learn anew what was learned before.")]


@app.command()
def run(  # noqa: PLR0917 - each is a named option on the command line
    path: File,
    to: Annotated[
        str,
        typer.Option(
            help="Write the rows of a node here, and nothing else: a file, s3://…, which ends with "
            ".csv, .parquet, .jsonl"
        ),
    ] = "",
    node: At = "",
    values: Set = None,
    source: Source = None,
    refit: Refit = False,
    allow: Allow = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Run a flow on all rows: write what its destinations get.

    What was learned before is kept; what was not is learned, and written beside the flow.
    """
    flow, learned, at = _opened(path, node, values)
    if to:
        nodes = tuple(one for one in flow.nodes if one.operator != "destination")
        flow = Flow(nodes, flow.parameters)
    around = _reach(path, flow, allow, home)
    if to:
        flow, _ = grown(flow, Node("written", "destination", {"path": to}, (at,)))
    before = NOTHING if refit else learned
    written, after = local.run(flow, before, _pairs(source, "--source"), around)
    if after != learned:
        note(f"what it has learned is in {files.write_fitted(path, after)}")
    show_rows([plain(one) for one in written], as_json=as_json, empty="")


@app.command()
def preview(  # noqa: PLR0917 - each is a named option on the command line
    path: File,
    node: At = "",
    rows: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    values: Set = None,
    source: Source = None,
    allow: Allow = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show the first rows of a flow."""
    flow, learned, at = _opened(path, node, values)
    given = _pairs(source, "--source")
    found, _ = local.table(flow, at, learned, given, _reach(path, flow, allow, home), limit=rows)
    shown = found.to_pylist()
    if not as_json:  # every digit, as these are data
        shown = [{name: _whole(one) for name, one in row.items()} for row in shown]
    show_rows(shown, as_json=as_json, empty="no rows")


@app.command()
def fit(
    path: File,
    node: At = "",
    values: Set = None,
    source: Source = None,
    allow: Allow = None,
    home: Home = None,
) -> None:
    """Learn anew from all rows, and write what was learned beside the flow."""
    flow, _, at = _opened(path, node, values)
    around = _reach(path, flow, allow, home)
    learned = local.fitted(flow, at, NOTHING, _pairs(source, "--source"), around)
    typer.echo(files.write_fitted(path, learned))


@app.command()
def report(  # noqa: PLR0917 - each is a named option on the command line
    path: File,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file: .html or .json. [default: the warnings]"),
    ] = None,
    target: Annotated[str, typer.Option(help="The column that is to be predicted.")] = "",
    node: At = "",
    values: Set = None,
    source: Source = None,
    allow: Allow = None,
    home: Home = None,
) -> None:
    """Tell what in a flow's rows may spoil a model; or write all of it, as HTML or JSON."""
    flow, learned, at = _opened(path, node, values)
    given = _pairs(source, "--source")
    around = _reach(path, flow, allow, home)
    with local.opened(flow, at, learned, given, around) as batch:
        insights = import_module("clary.flows.insights.report")  # it takes a second
        found = insights.report(batch.rows(at), target=target)
    if output is None:
        warnings = ((one.severity, one.message, one.step) for one in found.warnings)
        rows = [dict(zip(("severity", "what", "step"), one, strict=True)) for one in warnings]
        show_rows(rows, as_json=False, empty="no warnings")
        return
    text = found.to_json() if output.suffix == ".json" else found.to_html(f"{path.name}: {at}")
    output.write_text(text, encoding="utf-8")
    typer.echo(output)


@app.command()
def export(
    path: File,
    to: Annotated[str, typer.Option(help="python, sql, spark or columns.")] = "python",
    node: At = "",
    values: Set = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file. [default: the terminal]")
    ] = None,
) -> None:
    """Write a flow as a program of Python, what it has learned as SQL, or its columns' origins."""
    flow, learned, at = _opened(path, node, values)
    if to == "python":
        text = python.program(files.read(path)[0], title=path.name)
    elif to == "sql":
        text = sql.query(ready(flow, at, learned))
    elif to == "spark":
        text = spark.query(ready(flow, at, learned))
    elif to == "columns":
        text = json.dumps(told(flow, at, learned), indent=1) + "\n"
    else:
        raise InvalidInput("--to", repr(to), legal="python, sql, spark, columns")
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")
        typer.echo(output)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(help="A .flow.json, .flow or .fitted.json.")],
    after: Annotated[Path, typer.Argument(help="Another.")],
    as_json: Json = False,
) -> None:
    """Say what differs between two flows, or in what they have learned; exits with 1 where any.

    Texts that only one of two lists has, as categories, are lines of their own.
    """
    found = [plain(one) for one in differences.of_files(before, after)]
    if not as_json:
        found = [
            {
                **dict.fromkeys(("node", "what", "before", "after"), ""),
                **one,
                "relative": _moved(one),
            }
            for one in found
        ]
    show_rows(found, as_json=as_json, empty="they are the same")
    if found:
        raise typer.Exit(1)


def _whole(value: Any) -> Any:
    return str(value) if isinstance(value, float) else value


def _moved(one: Mapping[str, Any]) -> str:
    return f"{one['relative']:+.2%}" if "relative" in one else ""


def _opened(path: Path, node: str, values: list[str] | None) -> tuple[Flow, Fitted, str]:
    flow, learned = files.read(path)
    if values is not None or flow.parameters:
        flow = local.set_values(flow, _pairs(values, "--set"))
    return flow, learned, flow.node(node).id if node else files.last(flow)


def _reach(path: Path, flow: Flow, allow: list[str] | None, home: Path | None) -> Reach:
    """Say what the nodes of a flow's file may use; what is on the command line is the caller's."""
    bounds = dict.fromkeys((one.id for one in flow.nodes), Bounds.of(path, allow or ()))
    homes = "clary.doors.cli.flow_homes"  # few flows need a home, which takes a while
    return reach(lambda: import_module(homes).stored(home), bounds)


def _pairs(given: list[str] | None, option: str) -> dict[str, Any]:
    found = {}
    for one in given or ():
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise InvalidInput(option, repr(one), legal="NAME=VALUE")
        found[name] = value
    return found
