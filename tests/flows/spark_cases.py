# ruff: noqa: E501, RUF001 - tables of awkward values, on purpose
"""Every transform in its variants, over one table of awkward values: what Spark is to agree on."""

import datetime as dt
import math
import random
import string

ROWS = {
    "id": "bigint", "n": "bigint", "m": "bigint", "x": "double", "y": "double", "text": "varchar",
    "word": "varchar", "code": "varchar", "json": "varchar", "flag": "boolean", "day": "date",
    "seen": "timestamp", "at": "timestamptz", "vector": "double[]", "tags": "varchar[]",
    "place": "struct(lon double, name varchar)", 'a `"b': "bigint",
}  # fmt: skip
NAMES = {"word": "varchar", "id": "bigint", "land": "varchar", "x": "double"}
TEXTS = (
    None, "", " ", "a", "  padded\t", "straße", "ΑΣ", "İstanbul ı", "東京 Tower", "i'm \"x\"\n", "a,b,,c", "x-y_z",
    "\\1 $2 {3}", "😀 smile", "ǅ ŉ ﬁ", "A1b2", "foo@example.org", "https://example.org/a?b", "\u00a0nbsp\u3000", "1.5",
    "word word two", "(left)[in]{out}", "a%b_c", "\x1f", "e\u0301", "été", "$5", "aXbXc", "ABC", "abc", "\r\nline", "x" * 40,
)  # fmt: skip
CODES = (
    None, "", "1", "-7", "+5", " 12 ", "1.5", "2.5", "-2.5", "1e3", "15e-1", "1E400", "1_000", "0x1F", "inf", "-Infinity",
    "nan", "NaN", "true", "F", "yes", "no", "t", "y", "2024-02-29", "2023-02-29", "2024-1-5", "2024-02-29 12:30:45",
    "2024-02-29T12:30:45.123456Z", "2024-02-29 25:00:00", "9223372036854775807", "9223372036854775808", "007", "abc", ".5",
    "5.", "-", ".", "1d", "1f", "1L", " 1", "1e", "e5", "1e5", "0001-01-01", "9999-12-31", "12:30", "N/A", "none", "05/03/2021",
    "13/02/2020", "Feb 3, 2021", "3 March 2020", "20210203", "1,000", "½", "١",
)  # fmt: skip
JSONS = (
    None, "", "{}", '{"a": 1, "b": {"c": "x"}, "d": true}', '{"a": 2.5, "b": {"c": null}}', "[1, 2]",
    '{"a": "7", "d": false}', "no json",
)  # fmt: skip
NUMBERS = (None, math.nan, math.inf, -math.inf, 0.0, -0.0, 0.5, -2.5, 1e-300, 1e300, 2.0**53, 3.0)
WORDS = (None, "red", "red", "red", "green", "green", "blue", "a'b", "dark blue", "\\n{0}")
_PRINTABLE = string.printable + "éßΣ東😀"


def rows(count=300, seed=11):
    """Draw rows of the table; ``id`` tells one from another."""
    lots = random.Random(seed)
    begin = dt.datetime(1900, 1, 1)
    made = []
    for number in range(count):
        moment = begin + dt.timedelta(microseconds=lots.randrange(7 * 10**15))
        short = "".join(lots.choices(_PRINTABLE, k=lots.randrange(9)))
        made.append((
            number,
            lots.choice([None, 0, 1, -1, 2**62, -(2**62), lots.randint(-50, 50)]),
            lots.choice([None, lots.randint(-9, 9)]),
            lots.choice([*NUMBERS, *(lots.uniform(-1e4, 1e4) for _ in range(9))]),
            lots.choice([None, lots.uniform(-3, 3), lots.randint(-9, 9) / 2]),
            lots.choice([*TEXTS, *[short] * 9]),
            lots.choice(WORDS),
            lots.choice(CODES),
            lots.choice(JSONS),
            lots.choice([None, True, False]),
            lots.choice([None, moment.date()]),
            lots.choice([None, moment, moment.replace(microsecond=0)]),
            lots.choice([None, moment.replace(tzinfo=dt.UTC)]),
            lots.choice([None, [], [1.0], [math.nan, -0.0], [lots.uniform(-5, 5)] * 3]),
            lots.choice([None, [], ["a"], ["a", None, "b"]]),
            lots.choice([None, {"lon": lots.uniform(-9, 9), "name": lots.choice(TEXTS)}]),
            lots.choice([None, lots.randint(0, 3)]),
        ))  # fmt: skip
    return made


