"""Laying out ``/opt/ml`` and composing the process of one host."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from clary.jobs.ports import ProcessSpec
from clary.kernel.codec import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.jobs.contract import Plan

PACKAGE = Path(__file__).resolve().parents[1]
"""Readable in every job: the programs of containers, and what ``import clary`` finds there."""
CONTAINERS = PACKAGE / "jobs" / "containers"
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_SMALL = ("argparse", "csv", "json", "logging", "pathlib", "pickle", "tarfile", "cloudpickle")
PRELOAD = (
    *_SMALL,
    *("numpy", "pandas", "scipy.sparse", "joblib", "sklearn.compose", "sklearn.ensemble"),
    *("sklearn.impute", "sklearn.linear_model", "sklearn.metrics", "sklearn.model_selection"),
    *("sklearn.pipeline", "sklearn.preprocessing", "xgboost", "boto3", "pyarrow.parquet"),
    *("duckdb", "sqlglot.dialects.duckdb"),
)
"""What jobs import that takes long; of these, what their environment has."""
PRELOAD_VARIABLE = "CLARY_PRELOAD"
"""``none`` in a job's environment: it imports none of these, and a small process forks faster."""
_SHARED_MACHINE = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that wait must not spin: beside other jobs that made XGBoost 40 times slower."""


def write_files(plan: Plan, host: str, ml: Path) -> None:
    """Write a host's configuration files and make the directories it expects."""
    for directory in plan.directories:
        (ml / directory).mkdir(parents=True, exist_ok=True)
    for name, content in configuration(plan, host).items():
        file = ml / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def configuration(plan: Plan, host: str) -> dict[str, bytes]:
    """Write a host's configuration files, by path below ``/opt/ml``."""
    path, resources = plan.resources
    documents = {**plan.documents, path: {"current_host": host, **resources}}
    return {name: to_json(document) for name, document in documents.items()}


def specification(  # noqa: PLR0913 - a process is one host of a plan and five facts beside it
    plan: Plan,
    host: str,
    given: Mapping[str, str],
    *,
    process: str,
    ml: Path,
    log: Path,
    memory_bytes: int | None,
) -> ProcessSpec:
    """Compose the process of one host.

    ``given`` holds the platform's variables; they go before the request's own, because a job
    reaches the platform by them, except for PYTHONPATH, which is joined.
    """
    python = Path(plan.python or sys.executable)
    argv = list(plan.argv)
    if plan.program:
        program, *arguments = plan.program
        argv = [str(python), str(CONTAINERS / program), *arguments]
    paths = [given.get("PYTHONPATH", ""), plan.environment.get("PYTHONPATH", "")]
    environment = {
        "PATH": f"{python.parent}:{_SYSTEM_PATH}",
        "HOME": "/tmp",  # noqa: S108 - the sandbox's own
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        **_SHARED_MACHINE,
        **plan.environment,
        **given,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }
    return ProcessSpec(
        id=process,
        argv=argv,
        environment={name: value for name, value in environment.items() if value},
        ml=ml,
        cwd=plan.cwd,
        log=log,
        readable=(PACKAGE, *plan.readable, *_readable(given)),
        hostname=host,
        peers=[one for one in plan.hosts if one != host],
        network=plan.network,
        memory_bytes=memory_bytes,
        timeout_s=plan.limit_s,
        preload=_SMALL if plan.environment.get(PRELOAD_VARIABLE) == "none" else PRELOAD,
    )


def typical() -> ProcessSpec:
    """Say what most jobs' processes have in common, so that a runner can make ready for them."""
    python = Path(sys.executable)
    return ProcessSpec(
        id="typical",
        argv=(str(python), "-c", ""),
        environment={"PATH": f"{python.parent}:{_SYSTEM_PATH}"},
        ml=Path(os.devnull),
        cwd="/opt/ml",
        log=Path(os.devnull),
        readable=(PACKAGE,),
        preload=PRELOAD,
    )


def _readable(given: Mapping[str, str]) -> list[Path]:
    """Return the directories that the platform's own variables put on the PYTHONPATH."""
    folders = [Path(path) for path in given.get("PYTHONPATH", "").split(os.pathsep) if path]
    return [folder for folder in folders if folder.is_dir()]
