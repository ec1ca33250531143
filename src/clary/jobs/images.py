"""Container images as runtimes of this machine: repository name and tag, nothing else, decide."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from clary.kernel.errors import ClaryError, InvalidInput

Framework = Literal["xgboost", "sklearn", "python"]

REPOSITORIES: dict[str, Framework] = {
    "sagemaker-scikit-learn": "sklearn",
    "sagemaker-xgboost": "xgboost",
    "xgboost": "xgboost",
    "python": "python",
    "sagemaker-base-python": "python",
    "sagemaker-base-python-310": "python",
    "sagemaker-distribution-prod": "python",
}
_PACKAGES: dict[Framework, tuple[str, ...]] = {
    "xgboost": ("xgboost", "scikit-learn", "pandas", "numpy"),
    "sklearn": ("scikit-learn", "pandas", "numpy"),
    "python": (),
}
_DISTRIBUTIONS = {"xgboost": ("xgboost-cpu", "xgboost")}
_TAG = re.compile(r"(\d+)\.(\d+)")
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
    """

    framework: Framework
    asked: str
    pickles_model: bool = False


def runtime(image: str, *, field: str) -> Runtime:
    """Match an image URI by its repository's last name and its tag.

    Raises
    ------
    InvalidInput
        clary has no runtime for it; names ``field`` and what there is.

    Examples
    --------
    >>> runtime("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.0-1", field="")
    Runtime(framework='xgboost', asked='sagemaker-xgboost 1.0-1', pickles_model=True)
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
    return Runtime(framework, asked, framework == "xgboost" and _pickles(repository, tag))


def _pickles(repository: str, tag: str) -> bool:
    match = _TAG.match(tag)
    if match is None:
        return repository == "xgboost"
    return (int(match[1]), int(match[2])) < _FIRST_SAVED


def ran(asked: Runtime) -> dict[str, str]:
    """Say what a job of this runtime uses: the server's own interpreter and packages.

    Raises
    ------
    ClaryError
        A package that the image promises is not installed.
    """
    found = {"image": asked.asked, "python": sys.version.partition(" ")[0]}
    for package in _PACKAGES[asked.framework]:
        version = _version(package)
        if version is None:
            raise ClaryError(
                f"the image {asked.asked} needs the package {package}, which is not installed here",
                hint="install clary[ml]",
            )
        found[package] = version
    return found


def _version(package: str) -> str | None:
    for name in _DISTRIBUTIONS.get(package, (package,)):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None
