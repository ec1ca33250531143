"""Files into groups: which rows are right, which are not, and what the group came from."""

from __future__ import annotations

import csv
import hashlib
import tempfile
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import msgspec

from clary.features.model import FEATURE_GROUP
from clary.jobs.contract import split_uri
from clary.kernel.clock import now
from clary.kernel.codec import digest
from clary.kernel.errors import AlreadyExists, InvalidInput
from clary.kernel.names import arn
from clary.kernel.resource import Bucket, Event
from clary.lineage.model import Artifact, of_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from clary.features.model import Record
    from clary.features.records import Group
    from clary.features.service import Features
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, ObjectStore
    from clary.lineage.service import Lineage

    Row = Mapping[str, Any] | InvalidInput

Form = Literal["csv", "parquet", "jsonl"]
_ENDINGS: Mapping[str, Form] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_AT_ONCE = 10_000
_TOLD = 1_000
_LONGEST_LINE = 4 << 20


class Ingested(NamedTuple):
    """What became of a file.

    Parameters
    ----------
    rows, written
        How many there are, and how many were written: all, none, or those that are right.
    failed
        How many are wrong.
    wrong
        What is wrong, by row from 1, of the first 1,000 of them.
    """

    rows: int
    written: int
    failed: int
    wrong: Mapping[int, InvalidInput]


class ParquetRows(Protocol):
    """Reads Parquet."""

    def __call__(self, path: Path, at_once: int) -> Iterable[list[dict[str, Any]]]:
        """Yield rows in portions. Raises InvalidInput when it is no Parquet."""


class Ingestion:
    """Writes the rows of files.

    Parameters
    ----------
    store, lineage
        Where it is recorded what a group came from.
    objects
        Where files at ``s3://…`` are.
    features
        The groups.
    parquet
        Reads Parquet.
    """

    def __init__(
        self,
        store: MetadataStore,
        lineage: Lineage,
        objects: ObjectStore,
        features: Features,
        parquet: ParquetRows,
    ) -> None:
        self._store = store
        self._lineage = lineage
        self._objects = objects
        self._features = features
        self._parquet = parquet

    def ingest(self, ref: Ref, source: str, *, partial: bool = False, actor: str) -> Ingested:
        """Write the rows of a file; none when one is wrong, unless ``partial`` is set.

        Parameters
        ----------
        source
            A path or ``s3://…``, which ends with ``.csv``, ``.parquet``, ``.jsonl`` or
            ``.ndjson``. The first line of CSV names the features; an empty cell is missing, a
            collection is a JSON array.

        Raises
        ------
        NotFound
            There is no such group or object.
        InvalidInput
            The file cannot be read at all.
        """
        form = _form(source)
        group = self._features.group(ref)
        with self._opened(ref, source) as (path, artifact):
            done = Ingested(0, 0, 0, {}) if partial else self._pass(group, path, form, is_dry=True)
            if not done.failed:
                done = self._pass(group, path, form)
        if done.written:
            with self._store.begin() as change:
                self._lineage.record(change, ref, inputs=[("ingest", artifact)])
                detail = {"uri": artifact.uri, "rows": done.written, "failed": done.failed}
                change.append(Event(now(), actor, f"{FEATURE_GROUP}.ingested", ref, detail))
        return done

    def check(self, near: Ref, group: str) -> None:
        """See to it that there is a group. Raises NotFound."""
        self._features.group(near.sibling(FEATURE_GROUP, group))

    def write(
        self, job: Ref, group: str, files: Sequence[str], after: int, note: Callable[[int], None]
    ) -> None:
        """Write the rows that a job left: all, or none where one is wrong; see ``GroupRows``.

        Each 10,000 rows are durable before the next are read. Whoever goes on behind those that
        were noted may write as many again: history then has them twice, of equal event times.
        """
        ref = job.sibling(FEATURE_GROUP, group)
        known = self._features.group(ref)
        if not after:
            for file in files:
                for _ in self._portions(known, file, []):
                    pass
        done, used = 0, list[Artifact]()
        for file in files:
            for records in self._portions(known, file, used):
                done += len(records)
                if done > after:
                    self._features.write(known, records)
                    note(done)
        with self._store.begin() as change:
            self._lineage.record(change, ref, inputs=[("ingest", one) for one in used])
            detail = {"job": arn(job), "rows": done, "uris": [one.uri for one in used]}
            change.append(Event(now(), arn(job), f"{FEATURE_GROUP}.ingested", ref, detail))

    def fill(
        self, ref: Ref, path: Path, bucket: str, kept: Mapping[str, bytes], *, actor: str
    ) -> int:
        """Write the rows of a Parquet file: all, or none where one is wrong; says how many.

        Parameters
        ----------
        bucket, kept
            See ``came_from``: what made the rows, a flow.

        Raises
        ------
        NotFound
            There is no such group.
        InvalidInput
            A row is wrong; names it, from 0, and the feature.
        """
        group, rows = self._features.group(ref), 0
        for _ in self._records(group, path, "parquet", "row {}", 0):
            pass
        for records in self._records(group, path, "parquet", "row {}", 0):
            self._features.write(group, records)
            rows += len(records)
        self.came_from(ref, bucket, "flow", kept)
        with self._store.begin() as change:
            change.append(Event(now(), actor, f"{FEATURE_GROUP}.ingested", ref, {"rows": rows}))
        return rows

    def came_from(self, ref: Ref, bucket: str, name: str, files: Mapping[str, bytes]) -> None:
        """Keep small files as what a group was made from, in a bucket, which is made if need be."""
        whole = digest([hashlib.sha256(one).hexdigest() for one in files.values()])
        with suppress(AlreadyExists):
            self._objects.create_bucket(Bucket(bucket, ref.account, ref.region, now()))
        infos = {
            one: self._objects.put(bucket, f"clary/{name}/{whole}/{one}", [data])
            for one, data in files.items()
        }
        kept = [(f"{name} {one}", of_object(info)) for one, info in infos.items()]
        with self._store.begin() as change:
            self._lineage.record(change, ref, inputs=kept)

    def _portions(
        self, group: Group, file: str, used: list[Artifact]
    ) -> Iterator[Sequence[Record]]:
        """Yield the records of a file in portions; tells what was read. Raises InvalidInput."""
        with self._opened(group.ref, file) as (path, artifact):
            used.append(artifact)
            place = f"{Path(file).name}, row {{}}"
            yield from self._records(group, path, _form(file), place, 1)

    def _records(
        self, group: Group, path: Path, form: Form, place: str, first: int
    ) -> Iterator[Sequence[Record]]:
        """Yield the records of a file in portions; InvalidInput says which row is wrong."""
        rows = enumerate(self._rows(path, form), first)
        while some := list(islice(rows, _AT_ONCE)):
            records = []
            for at, row in some:
                try:
                    records.append(self._record(group, row, is_text=form == "csv"))
                except InvalidInput as error:
                    field = f"{place.format(at)}: {error.field}"
                    raise InvalidInput(field, error.problem, legal=error.legal) from None
            yield records

    def _pass(self, group: Group, path: Path, form: Form, *, is_dry: bool = False) -> Ingested:
        rows = written = failed = 0
        wrong: dict[int, InvalidInput] = {}
        records: list[Record] = []
        for row in self._rows(path, form):
            rows += 1
            try:
                records.append(self._record(group, row, is_text=form == "csv"))
            except InvalidInput as error:
                failed += 1
                if len(wrong) < _TOLD:
                    wrong[rows] = error
            if len(records) == _AT_ONCE:
                written += self._write(group, records, is_dry=is_dry)
        written += self._write(group, records, is_dry=is_dry)
        return Ingested(rows, written, failed, wrong)

    def _write(self, group: Group, records: list[Record], *, is_dry: bool) -> int:
        count = 0 if is_dry else len(records)
        if count:
            self._features.write(group, records)
        records.clear()
        return count

    def _record(self, group: Group, row: Row, *, is_text: bool) -> Record:
        if isinstance(row, InvalidInput):
            raise row
        values = _cells(group, row) if is_text else row
        return group.record(group.read(values, is_text=is_text), self._features.stamp())

    def _rows(self, path: Path, form: Form) -> Iterator[Row]:
        if form == "parquet":
            for some in self._parquet(path, _AT_ONCE):
                yield from some
        else:
            yield from _csv(path) if form == "csv" else _json_lines(path)

    @contextmanager
    def _opened(self, near: Ref, source: str) -> Iterator[tuple[Path, Artifact]]:
        """Give a file of this machine, and what it holds."""
        if not source.startswith("s3://"):
            path = Path(source).absolute()
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            yield path, Artifact(content, path.as_uri(), "object", path.stat().st_size)
            return
        bucket, key = split_uri(source, field="file")
        owners = {one.name: one.account for one in self._objects.buckets()}
        if owners.get(bucket) != near.account:
            raise InvalidInput("file", f"there is no bucket {bucket!r}", legal="one of the account")
        with tempfile.NamedTemporaryFile() as copy:
            for chunk in self._objects.read(bucket, key):
                copy.write(chunk)
            copy.flush()
            yield Path(copy.name), of_object(self._objects.stat(bucket, key))


