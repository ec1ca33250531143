"""Which environment a job runs in: what its image holds, what it brought to be installed beside it.

Pure; ``environments`` keeps, locks and builds what is composed here.
"""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING

import msgspec

from clary.jobs import images, overlay
from clary.jobs.images import Contents
from clary.jobs.installed import met
from clary.kernel.codec import digest
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clary.jobs.contract import Plan
    from clary.jobs.dependencies import Needs

    Ran = dict[str, str]

STRICT = "CLARY_STRICT_VERSIONS"
"""A job's own variable that asks for the exact versions of its image."""

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", re.MULTILINE)
_MINOR = re.compile(r"3\.[0-9]{1,2}")


class Definition(msgspec.Struct, frozen=True):
    """The body of an environment's resource.

    Parameters
    ----------
    requirements
        Requirement lines, sorted.
    python
        The Python's minor version: ``3.11``.
    nearest
        Whether another Python will do where that one is missing, the nearest first.
    lock
        Every package pinned, with the digests of its files; empty until it is needed first.
    interpreter
        Version of the Python that it is pinned for.
    built
        Id of what was built of it last.
    """

    requirements: tuple[str, ...]
    python: str
    nearest: bool = False
    lock: str = ""
    interpreter: str = ""
    built: str = ""

    @property
    def id(self) -> str:
        """Names the definition; the same for whoever asks for the same."""
        return digest([self.requirements, self.python, self.nearest])[:24]


def definition(lines: Sequence[str], python: str = "", *, nearest: bool = False) -> Definition:
    """Define an environment; cloudpickle is always in it, the server's unless a line names one.

    Raises
    ------
    InvalidInput
        ``python`` is no minor version; empty stands for the server's own.
    """
    chosen = python or ".".join(map(str, sys.version_info[:2]))
    if not _MINOR.fullmatch(chosen):
        raise InvalidInput("python", f"{python!r} is no minor version", legal="3.9, 3.10, …")
    named = {_name(line) for line in lines}
    own = () if "cloudpickle" in named else (f"cloudpickle=={metadata.version('cloudpickle')}",)
    return Definition(tuple(sorted({*lines, *own})), chosen, nearest)


def of_contents(holds: Contents) -> Definition:
    """Define the environment of exactly what an image holds, on the nearest Python if need be."""
    return definition(holds.requirements, holds.python, nearest=bool(holds.requirements))


def wanted(plan: Plan, needs: Needs, base: Definition | None, *, strict: bool) -> Definition | None:
    """Say which environment a job runs in; None for the server's own.

    Parameters
    ----------
    base
        The environment that its image is, if it is one.
    strict
        Whether every job gets the exact versions of its image.

    Raises
    ------
    InvalidInput
        The exact versions are wanted, and its image's are not known.
    """
    if base is not None:
        lines = (*base.requirements, *needs.requirements)
        return definition(lines, base.python) if needs.requirements else base
    strict = strict or plan.environment.get(STRICT, "").lower() in {"1", "true", "yes"}
    contents = images.exact if strict else images.usual
    holds = _together([contents(one) for one in (plan.runtime, *plan.beside)])
    exactly = strict and bool(holds.requirements or holds.python)
    if exactly and not needs.requirements:
        return of_contents(holds)
    if met(needs.requirements) and not exactly:
        return None
    asked = {_name(line) for line in needs.requirements}
    kept = [line for line in holds.requirements if strict or _name(line) not in asked]
    promised = plan.runtime.framework == "python"
    python = holds.python or needs.python if promised else needs.python or holds.python
    nearest = bool(holds.python) and not needs.python and not (strict and promised)
    return definition((*kept, *needs.requirements), python, nearest=nearest)


def _together(parts: Sequence[Contents]) -> Contents:
    """Say what holds all that several images hold, on the first one's Python."""
    lines = dict.fromkeys(line for one in parts for line in one.requirements)
    return Contents(tuple(lines), next((one.python for one in parts if one.python), ""))


def within(plan: Plan, folder: Path, needs: Needs) -> Plan:
    """Put a plan into a built environment."""
    home = overlay.INSIDE if needs.online else str(folder)
    variables = {"CLARY_ENVIRONMENT": folder.name, "VIRTUAL_ENV": home}
    if needs.online:
        variables["PATH"] = f"{home}/bin:{folder}/bin:/usr/local/bin:/usr/bin:/bin"
        variables["JUPYTER_PATH"] = f"{folder}/share/jupyter"
    elif needs.requirements:  # all is there; pip need not look for more
        variables["PIP_NO_INDEX"] = "1"
    if needs.bootstrapped:  # the SDK's script would call sudo for anybody but root
        variables["LOGNAME"] = "root"
    return replace(
        plan,
        python=f"{home}/bin/python",
        readable=(folder,),
        environment={**variables, **plan.environment},
    )


def ran(plan: Plan, used: Definition) -> Ran:
    """Say what is recorded of the environment a job runs in.

    Its image, the Python, the versions of what was asked for, the id, and the lock's digest.
    """
    pins = {_canonical(name): version for name, version in _PIN.findall(used.lock)}
    named = sorted({_name(line) for line in used.requirements} & pins.keys())
    return {
        "image": ", ".join(one.asked for one in (plan.runtime, *plan.beside)),
        "python": used.interpreter,
        **{name.replace("xgboost-cpu", "xgboost"): pins[name] for name in named},
        "environment": used.built,
        "lock": hashlib.sha256(used.lock.encode()).hexdigest(),
    }


def _name(line: str) -> str:
    match = _NAME.match(line)
    return _canonical(match[0]) if match else ""


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
