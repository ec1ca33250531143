"""Some of the rows: the first, a random part, the same part of every stratum, a split."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar, Literal

from clary.expressions.types import BIGINT, BOOLEAN, DATE, VARCHAR, quoted
from clary.flows.steps import Query
from clary.flows.transform import Transform
from clary.flows.transforms.queries import found, listed, lot
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import State

_WRITTEN = (BIGINT, VARCHAR, BOOLEAN, DATE)
"""Types that every engine writes as the same text."""
_DIGITS = 12


class Limit(Transform, frozen=True):
    """Keep the first rows."""

    operator: ClassVar[str] = "sampling.limit"
    rows: int

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Keep so many."""
        count = _counted(self.rows)
        return (Query(f"SELECT * FROM input0 LIMIT {count}", schemas[0], record="same"),)  # noqa: S608 a number


class Sample(Transform, frozen=True):
    """Keep a random part of the rows, each as likely, the same for the same seed, in their order.

    Parameters
    ----------
    rows
        How many; 0: by ``fraction``.
    fraction
        The share of rows, 0 to 1: of all, about; of every stratum to the row, rounded up.
    stratify
        The columns of which every combination is a stratum; ``rows`` are shared out by size.
    key
        Draw by what these columns hold, all rows of a key together: the same on every engine, in
        whatever order rows are. Only of a ``fraction``, which is of keys, about.
    """

    operator: ClassVar[str] = "sampling.sample"
    rows: int = 0
    fraction: float = 0.0
    stratify: tuple[str, ...] = ()
    seed: int = 0
    key: tuple[str, ...] = ()

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Draw a lot for each row."""
        [schema] = schemas
        if bool(self.rows) == bool(self.fraction) or not 0 <= self.fraction <= 1:
            problem = f"{self.rows} rows, {self.fraction} of all"
            raise InvalidInput("fraction", problem, legal="rows, or a fraction of 0 to 1")
        if self.key:
            return (self._keyed(schema),)
        by = f"ORDER BY {lot(self.seed, 'rowid')}, rowid"
        strata = listed(found(schema, self.stratify, "stratify"))
        count = _counted(self.rows)
        if strata:
            share = f"{count} / count(*) OVER ()" if count else f"{self.fraction!r}"
            test = (
                f"row_number() OVER (PARTITION BY {strata} {by}) "
                f"<= ceil(round(count(*) OVER (PARTITION BY {strata}) * {share}, 6))"
            )
            sql = f"SELECT * FROM input0 QUALIFY {test} ORDER BY rowid"  # noqa: S608 quoted names
        elif count:
            sql = f"SELECT * FROM input0 QUALIFY row_number() OVER ({by}) <= {count} ORDER BY rowid"  # noqa: S608 a number
        else:
            sql = f"SELECT * FROM input0 WHERE {lot(self.seed, 'rowid')} < {self.fraction!r}"  # noqa: S608 numbers
        return (Query(sql, schema, record="same", is_ordered=True),)

    def _keyed(self, schema: Schema) -> Query:
        names = found(schema, self.key, "key")
        if self.rows or self.stratify or not _is_written(schema, names):
            legal = f"a fraction, by columns of {', '.join(map(str, _WRITTEN))}"
            raise InvalidInput("key", f"{', '.join(names)}", legal=legal)
        test = _drawn(self.seed, names, 0.0, self.fraction)
        sql = f"SELECT * FROM input0 WHERE {test} ORDER BY rowid"  # noqa: S608 quoted names
        return Query(sql, schema, record="same", is_ordered=True)


class Split(Transform, frozen=True):
    """Keep one part of a split; nodes that name the other parts get the other rows.

    Parameters
    ----------
    part
        The part whose rows are kept.
    shares
        The share of each part, in order, together 1: ``{"train": 0.8, "test": 0.2}``.
    by
        ``random``; ``ordered``: by columns, else as rows stand; ``stratified``: the same of every
        combination of columns; ``key``: rows with the same values in columns stay together, and
        shares are of such values, about.
    columns
        What ``by`` goes by.
    """

    operator: ClassVar[str] = "sampling.split"
    part: str
    shares: dict[str, float]
    by: Literal["random", "ordered", "stratified", "key"] = "random"
    columns: tuple[str, ...] = ()
    seed: int = 0

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Find where in the whole each row stands, from 0 to, without, 1."""
        [schema] = schemas
        names = found(schema, self.columns, "columns")
        if self.by in ("stratified", "key") and not names:
            raise InvalidInput("columns", f"none is named to split by {self.by}")
        low, high = self._bounds()
        if self.by == "key" and _is_written(schema, names):
            test = _drawn(self.seed, names, low, high)
            sql = f"SELECT * FROM input0 WHERE {test} ORDER BY rowid"  # noqa: S608 quoted names
            return (Query(sql, schema, record="same", is_ordered=True),)
        place = self._place(names)
        sql = (
            f"SELECT * FROM input0 "  # noqa: S608 quoted names, numbers
            f"QUALIFY {place} >= {low!r} AND {place} < {high!r} ORDER BY rowid"
        )
        return (Query(sql, schema, record="same", is_ordered=True),)

    def _bounds(self) -> tuple[float, float]:
        if self.part not in self.shares:
            raise InvalidInput("part", repr(self.part), legal=", ".join(self.shares))
        shares = list(self.shares.values())
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise InvalidInput("shares", f"{self.shares}", legal="shares of 0 to 1, together 1")
        ends = [0.0, *accumulate(shares)]
        ends[-1] = 1.0
        at = list(self.shares).index(self.part)
        return ends[at], ends[at + 1]

    def _place(self, names: tuple[str, ...]) -> str:
        drawn = f"{lot(self.seed, 'rowid')}, rowid"
        if self.by == "key":
            # a window, as QUALIFY needs one
            return f"min({lot(self.seed, listed(names))}) OVER (PARTITION BY {listed(names)})"
        if self.by == "stratified":
            over, order = f"PARTITION BY {listed(names)}", drawn
        elif self.by == "ordered":
            over, order = "", "".join(f"{quoted(one)} NULLS LAST, " for one in names) + "rowid"
        else:
            over, order = "", drawn
        place = f"row_number() OVER ({over} ORDER BY {order})"
        return f"({place} - 0.5)::DOUBLE / count(*) OVER ({over})"


def _is_written(schema: Schema, names: tuple[str, ...]) -> bool:
    return all(schema[one] in _WRITTEN for one in names)


def _drawn(seed: int, names: tuple[str, ...], low: float, high: float) -> str:
    """Compare digests of keys, which every engine makes alike, with shares of all digests."""
    texts = ", ".join(f"CAST({quoted(one)} AS VARCHAR)" for one in names)
    digest = f"left(md5(concat_ws(' ', '{seed}', {texts})), {_DIGITS})"
    tests = [f"{digest} >= '{_digits(low)}'", f"{digest} < '{_digits(high)}'"]
    return " AND ".join(tests[: 2 if high < 1 else 1])


def _digits(share: float) -> str:
    """Write a share of all digests as one of them: their first digits, in hexadecimal."""
    return f"{int(share * 16**_DIGITS):0{_DIGITS}x}"


def _counted(rows: int) -> int:
    if rows < 0:
        raise InvalidInput("rows", f"{rows}", legal="at least 0")
    return rows
