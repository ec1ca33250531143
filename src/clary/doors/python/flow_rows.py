"""Rows that a flow gives."""

from __future__ import annotations

from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from clary.kernel.errors import NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

_SHOWN = 20
_WIDTH = 120


class Rows:
    """Rows as a table; printed, it shows the first twenty.

    Attributes
    ----------
    arrow
        The Arrow table.
    """

    def __init__(self, table: pa.Table) -> None:
        self.arrow = table

    @property
    def columns(self) -> dict[str, str]:
        """Names and types."""
        return {one.name: str(one.type) for one in self.arrow.schema}

    def to_pandas(self) -> Any:
        """Give a pandas frame. Raises NotSupported where pandas is not installed."""
        _library("pandas")
        return self.arrow.to_pandas()

    def to_polars(self) -> Any:
        """Give a Polars frame. Raises NotSupported where Polars is not installed."""
        return _library("polars").from_arrow(self.arrow)

    def to_list(self) -> list[dict[str, Any]]:
        """Give records, each as a dictionary."""
        found: list[dict[str, Any]] = self.arrow.to_pylist()
        return found

    def __len__(self) -> int:
        return int(self.arrow.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.to_list())

    def __repr__(self) -> str:
        drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in self.arrow.column_names:
            drawn.add_column(name, overflow="ellipsis", no_wrap=True)
        for one in self.arrow.slice(0, _SHOWN).to_pylist():
            drawn.add_row(*map(_cell, one.values()))
        console = Console(width=_WIDTH)
        with console.capture() as captured:
            console.print(drawn, markup=False)
        lines = [line.rstrip() for line in captured.get().splitlines() if line.strip()]
        return "\n".join([*lines, self._size])

    def _repr_html_(self) -> str:
        head = "".join(
            f"<th title='{escape(kind)}'>{escape(name)}</th>" for name, kind in self.columns.items()
        )
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(_cell(one))}</td>' for one in row.values())}</tr>"
            for row in self.arrow.slice(0, _SHOWN).to_pylist()
        )
        return f"<table><tr>{head}</tr>{body}</table><p>{self._size}</p>"

    @property
    def _size(self) -> str:
        rows, columns = len(self), self.arrow.num_columns
        return f"{rows} row{'s' * (rows != 1)}, {columns} column{'s' * (columns != 1)}"


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        problem = f"a frame of {name} needs the package {name}, which is not installed"
        raise NotSupported(problem, hint=f"pip install {name}") from None
