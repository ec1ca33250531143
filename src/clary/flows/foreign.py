"""Types of DuckDB and Arrow that flows do not have, as those that hold their values."""

from __future__ import annotations

from clary.expressions import Type, type_named

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER", "HUGEINT")
_REAL = ("FLOAT", "DECIMAL", "UBIGINT", "UHUGEINT")
_TEXT = ("UUID", "ENUM", "TIME", "INTERVAL", "JSON", '"NULL"')
_MOMENT = ("TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
_TYPES = (
    dict.fromkeys(_WHOLE, "bigint")
    | dict.fromkeys(_REAL, "double")
    | dict.fromkeys(_TEXT, "varchar")
    | dict.fromkeys(_MOMENT, "timestamp")
)


def nearest(kind: str) -> Type:
    """Name the type of ours that holds what DuckDB gives.

    Raises
    ------
    InvalidInput
        None does.

    Examples
    --------
    >>> str(nearest("INTEGER")), str(nearest("DECIMAL(18,3)")), str(nearest("VARCHAR"))
    ('bigint', 'double', 'varchar')
    """
    return type_named(_TYPES.get(kind.partition("(")[0], kind))
