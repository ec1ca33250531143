"""What a pipeline needs in the object store, each under the digest of its content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clary.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clary.kernel.ports import ObjectStore

_ROOT = "clary"
_CHUNK = 1 << 20


@dataclass(slots=True)
class Uploads:
    """Files to upload before a pipeline runs; what is there already is not sent again."""

    bucket: str
    waiting: dict[str, bytes | Path] = field(default_factory=dict)

    def files(self, kind: str, digest: str, files: Mapping[str, bytes]) -> str:
        """Add small files and return the URI of their folder."""
        folder = f"{_ROOT}/{kind}/{digest}"
        self.waiting |= {f"{folder}/{name}": data for name, data in files.items()}
        return f"s3://{self.bucket}/{folder}"

    def path(self, path: Path, place: str) -> str:
        """Add a file or folder of this machine and return its URI.

        Raises
        ------
        InvalidInput
            There is none, or it is empty; names ``place``.
        """
        if path.is_file():
            key = f"{_ROOT}/files/{_digest(path)}/{path.name}"
            self.waiting[key] = path
            return f"s3://{self.bucket}/{key}"
        found = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else []
        if not found:
            problem = "is an empty folder" if path.is_dir() else "is no file here"
            raise InvalidInput(place, f"{path} {problem}", legal="a file, a folder or s3://…")
        names = {str(Path(path.name) / one.relative_to(path)): one for one in found}
        whole = hashlib.sha256()
        for name, one in names.items():
            whole.update(f"{_digest(one)} {name}\n".encode())
        folder = f"{_ROOT}/files/{whole.hexdigest()}"
        self.waiting |= {f"{folder}/{name}": one for name, one in names.items()}
        return f"s3://{self.bucket}/{folder}/"

    def send(self, objects: ObjectStore) -> None:
        """Upload what is not there yet."""
        for key, source in self.waiting.items():
            try:
                objects.stat(self.bucket, key)
            except NotFound:
                objects.put(self.bucket, key, _chunks(source))


def _chunks(source: bytes | Path) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
