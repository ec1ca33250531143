"""Container images as runtimes of this machine: repository name and tag, nothing else, decide.

What the tags hold is what the Dockerfiles of aws/sagemaker-xgboost-container and
aws/sagemaker-scikit-learn-container install: the framework's version and the Python are theirs; the
bounds on what they need are those within which that version still works.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from clary.kernel.errors import ClaryError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

Framework = Literal["xgboost", "sklearn", "python", "monitoring"]

REPOSITORIES: dict[str, Framework] = {
    "sagemaker-scikit-learn": "sklearn",
    "sagemaker-xgboost": "xgboost",
    "xgboost": "xgboost",
    "python": "python",
    "sagemaker-base-python": "python",
    **{f"sagemaker-base-python-3{minor}": "python" for minor in range(8, 15)},
    "sagemaker-distribution-prod": "python",
    "clary-environment": "python",
    "sagemaker-clarify-processing": "monitoring",
    "sagemaker-model-monitor-analyzer": "monitoring",
}
_PROGRAMS = {
    "sagemaker-clarify-processing": "clary.monitoring.programs.clarify",
    "sagemaker-model-monitor-analyzer": "clary.monitoring.programs.analyzer",
}
"""The module that an image runs when a request names no command."""
_PACKAGES: dict[Framework, tuple[str, ...]] = {
    "xgboost": ("xgboost", "scikit-learn", "pandas", "numpy"),
    "sklearn": ("scikit-learn", "pandas", "numpy"),
    "python": (),
    "monitoring": ("clary", "duckdb", "numpy", "pyarrow", "scipy"),
}
_OWN: frozenset[Framework] = frozenset({"python", "monitoring"})
"""Whose images promise no versions: they run in the server's own environment."""
_DISTRIBUTIONS = {"xgboost": ("xgboost-cpu", "xgboost")}
_OLD = ("numpy<1.24", "pandas<2", "scipy<1.12", "scikit-learn<1.3")
_CONTENTS: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "sagemaker-xgboost": {
        "1.0-1": ("3.7", ("xgboost==1.0.0", *_OLD)),
        "1.2-1": ("3.7", ("xgboost==1.2.0", *_OLD)),
        "1.2-2": ("3.7", ("xgboost==1.2.0", *_OLD)),
        "1.3-1": ("3.7", ("xgboost==1.3.3", *_OLD)),
        "1.5-1": ("3.8", ("xgboost==1.5.2", *_OLD)),
        "1.7-1": ("3.8", ("xgboost==1.7.4", "numpy<2", "pandas<2.2", "scikit-learn<1.6")),
        "3.0-5": ("3.10", ("xgboost-cpu==3.0.5", "numpy", "pandas<3", "scikit-learn")),
    },
    "sagemaker-scikit-learn": {
        "0.20.0": ("3.7", ("scikit-learn==0.20.0", "numpy<1.24", "pandas<1.4", "scipy<1.9")),
        "0.23-1": ("3.7", ("scikit-learn==0.23.2", "numpy<1.24", "pandas<1.4", "scipy<1.9")),
        "1.0-1": ("3.7", ("scikit-learn==1.0.2", "numpy<1.24", "pandas<2", "scipy<1.11")),
        "1.2-1": ("3.9", ("scikit-learn==1.2.1", "numpy<2", "pandas<2.2", "scipy<1.12")),
        "1.4-2": ("3.10", ("scikit-learn==1.4.2", "numpy<2.2", "pandas<2.3", "scipy<1.15")),
    },
}
_DISTRIBUTION_PYTHONS = {"1": "3.10", "2": "3.11", "3": "3.12"}
_TAG = re.compile(r"(\d+)\.(\d+)")
_BASE = re.compile(r"sagemaker-base-python-3(\d+)")
_ENVIRONMENT = re.compile(r"[0-9a-f]{24}")
_FIRST_SAVED = (1, 3)
"""From this XGBoost image on the model file is the library's own format; before, a pickle."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What an image stands for here.

    Parameters
    ----------
    framework
        Whose container contract holds.
    asked
        Repository and tag as the request has them: ``sagemaker-xgboost 1.0-1``.
    pickles_model
        Whether the built-in XGBoost stores a pickled Booster, as its images up to 1.2 do.
    environment
        The id of the environment that it is, which ``Environments.define`` gave.
    command
        What it runs when a request names no command; empty: it has no program of its own.
    """

    framework: Framework
    asked: str
    pickles_model: bool = False
    environment: str = ""
    command: tuple[str, ...] = ()


