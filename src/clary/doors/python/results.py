"""Reading what steps returned, in the process that asks."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.doors.python.values import MODEL, Tree, is_booster, load, stored_form
from clary.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.doors.python.session import Session
    from clary.kernel.ports import JsonObject


def read(job: JsonObject, name: str, session: Session, *, unpickle: bool) -> Any:
    """Return the results of a job that ran a function; see ``StepRun.result``."""
    uris = outputs(job)
    call = _call(job, session)
    wanted = [name] if name else [one["name"] for one in call["outputs"]]
    trees: dict[str, Tree] = {one["name"]: one for one in call["outputs"]}
    for one in wanted:
        if one not in trees:
            legal = ", ".join(trees) or "none: the step returns nothing"
            raise InvalidInput(f"result {one}", "there is none", legal=legal)
    found = [_read(uris[one], trees[one], session, unpickle=unpickle) for one in wanted]
    if name or not call["several"]:
        return found[0] if found else None
    return tuple(found)


def fetch(job: JsonObject, folder: str | Path, session: Session) -> Path:
    """Copy every result of a job into a folder."""
    target = Path(folder)
    for name, uri in outputs(job).items():
        _download(uri, target / name, session)
    return target


def outputs(job: JsonObject) -> dict[str, str]:
    """Return the S3 URIs of a job's outputs, by name."""
    configured = job.get("ProcessingOutputConfig") or {}
    return {one["OutputName"]: one["S3Output"]["S3Uri"] for one in configured.get("Outputs", ())}


def _call(job: JsonObject, session: Session) -> JsonObject:
    """Find the call that a step's program was given: it says what is stored how."""
    words = job.get("AppSpecification", {}).get("ContainerArguments") or [""]
    text = words[0]
    if text.startswith("processing/input/"):
        inputs = {one["InputName"]: one["S3Input"]["S3Uri"] for one in job["ProcessingInputs"]}
        bucket, key = _split(inputs[text.split("/")[2]])
        name = text.rpartition("/")[2]
        text = b"".join(session.platform.objects.read(bucket, f"{key}/{name}")).decode()
    try:
        call: JsonObject = json.loads(text)
    except ValueError:
        raise InvalidInput("result", "the step is no function, and has no result") from None
    return call


def _read(uri: str, output: Tree, session: Session, *, unpickle: bool) -> Any:
    kind = output["type"]["is"]
    library = kind.partition(".")[0] if output["form"] == "frame" else ""
    with tempfile.TemporaryDirectory(prefix="clary-") as scratch:
        folder = _download(uri, Path(scratch), session)
        form = stored_form(folder, output["form"])
        if form == "file":
            kept = Path(tempfile.mkdtemp(dir=_files()))
            return load(_download(uri, kept, session), output)
        if form == "model" and not (unpickle or is_booster(folder / MODEL)):
            raise InvalidInput(
                f"result {output['name']}",
                "it is a pickled object, and loading one runs code of the step in this process",
                legal="result(unpickle=True), download(folder), or another step",
            )
        return load(folder, {"form": form, "as": library})


@cache
def _files() -> str:
    """Make the folder of the files that were read; it is removed when this process ends."""
    folder = tempfile.mkdtemp(prefix="clary-")
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # no fork of it
        shutil.rmtree(folder, ignore_errors=True)


def _download(uri: str, folder: Path, session: Session) -> Path:
    bucket, key = _split(uri)
    objects = session.platform.objects
    for name in _below(session, bucket, f"{key}/"):
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise InvalidInput("result", f"{name!r} is no path in a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for chunk in objects.read(bucket, f"{key}/{name}"):
                file.write(chunk)
    return folder


def _below(session: Session, bucket: str, prefix: str) -> Iterator[str]:
    after, found = "", False
    while True:
        page = session.platform.objects.list(bucket, prefix=prefix, after=after)
        for info in page.objects:
            found = True
            yield info.key.removeprefix(prefix)
        after = page.next_after
        if not after:
            break
    if not found:
        raise NotFound(f"s3://{bucket}/{prefix}", hint="the result has been deleted")


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key.rstrip("/")
