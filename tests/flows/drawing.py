"""Whole flows at random: tables, graphs of any transforms, parameters that mostly fit."""

import datetime as dt
from typing import Literal, get_args, get_origin

import parity
from msgspec import structs

from clary.expressions.types import quoted
from clary.flows import transforms

NAMES = (
    "a", "B", "b c", "é", 'q"t', "it's", "select", "rowid", "input0", "x,y", "a_1", "n\nl", "group",
    "%s", "{0}", "🚀", "source", "place", "at", "number", "count", "df", "made", "column",
    "near", "copy", "size", "low", "value0", "b", "c", "l", "numbered",
)  # fmt: skip
TEXTS = (
    None, "", " ", "a", "A", "b", "ß", "İ", "東京", "i'm \"x\"\n", "12", "-3.5", "1e400", "nan",
    "2024-02-29", "2024-01-31 10:00:00", "true", '{"a": 1, "b": {"c": "x"}}', "[1]", "a b a", "x,y",
)  # fmt: skip
FORMULAS = (
    "{0}", "coalesce({0}, {1})", "CAST({0} AS varchar)", "{0} + {1}", "{0} / {1}", "{0} = {1}",
    "{0} is null", "CASE WHEN {0} > {1} THEN {0} END", "length({0})", "year({0})",
    "lower({0})", "1",
)  # fmt: skip
CONDITIONS = ("{0} is not null", "{0} > {1}", "{0} = {1} or {0} is null", "false", "true")
QUERIES = (
    "SELECT * FROM df", "SELECT {0}, count(*) AS n FROM df GROUP BY 1 ORDER BY 1",
    "SELECT {0} AS same, {1} FROM df WHERE {0} IS NOT NULL", "SELECT 1 AS one",
)  # fmt: skip
VALUES = {
    bool: (True, False),
    int: (0, 1, 2, 3, 5),
    float: (0.0, 0.25, 0.5, 1.0, 2.0),
    str: ("", "a", " ", "b", "0", "x'"),
}
FUNCTIONS = ("count", "count_distinct", "sum", "mean", "min", "max", "median", "std", "var")
KINDS = ("bigint", "double", "varchar", "boolean", "date", "timestamp", "timestamptz")
LISTS = ("bigint[]", "double[]", "varchar[]", "struct(n bigint, t varchar)")
BEGIN = dt.datetime(1999, 12, 30)
APART = {"custom.pandas", "custom.pyspark", "custom.python"}
OPERATORS = tuple(one for one in transforms.catalogue() if one not in APART)
MANY = tuple(one for one in OPERATORS if one.startswith(("combine", "group", "series", "sampling")))