def _form(source: str) -> Form:
    """Say what a file is. Raises InvalidInput."""
    form = _ENDINGS.get(Path(source).suffix.lower())
    if form is None:
        raise InvalidInput("file", f"{source!r}", legal=", ".join(_ENDINGS))
    return form


def _csv(path: Path) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            for row in reader:
                if None in row:
                    yield InvalidInput("row", "has more cells than the first line names")
                else:
                    yield {name: cell or None for name, cell in row.items()}
        except (csv.Error, UnicodeDecodeError) as error:
            problem = f"line {reader.line_num + 1} is no CSV: {error}"
            raise InvalidInput("file", problem, legal="CSV in UTF-8") from None


def _cells(group: Group, row: Mapping[str, Any]) -> JsonObject:
    """Read the collections of a row of CSV."""
    features = group.schema.features
    lists = {one.name for one in features if one.collection}
    return {
        name: _list(name, cell) if name in lists and cell is not None else cell
        for name, cell in row.items()
    }


def _list(name: str, cell: str) -> list[str]:
    try:
        found = msgspec.json.decode(cell, type=list[int | float | str])
    except msgspec.MsgspecError:
        raise InvalidInput(name, f"{cell[:60]!r}", legal="a JSON array") from None
    return [one if isinstance(one, str) else str(one) for one in found]


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        while line := file.readline(_LONGEST_LINE):
            if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
                raise InvalidInput("file", "a line is too long", legal=f"{_LONGEST_LINE} bytes")
            if line.strip():
                try:
                    yield msgspec.json.decode(line, type=dict[str, Any])
                except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
                    yield InvalidInput("row", f"is no JSON object: {error}")
