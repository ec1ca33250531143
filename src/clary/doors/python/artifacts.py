"""What can be deployed from Python, as a container of a model: an image, an archive, variables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.doors.python import packages
from clary.endpoints.sources import LEGAL, below
from clary.endpoints.viewed import INTERFACE_VARIABLE
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.doors.python.session import Session
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

PYTHON = INTERFACE_VARIABLE
"""Variable of a container that serves a Python object which this door has packed."""
FLOW = "CLARY_FLOW"
"""Variable of a container that is a flow: it takes frames and records by the names of columns."""
_PROGRAM = Path(__file__).with_name("serving_program.py")
_BOOSTER = "xgboost.core.Booster"


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
    near = session.ref("model", "")
    if isinstance(model, str | Path):
        made = session.platform.sources.named(str(model), near)
    elif callable(getattr(model, "container", None)):  # a flow makes its own
        made = model.container(session)
    else:
        made = _packed(model, session, near, files)
    if requirements:
        made = {**made, "Image": session.define([*requirements, "numpy"])}
    variables = {**made.get("Environment", {}), **(environment or {})}
    return {**made, **({"Environment": variables} if variables else {})}


def _packed(model: Any, session: Session, near: Ref, files: str) -> JsonObject:
    sources = session.platform.sources
    if any(f"{one.__module__}.{one.__name__}" == _BOOSTER for one in type(model).__mro__):
        return sources.packed({"xgboost-model": bytes(model.save_raw("ubj"))}, near)
    if not callable(getattr(model, "predict", None)):
        legal = f"{LEGAL}, a booster, or an object or class with predict"
        raise InvalidInput("model", f"a {type(model).__name__} has no predict", legal=legal)
    try:
        pickled = packages.dumps(model)
    except Exception as error:  # reducers raise anything
        problem = f"a {type(model).__name__} cannot be pickled: {error}"
        raise InvalidInput("model", problem, hint="deploy its class, which makes it") from None
    members = {"model.pkl": pickled, "code/inference.py": _PROGRAM.read_bytes()}
    if files:
        members |= below(Path(files), "files")
    image = f"python:{sys.version_info[0]}.{sys.version_info[1]}"
    return {**sources.packed(members, near), "Image": image, "Environment": {PYTHON: "python"}}
