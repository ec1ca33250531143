"""Where rows go: files, whole or not at all."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Literal

import duckdb
from msgspec import Struct

from clary.expressions.types import quoted
from clary.flows.bounds import GROUP
from clary.flows.reach import is_remote
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, NotSupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from duckdb import DuckDBPyConnection

    from clary.flows.model import Node
    from clary.flows.reach import Reach

_FORMATS = {
    **dict.fromkeys(("csv", "tsv"), "FORMAT csv"),
    **dict.fromkeys(("json", "jsonl", "ndjson"), "FORMAT json"),
    "parquet": "FORMAT parquet",
}


class Writing(Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters of a destination.

    Parameters
    ----------
    path, uri
        A file, of this machine or at ``s3://…``; a folder where there are ``partitions``.
    feature_group
        The feature group that gets the rows, instead of a file.
    format
        Told by the ending of the path by default.
    delimiter
        Of CSV files.
    header
        Whether CSV files begin with the names of columns; the built-in XGBoost takes none.
    partitions
        Columns whose values become folders, ``name=value``.
    """

    path: str = ""
    uri: str = ""
    feature_group: str = ""
    format: str = ""
    delimiter: str = ""
    header: bool = True
    compression: Literal["none", "gzip", "zstd", "snappy"] = "none"
    partitions: tuple[str, ...] = ()


def asked_of(node: Node) -> Writing:
    """Read what a destination says.

    Raises
    ------
    InvalidInput
        A parameter does not fit, or there is no place, or more than one; names the node.
    NotSupported
        Partitions are asked for at ``s3://…``.
    """
    asked = build(Writing, node.with_, field=f"destination {node.id}")
    place = asked.path or asked.uri
    if asked.feature_group:
        if asked != Writing(feature_group=asked.feature_group):
            legal = "feature_group alone, or the path of a file and how it is written"
            raise InvalidInput(f"destination {node.id}", "a group is no file", legal=legal)
    elif not place or "\0" in place:
        legal = "a file, s3://…, a feature group"
        raise InvalidInput(f"destination {node.id}", "has no path", legal=legal)
    if asked.partitions and is_remote(place):
        raise NotSupported(f"the node {node.id} has partitions: they are written to folders alone")
    return asked


def named(node: Node) -> str:
    """Give the place of a destination as it is written. Raises as ``asked_of``."""
    asked = asked_of(node)
    return f"{GROUP}{asked.feature_group}" if asked.feature_group else asked.path or asked.uri


def place(node: Node, reach: Reach, folder: Path) -> Path:
    """Say which file a destination writes: its own, or one in a folder that is sent afterwards.

    Raises
    ------
    InvalidInput
        It is out of bounds.
    NotSupported
        It is at ``s3://…`` or a feature group, and there is no home.
    """
    to, bounds = named(node), reach.bounds.get(node.id)
    is_group = bool(asked_of(node).feature_group)
    if not is_group and not is_remote(to):
        is_folder = bool(asked_of(node).partitions)
        return bounds.output(to, is_folder=is_folder) if bounds else Path(to).absolute()
    if bounds is not None:
        bounds.name(to)
    reach.home(to)
    if is_group:
        return Path(mkdtemp(dir=folder), "rows.parquet")
    if to.endswith("/") or to.count("/") < len("///"):
        raise InvalidInput(f"destination {node.id}", f"{to} names no object")
    return Path(mkdtemp(dir=folder), f"rows{''.join(Path(to).suffixes[-2:])}")


def sent(node: Node, made: Path, reach: Reach, kept: Callable[[], Mapping[str, bytes]]) -> str:
    """Send a file where it belongs; gives its place as the node has it.

    Parameters
    ----------
    kept
        Gives what a feature group keeps of the flow that its rows come from.
    """
    to = named(node)
    if group := asked_of(node).feature_group:
        reach.home(to).ingest(group, made, kept())
    elif is_remote(to):
        reach.home(to).put(made, to)
    return to


