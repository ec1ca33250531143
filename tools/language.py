"""The reference page of the expression language, written from its functions."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from clary.expressions.registry import FAMILIES

if TYPE_CHECKING:
    from types import ModuleType

    from clary.expressions.function import Function

_HEAD = """# Expressions
One language for features: DuckDB's SQL expressions over the columns of a row. A definition is
checked once against a schema, and then runs as DuckDB's SQL over tables, as Spark's SQL, and as a
compiled Python function over one row, with the same value in every cell.

```python
from clary.expressions import DOUBLE, col, parse

schema = {"weight": DOUBLE, "height": DOUBLE}
bmi = parse("weight / height ** 2", schema)
assert bmi.tree == parse(col("weight") / col("height") ** 2, schema).tree
assert bmi.type == DOUBLE
assert bmi.row()({"weight": 81.0, "height": 1.8}) == 25.0
print(bmi.sql())
print(bmi.spark())
```

## Types
`boolean`, `bigint`, `double`, `varchar`, `date`, `timestamp`, `timestamptz`, lists of these, and
structs as columns. In a row they are Python's `bool`, `int`, `float`, `str`, `date`, `datetime`
without and with a zone, `list` and `dict`; a whole number in a `double` column must come as a
`float`. `bigint` turns into `double` by itself, and `date` into `timestamp`; anything else by
`CAST`. A number with a point or an exponent is a `double`, any other a `bigint`; DuckDB alone would
read a decimal or a smaller integer.

## Rules
- NULL gives NULL, but in what is made for it: `coalesce`, `IS NULL`, `CASE`, `concat`, `greatest`.
- NaN equals NaN and is greater than all other numbers. `x / 0` is infinite or NaN; `//` and `%` of
  whole numbers fail, as does what leaves 64 bits. `//` is for whole numbers.
- What fails raises `InvalidInput` in a row function and fails the query in DuckDB. DuckDB may skip
  a failing part whose value does not matter, or compute one that a row function skips. `TRY_CAST`
  makes NULL of what does not convert.
- Text is compared and counted by Unicode code points; `upper` and `lower` map one to one.
- Dates and times are read from ISO 8601 alone: `date` from `2024-01-31`, `timestamp` from
  `2024-01-31 12:30:00`, with a `Z` at most, `timestamptz` with an offset. Years are 1 to 9999.
- Time zones are constants, for moments of 1971 to 2099, by the tables of the machine and of DuckDB;
  zones in which these differ are refused. A time that a clock shows twice is the later one.
  The parts of a `timestamptz` are taken after `AT TIME ZONE`.
- Regular expressions are what RE2 and Python read alike and match in polynomial time: no flags, no
  look-around, no quantifier of a group with a quantifier or an alternative inside.
- An expression has at most 20,000 characters, and calls nest about thirty deep.
- Not here, because the executions would differ or could not be bounded: aggregates, windows,
  subqueries, lambdas, `random`, the present time, intervals as values, decimals, `try`, `reverse`,
  weeks between dates, equality of lists; refused by name with the nearest there is.

## Forms
Operators as below; `NOT`, `IS [NOT] NULL`, `IS [NOT] TRUE`, `IN (…)`, `BETWEEN … AND …`,
`[I]LIKE … [ESCAPE …]`, `CASE`, `CAST(… AS …)`, `x::type`, `TRY_CAST(… AS …)`,
`extract(part FROM x)`, `date_part('part', x)`, `x AT TIME ZONE '…'`, `x ± INTERVAL n unit`,
`list[1]`, `[a, b]`, `struct.field`, `struct['field']`.

`lookup(key, [keys], [values][, default])` finds a text or whole number in lists of constants; other
keys are the default. `min_hash(text, n)` gives the least of *n* hashes, in 0 to 1, of the text's
3-grams: similar texts agree in many.

## Functions
*Fails* tells that some values have no answer; *Spark* that there is a text of the same meaning.
Spark's text is for Spark 4 in its ANSI mode, which is its default; the last digit of functions such
as `exp` may differ there, where Java computes it. `make test-long` runs hundreds of generated
expressions on a local Spark and compares. Letters change their case one for one, as a list of them
that the text holds.
"""


def page() -> str:
    """List every function by family."""
    return _HEAD + "\n".join(_family(one) for one in FAMILIES)


def _family(module: ModuleType) -> str:
    name = module.__name__.rsplit(".", 1)[1].capitalize()
    lines = [
        f"### {name}",
        inspect.getdoc(module) or "",
        "",
        "| function | fails | Spark |",
        "|---|---|---|",
    ]
    return "\n".join([*lines, *sorted({_line(one) for one in module.FUNCTIONS})]) + "\n"


def _line(function: Function) -> str:
    signature = function.signature.replace("|", "\\|").replace("[](", "[] (")
    fails = "yes" if function.fails else ""
    return f"| `{signature}` | {fails} | {'' if function.spark is None else 'yes'} |"
