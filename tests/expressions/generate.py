# ruff: noqa: E501, RUF001 - tables of awkward values, on purpose
"""Random well-typed expressions as text, and rows of awkward values."""

import datetime as dt
import math
import string

from clary.expressions import types
from clary.expressions.registry import FAMILIES
from clary.expressions.types import (
    ANY,
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    LIST,
    TIMESTAMP,
    TIMESTAMPTZ,
    VARCHAR,
    Type,
)

BIGINTS, TEXTS = Type("list", BIGINT), Type("list", VARCHAR)
STRUCT = Type("struct", fields=(("n", BIGINT), ("t", VARCHAR)))
SCHEMA = {
    "i": BIGINT, "j": BIGINT, "x": DOUBLE, "y": DOUBLE, "s": VARCHAR, "t": VARCHAR, "b": BOOLEAN,
    "c": BOOLEAN, "d": DATE, "e": DATE, "m": TIMESTAMP, "n": TIMESTAMP, "z": TIMESTAMPTZ,
    "l": BIGINTS, "k": TEXTS, "r": STRUCT,
}  # fmt: skip
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
)
PATTERNS = (
    "a",
    "[a-c]+",
    "^a.*c$",
    r"\d+",
    r"(\w)(\d)?",
    "a|bc",
    r"[^a]",
    r"\bx",
    "é",
    r"(?:ab)+",
    r"a{1,2}?",
    ".",
    r"\s",
    "[0-9-]",
    r"(a)(b)?c?",
)
FULL = tuple(one for one in PATTERNS if one != r"\bx")
LIKES = ("a%", "%b", "_", "%", "a_c%", "É%", "", "%1%2%", "ß_", "10\\%")
ALPHABET = "aAbBcxyz019 .,-+_eE%\\\n\tßéÉİıſσςΣǅŉﬁ😀́ﬀ\u00a0K中Ωω"
SPECIAL_TEXTS = (
    "", " ", "abc", "ABC", "a,b,c", "1", "-7", "+5", " 12 ", "1.5", "2.5", "-2.5", "0.5", "1e3", "15e-1", "1E400", "1e-400",
    "inf", "-Infinity", "nan", "-nan", "+NaN", "0x1F", "0b11", "1_000", "1__0", "_1", "1_", ".5", "5.", ".", "-", "+-1", "1e", "1e+", "00012",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "9223372036854775807.4", "9223372036854775807.5",
    "true", "F", "yes", "tRue", "on", "2024-02-29", "2023-02-29", "2024-1-5", "0001-01-01", "9999-12-31", "2024-02-30", "24-01-01",
    "2024-03-10 02:30:00", "2024-03-10T02:30:00Z", "2024-03-10T02:30:00.123456+05:30", "2016-12-31 23:59:59", "2016-12-31 23:59:60", "2017-01-01T00:00:00-08",
    "2024-03-10 24:00:00", "2024-03-10T02:30", "2024-03-10 02:60:00", "Straße", "İstanbul", "ΑΣ", "e\u0301x", "😀", "1e5.5", "12.5e-1", "1.5e1", "1e5.", "1.5e1.", "+.5", "+inf", "-0", "-0.0", "1e19", "123456789012345678901234567890",
)  # fmt: skip
SPECIAL_INTEGERS = (
    0,
    1,
    -1,
    2,
    3,
    -3,
    7,
    10,
    63,
    64,
    100,
    2**31,
    -(2**31),
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    -(2**63) + 1,
    2**62,
)
SPECIAL_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 0.1, 12.345, 2.675, 1e15, 1e16, 1e17, 1e-5, 1e-7, 5e-324, 1.7976931348623157e308, -1e308, 9.223372036854775e18, 9.223372036854776e18, math.nan, math.inf, -math.inf, 0.49999999999999994, 4503599627370497.5, 710.0, -745.2)  # fmt: skip
SPECIAL_MOMENTS = tuple(
    dt.datetime.fromisoformat(text)
    for text in (
        "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "1970-01-01", "1969-12-31 23:59:59.999999", "2024-03-10 02:30:00", "2024-03-31 02:30:00.5",
        "2024-10-27 02:30:00", "2024-11-03 01:30:00", "2016-12-31 23:59:59", "2017-01-01", "2024-02-29 12:00:00", "2000-02-29 00:00:00.000001", "1900-03-01 00:00:00.1", "2011-12-30 12:00:00", "2024-04-07 01:45:00",
    )
)  # fmt: skip


