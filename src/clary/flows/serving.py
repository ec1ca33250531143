"""A fitted flow in front of a model: requests in, what the model takes out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import Struct, ValidationError, convert

from clary.expressions import BIGINT, DOUBLE, VARCHAR, Type, parse
from clary.expressions.types import LARGEST, SMALLEST, quoted
from clary.flows import documents, fitted
from clary.flows.plans import ready
from clary.flows.records import compiled, fits, told
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from clary.flows.plans import Planned

    Reader = Callable[[Any], Any]
CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
FRAME = "dataframe_split"
"""A frame as JSON, as MLflow has it: ``{"dataframe_split": {"columns": …, "data": …}}``."""
MOST_RECORDS = 100_000


class _Frame(Struct, frozen=True):
    columns: list[str]
    data: list[list[Any]]


_SCALARS: dict[Type, tuple[type, ...]] = {DOUBLE: (int, float), BIGINT: (int,), VARCHAR: (str,)}


class Server:
    """Answers requests by a fitted flow, a record at a time.

    Parameters
    ----------
    plans
        The chain of nodes from one source, planned.
    absent
        Columns that requests do not have, such as the label: they are missing on the way, and are
        left out of the answer.

    Raises
    ------
    NotSupported
        A node needs more than one record; names it.
    InvalidInput
        There is no column that is to be absent.
    """

    def __init__(self, plans: Sequence[Planned], absent: Collection[str] = ()) -> None:
        for name in absent:
            if name not in plans[0].columns and name not in plans[-1].columns:
                legal = ", ".join(plans[0].columns)
                raise InvalidInput("absent", f"there is no column {name!r}", legal=legal)
        self._kinds = {name: kind for name, kind in plans[0].columns.items() if name not in absent}
        self._source = tuple(plans[0].columns)
        self._all = tuple(plans[-1].columns)
        self.columns = tuple(name for name in self._all if name not in absent)
        self._run = compiled(plans)
        self._texts: dict[str, Reader] = {n: _reader(n, k) for n, k in self._kinds.items()}

    def record(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Transform one record; None where the flow drops it.

        Raises InvalidInput, which names the column.
        """
        if not isinstance(values, Mapping):
            problem = f"is a {type(values).__name__}"
            raise InvalidInput("record", problem, legal="values by column, as series.to_dict() has")
        if unknown := values.keys() - set(self._source):
            legal, first = ", ".join(self._source), min(unknown, key=str)
            raise InvalidInput("record", f"there is no column {first!r}", legal=legal)
        found = self._run([self._value(name, values.get(name)) for name in self._source])
        if found is None:
            return None
        return {n: one for n, one in zip(self._all, found, strict=True) if n in self.columns}

    def answer(self, body: bytes | str, content_type: str, accept: str) -> tuple[str, str]:
        """Answer a request of one or more records.

        Parameters
        ----------
        content_type
            ``text/csv`` without a header, in the order of the source's columns;
            ``application/json``: a record, a list of records, or a frame as MLflow has it;
            ``application/jsonlines``.
        accept
            ``text/csv`` without a header, or ``application/json``: a frame.

        Raises
        ------
        InvalidInput
            The payload is no such thing, a value does not fit its column, or the flow drops a
            record; names the place of the record, from 0, and the column.
        """
        text = body if isinstance(body, str) else _decoded(body)
        rows: list[list[Any]] = []
        for place, one in enumerate(self._read(text, content_type)):
            try:
                found = self.record(one)
            except InvalidInput as error:
                raise InvalidInput(f"record {place}", error.message) from None
            if found is None:
                raise InvalidInput(f"record {place}", "the flow drops it: there is no answer")
            rows.append(list(found.values()))
        if accept == CSV:
            return _csv(rows), CSV
        frame = {"columns": list(self.columns), "data": rows}
        return json.dumps({FRAME: frame}, default=str), JSON

    def _value(self, name: str, value: Any) -> Any:
        kind = self._kinds.get(name)
        if value is None or kind is None:
            return None
        legal = _SCALARS.get(kind)
        if legal is None:
            found = self._texts[name](value) if isinstance(value, str) else value
            if not fits(kind, found):
                return self._of_numpy(name, found, kind)
            return found
        if not isinstance(value, legal) or isinstance(value, bool):
            return self._of_numpy(name, value, kind)
        if kind == BIGINT and _overflows(value):
            raise InvalidInput(name, told(value), legal=f"{SMALLEST} to {LARGEST}")
        return float(str(value)) if kind == DOUBLE else value

    def _of_numpy(self, name: str, value: Any, kind: Type) -> Any:
        """Take a scalar of NumPy's, such as a row of a frame has, as Python's own."""
        if type(value).__module__ != "numpy" or getattr(value, "shape", None) != ():
            raise InvalidInput(name, told(value), legal=str(kind))
        return self._value(name, value.item())

    def _read(self, text: str, content_type: str) -> Iterable[Mapping[str, Any]]:
        if content_type == CSV:
            return self._of_rows(text)
        if content_type == LINES:
            return _records([_parsed("body", one) for one in text.splitlines() if one.strip()])
        if content_type == JSON:
            return _records(_parsed("body", text))
        legal = f"{CSV}, {JSON}, {LINES}"
        raise InvalidInput("content type", f"{content_type!r} is not read here", legal=legal)

    def _of_rows(self, text: str) -> list[dict[str, Any]]:
        names = tuple(self._kinds)
        found = []
        for place, row in enumerate(_lines(text)):
            if len(row) != len(names):
                legal = f"{len(names)}: {', '.join(names)}"
                raise InvalidInput(f"record {place}", f"has {len(row)} values", legal=legal)
            pairs = zip(names, row, strict=True)
            try:
                found.append({n: self._texts[n](one) if one else None for n, one in pairs})
            except InvalidInput as error:
                raise InvalidInput(f"record {place}", error.message) from None
        return found


