"""Facts of full files as Parquet: a row each, what was known and served as columns of their own.

The column ``fact`` holds each fact as it was logged, to the bit; the others are to find it by, and
for whoever reads the files with other tools. ``known.<name>`` and ``served.<name>`` are there for
names whose values have one plain type in the file.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from clary.adapters.duckdb_session import library
from clary.features.facts import decode, encode
from clary.kernel.codec import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from clary.features.fact_queries import Wanted
    from clary.features.facts import Fact

    Facts = Callable[[], Iterable[Fact]]
    """The same facts at every call."""

SUFFIX = ".parquet"
_AT_ONCE = 10_000
_MOST_COLUMNS = 1_000
_TYPES = {bool: "bool_", int: "int64", float: "float64", str: "string"}
_INT64 = range(-(2**63), 2**63)


def write(path: Path, facts: Facts) -> int:
    """Write facts in their order; returns how many, having made no file of none."""
    pa, parquet = library("pyarrow"), library("pyarrow.parquet")
    kinds = _kinds(facts())
    schema = _schema(pa, kinds)
    count, left = 0, iter(facts())
    some = list(islice(left, _AT_ONCE))
    if not some:
        return 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while some:
            columns = _columns(some, kinds)
            arrays = [pa.array(columns[one.name], one.type) for one in schema]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(some)
            some = list(islice(left, _AT_ONCE))
    return count


def find(path: Path, wanted: Wanted) -> Iterator[Fact]:
    """Yield the facts of a file that are wanted, in their order. Raises FileNotFoundError."""
    pc, parquet = library("pyarrow.compute"), library("pyarrow.parquet")
    with path.open("rb") as opened, parquet.ParquetFile(opened) as file:
        for group in _groups(file, wanted):
            rows = _rows(pc, file.read_row_group(group, columns=_searched(wanted)), wanted)
            if rows is not None and not len(rows):
                continue
            lines = file.read_row_group(group, columns=["fact"])["fact"]
            for line in (lines if rows is None else lines.take(rows)).to_pylist():
                fact = decode(line)
                if wanted.has(fact):
                    yield fact


def measure(path: Path) -> tuple[int, int]:
    """Say how many facts a file has, and when the last of them was written."""
    pc, parquet = library("pyarrow.compute"), library("pyarrow.parquet")
    column = parquet.read_table(path, columns=["write_us"])["write_us"]
    return len(column), pc.max(column).as_py()


def _groups(file: Any, wanted: Wanted) -> Iterator[int]:
    """Yield the row groups that may hold facts of the time that is wanted."""
    at = file.schema_arrow.names.index("event_us")
    for group in range(file.num_row_groups):
        known = file.metadata.row_group(group).column(at).statistics
        if (
            known is None
            or not known.has_min_max
            or (known.min < wanted.end_us and known.max >= wanted.start_us)
        ):
            yield group


def _searched(wanted: Wanted) -> list[str]:
    """Name the columns by which rows are chosen."""
    asked = {
        "entity": bool(wanted.entity),
        "request_id": bool(wanted.request_id),
        "is_served": wanted.is_served is not None,
        "context": bool(wanted.context),
    }
    return [name for name, is_asked in asked.items() if is_asked]


def _rows(pc: Any, table: Any, wanted: Wanted) -> Any:
    """Name the rows that may be wanted; None: all of them."""
    masks = []
    if wanted.entity:
        masks.append(pc.equal(table["entity"], wanted.entity))
    if wanted.request_id:
        masks.append(pc.equal(table["request_id"], wanted.request_id))
    if wanted.is_served is not None:
        masks.append(pc.equal(table["is_served"], wanted.is_served))
    for name, word in wanted.context.items():
        said = to_json({name: word})[1:-1].decode()
        masks.append(pc.match_substring(table["context"], said))
    found = None
    for mask in masks:
        found = mask if found is None else pc.and_(found, mask)
    return None if found is None else pc.indices_nonzero(found)


def _kinds(facts: Iterable[Fact]) -> Mapping[str, type]:
    """Find the names whose values have one plain type, up to a thousand."""
    found: dict[str, type | None] = {}
    for fact in facts:
        for name, value in _named(fact):
            if value is None or (name not in found and len(found) >= _MOST_COLUMNS):
                continue
            kind = type(value)
            is_plain = kind in _TYPES and (kind is not int or value in _INT64)
            is_same = found.get(name, kind) is kind
            found[name] = kind if is_plain and is_same else None
    return {name: kind for name, kind in found.items() if kind is not None}


def _named(fact: Fact) -> Iterator[tuple[str, Any]]:
    for name, value in fact.facts.items():
        yield f"known.{name}", value
    for name, value in (fact.served or {}).items():
        yield f"served.{name}", value


def _schema(pa: Any, kinds: Mapping[str, type]) -> Any:
    text, whole = pa.string(), pa.int64()
    fixed = {
        "entity": text,
        "event_us": whole,
        "write_us": whole,
        "request_id": text,
        "context": text,
        "digest": text,
        "is_served": pa.bool_(),
        "fact": pa.binary(),
    }
    made = {name: getattr(pa, _TYPES[kind])() for name, kind in kinds.items()}
    return pa.schema(list((fixed | made).items()))


def _columns(facts: Sequence[Fact], kinds: Mapping[str, type]) -> Mapping[str, Sequence[Any]]:
    named = [dict(_named(fact)) for fact in facts]
    return {
        "entity": [fact.entity for fact in facts],
        "event_us": [fact.event_us for fact in facts],
        "write_us": [fact.write_us for fact in facts],
        "request_id": [fact.request_id for fact in facts],
        "context": [to_json(fact.context).decode() for fact in facts],
        "digest": [fact.digest for fact in facts],
        "is_served": [fact.served is not None for fact in facts],
        "fact": [encode(fact) for fact in facts],
        **{name: [one.get(name) for one in named] for name in kinds},
    }
