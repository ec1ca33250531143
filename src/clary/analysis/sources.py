"""Which files a data set is made of, and of what format they are."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

Format = Literal["csv", "json", "parquet", "delta", "capture"]
_BY_ENDING: dict[str, Format] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSED = (".gz", ".zst")


@dataclass(frozen=True, slots=True)
class Source:
    """The files of a data set, in order of their paths; of a Delta table its folder alone."""

    format: Format
    files: tuple[Path, ...]


def find(source: str | Path | Sequence[str | Path], format: Format | None) -> Source:  # noqa: A002 the word of the field
    """Find the files of a data set, and their format where it is not given.

    Raises
    ------
    InvalidInput
        There are none, or their format is not known.
    """
    listed = [source] if isinstance(source, (str, Path)) else list(source)
    files = tuple(file for one in listed for file in _files(Path(one)))
    if not files:
        raise InvalidInput("source", f"no files in {', '.join(map(str, listed))}")
    if format is not None and format not in get_args(Format):
        raise InvalidInput("format", f"{format!r}", legal=", ".join(get_args(Format)))
    return Source(format or _format(files[0]), files)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InvalidInput("source", f"{path} does not exist")
    return sorted(
        one for one in path.rglob("*") if one.is_file() and not one.name.startswith((".", "_"))
    )


def _format(file: Path) -> Format:
    ending = file.suffix if file.suffix not in _COMPRESSED else file.with_suffix("").suffix
    if ending in _BY_ENDING:
        return _BY_ENDING[ending]
    with file.open("rb") as opened:
        start = opened.read(4)
    if start[:2] == b"\x1f\x8b":
        with gzip.open(file) as opened:
            start = opened.read(4)
    return "parquet" if start == b"PAR1" else "csv"
