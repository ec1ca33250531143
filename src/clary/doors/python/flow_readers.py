"""Where the rows of a flow come from."""

from __future__ import annotations

import os
from typing import Any, Self


class Readers:
    """Flows that begin with a file or folder; it is read when the flow runs."""

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, name: str = "", **options: Any) -> Self:
        """Begin with a file or folder: CSV, JSON lines or Parquet, as its suffix says.

        Parameters
        ----------
        name
            What the source is called; by default the file, without its suffix.
        """
        return cls._source({"path": os.fspath(path), **options}, name)

    @classmethod
    def read_csv(cls, path: str | os.PathLike[str], *, name: str = "", **options: Any) -> Self:
        """Begin with CSV; see ``read``."""
        return cls._source({"path": os.fspath(path), "format": "csv", **options}, name)

    @classmethod
    def read_json(cls, path: str | os.PathLike[str], *, name: str = "", **options: Any) -> Self:
        """Begin with JSON lines; see ``read``."""
        return cls._source({"path": os.fspath(path), "format": "json", **options}, name)

    @classmethod
    def read_parquet(cls, path: str | os.PathLike[str], *, name: str = "", **options: Any) -> Self:
        """Begin with Parquet; see ``read``."""
        return cls._source({"path": os.fspath(path), "format": "parquet", **options}, name)

    @classmethod
    def _source(cls, given: dict[str, Any], name: str) -> Self:
        """Give a flow of one source."""
        raise NotImplementedError