def value_of(random, kind):
    if random.random() < 0.12:
        return None
    if kind.item is not None:
        return [value_of(random, kind.item) for _ in range(random.randrange(4))]
    if kind.fields:
        return {name: value_of(random, inner) for name, inner in kind.fields}
    return _VALUES[kind.name](random)


def _integer(random):
    if random.random() < 0.4:
        return random.choice(SPECIAL_INTEGERS)
    return random.randrange(-20, 20) if random.random() < 0.7 else random.randrange(-(2**63), 2**63)


def _float(random):
    if random.random() < 0.4:
        return random.choice(SPECIAL_FLOATS)
    return random.choice(
        (
            random.gauss(0, 10),
            round(random.uniform(-100, 100), 2),
            random.uniform(-1, 1) * 10.0 ** random.randrange(-300, 300),
        )
    )


def _text(random):
    if random.random() < 0.5:
        return random.choice(SPECIAL_TEXTS)
    letters = string.digits + "eE.+-_ " if random.random() < 0.3 else ALPHABET
    return "".join(random.choice(letters) for _ in range(random.randrange(8)))


def _moment(random):
    if random.random() < 0.4:
        return random.choice(SPECIAL_MOMENTS)
    low, high = (1, 9999) if random.random() < 0.2 else (1971, 2037)
    start = dt.datetime(low, 1, 1)
    span = int((dt.datetime(high, 12, 31) - start).total_seconds())
    return start + dt.timedelta(
        seconds=random.randrange(span), microseconds=random.choice((0, 0, 1, 999_999, 500_000))
    )


_VALUES = {
    "boolean": lambda random: random.random() < 0.5,
    "bigint": _integer,
    "double": _float,
    "varchar": _text,
    "date": lambda random: _moment(random).date(),
    "timestamp": _moment,
    "timestamptz": lambda random: _moment(random).replace(tzinfo=dt.UTC),
}


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def literal(random, kind):
    value = value_of(random, kind)
    while value is None:
        value = value_of(random, kind)
    match kind:
        case types.BIGINT | types.BOOLEAN:
            return str(value)
        case types.DOUBLE:
            return (
                f"CAST('{value!r}' AS DOUBLE)"
                if not math.isfinite(value) or random.random() < 0.5
                else _pointed(value)
            )
        case types.VARCHAR:
            return quoted(value)
        case types.DATE | types.TIMESTAMP:
            return f"{kind.duckdb} '{value.isoformat()}'"
        case types.TIMESTAMPTZ:
            return f"TIMESTAMPTZ '{value.strftime('%Y').zfill(4)}{value.isoformat()[4:]}'"
    raise AssertionError(kind)


def _pointed(value):
    text = repr(value)
    return text if "." in text or "e" in text else text + ".0"


UNITS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
BETWEEN = tuple(unit for unit in UNITS if unit != "week")
CONSTANTS = {
    "round": lambda random: [str(random.randrange(-18, 20))],
    "lpad": lambda random: [str(random.randrange(12))],
    "rpad": lambda random: [str(random.randrange(12))],
    "one_hot": lambda random: [str(random.randrange(1, 9))],
    "repeat": lambda random: [str(random.randrange(5))],
    "split_part": lambda random: [quoted(random.choice((",", "a", "ab", "é", " ")))],
    "string_split": lambda random: [quoted(random.choice((",", "a", "ab", "é", " ")))],
    "like": lambda random: [quoted(random.choice(LIKES)), quoted("\\")],
    "ilike": lambda random: [quoted(random.choice(LIKES)), quoted("\\")],
    "regexp_matches": lambda random: [quoted(random.choice(PATTERNS))],
    "regexp_full_match": lambda random: [quoted(random.choice(FULL))],
    "regexp_extract": lambda random: [quoted(r"([a-z])(\d)?|é"), str(random.randrange(3))],
    "regexp_replace": lambda random: [quoted(r"([a-c])(\d)?"), quoted(random.choice(("X", r"<\1\2>", r"\0\0", ""))), quoted("g")],
    "regexp_extract_all": lambda random: [quoted(random.choice((r"[a-c]+", r"(\w)(\d)?", "é", ".")))],
    "count_words": lambda random: [quoted('["a", "ab", "é", "it\'s", ""]'), quoted("[1, 0.1, 2, -1e-3, 3]")],
    **dict.fromkeys(("json_text", "json_bigint", "json_double", "json_boolean"), lambda random: [quoted(random.choice(("/a", "/b/a~1b", "/b/0", "/a/1")))]),
    "long_words": lambda random: [str(random.randrange(4))],
    "distinct_words": lambda random: [str(random.randrange(4))],
    "hash_words": lambda random: [quoted("[1, 0.1, 2]")],
    "date_trunc": lambda random: [quoted(random.choice(UNITS))],
    "date_diff": lambda random: [quoted(random.choice(BETWEEN))],
    "datediff": lambda random: [quoted(random.choice(BETWEEN))],
    "timezone": lambda random: [quoted(random.choice(ZONES))],
}  # fmt: skip
INFIX = {"+", "-", "*", "/", "//", "%", "**", "&", "|", "||", "=", "<>", "<", "<=", ">", ">=", "and", "or", "is not distinct from", "is distinct from"}  # fmt: skip
FUNCTIONS = tuple(one for family in FAMILIES for one in family.FUNCTIONS)
FIELDS = (("r.n", BIGINT), ("r['t']", VARCHAR))
KINDS = (BOOLEAN, BIGINT, DOUBLE, VARCHAR, DATE, TIMESTAMP, TIMESTAMPTZ)


