"""How an operator's parameters are told in a ``.flow`` file and in our flows, both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clary.kernel.errors import InvalidInput

Convert = Callable[[Any], Any]


def same(value: Any) -> Any:
    """Keep a value as it is."""
    return value


def listed(value: Any) -> list[Any]:
    """Make a list of one column or several: files hold either. Raises TypeError for others."""
    made = list(value) if isinstance(value, list | tuple) else [value]
    if not all(isinstance(one, str) for one in made):
        raise TypeError(value)
    return made


def alone(value: Any) -> Any:
    """Make one column of a list of one; several stay a list.

    Examples
    --------
    >>> alone(["age"]), alone(["age", "city"])
    ('age', ['age', 'city'])
    """
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def single(value: Any) -> str:
    """Give the only column. Raises ValueError where there are none or several."""
    [name] = listed(value)
    return str(name)


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter under its two names.

    Parameters
    ----------
    ours, theirs
        Its name in a node's ``with``, and its path below the operator's block; several paths with
        ``+`` between them: then their value is a list of as many.
    read, write
        From their value to ours and back; ``KeyError`` where one has no counterpart.
    absent
        What a file means that does not name it, as ours; None: our default.
    """

    ours: str
    theirs: str
    read: Convert = same
    write: Convert = same
    absent: Any = None


def columns(ours: str = "columns", theirs: str = "input_column") -> Field:
    """Make a parameter that is one column or several."""
    return Field(ours, theirs, listed, alone)


def column(ours: str = "column", theirs: str = "input_column") -> Field:
    """Make a parameter that is one column, which a file may hold as a list."""
    return Field(ours, theirs, single)


def words(ours: str, theirs: str, known: Mapping[Any, Any], absent: Any = None) -> Field:
    """Make a parameter of a few words: theirs to ours."""
    back = {value: key for key, value in reversed(list(known.items()))}
    return Field(ours, theirs, known.__getitem__, back.__getitem__, absent)


@dataclass(frozen=True, slots=True)
class Rule:
    """An operator of theirs that is one of ours.

    Parameters
    ----------
    theirs
        Their operator, without ``sagemaker.`` and its version: ``spark.manage_columns``.
    ours
        Our operator.
    fields
        Its parameters.
    chosen
        What of their parameters says that it is this one: words by path.
    block
        The path of the block that holds the parameters; empty: they stand at the top.
    constant
        Parameters of ours that are always so.
    ignored
        Parameters of theirs that say nothing, by their path below the block.
    """

    theirs: str
    ours: str
    fields: tuple[Field, ...] = ()
    chosen: Mapping[str, str] = field(default_factory=dict)
    block: str = ""
    constant: Mapping[str, Any] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()

    def matches(self, parameters: Mapping[str, Any]) -> bool:
        """Tell whether parameters choose this one."""
        return all(found(parameters, path) == word for path, word in self.chosen.items())

    def has_block(self, parameters: Mapping[str, Any]) -> bool:
        """Tell whether the block that holds its parameters is there."""
        return not self.block or isinstance(found(parameters, self.block), dict)

    def read(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Read their parameters as ours.

        Raises
        ------
        InvalidInput
            One is not known, or has a value that has no counterpart.
        """
        block = found(parameters, self.block) if self.block else parameters
        block = block if isinstance(block, dict) else {}
        made = dict(self.constant)
        for one in self.fields:
            value = _value(block, one.theirs)
            if value is None:
                if one.absent is not None:
                    made[one.ours] = one.absent
                continue
            try:
                made[one.ours] = one.read(value)
            except (KeyError, TypeError, ValueError):
                raise InvalidInput(one.theirs, f"{value!r} is not known here") from None
        self._complete(block)
        return made

    def _complete(self, block: Mapping[str, Any]) -> None:
        """Refuse parameters that would be lost. Raises InvalidInput."""
        known = {path for one in self.fields for path in one.theirs.split("+")} | self.ignored
        known |= {path.removeprefix(f"{self.block}.") for path in self.chosen}
        for path, value in leaves(block):
            is_known = any(path == one or path.startswith(f"{one}.") for one in known)
            is_stale = not self.block and path.partition(".")[0].endswith("_parameters")
            if not is_known and not is_stale and value not in (None, "", [], {}, False):
                raise InvalidInput(path, f"{value!r} is not known here")

    def write(self, given: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any] | None:
        """Write our parameters as theirs, over what a file had; None where they do not fit."""
        if any(given.get(name) != value for name, value in self.constant.items()):
            return None
        known = {one.ours: one for one in self.fields}
        if set(given) - set(known) - set(self.constant):
            return None
        made: dict[str, Any] = copied(over)
        for path, word in self.chosen.items():
            put(made, path, word)
        for one in self.fields:
            paths = one.theirs.split("+")
            if self._stands(one, given, over):
                continue
            try:
                told = one.write(given[one.ours]) if one.ours in given else None
                values = [told] if len(paths) == 1 else told or [None] * len(paths)
                for path, value in zip(paths, values, strict=True):
                    put(made, f"{self.block}.{path}" if self.block else path, value)
            except (KeyError, TypeError, ValueError):
                return None
        return made

    def _stands(self, one: Field, given: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
        """Tell whether a file's value means what is given: then it stays in its own words."""
        block = (found(over, self.block) if self.block else over) or {}
        value = _value(block, one.theirs) if isinstance(block, Mapping) else None
        try:
            return value is not None and one.ours in given and one.read(value) == given[one.ours]
        except (KeyError, TypeError, ValueError):
            return False


def _value(block: Mapping[str, Any], paths: str) -> Any:
    values = [found(block, path) for path in paths.split("+")]
    if len(values) == 1:
        return values[0]
    return None if None in values else values


def found(document: Mapping[str, Any], path: str) -> Any:
    """Give the value at a path; None where there is none.

    Examples
    --------
    >>> found({"a": {"b": 1}}, "a.b"), found({"a": 1}, "a.b")
    (1, None)
    """
    value: Any = document
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a path, making what is missing on the way; None removes it.

    Examples
    --------
    >>> made = {}
    >>> put(made, "a.b", 1)
    >>> made
    {'a': {'b': 1}}
    """
    *way, last = path.split(".")
    here = document
    for step in way:
        inner = here.get(step)
        if not isinstance(inner, dict):
            if value is None:
                return
            inner = here[step] = {}
        here = inner
    if value is None:
        here.pop(last, None)
    else:
        here[last] = value


def leaves(document: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """List the values of a document with their paths."""
    told: list[tuple[str, Any]] = []
    for name, value in document.items():
        path = f"{above}.{name}" if above else name
        told += leaves(value, path) if isinstance(value, dict) else [(path, value)]
    return told


def copied(document: Any) -> Any:
    """Copy a document of JSON."""
    if isinstance(document, Mapping):
        return {name: copied(value) for name, value in document.items()}
    return [copied(one) for one in document] if isinstance(document, list) else document
