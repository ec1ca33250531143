"""The types of values, and which of them turn into which by themselves."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True)
class Type:
    """A type of values.

    Parameters
    ----------
    name
        ``bigint``, ``list``, …
    item
        Of what lists are.
    fields
        Names and types of the fields of a struct.
    """

    name: str
    item: Type | None = None
    fields: tuple[tuple[str, Type], ...] = ()

    def __str__(self) -> str:
        if self.item is not None:
            return f"list({self.item})"
        if self.fields:
            return f"struct({', '.join(f'{_told(name)} {kind}' for name, kind in self.fields)})"
        return self.name

    @property
    def duckdb(self) -> str:
        """The type as DuckDB writes it."""
        if self.item is not None:
            return f"{self.item.duckdb}[]"
        if self.fields:
            return f"STRUCT({', '.join(f'{quoted(n)} {t.duckdb}' for n, t in self.fields)})"
        return self.name.upper()

    @property
    def spark(self) -> str:
        """The type as Spark writes it."""
        if self.item is not None:
            return f"ARRAY<{self.item.spark}>"
        if self.fields:
            return f"STRUCT<{', '.join(f'{ticked(n)}: {t.spark}' for n, t in self.fields)}>"
        return _SPARK.get(self.name, self.name.upper())


def quoted(name: str) -> str:
    """Write a name as DuckDB's SQL does."""
    return '"' + name.replace('"', '""') + '"'


def ticked(name: str) -> str:
    """Write a name as Spark's SQL does."""
    return "`" + name.replace("`", "``") + "`"


BOOLEAN = Type("boolean")
BIGINT = Type("bigint")
DOUBLE = Type("double")
VARCHAR = Type("varchar")
DATE = Type("date")
TIMESTAMP = Type("timestamp")
TIMESTAMPTZ = Type("timestamptz")
NULL = Type("null")
ANY = Type("any")
LIST = Type("list", ANY)
SCALARS = (BOOLEAN, BIGINT, DOUBLE, VARCHAR, DATE, TIMESTAMP, TIMESTAMPTZ)
SMALLEST, LARGEST = -(2**63), 2**63 - 1

_SPARK = {"varchar": "STRING", "timestamp": "TIMESTAMP_NTZ", "timestamptz": "TIMESTAMP"}
_WORDS = {kind.name: kind for kind in SCALARS} | {
    "bool": BOOLEAN,
    "int8": BIGINT,
    "long": BIGINT,
    "float8": DOUBLE,
    "string": VARCHAR,
    "text": VARCHAR,
    "timestamp with time zone": TIMESTAMPTZ,
}
_WIDER = {(BIGINT, DOUBLE), (DATE, TIMESTAMP)}
_CLASSES: dict[type, Type] = {
    bool: BOOLEAN,
    int: BIGINT,
    float: DOUBLE,
    str: VARCHAR,
    dt.date: DATE,
}


def type_named(text: str) -> Type:
    """Read a type: ``bigint``, ``double[]``, ``list(varchar)``, ``struct(a bigint)`` and so on.

    Examples
    --------
    >>> type_named("BIGINT[]")
    Type(name='list', item=Type(name='bigint', item=None, fields=()), fields=())

    Raises
    ------
    InvalidInput
        It is none of ours.
    """
    inner = re.fullmatch(r"(.+)\[\]|list\((.+)\)", text.strip(), re.IGNORECASE | re.DOTALL)
    if inner:
        return Type("list", type_named(inner[1] or inner[2]))
    fields = re.fullmatch(r"struct\((.+)\)", text.strip(), re.IGNORECASE | re.DOTALL)
    if fields:
        return Type("struct", fields=tuple(_fields(fields[1])))
    word = " ".join(text.lower().split())
    if word not in _WORDS:
        raise InvalidInput("type", f"{text!r} is not a type", legal=f"{', '.join(_WORDS)}, list(…)")
    return _WORDS[word]


def _fields(text: str) -> Iterator[tuple[str, Type]]:
    """Read ``a bigint, "b c" varchar``. Raises InvalidInput."""
    start, depth = 0, 0
    for part in re.finditer(r'"(?:[^"]|"")*"|.|$', text, re.DOTALL):
        depth += {"(": 1, ")": -1}.get(part[0], 0)
        if part[0] not in ("", ",") or depth:
            continue
        one = re.fullmatch(r'\s*("(?:[^"]|"")*"|\w+)\s+(.+)', text[start : part.start()], re.DOTALL)
        if not one:
            raise InvalidInput("type", f"{text[start:]!r} is no field", legal="name type")
        name = one[1][1:-1].replace('""', '"') if one[1].startswith('"') else one[1]
        yield name, type_named(one[2])
        start = part.end()


def _told(name: str) -> str:
    return name if re.fullmatch(r"\w+", name) else quoted(name)


def type_of(value: Any) -> Type:
    """Tell the type of a Python value. Raises InvalidInput for what is no value of ours."""
    if value is None:
        return NULL
    if isinstance(value, dt.datetime):
        return TIMESTAMP if value.tzinfo is None else TIMESTAMPTZ
    kind = _CLASSES.get(type(value))
    if kind is None:
        raise InvalidInput(
            "value",
            f"{value!r} is a {type(value).__name__}",
            legal="None, bool, int, float, str, date, datetime",
        )
    if kind is BIGINT and not SMALLEST <= value <= LARGEST:
        raise InvalidInput("value", f"{value} does not fit into 64 bits")
    return kind


def widens(have: Type, want: Type) -> bool:
    """Tell whether values of one type stand where another is wanted."""
    if have in (want, NULL) or (have, want) in _WIDER:
        return True
    if have.item is not None and want.item is not None:
        return have.item == NULL
    return False


def shared(kinds: Iterable[Type]) -> Type | None:
    """Find the type that values of several types have in common, None where there is none."""
    best = NULL
    for kind in kinds:
        if widens(best, kind):
            best = kind
        elif not widens(kind, best):
            return None
    return best
