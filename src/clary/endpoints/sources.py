"""Where a model that is to be deployed comes from, as a container of a model."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import tempfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from clary.jobs.contract import split_uri
from clary.kernel.clock import now
from clary.kernel.errors import AlreadyExists, InvalidInput, NotFound
from clary.kernel.names import arn, parse_name
from clary.kernel.resource import Bucket, Query

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, ObjectStore

LEGAL = (
    "a model version (GROUP/VERSION), a group (its newest approved version), a model's name, "
    "a file, a folder, or s3://…"
)
_BOOSTER, _SCRIPT = "xgboost-model", "code/inference.py"
_BOOSTER_FILES = {".json", ".ubj", ".xgb"}
_CHUNK = 1 << 20


class Sources:
    """Finds models by what people call them, and packs files as models.

    Parameters
    ----------
    store, objects
        Where models and their files are.
    """

    def __init__(self, store: MetadataStore, objects: ObjectStore) -> None:
        self._store = store
        self._objects = objects

    def named(self, name: str, near: Ref) -> JsonObject:
        """Make a container of what a name stands for.

        Parameters
        ----------
        name
            A version, a group, a model, a file or folder of this machine, or ``s3://…``.
        near
            A name in the account and region it lies in.

        Raises
        ------
        NotFound
            Nothing is called so.
        InvalidInput
            A group has no approved version, an archive is none.
        """
        if name.startswith("s3://"):
            return self._of_uri(name)
        if Path(name).exists():
            return self._of_path(Path(name), near)
        if version := self._version(name, near):
            return {"ModelPackageName": arn(version)}
        model = self._store.get(near.sibling("model", name.rpartition("/")[2]))
        if model is None:
            raise NotFound(f"model {name}", hint=f"name {LEGAL}")
        request = model.body["request"]
        listed = request.get("Containers") or [request.get("PrimaryContainer")]
        if len(listed) > 1:
            raise InvalidInput("model", f"{name} has {len(listed)} containers", legal="one")
        found: JsonObject = listed[0]
        return found

    def packed(self, members: Mapping[str, bytes], near: Ref) -> JsonObject:
        """Make a container of files, by their names in the archive; equal ones are kept once."""
        data = _archive(members)
        return {"Image": _image(list(members)), "ModelDataUrl": self._kept([data], near)}

    def _version(self, text: str, near: Ref) -> Ref | None:
        """Find a version, or the newest approved one of a group."""
        name, _, number = text.partition("/")
        if text.startswith("arn:") or number:
            where = {"account": near.account, "region": near.region, "field": "model"}
            ref = parse_name(text, "model-package", **where)
            if ref.version and self._store.get(ref) is None:
                raise NotFound(ref)
            return ref if self._store.get(ref) else None
        group = near.sibling("model-package-group", name)
        approved = {"request.ModelApprovalStatus": "Approved"}
        query = Query("model-package", parent=group, where=approved, sort_by="version", limit=1)
        if items := self._store.select(query).items:
            return items[0].ref
        if self._store.get(group) is None:
            return None
        hint = f"`clary models approve {name}` approves its newest version"
        raise InvalidInput("model", f"{group} has no approved version", hint=hint)

    def _of_uri(self, uri: str) -> JsonObject:
        bucket, key = split_uri(uri, field="model")
        with tempfile.TemporaryFile() as file:
            file.writelines(self._objects.read(bucket, key))
            file.seek(0)
            return {"Image": _image(_names(file, uri)), "ModelDataUrl": uri}

    def _of_path(self, path: Path, near: Ref) -> JsonObject:
        if path.name.endswith((".tar.gz", ".tgz")):
            with path.open("rb") as file:
                names = _names(file, str(path))
            return {"Image": _image(names), "ModelDataUrl": self._kept(_read(path), near)}
        if path.is_dir():
            found = {str(one.relative_to(path)): one for one in path.rglob("*") if one.is_file()}
            if not found:
                raise InvalidInput("model", f"{path} is an empty folder", legal="a model's files")
        else:
            found = {_BOOSTER if path.suffix in _BOOSTER_FILES else path.name: path}
        return self.packed({name: one.read_bytes() for name, one in found.items()}, near)

    def _kept(self, chunks: Iterator[bytes] | Sequence[bytes], near: Ref) -> str:
        """Keep an archive under its digest, in the bucket of the SDK; returns its URI."""
        with tempfile.TemporaryFile() as file:
            digest = hashlib.sha256()
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
            file.seek(0)
            bucket = f"sagemaker-{near.region}-{near.account}"
            with suppress(AlreadyExists):
                self._objects.create_bucket(Bucket(bucket, near.account, near.region, now()))
            key = f"clary/models/{digest.hexdigest()}/model.tar.gz"
            try:
                self._objects.stat(bucket, key)
            except NotFound:
                self._objects.put(bucket, key, iter(lambda: file.read(_CHUNK), b""))
        return f"s3://{bucket}/{key}"


def below(path: Path, prefix: str) -> dict[str, bytes]:
    """Read a file, or all files of a folder, by their names below ``prefix``.

    Raises InvalidInput: there are none.
    """
    if path.is_file():
        return {f"{prefix}/{path.name}": path.read_bytes()}
    found = [one for one in sorted(path.rglob("*")) if one.is_file()] if path.is_dir() else []
    if not found:
        raise InvalidInput("files", f"{path} holds nothing", legal="a file or a folder")
    return {f"{prefix}/{one.relative_to(path)}": one.read_bytes() for one in found}


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _names(file: BinaryIO, place: str) -> list[str]:
    """List the files of a model's archive, without reading them."""
    try:
        with tarfile.open(fileobj=file, mode="r:gz") as archive:
            return [name.removeprefix("./") for name in archive.getnames()]
    except (tarfile.TarError, OSError, EOFError):
        raise InvalidInput("model", f"{place} is no model archive", legal="a .tar.gz") from None


def _image(names: Sequence[str]) -> str:
    """Choose the image that serves files of these names: any with a script, or XGBoost's own."""
    if _BOOSTER in names and _SCRIPT not in names:
        return f"sagemaker-xgboost:{_xgboost()}-1"
    return "sagemaker-scikit-learn:1.4-2-cpu-py3"


def _xgboost() -> str:
    """Say which XGBoost is installed: what wrote a booster serves it."""
    for name in ("xgboost", "xgboost-cpu"):
        try:
            return ".".join(metadata.version(name).split(".")[:2])
        except metadata.PackageNotFoundError:
            continue
    return "3.0"


def _archive(members: Mapping[str, bytes]) -> bytes:
    """Pack files, equal ones into equal bytes."""
    file = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", 6, file, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w") as archive,
    ):
        for name in sorted(members):
            member = tarfile.TarInfo(name)
            member.size = len(members[name])
            archive.addfile(member, io.BytesIO(members[name]))
    return file.getvalue()
