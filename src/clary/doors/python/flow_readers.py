"""Where the rows of a flow come from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, Self

from clary.kernel.codec import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.doors.python.features import FeatureGroup

    Place = str | os.PathLike[str]


class Readers:
    """Flows that begin with a file or folder, also ``s3://…``; it is read when the flow runs.

    Every reader takes a ``name`` for the source, by default that of the file without its suffix,
    and a ``sampling``: which rows are taken, such as ``{"rows": 1000}``, ``{"method": "random",
    "fraction": 0.1, "seed": 7}`` or ``{"method": "stratified", "columns": ["city"], …}``.
    """

    @classmethod
    def read(
        cls,
        path: Place | FeatureGroup,
        *,
        name: str = "",
        sampling: Mapping[str, Any] | None = None,
    ) -> Self:
        """Begin with CSV, JSON lines, Parquet, ORC or a Delta table, as its suffix says.

        A feature group gives the features of all its entities, as they are when the flow runs.
        """
        if isinstance(path, str | os.PathLike):
            return cls._source(path, name, "", sampling)
        given: dict[str, Any] = {"feature_group": path.name}
        given |= {"sampling": plain(sampling)} if sampling else {}
        return cls._begun(given, name or path.name)

    @classmethod
    def read_sqlite(
        cls,
        path: Place,
        *,
        table: str = "",
        query: str = "",
        name: str = "",
        sampling: Mapping[str, Any] | None = None,
    ) -> Self:
        """Begin with a table or view of a SQLite file, or what a SELECT over it gives.

        The file is only read. Dates in it are texts: ``infer_types`` tells them afterwards.
        """
        told = {one: x for one, x in (("table", table), ("query", query)) if x}
        return cls._source(path, name, "sqlite", sampling, **told)

    @classmethod
    def read_csv(  # noqa: PLR0913 - each is a named option of the format
        cls,
        path: Place,
        *,
        name: str = "",
        header: bool = True,
        delimiter: str = "",
        encoding: str = "utf-8",
        texts: bool = False,
        ragged: Literal["error", "skip"] = "error",
        sampling: Mapping[str, Any] | None = None,
    ) -> Self:
        """Begin with CSV.

        Parameters
        ----------
        header
            Whether the first line names the columns; else they are ``_c0``, ``_c1``, ….
        delimiter
            Told by the file by default.
        texts
            Take every cell as a text; ``infer_types`` tells types afterwards.
        ragged
            What becomes of lines that cannot be read: an ``error``, or a ``skip``.
        """
        told: dict[str, Any] = {}
        told |= {} if header else {"header": False}
        told |= {"delimiter": delimiter} if delimiter else {}
        told |= {} if encoding == "utf-8" else {"encoding": encoding}
        told |= {"texts": True} if texts else {}
        told |= {} if ragged == "error" else {"ragged": ragged}
        return cls._source(path, name, "csv", sampling, **told)

    @classmethod
    def read_json(
        cls, path: Place, *, name: str = "", sampling: Mapping[str, Any] | None = None
    ) -> Self:
        """Begin with JSON lines."""
        return cls._source(path, name, "json", sampling)

    @classmethod
    def read_parquet(
        cls, path: Place, *, name: str = "", sampling: Mapping[str, Any] | None = None
    ) -> Self:
        """Begin with Parquet."""
        return cls._source(path, name, "parquet", sampling)

    @classmethod
    def read_orc(
        cls, path: Place, *, name: str = "", sampling: Mapping[str, Any] | None = None
    ) -> Self:
        """Begin with ORC."""
        return cls._source(path, name, "orc", sampling)

    @classmethod
    def read_delta(
        cls, path: Place, *, name: str = "", sampling: Mapping[str, Any] | None = None
    ) -> Self:
        """Begin with a Delta table."""
        return cls._source(path, name, "delta", sampling)

    @classmethod
    def _source(
        cls,
        path: Place,
        name: str,
        form: str,
        sampling: Mapping[str, Any] | None,
        **told: Any,
    ) -> Self:
        given = {"path": os.fspath(path), **({"format": form} if form else {}), **told}
        given |= {"sampling": plain(sampling)} if sampling else {}
        return cls._begun(given, name)

    @classmethod
    def _begun(cls, given: dict[str, Any], name: str) -> Self:
        """Give a flow of one source."""
        raise NotImplementedError
