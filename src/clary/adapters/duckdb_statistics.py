"""Statistics of offline tables by DuckDB: two passes over some columns at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from clary.adapters.duckdb_point_in_time import column_type, rows_of
from clary.adapters.duckdb_session import literal, name, parquet
from clary.features.statistics import (
    LONGEST_VALUE,
    MOST_BINS,
    MOST_VALUES,
    QUANTILES,
    Bin,
    FeatureStatistics,
    Frequent,
    Measured,
    Span,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from clary.adapters.duckdb_session import DuckDB
    from clary.features.model import Feature, Schema

_FEATURES_A_PASS = 25


class DuckDBStatistics:
    """The ``StatisticsEngine`` on DuckDB.

    Parameters
    ----------
    duckdb
        Where connections come from.
    """

    def __init__(self, duckdb: DuckDB) -> None:
        self._duckdb = duckdb

    def measure(self, schema: Schema, files: Sequence[str]) -> Measured:
        """Count what a table holds, see ``StatisticsEngine``."""
        kinds = {one.name: column_type(one.kind, one.collection) for one in schema.features}
        with self._duckdb.open(files) as connection:
            rows = rows_of(files, kinds, connection)
            total, deletions, entities = _one(
                connection,
                "SELECT count(*), count(*) FILTER (is_deleted), approx_count_distinct("
                f"{name(schema.identifier)}) FILTER (NOT is_deleted) FROM {rows}",
            )
            counted: list[FeatureStatistics] = []
            for first in range(0, len(schema.features), _FEATURES_A_PASS):
                some = schema.features[first : first + _FEATURES_A_PASS]
                found = f"{rows} WHERE NOT is_deleted"
                counted += _Columns(connection, found, schema, some).statistics()
        return Measured(total, deletions, entities, counted)

    def span(self, files: Sequence[str]) -> Span:
        """Say from when to when rows are, see ``StatisticsEngine``."""
        if not files:
            return Span()
        with self._duckdb.open(files) as connection:
            found = _one(
                connection,
                "SELECT count(*), min(event_us), max(event_us), max(write_us)"
                f" FROM {parquet(files)}",
            )
        return Span(*found)


class _Columns:
    """Some columns of a table."""

    def __init__(
        self,
        connection: DuckDBPyConnection,
        rows: str,
        schema: Schema,
        features: Sequence[Feature],
    ) -> None:
        self._connection = connection
        self._rows = rows
        self._own = (schema.identifier, schema.event_time)
        self._features = features

    def statistics(self) -> list[FeatureStatistics]:
        first = self._read(self._first(one) for one in self._features)
        second = self._read(self._second(*pair) for pair in zip(self._features, first, strict=True))
        return [_made(*three) for three in zip(self._features, first, second, strict=True)]

    def _read(self, structs: Any) -> list[dict[str, Any]]:
        chosen = ", ".join(structs)
        return list(_one(self._connection, f"SELECT {chosen}, count(*) FROM {self._rows}")[:-1])

    def _first(self, one: Feature) -> str:
        column, number = name(one.name), _number(one)
        floats = one.kind == "Fractional" and not one.collection
        finite = f"FILTER (isfinite({column}))" if floats else ""
        shares = ", ".join(map(str, QUANTILES))
        members = {
            "rows": "count(*)",
            "present": f"count({column})",
            "different": f"approx_count_distinct({column})",
            "nan": f"count(*) FILTER (isnan({column}))" if floats else "0",
            "infinite": f"count(*) FILTER (isinf({column}))" if floats else "0",
            "minimum": f"min({number}) {finite}",
            "maximum": f"max({number}) {finite}",
            "quantiles": f"approx_quantile({number}, [{shares}]) {finite}",
            "frequent": "NULL",
        }
        if self._has_frequent(one):
            members["frequent"] = f"approx_top_k({_shown(one)}, {MOST_VALUES})"
        return _struct(members)

    def _second(self, one: Feature, first: dict[str, Any]) -> str:
        members = {"mean": "NULL", "deviation": "NULL", "bins": "NULL", "counts": "NULL"}
        if first["minimum"] is not None:
            scale, low, high = _scale(first), *_ends(one, first)
            number = f"({_number(one)}::DOUBLE / {scale!r})"
            finite = f"FILTER (isfinite({number}))"
            members["mean"] = f"avg({number}) {finite}"
            members["deviation"] = f"stddev_samp({number}) {finite}"
            width = high / scale - low / scale
            place = f"floor(({number} - {low / scale!r}) / {width!r} * {_bins(one, first)})"
            if width > 0:
                bin_ = f"least(greatest({place}, 0), {_bins(one, first) - 1})::INTEGER"
                members["bins"] = f"histogram({bin_}) {finite}"
        if first["frequent"]:
            wanted = ", ".join(map(_literal, first["frequent"]))
            shown = _shown(one)
            members["counts"] = f"histogram({shown}) FILTER ({shown} IN ({wanted}))"
        return _struct(members)

    def _has_frequent(self, one: Feature) -> bool:
        return one.kind != "Fractional" and not one.collection and one.name not in self._own


def _made(one: Feature, first: dict[str, Any], second: dict[str, Any]) -> FeatureStatistics:
    scale = _scale(first) if first["minimum"] is not None else 1.0
    quantiles = first["quantiles"] or []
    counts = (second["counts"] or {}).items()
    return FeatureStatistics(
        one.name,
        f"{one.collection} of {one.kind}" if one.collection else one.kind,
        first["rows"] - first["present"],
        first["present"],
        min(first["different"], first["present"]),
        first["nan"],
        first["infinite"],
        is_of_lengths=one.collection is not None or one.kind == "String",
        minimum=first["minimum"],
        maximum=first["maximum"],
        mean=_finite(second["mean"], scale),
        deviation=_finite(second["deviation"], scale),
        quantiles={
            str(share): float(value) for share, value in zip(QUANTILES, quantiles, strict=False)
        },
        histogram=_histogram(one, first, second["bins"]),
        frequent=[
            Frequent(value, count)
            for value, count in sorted(counts, key=lambda pair: (-pair[1], str(pair[0])))
        ],
    )


def _histogram(one: Feature, first: dict[str, Any], counts: dict[int, int] | None) -> Sequence[Bin]:
    if first["minimum"] is None:
        return ()
    low, high = _ends(one, first)
    if not counts:
        return [Bin(low, high, first["present"] - first["nan"] - first["infinite"])]
    bins = _bins(one, first)
    shares = [at / bins for at in range(bins + 1)]
    edges = [low * (1 - share) + high * share for share in shares]
    return [Bin(edges[at], edges[at + 1], counts.get(at, 0)) for at in range(bins)]


def _ends(one: Feature, first: dict[str, Any]) -> tuple[float, float]:
    """Say from where to where bins go; those of whole numbers have whole widths."""
    low, high = first["minimum"], first["maximum"]
    return float(low), float(low + _bins(one, first) * _width(first) if _is_whole(one) else high)


def _is_whole(one: Feature) -> bool:
    return one.kind != "Fractional" or one.collection is not None


def _bins(one: Feature, first: dict[str, Any]) -> int:
    """Say how many bins there are."""
    if not _is_whole(one):
        return MOST_BINS
    return (int(first["maximum"]) - int(first["minimum"])) // _width(first) + 1


def _width(first: dict[str, Any]) -> int:
    """Say how wide bins of whole numbers are."""
    return (int(first["maximum"]) - int(first["minimum"])) // MOST_BINS + 1


def _scale(first: dict[str, Any]) -> float:
    """Give the power of two by which numbers are divided, so that no sum of squares overflows."""
    largest = max(abs(float(first["minimum"])), abs(float(first["maximum"])))
    return math.ldexp(1.0, math.frexp(largest)[1] - 1) if largest > 1e100 else 1.0


def _finite(value: float | None, scale: float) -> float | None:
    whole = None if value is None else value * scale
    return whole if whole is not None and math.isfinite(whole) else None


def _number(one: Feature) -> str:
    """Write what is measured of a feature: itself, or its length."""
    column = name(one.name)
    return f"len({column})" if one.collection or one.kind == "String" else column


def _shown(one: Feature) -> str:
    column = name(one.name)
    return f"left({column}, {LONGEST_VALUE})" if one.kind == "String" else column


def _literal(value: int | str) -> str:
    return literal(value) if isinstance(value, str) else f"{literal(str(value))}::BIGINT"


def _struct(members: dict[str, str]) -> str:
    return "{" + ", ".join(f"'{member}': {made}" for member, made in members.items()) + "}"


def _one(connection: DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    found = connection.execute(query).fetchone()
    if found is None:
        raise AssertionError("an aggregate has a row")
    return tuple(found)
