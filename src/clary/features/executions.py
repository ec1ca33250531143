"""Queries that the public API starts, and looks at later: durable, one result file each."""

from __future__ import annotations

import logging
import secrets
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clary.features.queries import (
    DATABASE,
    CreateTable,
    CsvTable,
    DropTable,
    Limits,
    Select,
    Table,
)
from clary.features.training_sets import version_role
from clary.jobs.contract import join_uri, split_uri
from clary.kernel.clock import now
from clary.kernel.codec import to_json
from clary.kernel.errors import AlreadyExists, ClaryError, Conflict, InvalidInput, NotFound
from clary.kernel.resource import Event, Link, Resource, existing
from clary.lineage.model import of_object

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from clary.features.queries import Name, Queries, Statement
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, ObjectStore, Transaction
    from clary.kernel.resource import ObjectInfo, Page, Query
    from clary.lineage.service import Lineage

_log = logging.getLogger(__name__)

EXECUTION = "query-execution"
EXTERNAL_TABLE = "external-table"
_TIMEOUT_S = 1_800.0
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
_SPACE = uuid.UUID("5f4d6f5e-8e0b-4f0e-9df3-2c5e9a5b3d11")
_FILES_A_PAGE = 1_000


class Executions:
    """The verbs of queries in the public API's SQL.

    Parameters
    ----------
    store, objects
        Where executions and their results are.
    queries
        What answers.
    lineage
        Where it is recorded what results were made of.
    """

    def __init__(
        self, store: MetadataStore, objects: ObjectStore, queries: Queries, lineage: Lineage
    ) -> None:
        self._store = store
        self._objects = objects
        self._lineage = lineage
        self._queries = queries
        self._engine = queries.engine

    def start(self, near: Ref, request: JsonObject, *, actor: str) -> Resource:
        """Take a StartQueryExecution document; the same token starts nothing again.

        Raises
        ------
        InvalidInput
            It says not where results go, or its token was used for another query.
        """
        token = request.get("ClientRequestToken") or secrets.token_hex(16)
        ref = near.sibling(
            EXECUTION, str(uuid.uuid5(_SPACE, f"{near.account}/{near.region}/{token}"))
        )
        known = self._store.get(ref)
        if known is not None:
            return _same(known, request)
        location = (request.get("ResultConfiguration") or {}).get("OutputLocation", "")
        split_uri(location, field="ResultConfiguration.OutputLocation")
        moment = now()
        made = Resource(ref, {"request": request}, moment, moment, "QUEUED")
        try:
            with self._store.begin() as change:
                made = change.insert(made, due=True)
                change.append(Event(moment, actor, f"{EXECUTION}.created", ref))
        except AlreadyExists:
            return _same(self.describe(ref), request)
        return made

    def describe(self, ref: Ref) -> Resource:
        """Give an execution. Raises NotFound."""
        return existing(self._store.get, ref)

    def list(self, query: Query) -> Page:
        """List executions."""
        return self._store.select(query)

    def stop(self, ref: Ref, *, actor: str) -> None:
        """Give an execution up, unless it has ended. Raises NotFound."""
        with self._store.begin() as change:
            found = existing(change.get, ref)
            if found.status not in ENDED:
                body = {**found.body, "ended": now().isoformat(), "reason": "it was stopped"}
                change.update(replace(found, status="CANCELLED", body=body))
                change.append(Event(now(), actor, f"{EXECUTION}.stopped", ref))

    def rows(self, ref: Ref, start: int, count: int) -> Sequence[Sequence[str | None]]:
        """Read rows of the result of an execution that succeeded.

        Raises
        ------
        InvalidInput
            It has not, or its result file is gone.
        """
        found = self.describe(ref)
        if found.status != "SUCCEEDED":
            raise InvalidInput(
                "QueryExecutionId", f"{ref.name} is {found.status}", legal="one that SUCCEEDED"
            )
        if not found.body.get("columns"):
            return []
        bucket, key = split_uri(found.body["output"], field="OutputLocation")
        try:
            return self._engine.rows(self._objects.read(bucket, key), start, count)
        except NotFound:
            raise InvalidInput("QueryExecutionId", f"{found.body['output']} is gone") from None

    def run(self, found: Resource, stopping: threading.Event) -> datetime | None:
        """Run an execution to its end; the worker's handler of ``EXECUTION``.

        A worker that dies leaves it to another, which writes the same result file.
        """
        if found.status in ENDED:
            return None
        try:
            found = self._step(found, "RUNNING", {"started": now().isoformat()})
            result = self._run(found, stopping)
            self._step(found, "SUCCEEDED", {**result, "ended": now().isoformat()})
        except Conflict:
            if self._is_stopped(found.ref):
                return None
            raise
        except ClaryError as error:
            if stopping.is_set():
                return None
            self._fail(found, error.message)
        except Exception:
            _log.exception("%s failed", found.ref)
            self._fail(found, "internal error: see the server's log")
        return None

    def _run(self, found: Resource, stopping: threading.Event) -> JsonObject:
        request, near = found.body["request"], found.ref
        context = request.get("QueryExecutionContext") or {}
        database = context.get("Database", DATABASE)
        statement = self._engine.read(request["QueryString"], "athena", database.lower())
        base = request["ResultConfiguration"]["OutputLocation"]
        if not isinstance(statement, Select):
            with self._store.begin() as change:
                self._define(change, near, statement)
            output = join_uri(base, f"{near.name}.txt")
            self._put(near, output, [b""])
            return {"output": output, "columns": [], "kind": "DDL"}
        limits = Limits(_TIMEOUT_S, lambda: stopping.is_set() or self._is_stopped(near))
        output = join_uri(base, f"{near.name}.csv")
        tables = self._tables(near, statement.tables)
        with self._engine.csv(statement, tables, limits) as answer:
            columns = [{"Name": name, "Type": kind} for name, kind in answer.columns]
            made = self._put(near, output, answer.chunks)
        self._put(near, f"{output}.metadata", [to_json({"ColumnInfo": columns})])
        self._record(near, tables, made)
        return {"output": output, "columns": columns, "kind": "DML", "size": made.size_bytes}

    def _record(self, ref: Ref, tables: Sequence[Table | CsvTable], made: ObjectInfo) -> None:
        """Record what a result was made of; again is no harm."""
        with self._store.begin() as change:
            for one in tables:
                if isinstance(one, Table) and one.group is not None:
                    role = version_role(one.version)
                    change.link(Link(one.group, "ContributedTo", ref, role))
            self._lineage.record(change, ref, outputs=[("result", of_object(made))])
            change.append(Event(now(), "athena", f"{EXECUTION}.produced", ref))

    def _tables(self, near: Ref, names: Sequence[Name]) -> Sequence[Table | CsvTable]:
        tables: list[Table | CsvTable] = []
        for name in names:
            external = self._store.get(_external(near, name))
            if external is not None:
                tables.append(self._external(near, external.body))
        return [*tables, *self._queries.catalogued(near.account, near.region, names)]

    def _external(self, near: Ref, body: Mapping[str, Any]) -> CsvTable:
        bucket, prefix = split_uri(body["location"], field="LOCATION")
        self._own(near, bucket)
        separator, quote, escape = body["marks"]
        columns = [(name, kind) for name, kind in body["columns"]]
        files = self._files(bucket, prefix.rstrip("/") + "/" if prefix else "")
        return CsvTable(tuple(body["name"]), columns, (separator, quote, escape), files)

    def _files(self, bucket: str, prefix: str) -> Iterator[Iterable[bytes]]:
        after = ""
        while True:
            page = self._objects.list(bucket, prefix=prefix, after=after, limit=_FILES_A_PAGE)
            for info in page.objects:
                if info.size_bytes and not info.key.rpartition("/")[2].startswith(("_", ".")):
                    yield self._objects.read(bucket, info.key)
            if not page.next_after:
                return
            after = page.next_after

    def _define(self, change: Transaction, near: Ref, statement: Statement) -> None:
        """Make or remove a table; the execution that did it may do it again."""
        if isinstance(statement, Select):
            return
        ref = _external(near, statement.name)
        known, moment = change.get(ref), now()
        if isinstance(statement, DropTable):
            if known is None and not statement.if_exists:
                raise NotFound(f"table {ref.name}")
            if known is not None:
                change.delete(ref)
            return
        if known is not None:
            if statement.or_not or known.body["by"] == near.name:
                return
            raise AlreadyExists(f"table {ref.name}")
        change.insert(Resource(ref, _body(statement, near.name), moment, moment))

    def _put(self, near: Ref, uri: str, chunks: Iterable[bytes]) -> ObjectInfo:
        bucket, key = split_uri(uri, field="ResultConfiguration.OutputLocation")
        self._own(near, bucket)
        return self._objects.put(bucket, key, chunks)

    def _own(self, near: Ref, bucket: str) -> None:
        owners = {one.name: one.account for one in self._objects.buckets()}
        if owners.get(bucket) != near.account:
            raise NotFound(f"bucket {bucket}")

    def _is_stopped(self, ref: Ref) -> bool:
        found = self._store.get(ref)
        return found is None or found.status in ENDED

    def _step(self, found: Resource, status: str, more: JsonObject) -> Resource:
        """Go on to a state, unless somebody else changed it. Raises Conflict."""
        with self._store.begin() as change:
            return change.update(replace(found, status=status, body={**found.body, **more}))

    def _fail(self, found: Resource, reason: str) -> None:
        if not self._is_stopped(found.ref):
            more = {"reason": reason, "ended": now().isoformat()}
            self._step(found, "FAILED", more)


def _same(known: Resource, request: JsonObject) -> Resource:
    if known.body["request"]["QueryString"] != request["QueryString"]:
        raise InvalidInput("ClientRequestToken", "was used for another query")
    return known


def _external(near: Ref, name: Name) -> Ref:
    return near.sibling(EXTERNAL_TABLE, ".".join(name))


def _body(statement: CreateTable, by: str) -> JsonObject:
    return {
        "name": list(statement.name),
        "columns": [list(one) for one in statement.columns],
        "location": statement.location,
        "marks": list(statement.marks),
        "by": by,
    }