class Generator:
    def __init__(self, random, functions=FUNCTIONS):
        self.random = random
        self.functions = functions

    def expression(self, kind, depth):
        draw = self.random.random()
        if depth == 0 or draw < 0.15:
            return self.leaf(kind)
        if draw < 0.22 and kind in KINDS:
            return self.case(kind, depth - 1)
        fitting = [
            one
            for one in self.functions
            if one.gives == kind or (one.gives == ANY and kind in KINDS)
        ]
        if not fitting:
            return self.leaf(kind)
        return self.call(self.random.choice(fitting), kind, depth - 1)

    def leaf(self, kind):
        names = [name for name, known in SCHEMA.items() if known == kind]
        names += [text for text, known in FIELDS if known == kind]
        if kind not in KINDS or (names and self.random.random() < 0.75):
            return self.random.choice(names)
        return literal(self.random, kind)

    def case(self, kind, depth):
        parts = "".join(
            f" WHEN {self.expression(BOOLEAN, depth)} THEN {self.expression(kind, depth)}"
            for _ in range(self.random.randrange(1, 3))
        )
        default = f" ELSE {self.expression(kind, depth)}" if self.random.random() < 0.7 else ""
        return f"CASE{parts}{default} END"

    def call(self, function, kind, depth):
        shared = kind if function.gives == ANY else self.random.choice(KINDS)
        if LIST in function.takes:
            shared = (
                shared if shared in (BIGINT, VARCHAR) else self.random.choice((BIGINT, VARCHAR))
            )
            if function.gives == ANY and kind != shared:
                return self.leaf(kind)
        count = self.random.randrange(3) if function.is_variadic else 0
        takes = function.takes + function.takes[-1:] * count
        constants = (
            iter(CONSTANTS[function.name](self.random)) if function.name in CONSTANTS else iter(())
        )
        given = []
        for place, want in enumerate(takes):
            if place in function.constants and not function.name.startswith("add "):
                given.append(next(constants))
            elif want.item == ANY:
                given.append(self.leaf(Type("list", shared)))
            else:
                given.append(self.expression(shared if want == ANY else want, depth))
        return self.written(function, given)

    def written(self, function, given):
        name = function.name
        if name in INFIX:
            return f"({given[0]} {name} {given[1]})"
        if name in ("like", "ilike"):
            escape = f" ESCAPE {given[2]}" if len(given) == 3 else ""
            return f"({given[0]} {name} {given[1]}{escape})"
        if name.startswith("add "):
            return f"({given[0]} {self.random.choice('+-')} INTERVAL {self.random.choice((1, 3, 40, 5000))} {name[4:]})"
        if name == "in utc":
            return f"timezone('UTC', {given[0]})"
        if name == "cast":
            word = self.random.choice(("CAST", "TRY_CAST"))
            return f"{word}({given[0]} AS {function.gives.duckdb})"
        forms = {
            "negative": "(- {0})", "not": "(NOT {0})", "is null": "({0} IS NULL)", "is not null": "({0} IS NOT NULL)",
            "[]": "{0}[{1}]", "list_value": "[{*}]", "in": "({0} IN ({1*}))",
        }  # fmt: skip
        return fill(forms.get(name, f"{name}({{*}})"), given)


def fill(form, given):
    form = form.replace("{*}", ", ".join(given)).replace("{1*}", ", ".join(given[1:]))
    return form.replace("{0}", given[0] if given else "").replace(
        "{1}", given[1] if len(given) > 1 else ""
    )
