# written by tools/flow_methods.py; do not edit
"""Transforms of the group ``text``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.doors.python.flow_methods.chain import Chain

if TYPE_CHECKING:
    from typing import Literal, Self


class Text(Chain):
    """Transforms of this group."""

    def text_statistics(self, column: str, *, output: str = "") -> Self:
        """Tell of texts how many words and characters they have, and of which kinds.

        ``column_words``, ``_characters``, and the shares of ``_uppercase_ratio``, ``_lowercase_ratio``,
        ``_digit_ratio`` and ``_special_ratio`` (neither letter, digit nor blank). Letters are Latin,
        Greek and Cyrillic. Shares of the empty text are 0.
        """
        return self._then("text.statistics", {"column": column, "output": output})

    def vectorize(
        self,
        column: str,
        *,
        output: str = "",
        pattern: str = "\\s+",
        matches_words: bool = False,
        lowercase: bool = True,
        least_length: int = 1,
        by: Literal["count", "hash"] = "count",
        size: int = 1000,
        least_texts: float = 1,
        is_binary: bool = False,
        weighs: bool = True,
        style: Literal["vector", "columns"] = "vector",
    ) -> Self:
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
        return self._then(
            "text.vectorize",
            {
                "column": column,
                "output": output,
                "pattern": pattern,
                "matches_words": matches_words,
                "lowercase": lowercase,
                "least_length": least_length,
                "by": by,
                "size": size,
                "least_texts": least_texts,
                "is_binary": is_binary,
                "weighs": weighs,
                "style": style,
            },
        )
