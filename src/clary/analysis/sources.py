"""Which files a data set is made of, and of what format they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from clary.analysis import json_rows
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

Format = Literal["csv", "json", "parquet", "delta", "capture"]
_BY_ENDING: dict[str, Format] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
_COMPRESSED = (".gz", ".zst")
_LOOKED_AT = 64 << 10


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
    listed = [Path(source)] if isinstance(source, str | Path) else list(map(Path, source))
    if format is not None and format not in get_args(Format):
        raise InvalidInput("format", f"{format!r}", legal=", ".join(get_args(Format)))
    if format == "delta" or (not format and len(listed) == 1 and _is_delta(listed[0])):
        return Source("delta", tuple(listed))
    files = tuple(file for one in listed for file in _files(one))
    if not files:
        raise InvalidInput("source", f"no files in {', '.join(map(str, listed))}")
    return Source(format or _format(files[0]), files)


def _is_delta(folder: Path) -> bool:
    return (folder / "_delta_log").is_dir()


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InvalidInput("source", f"{path} does not exist")
    return sorted(one for one in path.rglob("*") if one.is_file() and _is_data(one, path))


def _is_data(file: Path, folder: Path) -> bool:
    parts = file.relative_to(folder).parts
    return not any(part.startswith((".", "_")) for part in parts)


def _format(file: Path) -> Format:
    ending = file.with_suffix("").suffix if file.suffix in _COMPRESSED else file.suffix
    start = _start(file)
    found = _BY_ENDING.get(ending.lower())
    if found is None and start.startswith(b"PAR1"):
        return "parquet"
    if found == "json" or (found is None and start.lstrip()[:1] in (b"{", b"[")):
        return "capture" if b'"captureData"' in start.partition(b"\n")[0] else "json"
    return found or "csv"


def _start(file: Path) -> bytes:
    with json_rows.opened(file) as reading:
        return reading.read(_LOOKED_AT)