@dataclass(frozen=True, slots=True)
class Served:
    """What a server is made of: a flow and what it has learned, both as JSON.

    Parameters
    ----------
    node
        The node whose rows are the answers.
    absent
        See ``Server``.
    """

    document: str
    state: str
    node: str
    absent: tuple[str, ...] = ()

    def open(self) -> Server:
        """Make the server.

        Raises
        ------
        NotSupported
            A node needs more than one record; names it.
        InvalidInput
            The flow has not been fitted.
        """
        flow, learned = documents.read(self.document), fitted.read(self.state)
        return Server(ready(flow, self.node, learned), self.absent)


def _lines(text: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text, newline=""))
    except csv.Error as error:
        raise InvalidInput("body", f"is no CSV: {error}") from None


def _records(found: Any) -> Iterable[Mapping[str, Any]]:
    if isinstance(found, dict) and set(found) == {FRAME}:
        found = _framed(found[FRAME])
    listed = [found] if isinstance(found, dict) else found
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise InvalidInput("body", "holds no records", legal="an object, or a list of objects")
    if len(listed) > MOST_RECORDS:
        raise InvalidInput("body", f"has {len(listed)} records", legal=f"at most {MOST_RECORDS}")
    return listed


def _framed(frame: Any) -> list[dict[str, Any]]:
    """Read the records of a frame. Raises InvalidInput."""
    try:
        made = convert(frame, _Frame)
    except ValidationError as error:
        legal = "columns: names; data: a list of values a record"
        raise InvalidInput(FRAME, str(error), legal=legal) from None
    for place, row in enumerate(made.data):
        if len(row) != len(made.columns):
            legal = f"{len(made.columns)}: {', '.join(made.columns)}"
            raise InvalidInput(f"record {place}", f"has {len(row)} values", legal=legal)
    return [dict(zip(made.columns, row, strict=True)) for row in made.data]


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput("body", f"is no UTF-8: {error}") from None


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(name, f"is no JSON: {error}") from None


def _overflows(number: Any) -> bool:
    return not SMALLEST <= number <= LARGEST


def _reader(name: str, kind: Type) -> Reader:
    """Make a function from text to a value of a column, which names it when it refuses."""
    if kind == VARCHAR:
        return lambda text: text
    if kind.name in {"list", "struct"}:
        return lambda text: _parsed(name, text)
    cast = parse(f"CAST({quoted('text')} AS {kind})", {"text": VARCHAR}).row()

    def read(text: str) -> Any:
        try:
            return cast({"text": text})
        except InvalidInput as error:
            raise InvalidInput(name, error.message) from None

    return read


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([_cells(row) for row in rows])
    return out.getvalue()


def _cells(row: Sequence[Any]) -> list[Any]:
    """Lay out a row: vectors as their numbers, truth as 1 and 0."""
    found: list[Any] = []
    for one in row:
        found += one if isinstance(one, list | tuple) else [one]
    return [int(one) if isinstance(one, bool) else one for one in found]