def runtime(image: str, *, field: str) -> Runtime:
    """Match an image URI by its repository's last name and its tag.

    Raises
    ------
    InvalidInput
        clary has no runtime for it; names ``field`` and what there is.

    Examples
    --------
    >>> one = runtime("1.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.0-1", field="")
    >>> one.framework, one.asked, one.pickles_model
    ('xgboost', 'sagemaker-xgboost 1.0-1', True)
    >>> runtime("1.dkr.ecr/sagemaker-clarify-processing:1.0", field="").command
    ('python3', '-m', 'clary.monitoring.programs.clarify')
    """
    path, _, _ = image.partition("@")
    repository, _, tag = path.rpartition("/")[2].partition(":")
    framework = REPOSITORIES.get(repository)
    if framework is None:
        raise InvalidInput(
            field,
            f"{image!r} is no image that clary has a runtime for",
            legal=", ".join(sorted(REPOSITORIES)),
        )
    asked = f"{repository} {tag}" if tag else repository
    if repository == "clary-environment":
        if not _ENVIRONMENT.fullmatch(tag):
            legal = "what platform.environments.define gave, or `clary environments list` lists"
            raise InvalidInput(field, f"{tag!r} is no environment", legal=legal)
        return Runtime(framework, asked, environment=tag)
    module = _PROGRAMS.get(repository)
    return Runtime(
        framework,
        asked,
        framework == "xgboost" and _pickles(repository, tag),
        command=("python3", "-m", module) if module else (),
    )


@dataclass(frozen=True, slots=True)
class Contents:
    """What an image holds: requirements, and its Python's minor version where that is known."""

    requirements: tuple[str, ...]
    python: str = ""


def exact(asked: Runtime) -> Contents:
    """Say what exactly the image of a runtime holds.

    Raises
    ------
    InvalidInput
        The tag is none whose contents are known; says which are.

    Examples
    --------
    >>> exact(runtime("sagemaker-scikit-learn:1.2-1-cpu-py3", field="")).requirements[0]
    'scikit-learn==1.2.1'
    """
    repository, _, tag = asked.asked.partition(" ")
    if asked.framework in _OWN:
        return Contents((), _python(repository, tag))
    known = _CONTENTS.get(repository, {})
    for version, (python, requirements) in known.items():
        if tag == version or tag.startswith(f"{version}-"):
            return Contents(requirements, python)
    legal = ", ".join(f"{name}:{tag}" for name, tags in _CONTENTS.items() for tag in tags)
    raise InvalidInput("image", f"the versions in {asked.asked!r} are not known here", legal=legal)


def usual(asked: Runtime) -> Contents:
    """Say what the image of a runtime holds when its exact versions do not matter.

    The framework is the server's own where it has it.
    """
    repository, _, tag = asked.asked.partition(" ")
    names = () if asked.framework in _OWN else _PACKAGES[asked.framework]
    packages = [_DISTRIBUTIONS.get(name, (name,))[0] for name in names]
    if packages and (version := _version(_PACKAGES[asked.framework][0])):
        packages[0] = f"{packages[0]}=={version}"
    return Contents(tuple(packages), _python(repository, tag))


def _python(repository: str, tag: str) -> str:
    """Read the Python that an image's name promises; empty where it promises none."""
    if base := _BASE.fullmatch(repository):
        return f"3.{base[1]}"
    if repository == "sagemaker-distribution-prod":
        return _DISTRIBUTION_PYTHONS.get(tag.partition(".")[0], "")
    version = _TAG.match(tag) if repository == "python" else None
    return f"{version[1]}.{version[2]}" if version else ""


def _pickles(repository: str, tag: str) -> bool:
    match = _TAG.match(tag)
    if match is None:
        return repository == "xgboost"
    return (int(match[1]), int(match[2])) < _FIRST_SAVED


def ran(asked: Runtime, beside: Sequence[Runtime] = ()) -> dict[str, str]:
    """Say what a job of these runtimes uses: the server's own interpreter and packages.

    Raises
    ------
    ClaryError
        A package that the image promises is not installed.
    """
    every = (asked, *beside)
    images = ", ".join(one.asked for one in every)
    found = {"image": images, "python": sys.version.partition(" ")[0]}
    needed = {name: one.framework for one in every for name in _PACKAGES[one.framework]}
    for package, framework in needed.items():
        version = _version(package)
        if version is None:
            extra = "monitoring" if framework == "monitoring" else "ml"
            raise ClaryError(
                f"the image {images} needs the package {package}, which is not installed here",
                hint=f"install clary[{extra}]",
            )
        found[package] = version
    return found


def _version(package: str) -> str | None:
    return _installed(package, tuple(_changed_at(folder) for folder in sys.path))


def _changed_at(folder: str) -> int:
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=64)
def _installed(package: str, changed_at: tuple[int, ...]) -> str | None:  # noqa: ARG001 - it changes when something is installed, and so what is remembered is not used
    for name in _DISTRIBUTIONS.get(package, (package,)):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None