@contextmanager
def beside(place: Path) -> Iterator[Path]:
    """Make a hidden folder beside a place, where it is written before it is put there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{place.name[:40]}."
    with TemporaryDirectory(prefix=prefix, suffix=".part", dir=place.parent) as folder:
        yield Path(folder)


def write(
    connection: DuckDBPyConnection,
    rows: str,
    node: Node,
    place: Path,
    folder: Path,
    notes: Mapping[str, str] | None = None,
) -> int:
    """Write the rows of a table to a file, as a destination says; returns how many.

    What is there is replaced at once, when all rows are written.

    Parameters
    ----------
    place
        Where its path leads.
    folder
        Where it is written before: on the same disk, and nothing else is there.
    notes
        Metadata of Parquet files.

    Raises
    ------
    InvalidInput
        The destination has no such format, or compression; or the rows have none of the columns
        of partitions, or those alone. There is something else at its place, or that cannot be
        written.
    """
    asked = asked_of(node)
    _fits(asked, place, connection.table(rows).columns)
    made = folder / "made"
    sql = (
        f"COPY (FROM {quoted(rows)}) TO {_text(str(made))} ({_options(asked, place, notes or {})})"
    )
    try:
        [[count]] = connection.execute(sql).fetchall()
    except duckdb.IOException as error:
        said = str(error).partition("\n")[0]
        raise InvalidInput("path", f"{place} cannot be written: {said}") from None
    _put(made, place, folder / "before")
    return int(count)


def _fits(asked: Writing, place: Path, columns: list[str]) -> None:
    if not asked.partitions:
        if place.is_dir():
            raise InvalidInput("path", f"{place} is a folder", legal="a file, or partitions")
        return
    rest = {one.lower() for one in columns} - {one.lower() for one in asked.partitions}
    if len(rest) + len(set(asked.partitions)) != len(columns) or not rest:
        legal = f"some of {', '.join(columns[:20])}, not all"
        raise InvalidInput("partitions", ", ".join(asked.partitions), legal=legal)
    if place.is_dir() and not all("=" in one.name for one in place.iterdir()):
        raise InvalidInput("path", f"{place} is a folder with other things than partitions")
    if place.exists() and not place.is_dir():
        raise InvalidInput("path", f"{place} is a file, and partitions are a folder")


def _options(asked: Writing, place: Path, notes: Mapping[str, str]) -> str:
    words = [place.suffix, Path(place.stem).suffix]
    endings = [one.removeprefix(".").lower() for one in words]
    form = asked.format.lower() or next((one for one in endings if one in _FORMATS), "")
    if form not in _FORMATS:
        problem = f"{asked.path or asked.uri} has no ending of a table"
        raise InvalidInput("path", problem, legal=", ".join(_FORMATS))
    if asked.compression == "snappy" and form != "parquet":
        raise InvalidInput("compression", "snappy is for Parquet", legal="none, gzip, zstd")
    options = [_FORMATS[form]]
    if asked.compression != "none":
        options.append(f"COMPRESSION {asked.compression}")
    if form in ("csv", "tsv"):
        comma = asked.delimiter or {"tsv": "\t"}.get(form, ",")
        options.append(f"DELIMITER {_text(comma)}, HEADER {asked.header}")
    if form == "parquet" and notes:
        told = ", ".join(f"{_text(name)}: {_text(value)}" for name, value in notes.items())
        options.append(f"KV_METADATA {{{told}}}")
    if asked.partitions:
        options.append(f"PARTITION_BY ({', '.join(map(quoted, asked.partitions))})")
    return ", ".join(options)


def _put(made: Path, place: Path, before: Path) -> None:
    """Put what is written in its place, on disk before it is there."""
    for one in [made] if made.is_file() else [file for file in made.rglob("*") if file.is_file()]:
        with one.open("rb") as file:
            os.fsync(file.fileno())
    if place.is_dir():
        place.replace(before)
    made.replace(place)
    names = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(names)
    finally:
        os.close(names)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
