"""clary doctor."""

import importlib.util
import shutil
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple

import typer

from clary.config import Config
from clary.doors.cli.options import Home, Json, new_app
from clary.doors.cli.output import show_rows
from clary.doors.cli.settings import settings
from clary.governance.presence import find
from clary.kernel.errors import Unavailable
from clary.platform import open_platform

app = new_app()
_LEAST_FREE_BYTES = 1 << 30
_OPTIONAL = {
    "uv": ("environments", "environments of jobs"),
    "sqlglot": ("flows", "data flows"),
    "pandas": ("ml", "the images' runtimes"),
    "sklearn": ("ml", "the images' runtimes"),
    "xgboost": ("ml", "the XGBoost images"),
    "boto3": ("demo", "scripts that call boto3, and the demo"),
    "sklego": ("demo", "the demo's data"),
}


class Finding(NamedTuple):
    """What was looked at, how it is, and what that means."""

    what: str
    is_: Literal["ok", "note", "missing"]
    meaning: str


@app.command()
def doctor(home: Home = None, as_json: Json = False) -> None:
    """Check what this machine offers and lacks.

    Ends with 1 when something that is needed is missing; a note only narrows what can run.
    """
    findings = list(_findings(settings(home)))
    rows = [{"what": item.what, "is": item.is_, "meaning": item.meaning} for item in findings]
    show_rows(rows, as_json=as_json, empty="")
    raise typer.Exit(int(any(item.is_ == "missing" for item in findings)))


def _findings(config: Config) -> Iterator[Finding]:
    yield Finding("python", "ok", f"{sys.version.split()[0]} at {sys.executable}")
    yield Finding("sqlite", "ok", sqlite3.sqlite_version)
    yield _disk(config.home)
    yield from _home(config)
    yield from _isolation(config)
    for name, (extra, use) in _OPTIONAL.items():
        yield _package(name, extra, use)


def _disk(home: Path) -> Finding:
    there = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(there).free
    enough = free >= _LEAST_FREE_BYTES
    return Finding("disk", "ok" if enough else "note", f"{free / 1e9:.1f} GB free for {home}")


def _home(config: Config) -> Iterator[Finding]:
    keys = config.home / "credentials.json"
    if not keys.exists():
        yield Finding("home", "note", f"none at {config.home} yet; `clary up` makes one")
        return
    mode = stat.S_IMODE(keys.stat().st_mode)
    if mode & 0o077:
        yield Finding("keys", "missing", f"others may read them: chmod 600 {keys}")
    else:
        yield Finding("keys", "ok", f"{keys}, for their owner alone")
    server = find(config.home)
    yield Finding("server", "ok", server.endpoint if server else "none runs")


def _isolation(config: Config) -> Iterator[Finding]:
    """Say how jobs would be isolated; a home that does not exist is not made for it."""
    with tempfile.TemporaryDirectory() as passing:
        home = config.home if config.home.exists() else Path(passing)
        try:
            report = open_platform(replace(config, home=home)).runner.report()
        except Unavailable as error:
            yield Finding("jobs", "missing", error.message)
            return
    for what, meaning in report.items():
        yield Finding(f"jobs: {what}", "note" if what.startswith("not used") else "ok", meaning)


def _package(name: str, extra: str, use: str) -> Finding:
    if importlib.util.find_spec(name) is None:
        return Finding(name, "note", f"for {use}: pip install 'clary[{extra}]'")
    distribution = {"sklearn": "scikit-learn", "sklego": "scikit-lego", "xgboost": "xgboost-cpu"}
    return Finding(name, "ok", version(distribution.get(name, name)))