def ticks(count=120, seed=5):
    """Draw rows of series whose times are all different."""
    lots = random.Random(seed)
    begin = dt.datetime(2020, 1, 1)
    return [
        (begin + dt.timedelta(hours=7 * at), lots.choice(("a", "b", None)), lots.choice((None, math.nan, lots.uniform(-5, 5))), at)
        for at in lots.sample(range(count), count)
    ]  # fmt: skip


NAMED = [
    ("red", 1, "Rome", 0.5),
    ("green", 2, None, math.nan),
    ("green", 3, "Oslo", -0.0),
    (None, 4, "none", None),
    ("other", None, "x", 0.0),
]
TICKS = {"when": "timestamp", "key": "varchar", "x": "double", "n": "bigint"}
SOURCES = {"rows": (ROWS, rows()), "names": (NAMES, NAMED), "ticks": (TICKS, ticks())}


def _texts(operator, *withs, columns=("text", "word")):
    return [(operator, {"columns": list(columns), **one}) for one in withs]


def _numbers(operator, *withs, columns=("n", "x", "y")):
    return [(operator, {"columns": list(columns), **one}) for one in withs]


CASES = [
    *(("balance." + one, {"column": "word"}) for one in ("oversample", "smote", "undersample")),
    ("columns.concatenate", {"columns": ["text", "n", "flag"], "output": "o", "separator": "-'"}),
    ("columns.drop", {"columns": ["text", 'a `"b']}),
    ("columns.duplicate", {"column": 'a `"b', "output": "copy"}),
    *(
        ("columns.formula", {"formula": one, "output": "o"})
        for one in (
            "coalesce(x, 0.5) * 2", "n % 7", "x % y", "m // nullif(id % 3, 0)", "year(seen)", "x / y", "round(y)",
            "round(y, 1)", "trunc(y)", "substring(text, 2, 3)", "substring(text, -3, 2)", "left(text, 2)", "right(text, -1)", "right(text, m)", "min_hash(word, 2)", "left(text, m)", "substring(text, m, n)",
            "split_part(text, ',', 2)", "string_split(text, ' ')[1]", "tags[1]", "tags[-1]", "list_contains(tags, 'a')",
            "text LIKE 'a%b\\_c'", "text ILIKE 'A%'", "text LIKE '_'", "day + 3", "date_diff('day', day, seen)",
            "date_diff('month', day, seen)", "epoch(seen)", "epoch_ms(seen)", "seen + INTERVAL 2 MONTH", "seen + INTERVAL 90 MINUTE",
            "date_trunc('week', seen)", "date_trunc('quarter', seen)", "CAST(x AS BIGINT)", "TRY_CAST(code AS DOUBLE)",
            "TRY_CAST(code AS BIGINT)", "TRY_CAST(code AS BOOLEAN)", "TRY_CAST(code AS TIMESTAMP)", "TRY_CAST(code AS DATE)",
            "TRY_CAST(x AS BIGINT)", "CAST(x AS VARCHAR)", "CAST(seen AS VARCHAR)", "CAST(day AS VARCHAR)",
            "ln(abs(y) + 1)", "log10(x)", "log2(x)", "sign(x)", "atan2(y, 2.0)", "make_timestamp(id * 1000000)", "timezone('UTC', at)",
            "concat(text, word)", "concat_ws('-', text, word)", "ascii(text)", "chr(id + 60)", "text || '!'", "place.lon",
            "lpad(text, 5, 'ab')", "rpad(text, 5, 'ab')", "trim(text)", "ltrim(text)", "rtrim(text, 'x')", "instr(text, 'b')",
            "one_hot(id % 4, 4)", "one_hot(m, 3)", "md5(text)", "sha1(text)", "sha256(text)", "isfinite(x)", "greatest(x, y)", "least(x, y)", "nullif(x, 0.0)",
            "x = y", "x < y", "x IN (0.5, 3.0)", "week(day)", "isodow(day)", "dayofyear(seen)", "last_day(day)", "hour(seen)",
            "millisecond(seen)", "microsecond(seen)", "replace(text, 'b', '')", "repeat(word, 2)", "starts_with(text, 'a')",
            "sqrt(y)", "exp(y)", "floor(x)", "ceil(x)", "power(y, 2.0)", "cbrt(y)", "abs(x)", "upper(text)", "lower(text)",
            "CASE WHEN n > 0 THEN 'p' WHEN n < 0 THEN 'm' ELSE NULL END", "length(text)", "length(tags)", "day - DATE '2000-01-01'",
        )
    ),
    ("columns.formula", {"formula": "if(isnull(n), -1, n % 3)", "output": "o", "dialect": "spark"}),
    ("columns.move", {"columns": ["text"]}),
    ("columns.rename", {"column": "text", "output": "told"}),
    ("combine.concatenate", {}),
    ("combine.concatenate", {"distinct": True}),
    ("combine.concatenate", {"indicator": "from", "labels": ["rows", "names"]}),
    *(
        ("combine.join", {"on": ["word"], "how": how})
        for how in ("inner", "left", "right", "full", "left_anti", "left_semi")
    ),
    ("combine.join", {"on": ["x"]}),
    ("combine.join", {"on": [["n", "id"], "word"], "how": "left"}),
    ("combine.join", {"how": "cross"}),
    ("custom.sql", {"sql": "SELECT word, sum(m) AS total FROM df GROUP BY word"}),
    ("dates.featurize", {"column": "seen"}),
    ("dates.featurize", {"column": "at", "embedding": "cyclic", "parts": ["month", "hour"]}),
    ("dates.featurize", {"column": "day", "style": "vector", "parts": ["year", "day_of_week"]}),
    ("dates.parse", {"column": "code", "format": "%d/%m/%Y"}),
    ("dates.parse", {"column": "code", "format": "%b %d, %Y"}),
    ("dates.parse", {"column": "code", "format": "%Y-%m-%d %H:%M:%S"}),
    ("dates.parse", {"column": "code", "to": "date", "format": "iso"}),
    ("dates.parse", {"column": "id"}),
    ("encode.one_hot", {"column": "word"}),
    ("encode.one_hot", {"column": "word", "style": "vector", "unseen": "skip"}),
    ("encode.one_hot", {"column": "word", "drop_last": True, "output": "n"}),
    ("encode.ordinal", {"column": "word"}),
    ("encode.ordinal", {"column": "m", "unseen": "nan"}),
    ("encode.ordinal", {"column": "word", "unseen": "error"}),
    ("encode.similarity", {"columns": ["text"], "dimensions": 3}),
    ("encode.similarity", {"columns": ["word"], "dimensions": 2, "style": "columns"}),
    ("encode.target", {"columns": ["word"], "target": "y"}),
    ("encode.target", {"columns": ["word", "m"], "target": "flag"}),
    (
        "group.aggregate",
        {"by": ["word"], "aggregates": {"*": ["count"], "m": ["count", "count_distinct", "sum", "mean", "min", "max", "median", "std", "var"]}},
    ),
    ("group.aggregate", {"by": ["word", "flag"], "aggregates": {"y": ["sum", "mean", "min", "max", "median", "std", "var"]}}),
    ("group.aggregate", {"by": ["x"], "aggregates": {"text": ["min", "max", "count_distinct"], "x": ["count_distinct"], "seen": ["max"]}}),
    ("group.aggregate", {"by": [], "aggregates": {"y": ["std"], "*": ["count"]}}),
    ("group.pivot", {"by": ["m"], "column": "word", "value": "y"}),
    ("group.pivot", {"by": ["m"], "column": "flag", "value": "text", "function": "max"}),
    ("missing.drop", {}),
    ("missing.drop", {"columns": ["x", "text"], "how": "all"}),
    ("missing.drop_columns", {"above": 0.2}),
    ("missing.fill", {"columns": ["x", "n"], "value": 7}),
    ("missing.fill", {"columns": ["text"], "value": "it's \\ none"}),
    ("missing.fill", {"columns": ["seen"], "value": "2020-01-01 00:00:00"}),
    *(_numbers("missing.impute", {}, {"strategy": "median"}, columns=("y", "m"))),
    ("missing.impute", {"columns": ["word", "flag", "day", "seen"], "strategy": "mode"}),
    ("missing.indicator", {"columns": ["x", "text"]}),
    ("nested.explode", {"column": "tags"}),
    ("nested.explode", {"column": "vector", "output": "one", "place": "at"}),
    ("nested.flatten", {"column": "json"}),
    ("nested.flatten", {"column": "place"}),
    *_numbers("numeric.max_abs", {}, columns=("x", "y")),
    *_numbers("numeric.min_max", {"minimum": -1.0, "maximum": 2.0}, columns=("m", "y")),
    *_numbers("numeric.robust", {}, {"center": False}, columns=("m", "y")),
    *_numbers("numeric.standard", {}, {"scale": False}, columns=("n", "m", "y")),
    *_numbers("outliers.min_max", *({"lower": -1.0, "upper": 2.5, "fix": one} for one in ("clip", "remove", "invalidate"))),
    *_numbers("outliers.quantile", {"lower": 0.1, "upper": 0.9}, columns=("y",)),
    ("outliers.rare", {"columns": ["word", "m"], "count": 30}),
    *_numbers("outliers.robust", {"deviations": 1.0, "fix": "remove"}, columns=("y",)),
    *_numbers("outliers.standard_deviation", {"deviations": 1.0}, columns=("m", "y")),
    *(
        ("parse.cast", {"columns": ["code"], "to": to, "invalid": invalid})
        for to in ("long", "float", "boolean", "date", "timestamp")
        for invalid in ("null", "drop")
    ),
    ("parse.cast", {"columns": ["x"], "to": "long"}),
    ("parse.cast", {"columns": ["x", "n", "day"], "to": "string"}),
    ("parse.cast", {"columns": ["code"], "to": "long", "invalid": "fill", "fill": "-1"}),
    ("parse.cast", {"columns": ["code"], "to": "long", "invalid": "error"}),
    ("parse.infer", {}),
    ("rows.drop_duplicates", {}),
    ("rows.drop_duplicates", {"columns": ["word"]}),
    ("rows.drop_empty", {}),
    ("rows.filter", {"condition": "n is null or x > -3 and not (word = 'red')"}),
    ("rows.shuffle", {}),
    ("rows.sort", {"columns": ["word", "x"]}),
    ("rows.sort", {"columns": ["y"], "descending": True}),
    ("sampling.limit", {"rows": 3}),
    ("sampling.sample", {"fraction": 0.5}),
    ("sampling.sample", {"fraction": 0.4, "key": ["id", "word"], "seed": 3}),
    ("sampling.sample", {"rows": 5, "stratify": ["word"]}),
    *(
        ("sampling.split", {"part": "a", "shares": {"a": 0.6, "b": 0.4}, "by": by, "columns": ["id"] if by == "ordered" else ["word"]})
        for by in ("random", "ordered", "stratified", "key")
    ),
    *_texts("search.extract_between", {"left": "(", "right": ")"}, {"left": "a", "right": "b"}),
    *_texts("search.extract_pattern", {"pattern": r"(\w+)[ ,](\w)?", "group": 1}, {"pattern": "[a-c]+|$"}, {"pattern": r"\d+\b"}),
    *_texts("search.extract_position", {"start": 1, "end": 4}, {"start": 2}),
    *_texts("search.find", {"text": "b"}, {"text": "word", "start": 2, "end": 30, "from_right": True}),
    *_texts("search.matches", {"pattern": "^.$"}, {"pattern": r"[^a-z\s]"}, {"pattern": "a.c$"}, {"pattern": r"\W\D?\S{1,2}"}),
    *_texts("search.pattern_to_missing", {"pattern": r"\d"}),
    *_texts("search.replace", {"old": "b", "new": "$1\\"}, {"old": "", "new": "x"}),
    *_texts("search.replace_pattern", {"pattern": r"(\w)(\d)", "new": r"\2\1$0"}, {"pattern": "[^a-z]", "new": ""}),
    ("search.split", {"column": "text", "parts": 2}),
    ("search.split", {"column": "text", "delimiter": r"[\s,]+", "is_pattern": True, "output": "parts"}),
    ("series.extract_features", {"time": "when", "columns": ["x"], "keys": ["key"]}),
    *(
        ("series.fill", {"time": "when", "columns": ["x"], "keys": ["key"], "how": one})
        for one in ("forward", "backward", "interpolate")
    ),
    ("series.gather", {"time": "when", "keys": ["key"]}),
    ("series.lag", {"time": "when", "columns": ["x", "key"], "lags": [1, -2]}),
    ("series.range", {"output": "o", "start": "2020-01-01"}),
    ("series.resample", {"time": "when", "keys": ["key"], "unit": "day", "aggregates": {"x": "mean"}}),
    ("series.resample", {"time": "when", "unit": "month", "aggregates": {"x": "last"}, "fills_gaps": False}),
    ("series.rolling", {"time": "when", "columns": ["n"], "keys": ["key"], "functions": ["sum", "mean", "max", "count"]}),
    ("series.rolling", {"time": "when", "columns": ["n"], "functions": ["sum", "min"], "unit": "day"}),
    ("series.rolling", {"time": "when", "columns": ["n"], "functions": ["std"], "unit": "month"}),
    ("series.rolling", {"time": "day", "columns": ["m"], "functions": ["count"], "unit": "week", "size": 99}),
    ("series.rolling", {"time": "when", "columns": ["n"], "functions": ["median"]}),
    ("series.standardize_length", {"columns": ["vector"]}),
    ("series.validate_times", {"time": "when"}),
    *_texts("strings.affix", {"prefix": "é'", "suffix": '"\\'}, columns=("text", "n")),
    *_texts("strings.case", *({"to": one} for one in ("lower", "upper", "capitalize", "swap"))),
    *_texts("strings.pad", {"width": 5, "fill": "ab"}, {"width": 7, "side": "right"}),
    *_texts("strings.prepend_zeros", {"width": 4}, columns=("text", "n")),
    *_texts("strings.remove_symbols", {}),
    *_texts("strings.strip", {}, {"characters": "ax]", "side": "left"}, {"characters": "c😀", "side": "right"}),
    ("text.statistics", {"column": "text"}),
    ("text.vectorize", {"column": "text"}),
    ("text.vectorize", {"column": "text", "by": "hash", "size": 4, "weighs": False}),
    *(
        ("validate.string", {"columns": ["text", "code"], "test": one})
        for one in ("alphabetic", "alphanumeric", "ascii", "digits", "whole_number", "number", "date", "lower", "upper", "blank", "email", "url")
    ),
    ("vectors.assemble", {"columns": ["x", "m", "vector"], "output": "o"}),
    ("vectors.assemble", {"columns": ["x", "flag"], "output": "o", "missing": "keep"}),
    ("vectors.flatten", {"column": "vector", "size": 3}),
    ("vectors.principal_components", {"columns": ["m", "y"], "output": "o"}),
]  # fmt: skip


def document(operator, with_):
    """Write the flow of a case."""
    inputs = ["rows", "names"] if operator.startswith("combine.") else ["rows"]
    inputs = ["ticks"] if with_.get("time") == "when" else inputs
    sources = [{"id": one, "operator": "source"} for one in inputs]
    node = {"id": "made", "operator": operator, "with": with_, "inputs": inputs}
    return {"nodes": [*sources, node]}
