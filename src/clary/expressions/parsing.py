"""From text to a checked tree: SQLGlot reads it, a closed table says what it may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError, SqlglotError

from clary.expressions import forms
from clary.expressions.registry import call_of
from clary.expressions.tree import Column, Constant, Node
from clary.expressions.types import BIGINT, BOOLEAN, DOUBLE, LARGEST, NULL, VARCHAR
from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clary.expressions.types import Type

LONGEST, DEEPEST, LARGEST_TREE = 20_000, 100, 5_000
"""Characters of an expression; levels and nodes of its tree."""
_Parser = DuckDB.parser_class


class _Language(DuckDB):
    """DuckDB's grammar, every function call left as it is written."""

    INDEX_OFFSET = 0

    class Parser(_Parser):  # type: ignore[misc, valid-type]  # the base is made at run time
        FUNCTIONS: dict[str, Any] = {}  # noqa: RUF012 - SQLGlot's way
        FUNCTION_PARSERS = {  # noqa: RUF012 - SQLGlot's way
            name: _Parser.FUNCTION_PARSERS[name] for name in ("CAST", "TRY_CAST", "EXTRACT")
        }
        NO_PAREN_FUNCTIONS: dict[Any, Any] = {}  # noqa: RUF012 - SQLGlot's way
        NO_PAREN_FUNCTION_PARSERS = {  # noqa: RUF012 - SQLGlot's way
            "CASE": _Parser.NO_PAREN_FUNCTION_PARSERS["CASE"]
        }


def parse_tree(text: str, schema: Mapping[str, Type]) -> Node:
    """Read an expression over columns.

    Raises
    ------
    InvalidInput
        It is no expression, names an unknown column or function, or its types do not fit.
    LimitExceeded
        It is too long or too deep.
    """
    try:
        return _Reader(_by_lower_name(schema)).read(_read(text))
    except RecursionError:
        raise LimitExceeded("the expression is nested too deeply") from None


def check_text(text: str) -> None:
    """See to it that a text is an expression of some columns. Raises as ``parse_tree``."""
    try:
        _read(text)
    except RecursionError:
        raise LimitExceeded("the expression is nested too deeply") from None


def _read(text: str) -> Any:
    if len(text) > LONGEST:
        raise LimitExceeded(f"the expression is over {LONGEST} characters long")
    try:
        found = sqlglot.parse(text, dialect=_Language)
    except SqlglotError as error:
        raise InvalidInput("expression", f"{text[:80]!r}: {_problem(error)}") from None
    if len(found) != 1 or found[0] is None:
        raise InvalidInput("expression", f"{text[:80]!r} is not one expression")
    return found[0]


def _problem(error: SqlglotError) -> str:
    """Say what SQLGlot did not understand, in words that name nothing of its own."""
    if not isinstance(error, ParseError) or not error.errors:
        return "a quote is open, or a character means nothing here"
    first = error.errors[0]
    said, near = first["description"], first["highlight"]
    if said.startswith("Required keyword"):
        said = f"something is missing after {near!r}"
    elif "Unexpected token" in said:
        said = f"{near!r} does not fit there"
    return f"{said} (line {first['line']}, column {first['col']})"


def _by_lower_name(schema: Mapping[str, Type]) -> dict[str, tuple[str, Type]]:
    found: dict[str, tuple[str, Type]] = {}
    for name, kind in schema.items():
        if name.lower() in found:
            raise InvalidInput("schema", f"two columns are called {name}, but for the case")
        found[name.lower()] = (name, kind)
    return found


