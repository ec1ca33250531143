"""The commands of ``clary features`` on records."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from clary.doors.cli.feature_catalog import Name, Opened
from clary.doors.cli.feature_rows import history_row
from clary.doors.cli.options import Home, Json, new_app
from clary.doors.cli.output import note, show_document, show_json, show_rows
from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from clary.features.ingestion import Ingested
    from clary.kernel.ports import JsonObject

app = new_app(several=True)
Key = Annotated[str, typer.Argument(help="The identifier of the entity.")]
_SHOWN = 20


@app.command()
def get(
    name: Name,
    key: Key,
    feature: Annotated[
        list[str] | None, typer.Option("--feature", help="Only this one; may be repeated.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Print the latest record of an entity."""
    with Opened(home, name) as group:
        found = group.platform.features.get_record(group.ref, key, feature or ())
    if found is None:
        raise NotFound(f"a record of {key} in {group.ref.name}")
    show_document(found, as_json=as_json)


@app.command()
def put(
    name: Name,
    record: Annotated[
        str, typer.Argument(help="A JSON object; else JSON objects line by line on stdin.")
    ] = "",
    home: Home = None,
) -> None:
    """Write records; when one is wrong, none is written."""
    rows = [_read(at, line) for at, line in enumerate(_lines(record)) if line.strip()]
    with Opened(home, name) as group:
        group.platform.features.put_records(group.ref, rows)
    note(f"{len(rows)} records written to {group.ref.name}")


@app.command()
def ingest(
    name: Name,
    file: Annotated[
        str, typer.Argument(help="A .csv, .parquet, .jsonl or .ndjson here or at s3://.")
    ],
    partial: Annotated[
        bool, typer.Option("--partial", help="Write the rows that are right, even so.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write the rows of a file; when one is wrong, none is written, and the wrong ones are listed.

    The first line of CSV names the features; an empty cell is missing. Ends with 1 when a row is
    wrong.
    """
    with Opened(home, name) as group:
        done = group.store.ingestion.ingest(group.ref, file, partial=partial, actor=group.actor)
    _show_ingested(group.ref.name, done, as_json=as_json)
    if done.failed:
        raise typer.Exit(1)


@app.command()
def delete(
    name: Name,
    key: Key,
    at: Annotated[
        str, typer.Option(help="Since when, as the group's event times are.", show_default="now")
    ] = "",
    hard: Annotated[
        bool, typer.Option("--hard", help="Forget the online record, and not only from a time on.")
    ] = False,
    home: Home = None,
) -> None:
    """Say that there is nothing of an entity any more; its history stays."""
    with Opened(home, name) as group:
        moment = at or group.moment(now())
        group.platform.features.delete_record(group.ref, key, moment, hard=hard)
    note(f"{key} is deleted from {group.ref.name} since {moment}")


@app.command()
def erase(
    name: Name,
    keys: Annotated[list[str], typer.Argument(help="The identifiers of entities.")],
    home: Home = None,
) -> None:
    """Remove entities from everything: online, history and its old versions, logged facts."""
    with Opened(home, name) as group:
        group.store.erasure.erase(group.ref, keys, actor=group.actor)
    note(f"{len(keys)} entities are erased from {group.ref.name}")


@app.command()
def history(name: Name, key: Key, home: Home = None, as_json: Json = False) -> None:
    """Print every record that there is of an entity, the earliest first."""
    with Opened(home, name) as group:
        found = group.store.histories.of(group.ref, key)
    rows = found if as_json else [history_row(one) for one in found]
    show_rows(rows, as_json=as_json, empty=f"nothing was ever written of {key}")


def _show_ingested(name: str, done: Ingested, *, as_json: bool) -> None:
    wrong = [
        {"row": at, "feature": one.field, "problem": one.problem, "legal": one.legal}
        for at, one in done.wrong.items()
    ]
    if as_json:
        counts = {"rows": done.rows, "written": done.written, "failed": done.failed}
        show_json({**counts, "wrong": wrong})
        return
    if wrong:
        show_rows(wrong[:_SHOWN], as_json=False, empty="")
    if done.failed > _SHOWN:
        note(f"and {done.failed - _SHOWN} more wrong rows; --json tells the first thousand")
    note(f"{done.written} of {done.rows} rows written to {name}; {done.failed} are wrong")


def _lines(record: str) -> list[str]:
    if record:
        return [record]
    if sys.stdin.isatty():
        raise InvalidInput("record", "there is none", legal="an argument, or stdin")
    return sys.stdin.read().split("\n")


def _read(at: int, line: str) -> JsonObject:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"line {at + 1}", str(error), legal="a JSON object") from None
