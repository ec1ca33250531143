"""What can be deployed, as a container of a model: an image, an archive, variables."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.doors.python import packages
from clary.jobs.contract import split_uri
from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.names import arn, parse_name
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.doors.python.session import Session
    from clary.kernel.ports import JsonObject

PYTHON = "CLARY_INTERFACE"
"""Variable of a container that serves a Python object which this door has packed."""
_PROGRAM = Path(__file__).with_name("serving_program.py")
_LEGAL = (
    "a model version (GROUP/VERSION), a group (its newest approved version), a model's name, "
    "a file, a folder, s3://…, a booster, or an object or class with predict"
)
_BOOSTER_FILES = {".json", ".ubj", ".xgb"}


def container(
    model: Any,
    session: Session,
    *,
    requirements: Sequence[str] = (),
    files: str = "",
    environment: Mapping[str, str] | None = None,
) -> JsonObject:
    """Make a container of what is to be deployed; uploads it where it is of this machine.

    Parameters
    ----------
    model
        See ``clary.endpoints.deploy``.
    requirements
        Packages of an environment of its own.
    files
        A file or folder that a class is given when it is loaded.
    environment
        Variables of the container.

    Raises
    ------
    InvalidInput
        It is nothing that can be deployed; says what is.
    NotFound
        It names something that does not exist.
    """
    made = _named(model, session) if isinstance(model, str | Path) else None
    if made is None:
        made = _packed(model, session, files)
    if requirements:
        made = {**made, "Image": session.define([*requirements, "numpy"])}
    variables = {**made.get("Environment", {}), **(environment or {})}
    return {**made, **({"Environment": variables} if variables else {})}


def _named(name: str | Path, session: Session) -> JsonObject:
    text = str(name)
    if text.startswith("s3://"):
        return _of_uri(text, session)
    if Path(text).exists():
        return _of_path(Path(text), session)
    try:
        return {"ModelPackageName": arn(_version(text, session))}
    except NotFound:
        model = session.platform.store.get(session.ref("model", text.rpartition("/")[2]))
    if model is None:
        raise NotFound(f"model {text}", hint=f"name {_LEGAL}")
    listed = model.body["request"].get("Containers")
    if listed and len(listed) > 1:
        raise InvalidInput("model", f"{text} has {len(listed)} containers", legal="one")
    found: JsonObject = listed[0] if listed else model.body["request"]["PrimaryContainer"]
    return found


def _version(text: str, session: Session) -> Any:
    """Find a version by its name, or the newest approved one of a group. Raises NotFound."""
    platform = session.platform
    name, _, number = text.partition("/")
    if text.startswith("arn:") or number:
        where = {"account": session.account, "region": platform.config.region}
        ref = parse_name(text, "model-package", **where, field="model")
        platform.models.describe_package(ref)
        return ref
    group = session.ref("model-package-group", name)
    approved = {"request.ModelApprovalStatus": "Approved"}
    query = Query("model-package", parent=group, where=approved, sort_by="version", limit=1)
    if items := platform.models.list(query).items:
        return items[0].ref
    if platform.store.get(group) is None:
        raise NotFound(group)
    hint = f"`clary models approve {name}` approves its newest version"
    raise InvalidInput("model", f"{group} has no approved version", hint=hint)


def _of_uri(uri: str, session: Session) -> JsonObject:
    bucket, key = split_uri(uri, field="model")
    with tempfile.TemporaryFile() as file:
        file.writelines(session.platform.objects.read(bucket, key))
        file.seek(0)
        names = _names(file, uri)
    return {"Image": _image(names), "ModelDataUrl": uri}


def _of_path(path: Path, session: Session) -> JsonObject:
    uploads = session.uploads()
    if path.name.endswith((".tar.gz", ".tgz")):
        with path.open("rb") as file:
            names = _names(file, str(path))
        uri = uploads.path(path, "model")
        session.send(uploads)
        return {"Image": _image(names), "ModelDataUrl": uri}
    if path.is_dir():
        found = {
            str(one.relative_to(path)): one for one in sorted(path.rglob("*")) if one.is_file()
        }
    else:
        booster = path.suffix in _BOOSTER_FILES
        found = {"xgboost-model" if booster else path.name: path}
    members = {name: one.read_bytes() for name, one in found.items()}
    return {"Image": _image(list(members)), "ModelDataUrl": _uploaded(members, session)}


def _packed(model: Any, session: Session, files: str) -> JsonObject:
    if _is_booster(model):
        data = bytes(model.save_raw("ubj"))
        members = {"xgboost-model": data}
        return {"Image": _image(list(members)), "ModelDataUrl": _uploaded(members, session)}
    if not callable(getattr(model, "predict", None)):
        raise InvalidInput("model", f"a {type(model).__name__} has no predict", legal=_LEGAL)
    try:
        pickled = packages.dumps(model)
    except Exception as error:  # reducers raise anything
        problem = f"a {type(model).__name__} cannot be pickled: {error}"
        raise InvalidInput("model", problem, hint="deploy its class, which makes it") from None
    members = {"model.pkl": pickled, "code/inference.py": _PROGRAM.read_bytes()}
    if files:
        members |= _below(Path(files))
    image = f"python:{sys.version_info[0]}.{sys.version_info[1]}"
    uri = _uploaded(members, session)
    return {"Image": image, "ModelDataUrl": uri, "Environment": {PYTHON: "python"}}


def _below(path: Path) -> dict[str, bytes]:
    if path.is_file():
        return {f"files/{path.name}": path.read_bytes()}
    found = [one for one in sorted(path.rglob("*")) if one.is_file()]
    if not found:
        raise InvalidInput("files", f"{path} holds nothing", legal="a file or a folder")
    return {f"files/{one.relative_to(path)}": one.read_bytes() for one in found}


def _is_booster(model: Any) -> bool:
    return any(f"{one.__module__}.{one.__name__}" == _BOOSTER for one in type(model).__mro__)


_BOOSTER = "xgboost.core.Booster"


def _names(file: Any, place: str) -> list[str]:
    """List the files of a model's archive, without reading them."""
    try:
        with tarfile.open(fileobj=file, mode="r:gz") as archive:
            return [name.removeprefix("./") for name in archive.getnames()]
    except (tarfile.TarError, OSError, EOFError):
        raise InvalidInput("model", f"{place} is no model archive", legal="a .tar.gz") from None


def _image(names: Sequence[str]) -> str:
    """Choose the image that serves files of these names."""
    if "xgboost-model" in names and "code/inference.py" not in names:
        return f"sagemaker-xgboost:{_xgboost()}-1"
    return "sagemaker-scikit-learn:1.4-2-cpu-py3"


def _uploaded(members: Mapping[str, bytes], session: Session) -> str:
    """Pack files, equal ones into equal bytes, and upload the archive under its digest."""
    data = _archive(members)
    uploads = session.uploads()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tar.gz"
        path.write_bytes(data)
        uri = uploads.path(path, "model")
        session.send(uploads)
    return uri


def _archive(members: Mapping[str, bytes]) -> bytes:
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


def _xgboost() -> str:
    """Say which XGBoost is installed: what wrote a booster serves it."""
    for name in ("xgboost", "xgboost-cpu"):
        try:
            return ".".join(metadata.version(name).split(".")[:2])
        except metadata.PackageNotFoundError:
            continue
    return "3.0"