class _Reader:
    def __init__(self, schema: Mapping[str, tuple[str, Type]]) -> None:
        self._schema = schema

    def read(self, node: Any) -> Node:
        reader, members = _READERS.get(type(node), (None, ()))
        extra = [name for name, value in node.args.items() if value and name not in members]
        if reader is None or extra:
            word = type(node).__name__.lower() + (f" with {extra[0]}" if reader else "")
            raise InvalidInput(
                "expression",
                f"{_shown(node)}: {word} is not part of this language",
                legal="operators, CASE, CAST, and the functions of the reference",
            )
        made = reader(self, node)
        if made.depth > DEEPEST or made.size > LARGEST_TREE:
            raise LimitExceeded(
                f"the expression is over {DEEPEST} levels deep or {LARGEST_TREE} nodes large"
            )
        return made

    def column(self, node: exp.Column) -> Node:
        if node.args.get("table"):
            return forms.field(self._named(node.table), Constant(node.name, VARCHAR))
        return self._named(node.name)

    def _named(self, name: str) -> Node:
        found = self._schema.get(name.lower())
        if found is None:
            known = ", ".join(shown for shown, _ in self._schema.values())
            raise InvalidInput("expression", f"there is no column {name}", legal=known or "none")
        return Column(*found)

    def literal(self, node: exp.Literal) -> Node:
        word = str(node.this)
        if node.is_string:
            if "\0" in word:
                raise InvalidInput("expression", "a text holds the character 0")
            return Constant(word, VARCHAR)
        if word.isdigit():
            return forms.whole_number(int(word))
        return Constant(float(word), DOUBLE)

    def negative(self, node: exp.Neg) -> Node:
        inner = node.this
        if isinstance(inner, exp.Literal) and not inner.is_string:
            word = str(inner.this)
            if word == str(LARGEST + 1):
                return Constant(-LARGEST - 1, BIGINT)
        value = self.read(inner)
        if (
            isinstance(value, Constant)
            and value.type in (BIGINT, DOUBLE)
            and value.value is not None
        ):
            return Constant(-value.value, value.type)
        return call_of("negative", [value])

    def operator(self, node: exp.Binary) -> Node:
        name = _OPERATORS[type(node)]
        left, right = node.this, node.expression
        if isinstance(right, exp.Interval):
            return forms.shifted(name, self.read(left), right)
        return call_of(name, [self.read(left), self.read(right)])

    def function(self, node: exp.Anonymous) -> Node:
        return forms.called(str(node.this).lower(), [self.read(one) for one in node.expressions])

    def cast(self, node: exp.Cast) -> Node:
        return forms.cast(
            self.read(node.this), forms.target(node), tries=isinstance(node, exp.TryCast)
        )

    def case(self, node: exp.Case) -> Node:
        subject = self.read(node.this) if node.this else None
        arguments: list[Node] = []
        for branch in node.args["ifs"]:
            when = self.read(branch.this)
            arguments += [
                when if subject is None else call_of("=", [subject, when]),
                self.read(branch.args["true"]),
            ]
        default = node.args.get("default")
        return forms.case([*arguments, self.read(default) if default else Constant(None, NULL)])

    def among(self, node: exp.In) -> Node:
        return call_of("in", [self.read(node.this), *map(self.read, node.expressions)])

    def between(self, node: exp.Between) -> Node:
        value = self.read(node.this)
        low, high = self.read(node.args["low"]), self.read(node.args["high"])
        return call_of("and", [call_of(">=", [value, low]), call_of("<=", [value, high])])

    def test(self, node: exp.Is) -> Node:
        value, wanted = self.read(node.this), node.expression
        if isinstance(wanted, exp.Null):
            return forms.is_null(value)
        return call_of("is not distinct from", [value, self.read(wanted)])

    def negation(self, node: exp.Not) -> Node:
        inner = node.this
        if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
            return forms.is_null(self.read(inner.this), negated=True)
        return call_of("not", [self.read(inner)])

    def like(self, node: exp.Binary) -> Node:
        name = "ilike" if isinstance(node, exp.ILike) else "like"
        made = call_of(name, [self.read(node.this), self.read(node.expression)])
        return call_of("not", [made]) if node.args.get("negate") else made

    def escape(self, node: exp.Escape) -> Node:
        inner = node.this
        if not isinstance(inner, exp.Like | exp.ILike) or inner.args.get("negate"):
            raise InvalidInput("expression", "ESCAPE belongs to LIKE")
        name = "ilike" if isinstance(inner, exp.ILike) else "like"
        parts = (inner.this, inner.expression, node.expression)
        return call_of(name, [self.read(one) for one in parts])

    def item(self, node: exp.Bracket) -> Node:
        if len(node.expressions) != 1:
            raise InvalidInput("expression", f"{_shown(node)}: one index is needed")
        value, index = self.read(node.this), self.read(node.expressions[0])
        return forms.field(value, index) if value.type.fields else call_of("[]", [value, index])

    def items(self, node: exp.Array) -> Node:
        if not node.expressions:
            raise InvalidInput("expression", "[] has no type; an empty list is not a constant")
        return call_of("list_value", [self.read(one) for one in node.expressions])

    def zone(self, node: exp.AtTimeZone) -> Node:
        return forms.at_zone(self.read(node.args["zone"]), self.read(node.this))

    def extract(self, node: exp.Extract) -> Node:
        return forms.part(node.name.lower(), self.read(node.expression))


def _shown(node: Any) -> str:
    return str(node.sql(dialect="duckdb"))[:80]


_OPERATORS: dict[type, str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.IntDiv: "//",
    exp.Mod: "%",
    exp.Pow: "**",
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.And: "and",
    exp.Or: "or",
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.DPipe: "||",
    exp.NullSafeEQ: "is not distinct from",
    exp.NullSafeNEQ: "is distinct from",
}
_TWO = ("this", "expression", "typed", "safe")
_READERS: dict[type, tuple[Callable[[_Reader, Any], Node], tuple[str, ...]]] = {
    **dict.fromkeys(_OPERATORS, (_Reader.operator, _TWO)),
    exp.Column: (_Reader.column, ("this", "table")),
    exp.Literal: (_Reader.literal, ("this", "is_string")),
    exp.Boolean: (lambda _, node: Constant(bool(node.this), BOOLEAN), ("this",)),
    exp.Null: (lambda _, __: Constant(None, NULL), ()),
    exp.Paren: (lambda reader, node: reader.read(node.this), ("this",)),
    exp.Neg: (_Reader.negative, ("this",)),
    exp.Not: (_Reader.negation, ("this",)),
    exp.Anonymous: (_Reader.function, ("this", "expressions")),
    exp.Cast: (_Reader.cast, ("this", "to")),
    exp.TryCast: (_Reader.cast, ("this", "to", "safe")),
    exp.Case: (_Reader.case, ("this", "ifs", "default")),
    exp.In: (_Reader.among, ("this", "expressions")),
    exp.Between: (_Reader.between, ("this", "low", "high")),
    exp.Is: (_Reader.test, ("this", "expression")),
    exp.Like: (_Reader.like, ("this", "expression", "negate")),
    exp.ILike: (_Reader.like, ("this", "expression", "negate")),
    exp.Escape: (_Reader.escape, ("this", "expression")),
    exp.Bracket: (_Reader.item, ("this", "expressions")),
    exp.Array: (_Reader.items, ("expressions",)),
    exp.AtTimeZone: (_Reader.zone, ("this", "zone")),
    exp.Extract: (_Reader.extract, ("this", "expression")),
}
