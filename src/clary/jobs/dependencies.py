"""What a job needs installed beside its image's packages, as the files it brought say.

A source archive brings ``requirements.txt``; the SDK's remote functions name a dependencies file
in their arguments, and the Python and the SDK that they were written with.
"""

from __future__ import annotations

import posixpath
import re
import tarfile
import zipfile
import zlib
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from clary.kernel.codec import from_json
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from clary.jobs.contract import Plan

MOST_LINES = 1000
_MOST_BYTES = 256 * 1024
_LONGEST = 500
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\s*(?:\[[A-Za-z0-9._,\s-]*\])?"
    r"\s*\(?(?:(?:[<>=!~]=|===|[<>])\s*[A-Za-z0-9.*+!_-]+\s*,?\s*)*\)?\s*(?:;.*)?"
)
_TRAINING = "input/code/sourcedir.tar.gz"
_PROCESSING = "processing/input/code/sourcedir.tar.gz"
_DRIVER = "/opt/ml/input/data/sagemaker_remote_function_bootstrap/job_driver.sh"
_WORKSPACE = "sagemaker_remote_function_workspace"
_DEPENDENCIES = "input/data/pre_exec_script_and_dependencies"
_SCRIPT = "pre_exec.sh"
_SERVING = frozenset({"serve.py", "batch_transform.py"})
"""The programs that load models."""
_LINES, _CODE_LINES, _MLMODEL = "requirements.txt", "code/requirements.txt", "MLmodel"
_FULL_MLFLOW = re.compile(r"^mlflow(?![A-Za-z0-9._-])")
_MLFLOW = ("mlflow-skinny", "pandas")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)*[a-z0-9.]*")
_MINOR = re.compile(r"3\.[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class Needs:
    """What is to be in a job's environment beside what its image holds.

    Parameters
    ----------
    requirements
        Requirement lines.
    python
        The minor version it must have; empty: the image's.
    bootstrapped
        The SDK's bootstrap script runs first, and installs what is not there.
    online
        The job runs installers of its own, which need the package index.
    """

    requirements: tuple[str, ...] = ()
    python: str = ""
    bootstrapped: bool = False
    online: bool = False


def needs(plan: Plan, ml: Path) -> Needs:
    """Say what a job needs, once its inputs lie below ``ml``.

    Raises
    ------
    InvalidInput
        A requirement is none that clary installs; names file and line.
    """
    if is_remote_function(plan):
        return _remote(plan.argv[2:], ml)
    if tuple(plan.program[:1]) == ("notebook.py",):
        return Needs(("papermill", "ipykernel", "pip"), online=True)
    if plan.program and plan.program[0] in _SERVING:
        containers = (ml, *sorted(ml.glob("containers/*")))
        return Needs(tuple(dict.fromkeys(line for one in containers for line in _served(one))))
    trained = _packed(ml / _TRAINING, "requirements.txt")
    processed = _packed(ml / _PROCESSING, "requirements.txt")
    lines = requirements(trained or processed, field="requirements.txt")
    return Needs((*lines, "pip") if processed and lines else lines)


def is_remote_function(plan: Plan) -> bool:
    """Whether a job runs a function that the SDK's ``@remote`` or ``@step`` has stored."""
    return len(plan.argv) > 1 and plan.argv[1] == _DRIVER


def requirements(text: str, *, field: str) -> tuple[str, ...]:
    r"""Read requirement lines: names, extras, versions and markers; digests are left out.

    Raises
    ------
    InvalidInput
        A line is something else, or there are too many; names the line.

    Examples
    --------
    >>> requirements(
    ...     "pandas>=2,<3  # frames\n\nscikit-learn [tests] ; python_version > '3.9'", field="r"
    ... )
    ('pandas>=2,<3', "scikit-learn [tests] ; python_version > '3.9'")
    """
    found = []
    for number, line in enumerate(text.replace("\\\n", " ").splitlines(), 1):
        plain = re.sub(r"(?:^|\s)#.*", "", line)
        plain = re.sub(r"\s--hash=\S+", "", plain).strip()
        if not plain:
            continue
        if len(plain) > _LONGEST or not _REQUIREMENT.fullmatch(plain):
            raise InvalidInput(
                f"{field}, line {number}",
                f"{plain[:80]!r} is no requirement that is installed here",
                legal="name[extras] with versions and markers, of packages that the server's own "
                "index has; no options, paths or addresses",
            )
        found.append(plain)
    if len(found) > MOST_LINES:
        raise InvalidInput(field, f"has {len(found)} requirements", legal=f"at most {MOST_LINES}")
    return tuple(found)


def _served(ml: Path) -> tuple[str, ...]:
    """Say what a model needs, by the files that came with it.

    A script's archive or artifact brings ``requirements.txt``; so does an MLflow model, which gets
    the small package of MLflow that has all that loading needs. ONNX files need its runtime.

    Raises
    ------
    InvalidInput
        A requirement is none that clary installs; names file and line.
    """
    names = (_CODE_LINES, _MLMODEL, _LINES)
    found, others = _unpacked(ml / "input/model/model.tar.gz", ml / "model", names)
    script = _packed(ml / _TRAINING, _LINES) or found.get(_CODE_LINES, "")
    lines = requirements(script, field=_LINES)
    if _MLMODEL in found:
        own = requirements(found.get(_LINES, ""), field=_LINES)
        lines += tuple(_FULL_MLFLOW.sub("mlflow-skinny", line) for line in own)
        lines += _MLFLOW
    elif any(name.endswith(".onnx") for name in others):
        lines += ("onnxruntime",)
    return lines


def _remote(words: Sequence[str], ml: Path) -> Needs:
    given = _options(words)
    python, version = given.client_python_version, given.client_sagemaker_pysdk_version
    if not _MINOR.fullmatch(python):
        raise InvalidInput("ContainerArguments", f"{python!r} is no Python", legal="3.x")
    pinned = f"sagemaker=={version}" if _VERSION.fullmatch(version) else "sagemaker<3"
    channel = ml / "input/data" / (given.func_step_s3_dir or _WORKSPACE)
    archive = channel / "workspace.zip"
    name = _dependency_file(given.dependency_settings)
    text = _unzipped(archive, f"{_WORKSPACE}/{name}") or _plain(ml / _DEPENDENCIES, name)
    listed = requirements(text, field=name) if name.endswith(".txt") else ()
    online = bool(
        _unzipped(archive, f"{_WORKSPACE}/{_SCRIPT}") or _plain(ml / _DEPENDENCIES, _SCRIPT)
    )
    return Needs((pinned, "pip", *listed), python, bootstrapped=True, online=online)


def _options(words: Sequence[str]) -> Namespace:
    parser = ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    for name in ("client_python_version", "client_sagemaker_pysdk_version", "func_step_s3_dir"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--dependency_settings", default="{}")
    given, _ = parser.parse_known_args(list(words))
    if given.func_step_s3_dir in {".", ".."} or "/" in given.func_step_s3_dir:
        raise InvalidInput("ContainerArguments", f"{given.func_step_s3_dir!r} is no channel")
    return given


def _dependency_file(settings: str) -> str:
    document: Any = from_json(settings, field="--dependency_settings")
    name = (document.get("dependency_file") if isinstance(document, dict) else "") or ""
    return posixpath.basename(str(name))


def _plain(folder: Path, name: str) -> str:
    file = folder / name
    if not name or file.is_symlink() or not file.is_file():
        return ""
    with file.open("rb") as stream:
        return _text(stream.read(_MOST_BYTES + 1), name)


def _unzipped(archive: Path, member: str) -> str:
    if not archive.is_file():
        return ""
    try:
        with zipfile.ZipFile(archive) as packed, packed.open(member) as stream:
            return _text(stream.read(_MOST_BYTES + 1), member)
    except KeyError:
        return ""
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise InvalidInput(archive.name, f"cannot be unpacked: {error}") from None


def _packed(archive: Path, name: str) -> str:
    """Read one file at the top of a tar.gz; empty where there is none, as in no archive at all."""
    for path, read in _members(archive):
        if path == name:
            return _text(read(), name)
    return ""


def _unpacked(
    archive: Path, folder: Path, names: Sequence[str]
) -> tuple[dict[str, str], Sequence[str]]:
    """Read some files of an artifact, packed or not, and the names of the others."""
    found: dict[str, str] = {name: text for name in names if (text := _plain(folder, name))}
    others = [path.name for path in folder.glob("*.onnx")]
    for path, read in _members(archive):
        if path in names:
            found[path] = _text(read(), path)
        else:
            others.append(path)
    return found, others


def _members(archive: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the files of a tar.gz as far as it can be read; each can be read when it is yielded."""
    if not archive.is_file():
        return
    try:
        with tarfile.open(archive, "r|gz") as packed:
            for member in packed:
                if member.isfile() and (stream := packed.extractfile(member)):
                    yield posixpath.normpath(member.name), partial(stream.read, _MOST_BYTES + 1)
    except (tarfile.TarError, EOFError, zlib.error, OSError):
        return  # the program that unpacks it says so, in its own words


def _text(data: bytes, name: str) -> str:
    if len(data) > _MOST_BYTES:
        raise InvalidInput(name, "is too large", legal=f"at most {_MOST_BYTES >> 10} KiB")
    return data.decode("utf-8", "replace")
