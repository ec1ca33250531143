"""clary models scan."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import typer

from clary.doors.cli.output import note, show_json, show_rows
from clary.jobs.contract import split_uri
from clary.kernel.errors import NotFound
from clary.models.requests import containers, package
from clary.models.scanning import Report, Scan, Use

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clary.kernel.ports import ObjectStore
    from clary.kernel.resource import Resource

_EXIT = {"clean": 0, "dangerous": 1, "unreadable": 2}
_PREFERRED = "skops, ONNX and XGBoost's own JSON or UBJSON hold a model without code"


def scan_path(path: Path) -> Report:
    """Look at a file of this machine, or at all below a folder; links are not followed.

    Raises NotFound.
    """
    scan = Scan()
    if not path.exists():
        raise NotFound(f"{path}", hint="a file, a folder, s3://…, or GROUP/VERSION of a model")
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for one in files:
        if one.is_file() and (one == path or not one.is_symlink()):
            with one.open("rb") as file:
                scan.look(str(one.relative_to(path)) if path.is_dir() else one.name, file)
    return scan.report


def scan_uri(objects: ObjectStore, uri: str) -> Report:
    """Look at an object, or at all objects below a prefix. Raises NotFound."""
    scan = Scan()
    _look_at(objects, uri, scan)
    return scan.report


def scan_version(objects: ObjectStore, version: Resource) -> Report:
    """Look at the model files of all containers of a model version."""
    scan = Scan()
    for _, container in containers(package(_request(version))):
        if container.files:
            _look_at(objects, container.files[1].s3_uri, scan)
    return scan.report


def show_report(report: Report, *, strict: bool, as_json: bool) -> None:
    """Print a report, and end with its exit code: 0 clean, 1 dangerous, 2 unreadable."""
    verdict = _verdict(report, strict=strict)
    rows = [_row(use) for use in sorted(report.uses, key=_worst_first)]
    if as_json:
        show_json(
            {
                "verdict": verdict,
                "files": report.files,
                "uses": rows,
                "problems": report.problems,
            }
        )
    else:
        show_rows(rows, as_json=False, empty=f"imports nothing: {_formats(report)}")
        for path, problem in report.problems.items():
            note(f"{path}: {problem}")
        note(verdict + (f"; {_PREFERRED}" if verdict == "dangerous" else ""))
    raise typer.Exit(_EXIT[verdict])


def _verdict(report: Report, *, strict: bool) -> str:
    unknown = any(use.verdict == "unknown" for use in report.uses)
    return "dangerous" if strict and unknown else report.verdict


def _row(use: Use) -> dict[str, Any]:
    does = "called" if use.called else "imported"
    return {
        "verdict": use.verdict,
        "what": use.what,
        "does": does,
        "file": use.file,
        "why": use.why,
    }


def _worst_first(use: Use) -> tuple[int, str, str]:
    return ("dangerous", "unknown", "safe").index(use.verdict), use.file, use.what


def _formats(report: Report) -> str:
    return ", ".join(f"{path} is {told}" for path, told in list(report.files.items())[:10])


def _request(version: Resource) -> dict[str, Any]:
    """Give what a version was registered with; it was checked then."""
    request: dict[str, Any] = version.body["request"]
    return request


def _look_at(objects: ObjectStore, uri: str, scan: Scan) -> None:
    bucket, key = split_uri(uri, field="target")
    keys = list(_keys(objects, bucket, key))
    if not keys:
        raise NotFound(uri)
    for one in keys:
        with tempfile.TemporaryFile() as file:
            file.writelines(objects.read(bucket, one))
            file.seek(0)
            scan.look(one.rpartition("/")[2] if len(keys) == 1 else one, file)


def _keys(objects: ObjectStore, bucket: str, key: str) -> Iterator[str]:
    """List the object of this name, else all below the prefix."""
    try:
        yield objects.stat(bucket, key).key
    except NotFound:
        after = ""
        while True:
            prefix = f"{key.rstrip('/')}/" if key else ""
            page = objects.list(bucket, prefix=prefix, after=after)
            yield from (info.key for info in page.objects)
            after = page.next_after
            if not after:
                return
