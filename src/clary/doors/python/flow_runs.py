"""Flows of this process, run here: on frames and on files."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from clary.analysis.frames import arrow
from clary.expressions.types import quoted
from clary.flows.batch import Batch
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clary.flows.fitted import Fitted
    from clary.flows.model import Flow

_READERS = {"csv": "read_csv", "json": "read_json", "parquet": "read_parquet"}


@contextmanager
def opened(flow: Flow, node: str, learned: Fitted, tables: Mapping[str, Any]) -> Iterator[Batch]:
    """Open what a node needs."""
    with duckdb.connect() as connection:
        for one in flow.until(node):
            if one.operator != "source":
                continue
            given = tables.get(one.id, one.with_.get("path"))
            if given is None:
                raise InvalidInput("sources", f"nobody has given the rows of {one.id}")
            if isinstance(given, str | os.PathLike):
                given = os.fspath(given)
                reader = _READERS[one.with_.get("format") or given.rpartition(".")[2]]
                sql = f"CREATE TABLE {quoted(one.id)} AS FROM {reader}('{given}')"
                connection.execute(sql)
            else:
                frame = pa.Table.from_pylist(given) if isinstance(given, list) else arrow(given)
                connection.register(one.id, frame)
        yield Batch(connection, flow, learned)


def fitted(flow: Flow, node: str, learned: Fitted, tables: Mapping[str, Any]) -> Fitted:
    """Learn what a node needs."""
    with opened(flow, node, learned, tables) as batch:
        return batch.fit(node)


def table(
    flow: Flow, node: str, learned: Fitted, tables: Mapping[str, Any]
) -> tuple[pa.Table, Fitted]:
    """Compute the rows of a node; with what was learned for it."""
    with opened(flow, node, learned, tables) as batch:
        return batch.rows(node).to_arrow_table(), batch.fitted
