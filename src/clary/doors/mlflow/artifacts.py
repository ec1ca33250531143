"""Artifacts of runs and logged models: files that clients list, put, get and remove.

Their paths are ``runs/<run>/…`` and ``models/<model>/…``; nothing else of a bucket is reached.
"""

from __future__ import annotations

import mimetypes
import re
from typing import TYPE_CHECKING

import msgspec

from clary.doors.mlflow.calls import Named
from clary.doors.mlflow.errors import MlflowError
from clary.doors.mlflow.logged_models import model_ref
from clary.doors.mlflow.runs import run_ref
from clary.doors.wire.message import Response
from clary.kernel.errors import InvalidInput, LimitExceeded, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from clary.doors.mlflow.calls import Call, Endpoint
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

LARGEST = 64 << 30
_LONGEST_PATH = 800
_MOST_LISTED = 50_000
_ILLEGAL = re.compile(r"[\\\x00-\x1f\x7f]")
_LEGAL = "runs/<run id>/<path> or models/<model id>/<path>, without .. and backslashes"


class List(msgspec.Struct, frozen=True):
    """List a directory."""

    path: str = ""


class OfRun(Named, frozen=True):
    """List a directory of a run."""

    path: str = ""


class OfModel(msgspec.Struct, frozen=True):
    """List a directory of a logged model."""

    model_id: str
    artifact_directory_path: str = ""


def upload(call: Call, path: str, body: Iterable[bytes]) -> Response:
    """Keep a file, whole or not at all."""
    bucket, key = _key(call, path)
    media_type = mimetypes.guess_type(key)[0] or "application/octet-stream"
    headers = {"content-type": media_type}
    call.platform.objects.put(bucket, key, _bounded(body), headers=headers)
    return _empty()


def _bounded(body: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in body:
        size += len(piece)
        if size > LARGEST:
            raise LimitExceeded(f"the artifact is over {LARGEST} bytes")
        yield piece


def download(call: Call, path: str) -> Response:
    """Give a file back. Raises NotFound."""
    bucket, key = _key(call, path)
    found = call.platform.objects.stat(bucket, key)
    headers = {
        "Content-Type": found.headers.get("content-type", "application/octet-stream"),
        "Content-Length": str(found.size_bytes),
        "Content-Disposition": "attachment",
        "X-Content-Type-Options": "nosniff",
    }
    pieces = call.platform.objects.read(bucket, key, expected=found.etag)
    return Response(200, headers, pieces)


def delete(call: Call, path: str) -> Response:
    """Remove a file, or a directory with all that is below it."""
    bucket, key = _key(call, path)
    objects = call.platform.objects
    objects.delete(bucket, key)
    below = f"{key.rstrip('/')}/"
    while found := objects.list(bucket, prefix=below).objects:
        for one in found:
            objects.delete(bucket, one.key)
    return _empty()


def _list(call: Call, request: List) -> JsonObject:
    bucket, key = _key(call, request.path)
    return {"files": _files(call, bucket, key, "")}


def _list_of_run(call: Call, request: OfRun) -> JsonObject:
    root = f"runs/{request.run}"
    return _listed(call, root, request.path)


def _list_of_model(call: Call, request: OfModel) -> JsonObject:
    return _listed(call, f"models/{request.model_id}", request.artifact_directory_path)


def _listed(call: Call, root: str, path: str) -> JsonObject:
    inner = path.strip("/")
    bucket, key = _key(call, f"{root}/{inner}" if inner else root)
    files = _files(call, bucket, key, f"{inner}/" if inner else "")
    return {"root_uri": f"mlflow-artifacts:/{root}", "files": files}


def _files(call: Call, bucket: str, directory: str, shown: str) -> list[JsonObject]:
    """List a directory; ``shown`` stands before each name."""
    prefix = f"{directory.rstrip('/')}/"
    files: list[JsonObject] = []
    after = ""
    while len(files) < _MOST_LISTED:
        page = call.platform.objects.list(bucket, prefix=prefix, delimiter="/", after=after)
        files += [
            {"path": shown + one.removeprefix(prefix).rstrip("/"), "is_dir": True}
            for one in page.prefixes
        ]
        files += [
            {
                "path": shown + one.key.removeprefix(prefix),
                "is_dir": False,
                "file_size": one.size_bytes,
            }
            for one in page.objects
            if one.key != prefix
        ]
        after = page.next_after
        if not after:
            return sorted(files, key=lambda one: one["path"])
    raise LimitExceeded(f"the directory has over {_MOST_LISTED} files")


def _key(call: Call, path: str) -> tuple[str, str]:
    """Say where an artifact lies.

    Raises
    ------
    InvalidInput
        The path is none of an artifact.
    NotFound
        There is no such run or model.
    """
    parts = path.strip("/").split("/")
    if (
        len(path) > _LONGEST_PATH
        or _ILLEGAL.search(path)
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise InvalidInput("path", f"{path[:80]!r}", legal=_LEGAL)
    kind, name, *rest = [*parts, ""] if len(parts) == 1 else parts
    if kind not in _KINDS or not name:
        raise InvalidInput("path", f"{path[:80]!r}", legal=_LEGAL)
    ref = _KINDS[kind](call, name)
    if call.platform.store.get(ref) is None:
        raise NotFound(ref)
    bucket, prefix = call.platform.experiments.runs.artifacts(ref)
    return bucket, prefix + "/".join(rest)


def _model_ref(call: Call, name: str) -> Ref:
    return model_ref(call, name)


_KINDS = {"runs": run_ref, "models": _model_ref}


def _empty() -> Response:
    return Response(200, {"Content-Type": "application/json"}, b"{}")


def refuse_parts() -> Response:
    """Say that files come in one piece; clients know it by the message, and then send them so."""
    message = "Multipart upload is not supported for the current artifact repository"
    raise MlflowError("NOT_IMPLEMENTED", message, 501)


ENDPOINTS: dict[str, Endpoint] = {
    "GET artifacts/list": (OfRun, _list_of_run),
    "GET logged-models/{model_id}/artifacts/directories": (OfModel, _list_of_model),
}
LISTING: Endpoint = (List, _list)
