"""Rows that a flow gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

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
        """Give a pandas frame."""
        return self.arrow.to_pandas()

    def to_polars(self) -> Any:
        """Give a Polars frame."""
        import polars as pl  # noqa: PLC0415 - for those who have it

        return pl.from_arrow(self.arrow)

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
            drawn.add_row(*("" if cell is None else str(cell) for cell in one.values()))
        console = Console(width=_WIDTH)
        with console.capture() as captured:
            console.print(drawn, markup=False)
        lines = [line.rstrip() for line in captured.get().splitlines() if line.strip()]
        return "\n".join([*lines, f"{len(self)} rows, {self.arrow.num_columns} columns"])

    def _repr_html_(self) -> str:
        html: str = self.arrow.slice(0, _SHOWN).to_pandas().to_html(notebook=True)
        return html
