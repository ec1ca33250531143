"""What a model is made of, where a job can tell: the trees of a built-in XGBoost model."""

from __future__ import annotations

import os
import pickle
import tarfile
import zlib
from typing import TYPE_CHECKING, Any

from clary.jobs.images import runtime
from clary.kernel.errors import ClaryError
from clary.monitoring.programs.predictor import client, download

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from clary.monitoring.programs.clarify_config import Predictor

_NAME = "xgboost-model"
_MOST_BYTES = 4 << 30
_SCRIPTS = ("SAGEMAKER_PROGRAM", "sagemaker_program")


def booster(settings: Predictor, scratch: Path) -> Any | None:
    """Load the trees of the model that the settings name; None where it is something else.

    The artifact may hold a pickle: this runs in the job's sandbox, which is the place for that.

    Raises
    ------
    ClaryError
        The model is not there, or its artifact cannot be read.
    """
    container = _container(settings)
    if container is None or not _is_built_in(container):
        return None
    (archive,) = download(container["ModelDataUrl"], scratch / "model")[:1]
    file = scratch / _NAME
    return _loaded(file) if _unpack(archive, file) else None


def _container(settings: Predictor) -> Mapping[str, Any] | None:
    sagemaker, model = client("sagemaker"), settings.model_name
    if settings.endpoint_name:
        found = sagemaker.describe_endpoint(EndpointName=settings.endpoint_name)
        config = sagemaker.describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
        variants = config["ProductionVariants"]
        if len(variants) != 1 or not variants[0].get("ModelName"):
            return None
        model = variants[0]["ModelName"]
    described = sagemaker.describe_model(ModelName=model)
    containers = described.get("Containers") or [described.get("PrimaryContainer", {})]
    if len(containers) != 1:
        return None
    (only,) = containers
    if package := only.get("ModelPackageName"):
        found = sagemaker.describe_model_package(ModelPackageName=package)
        inside = found.get("InferenceSpecification", {}).get("Containers", [])
        return inside[0] if len(inside) == 1 else None
    return dict(only)


def _is_built_in(container: Mapping[str, Any]) -> bool:
    if not container.get("ModelDataUrl") or container.get("Mode") == "MultiModel":
        return False
    if any(container.get("Environment", {}).get(one) for one in _SCRIPTS):
        return False
    try:
        return runtime(container.get("Image", ""), field="Image").framework == "xgboost"
    except ClaryError:
        return False


def _unpack(archive: Path, target: Path) -> bool:
    """Write the model's file, if the archive has one; paths of members are not followed."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile() and member.name.removeprefix("./") == _NAME:
                    if member.size > _MOST_BYTES:
                        raise ClaryError(f"{_NAME} has {member.size} bytes")
                    source = tar.extractfile(member)
                    assert source is not None  # noqa: S101 - it is a file
                    with source, target.open("wb") as file:
                        while chunk := source.read(1 << 20):
                            file.write(chunk)
                    return True
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ClaryError(f"the model's archive cannot be read: {error}") from error
    return False


def _loaded(file: Path) -> Any | None:
    try:
        import xgboost  # noqa: PLC0415 - large, and of an extra
    except ImportError:
        return None
    data = file.read_bytes()
    made = _read(data, xgboost.Booster()) if data[:1] == b"{" else _unpickled(data)
    if not isinstance(made, xgboost.Booster):
        raise ClaryError(f"{_NAME} holds a {type(made).__name__}, no Booster")
    made.set_param({"nthread": len(os.sched_getaffinity(0))})
    return made


def _read(data: bytes, made: Any) -> Any:
    if not data.endswith((b"}", b"}\n")):  # XGBoost may crash where one is cut off
        raise ClaryError(f"{_NAME} is cut off: a model of {len(data)} bytes that has no end")
    try:
        made.load_model(bytearray(data))
    except Exception as error:  # its messages may not even be text
        raise ClaryError(f"{_NAME} is no model that XGBoost reads: {_first_line(error)}") from error
    return made


def _unpickled(data: bytes) -> Any:
    try:
        return pickle.loads(data)  # noqa: S301 - in the sandbox
    except Exception as error:  # what is no pickle fails in any way
        said = f"{type(error).__name__}: {_first_line(error)}"
        raise ClaryError(f"{_NAME} is no model of XGBoost and no pickle of one: {said}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")[:300]
