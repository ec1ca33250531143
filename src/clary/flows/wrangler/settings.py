"""The parameters of a whole ``.flow`` file: what ``{{name}}`` in its texts stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from clary.flows.model import Parameter
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["string", "number", "datetime", "pattern"]


class _Written(Struct, frozen=True):
    name: str
    type: str = "string"
    default_value: str | float | int | None = None


def read(document: Any) -> dict[str, Parameter]:
    """Read a file's list of parameters.

    Raises
    ------
    InvalidInput
        It is no list, or one has no name, an unknown type or the name of another.
    """
    made: dict[str, Parameter] = {}
    for place, one in enumerate(build(list[Any], document or [], field="parameters")):
        path = f"parameters[{place}]"
        known = build(_Written, one, field=path)
        if known.name in made:
            raise InvalidInput(path, f"two parameters are called {known.name!r}")
        kind: Kind = build(Kind, known.type.lower(), field=f"{path}.type")  # type: ignore[arg-type]
        made[known.name] = Parameter(known.default_value, kind)
    return made


def write(document: dict[str, Any], parameters: Mapping[str, Parameter]) -> None:
    """Put parameters into a file; those that it has as they are stay as they were."""
    before = read(document.get("parameters"))
    kept = {one["name"]: one for one in document.get("parameters") or ()}
    made = []
    for name, one in parameters.items():
        if before.get(name) == one:
            made.append(kept[name])
        else:
            told = {"name": name, "type": one.type.capitalize(), "default_value": one.default}
            made.append(kept.get(name, {}) | told)
    if made or document.get("parameters"):
        document["parameters"] = made