class Drawn:
    """What lots draw: ``lots`` is a ``random.Random``."""

    def __init__(self, lots):
        self.lots = lots

    def one(self, of):
        return self.lots.choice(list(of))

    def often(self, share=0.5):
        return self.lots.random() < share

    def table(self):
        """Draw columns and rows."""
        drawn = self.lots.sample(NAMES, self.lots.randint(1, 6))
        names = {one.lower(): one for one in drawn}.values()  # b and B would be b and B_1
        kinds = [self.one(LISTS if self.often(0.1) else KINDS) for _ in names]
        schema = dict(zip(names, map(parity.type_named, kinds), strict=True))
        return schema, self.rows(schema)

    def rows(self, schema):
        count = self.one((0, 1, 2, 3, 5, 8, 13))
        return [tuple(self.value(kind) for kind in schema.values()) for _ in range(count)]

    def value(self, kind):
        if self.often(0.15):
            return None
        if kind.item is not None:
            return [self.value(kind.item) for _ in range(self.lots.randint(0, 3))]
        if kind.fields:
            return {name: self.value(inner) for name, inner in kind.fields}
        moment = BEGIN + dt.timedelta(hours=self.lots.randint(0, 60))
        return {
            "boolean": self.often,
            "bigint": lambda: self.one((-2, -1, 0, 1, 1, 2, 3, 2**62)),
            "double": lambda: self.one((-1.5, -0.0, 0.0, 0.5, 1.0, 2.25, 1e9, float("nan"))),
            "varchar": lambda: self.one(TEXTS[1:]),
            "date": moment.date,
            "timestamp": lambda: moment,
            "timestamptz": lambda: moment.replace(tzinfo=dt.UTC),
        }[kind.name]()

    def node(self, name, schemas):
        """Draw a node that takes the rows of one or two of the nodes there are."""
        operator = self.one(MANY if self.often(0.4) else OPERATORS)
        kind = transforms.catalogue()[operator]
        count = kind.takes or self.lots.randint(1, 3)
        inputs = [list(schemas)[-1], *(self.one(schemas) for _ in range(count - 1))]
        columns = [schemas[one] for one in inputs]
        with_ = {
            one.encode_name: self._parameter(operator, one, columns)
            for one in structs.fields(kind)
            if one.required or self.often(0.4)
        }
        return {"id": name, "operator": operator, "with": with_, "inputs": inputs}

    def _parameter(self, operator, field, schemas):
        name, [schema, *_] = field.encode_name, schemas
        drawn = getattr(self, f"_{operator.replace('.', '_')}_{name}", None) or getattr(
            self, f"_{name}", None
        )
        return drawn(schemas) if drawn else self._typed(field.type, schema)

    def _typed(self, kind, schema):
        if get_origin(kind) is Literal:
            return self.one(get_args(kind))
        if kind in VALUES:
            return self.one(VALUES[kind])
        inner = [one for one in get_args(kind) if one is not Ellipsis]
        if get_origin(kind) is tuple:
            return [self._typed(inner[0], schema) for _ in range(self.lots.randint(0, 2))]
        return self._typed(self.one(inner), schema) if inner else None

    def _names(self, schemas, *, least=1):
        count = self.lots.randint(least, max(least, min(3, len(schemas[0]))))
        return self.lots.sample(list(schemas[0]), min(count, len(schemas[0])))

    def _name(self, schemas):
        return self.one(schemas[0] or ["none"])

    _columns = _by = _names
    _column = _value = _target = _after = _name

    def _missing_fill_value(self, schemas):
        return self.one((0, 1.5, "x", True, "2024-01-01"))

    def _time(self, schemas):
        times = [
            one
            for one, kind in schemas[0].items()
            if kind.name in ("date", "timestamp", "timestamptz", "bigint")
        ]
        return self.one(times or schemas[0])

    def _keys(self, schemas):
        return self._names(schemas, least=0)

    _stratify = _categories = _keys

    def _output(self, schemas):
        return self.one(("", "new", "made", "rowid", self._name(schemas).upper()))

    def _place(self, schemas):
        return self.one(("", "place", "number"))

    def _aggregates(self, schemas):
        given = {one: [self.one(FUNCTIONS)] for one in self._names(schemas)}
        return {**given, "*": ["count"]} if self.often(0.3) else given

    def _series_resample_aggregates(self, schemas):
        words = (*FUNCTIONS, "first", "last")
        return {one: self.one(words) for one in self._names(schemas)}

    def _functions(self, schemas):
        return [self.one(FUNCTIONS)]

    def _function(self, schemas):
        return self.one(FUNCTIONS)

    def _on(self, schemas):
        if self.often(0.1):
            return []
        left, right = schemas
        pairs = [(one, other) for one in left for other in right if left[one] == right[other]] or [
            (self.one(left), self.one(right))
        ]
        return [list(self.one(pairs)) for _ in range(self.lots.randint(1, 2))]

    def _labels(self, schemas):
        return [f"it's {at}" for at in range(len(schemas))]

    def _indicator(self, schemas):
        return self.one(("", "from", "rowid"))

    def _written(self, texts, schemas):
        names = [quoted(self._name(schemas)) for _ in range(2)]
        return self.one(texts).replace("{0}", names[0]).replace("{1}", names[1])

    def _formula(self, schemas):
        return self._written(FORMULAS, schemas)

    def _condition(self, schemas):
        return self._written(CONDITIONS, schemas)

    def _sql(self, schemas):
        return self._written(QUERIES, schemas)

    def _dialect(self, schemas):
        return "duckdb"

    def _columns_concatenate_output(self, schemas):
        return self.one(("new", self._name(schemas)))

    def _pattern(self, schemas):
        return self.one(("a", "[0-9]+", "(a)|b", "^x", "\\w+", "("))

    def _group(self, schemas):
        return self.one((0, 1, 2))

    def _format(self, schemas):
        return self.one(("", "%Y-%m-%d", "%d/%m/%Y"))

    def _zone(self, schemas):
        return self.one(("UTC", "Europe/Berlin", "Mars"))

    def _start(self, schemas):
        return self.one((0, 1, 2))

    def _end(self, schemas):
        return self.one((None, 1, 3))

    def _series_range_start(self, schemas):
        return self.one(("2024-01-31", "2024-01-31 10:00:00", "soon"))

    def _shares(self, schemas):
        return {"train": 0.5, "test": 0.5}

    def _part(self, schemas):
        return self.one(("train", "test"))

    def _rows(self, schemas):
        return self.one((0, 1, 3, 100))

    def _fraction(self, schemas):
        return self.one((0.0, 0.3, 1.0))

    def _lags(self, schemas):
        return self.one(([1], [1, -1], [0]))

    def _size(self, schemas):
        return self.one((0, 1, 2, 4))

    def _width(self, schemas):
        return self.one((0, 3, 6))

    def _unit(self, schemas):
        return self.one(("hour", "day", "week", "month", "quarter", "year"))
