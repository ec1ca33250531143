"""Flows drawn at random, and all that must be true of each of them."""

import difflib
import json
import random
from contextlib import contextmanager
from types import SimpleNamespace

import duckdb
import parity
from drawing import Drawn

import clary
from clary.flows import documents, fitted
from clary.flows.batch import Batch
from clary.flows.exports import python, sql
from clary.flows.failures import explained
from clary.flows.origins import origins
from clary.flows.plans import plan
from clary.flows.records import compiled
from clary.flows.sessions import SETTINGS
from clary.flows.steps import Query
from clary.kernel.errors import ClaryError, InvalidInput, NotSupported


@contextmanager
def opened(flow, tables, learned=fitted.NOTHING):
    """Open a flow on tables, as ``local.opened`` does."""
    with duckdb.connect() as connection:
        connection.execute(f"{SETTINGS}; SET threads = 1")
        for name, (schema, rows) in tables.items():
            parity._fill(connection, name, schema, rows)
        yield Batch(connection, flow, learned), connection


def computed(flow, tables, learned=fitted.NOTHING, node=None):
    """Give the columns, rows and state of the last node; a failure must be one of ours."""
    node = node or flow.nodes[-1].id
    with (
        opened(flow, tables, learned) as (batch, connection),
        explained(connection, flow.until(node)),
    ):
        found = batch.rows(node)
        kinds = [parity.type_named(str(one)) for one in found.types]
        return SimpleNamespace(
            columns=dict(zip(found.columns, kinds, strict=True)),
            planned=batch._columns,
            rows=found.fetchall(),
            learned=batch.fitted,
        )


def grow(drawn, tables, most=5):
    """Add nodes one after another; those that are refused, or fail, are left out."""
    nodes = [{"id": name, "operator": "source"} for name in tables]
    schemas = {name: schema for name, (schema, _) in tables.items()}
    for place in range(drawn.lots.randint(2, most)):
        made = [*nodes, drawn.node(f"n{place}", schemas)]
        flow = documents.read(json.loads(json.dumps({"nodes": made})))
        try:
            found = computed(flow, tables)
        except ClaryError as error:
            names_node(error, f"n{place}")
            continue
        if len(found.rows) < 300 and len(found.columns) < 60:
            nodes, schemas = made, {**schemas, f"n{place}": found.columns}
    return {"nodes": nodes}


def names_node(error, name):
    assert name in str(error), f"names no node: {error}"


def check(seed):
    """Draw a flow, and compare all its engines; gives its document."""
    drawn = Drawn(random.Random(seed))
    tables = {f"t{at}": drawn.table() for at in range(drawn.lots.randint(1, 2))}
    document = grow(drawn, tables)
    flow = documents.read(document)
    tables = {one: tables[one] for one in tables if one in {x.id for x in flow.nodes}}
    try:
        found = computed(flow, tables)
        same_again(flow, tables, found)
        same_alone(flow, tables, found)
        same_as_sql(flow, tables, found)
        same_as_python(flow, tables, found)
        others_fit(flow, tables, found, drawn)
    except Exception as error:
        error.add_note(f"seed {seed}: {json.dumps(document)}\n{tables}")
        raise
    return document


def same(rows, others):
    return len(rows) == len(others) and all(map(parity.same, rows, others))


def same_again(flow, tables, found):
    """Saved and loaded again, a flow is the same, and so is what it has learned."""
    node = flow.nodes[-1].id
    assert dict(found.columns) == dict(found.planned[node])
    again = documents.read(documents.write(flow))
    assert again == flow
    learned = fitted.read(fitted.write(found.learned))
    assert fitted.write(learned) == fitted.write(found.learned)
    other = computed(again, tables, learned)
    assert list(other.columns.items()) == list(found.columns.items())
    assert same(other.rows, found.rows), f"{found.rows}\n{other.rows}"
    again, before = fitted.write(other.learned), fitted.write(learned)
    told = "\n".join(difflib.unified_diff(before.splitlines(), again.splitlines()))
    assert not told, f"learned anew:\n{told}"


def planned(flow, tables, found):
    schemas = {name: schema for name, (schema, _) in tables.items()}
    plans = plan(flow, flow.nodes[-1].id, found.learned, schemas)
    assert list(origins(plans)[flow.nodes[-1].id]) == list(plans[-1].columns)
    return plans


def same_alone(flow, tables, found):
    """A record alone gives what it gives among others."""
    plans = planned(flow, tables, found)
    starts = [one.node.id for one in plans if one.node.operator == "source"]
    try:
        function = compiled(plans)
    except NotSupported:
        return
    assert len(starts) == 1
    try:
        made = [row for one in tables[starts[0]][1] if (row := function(one)) is not None]
    except InvalidInput as error:  # a table leaves out what overflows where nothing reads it
        names_node(error, "does not fit into 64 bits")
        return
    if not any(isinstance(step, Query) for one in plans for step in one.steps):
        assert same(made, found.rows), f"{found.rows}\n{made}"


def same_as_sql(flow, tables, found):
    """The query that is exported gives the same rows."""
    text = sql.query(planned(flow, tables, found))
    with duckdb.connect() as connection:
        connection.execute(f"{SETTINGS}; SET threads = 1")
        for name, (schema, rows) in tables.items():
            parity._fill(connection, name, schema, rows)
        rows = connection.execute(text).fetchall()
        names = [one[0] for one in connection.description]
    assert names == list(found.columns)
    assert same(rows, found.rows), f"{found.rows}\n{rows}\n{text}"


def same_as_python(flow, tables, found):
    """The program that is exported makes a flow that gives the same rows."""
    text = python.program(flow)
    made = {}
    exec(compile(text, "<program>", "exec"), made)
    wanted = [one.operator for one in flow.until(flow.nodes[-1].id)]
    flows = [one for one in made.values() if isinstance(one, clary.Flow)]
    ends = [one for one in flows if sorted(one.operators) == sorted(wanted)]
    rows = [computed(one.document, tables, node=one.name).rows for one in ends]
    assert any(same(one, found.rows) for one in rows), f"{found.rows}\n{rows}\n{text}"


def others_fit(flow, tables, found, drawn):
    """Other rows get the same columns, by what was learned before; or are refused by name."""
    others = {name: (schema, drawn.rows(schema)) for name, (schema, _) in tables.items()}
    try:
        other = computed(flow, others, found.learned)
    except InvalidInput as error:
        names_node(error, "node n")
        return
    assert list(other.columns.items()) == list(found.columns.items())
    same_alone(flow, others, other)
    assert fitted.write(other.learned) == fitted.write(found.learned), "learned anew"
