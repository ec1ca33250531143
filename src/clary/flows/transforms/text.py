"""Texts as numbers: what letters they are of, and which words."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, ClassVar, Literal

from clary.expressions import BIGINT, VARCHAR, Expression, Term, col, fn, parse, when
from clary.expressions.functions.words import MOST
from clary.expressions.registry import call_of
from clary.expressions.tree import Constant
from clary.flows.graphs import free
from clary.flows.steps import edit
from clary.flows.transform import Transform, column
from clary.flows.transforms.queries import fresh
from clary.flows.transforms.search import divided
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.flows.steps import Schema, Step
    from clary.flows.transform import Ask, State

_UPPER = "A-ZÀ-ÖØ-ÞΑ-ΫЀ-Я"
_LOWER = "a-zß-öø-ÿα-ώа-џ"
_CLASSES = {
    "uppercase_ratio": f"[^{_UPPER}]+",
    "lowercase_ratio": f"[^{_LOWER}]+",
    "digit_ratio": r"\D+",
    "special_ratio": rf"[\d\s{_UPPER}{_LOWER}]+",
}
_MOST_COLUMNS = 1000


class Statistics(Transform, frozen=True):
    """Tell of texts how many words and characters they have, and of which kinds.

    ``column_words``, ``_characters``, and the shares of ``_uppercase_ratio``, ``_lowercase_ratio``,
    ``_digit_ratio`` and ``_special_ratio`` (neither letter, digit nor blank). Letters are Latin,
    Greek and Cyrillic. Shares of the empty text are 0.
    """

    operator: ClassVar[str] = "text.statistics"
    column: str
    output: str = ""

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:  # noqa: ARG002
        """Count what is left when all else is removed."""
        [schema] = schemas
        name = column(schema, self.column, VARCHAR)
        text, start = col(name), self.output or name
        words = fn("regexp_replace", fn("regexp_replace", text, r"\S+", "w", "g"), r"\s+", "", "g")
        size = fn("length", text)
        made = {f"{start}_words": fn("length", words), f"{start}_characters": size}
        for kind, others in _CLASSES.items():
            count = fn("length", fn("regexp_replace", text, others, "", "g"))
            share = when(size > 0).then(count / size).when(size == 0).then(0.0).otherwise(None)
            made[f"{start}_{kind}"] = share
        return (edit(schema, {one: str(term) for one, term in made.items()}),)


class Vectorize(Transform, frozen=True):
    """Make a vector of the words of a text: how often it has each.

    Parameters
    ----------
    column
        The text; a missing one gives zeros.
    output
        The name of the vector, or what the names of columns begin with; empty: the column's own.
    pattern
        What stands between words, or, with ``matches_words``, what words are.
    lowercase, least_length
        Write words in lower case; leave out those of fewer letters.
    by
        ``count``: the words that are in the most texts, learned; ``hash``: every word, by which of
        so many numbers its MD5 gives, modulo.
    size
        The most words, 1 to 10,000, or how many numbers.
    least_texts
        In how many texts a word must be at least, or, below 1, in what share.
    is_binary
        Count a word once.
    weighs
        Multiply by ln((n + 1) / (m + 1)) of a word that m of n texts have (IDF), learned.
    style
        One vector, or a column each, ``column_word``; those are at most 1,000.
    """

    operator: ClassVar[str] = "text.vectorize"
    learns: ClassVar[bool] = True
    column: str
    output: str = ""
    pattern: str = r"\s+"
    matches_words: bool = False
    lowercase: bool = True
    least_length: int = 1
    by: Literal["count", "hash"] = "count"
    size: int = 1000
    least_texts: float = 1
    is_binary: bool = False
    weighs: bool = True
    style: Literal["vector", "columns"] = "vector"

    def fit(self, schemas: Sequence[Schema], ask: Ask) -> State:
        """Learn the words, and in how many texts they, or their numbers, are."""
        [schema] = schemas
        words, row = parse(self._words(schema), schema).sql(), fresh(schema, "row")
        if not 1 <= self.size <= MOST:
            raise InvalidInput("size", f"{self.size}", legal=f"1 … {MOST}")
        [[rows]] = ask("SELECT count(*) FROM input0")
        if self.by == "hash" and not self.weighs:
            return {"texts": rows}
        word = "w"
        if self.by == "hash":
            word = f"CAST('0x' || left(md5(w), 8) AS BIGINT) % {self.size}"
        least = self.least_texts * rows if self.least_texts < 1 else self.least_texts
        found = ask(
            f"SELECT word, count(*) AS texts FROM (SELECT DISTINCT {word} AS word, {row} FROM "  # noqa: S608 a checked expression
            f"(SELECT unnest({words}) AS w, {row} FROM "
            f"(SELECT *, row_number() OVER () AS {row} FROM input0)) "
            f"WHERE length(w) >= {max(self.least_length, 1)}) GROUP BY word "
            f"HAVING texts >= {float(least)!r} ORDER BY texts DESC, word LIMIT {self.size}"
        )
        return {
            "texts": rows,
            "words": [one[0] for one in found],
            "counts": [one[1] for one in found],
        }

    def steps(self, schemas: Sequence[Schema], state: State) -> tuple[Step, ...]:
        """Split the text into words, and count them."""
        [schema] = schemas
        name = column(schema, self.column, VARCHAR)
        start = self.output or name
        words = parse(self._words(schema), schema)
        vector = self._counted(words, state)
        if self.style == "vector":
            return (edit(schema, {start: vector}),)
        ends = state["words"] if self.by == "count" else range(self.size)
        if len(ends) > _MOST_COLUMNS:
            legal = f"at most {_MOST_COLUMNS}"
            raise InvalidInput("size", f"{len(ends)} columns", legal=legal)
        names = [f"{start}_{one}" for one in ends]
        held = free(f"{start}_words", {*schema, *names})
        first = edit(schema, {held: vector})
        parts = {one: str(col(held)[at + 1]) for at, one in enumerate(names)}
        return (first, edit(first.schema(schema), {**parts, held: None}))

    def _words(self, schema: Schema) -> Term:
        """Split a text; a missing one has no words."""
        text = col(column(schema, self.column, VARCHAR)).otherwise("")
        text = fn("lower", text) if self.lowercase else text
        if self.matches_words:
            return fn("regexp_extract_all", text, self.pattern)
        return divided(text, self.pattern, is_pattern=True)

    def _counted(self, words: Expression, state: State) -> Expression:
        names = state.get("words", [])
        texts = dict(zip(names, state.get("counts", []), strict=True))
        if self.by == "hash":
            names = list(range(self.size))
        elif not names:
            raise InvalidInput("column", f"no word of {self.column!r} is in enough texts")
        weights = [self._weight(state["texts"], texts.get(one, 0)) for one in names]
        told = json.dumps(weights)
        given = [told] if self.by == "hash" else [json.dumps(names, ensure_ascii=False), told]
        call = "hash_words" if self.by == "hash" else "count_words"
        kept = [words.tree, Constant(max(self.least_length, 1), BIGINT)]
        chosen = call_of("distinct_words" if self.is_binary else "long_words", kept)
        tree = call_of(call, [chosen, *(Constant(one, VARCHAR) for one in given)])
        return Expression(f"{call}({words.text}, {given})", tree)

    def _weight(self, texts: int, having: int) -> float:
        return math.log((texts + 1) / (having + 1)) if self.weighs else 1.0
