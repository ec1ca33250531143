"""The same flow over a table in DuckDB and over each record alone: the same cells."""

import math

import duckdb
import pyarrow as pa

from clary.expressions import Type, type_named
from clary.flows import documents, fitted
from clary.flows.batch import Batch
from clary.flows.plans import plan
from clary.flows.records import compiled
from clary.flows.sessions import SETTINGS
from clary.flows.steps import Query
from clary.kernel.errors import ClaryError, InvalidInput, NotSupported

_FAILURES = (duckdb.Error, ClaryError)
_ARROW = {
    "boolean": pa.bool_(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "varchar": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}


class Outcome:
    """What a node gave: ``columns`` (name to type), ``rows`` (tuples), and what was learned."""

    def __init__(self, columns, rows, learned):
        self.columns, self.rows, self.learned = columns, rows, learned

    def __getitem__(self, name):
        place = list(self.columns).index(name)
        return [row[place] for row in self.rows]


def apply(operator, with_, schema, rows, *, fit=None):
    """Run one transform over rows, learned from them or from ``fit``.

    ``schema`` maps names to types, by name or as Type. Batch and records are compared; what fails
    over a table must fail over a record, with InvalidInput, which is raised.
    """
    nodes = [
        {"id": "rows", "operator": "source"},
        {"id": "made", "operator": operator, "with": with_, "inputs": ["rows"]},
    ]
    learned = fitted.NOTHING
    if fit is not None:
        flow = documents.read({"nodes": nodes})
        _, learned, failure = _batch(flow, {"rows": (schema, fit)}, "made")
        if learned is None:
            raise failure
    return run({"nodes": nodes}, {"rows": (schema, rows)}, learned=learned)


def run(document, tables, *, node=None, learned=fitted.NOTHING):
    """Run a flow over tables, ``{source: (schema, rows)}``, and over records where it can."""
    flow = documents.read(document)
    node = node or flow.nodes[-1].id
    found, again, failure = _batch(flow, tables, node, learned)
    schemas = {name: _schema(one) for name, (one, _) in tables.items()}
    if failure is not None and again is None:
        raise failure
    plans = plan(flow, node, again, schemas)
    columns = dict(plans[-1].columns)
    if len(tables) == 1:
        [(_, rows)] = tables.values()
        _compare(plans, columns, rows, found, failure)
    if failure is not None:
        raise failure
    return Outcome(columns, found, again)


def _compare(plans, columns, rows, found, failure):
    try:
        function = compiled(plans)
    except NotSupported:
        return
    try:
        ours = [made for row in rows if (made := function(row)) is not None]
    except InvalidInput as error:
        if failure is None:
            raise AssertionError(f"a record fails, the table does not: {error}") from error
        raise
    assert failure is None, f"the table fails, no record does: {failure}"
    steps = [step for one in plans for step in one.steps]
    if any(isinstance(step, Query) for step in steps):
        return
    assert len(ours) == len(found)
    for theirs, made in zip(found, ours, strict=True):
        assert all(map(same, theirs, made)), f"{columns}\n{theirs}\n{made}"


def _batch(flow, tables, node, learned=fitted.NOTHING):
    with duckdb.connect() as connection:
        connection.execute(f"{SETTINGS}; SET threads = 1")
        for name, (schema, rows) in tables.items():
            _fill(connection, name, _schema(schema), rows)
        batch = Batch(connection, flow, learned)
        again = None
        try:
            again = fitted.read(fitted.write(batch.fit(node)))
            return batch.rows(node).fetchall(), again, None
        except _FAILURES as error:
            return None, again, error


def _fill(connection, name, schema, rows):
    arrays = {
        one: pa.array([row[place] for row in rows], _arrow(kind))
        for place, (one, kind) in enumerate(schema.items())
    }
    connection.register("held", pa.table(arrays))
    connection.execute(f'CREATE TABLE "{name}" AS FROM held')
    connection.unregister("held")


def _schema(schema):
    return {
        name: kind if isinstance(kind, Type) else type_named(kind) for name, kind in schema.items()
    }


def _arrow(kind):
    if kind.item is not None:
        return pa.list_(_arrow(kind.item))
    if kind.fields:
        return pa.struct([(name, _arrow(inner)) for name, inner in kind.fields])
    return _ARROW[kind.name]


def same(left, right):
    """Tell whether two cells are the same: NaN is NaN, 1 is not 1.0 nor True."""
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    return type(left) is type(right) and left == right
