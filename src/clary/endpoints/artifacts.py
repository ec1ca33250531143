"""Which artifact a request's ``TargetModel`` names, below the prefix of a multi-model container."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from clary.jobs.contract import join_uri, split_uri
from clary.kernel.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from clary.endpoints.lines import Key
    from clary.endpoints.model import FleetSpec
    from clary.kernel.ports import ObjectStore

_FRESH_S = 1.0
_MOST_KNOWN = 10_000
_LONGEST = 1024


class Artifacts:
    """The artifacts of one fleet.

    Parameters
    ----------
    objects
        Where they are.
    spec
        The fleet.
    """

    def __init__(self, objects: ObjectStore, spec: FleetSpec) -> None:
        self._objects = objects
        self._prefix = next((one.model_data for one in spec.stages if one.multi_model), None)
        self._known: dict[str, tuple[str, float]] = {}

    def key(self, model: str) -> Key:
        """Name the model that a request is for, and which content it has now.

        What is said may be a second old.

        Raises
        ------
        InvalidInput
            The variant has one model for all, needs a name, or has no model of this name.
        """
        if self._prefix is None:
            if model:
                raise InvalidInput("TargetModel", "the variant is no multi-model one")
            return "", ""
        etag, at = self._known.get(model, ("", 0.0))
        if not etag or time.monotonic() - at > _FRESH_S:
            etag = self._etag(self._prefix, model)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[model] = etag, time.monotonic()
        return model, etag

    def _etag(self, prefix: str, model: str) -> str:
        parts = model.removeprefix("/").split("/")
        bad = not all(parts) or {".", ".."} & set(parts) or not model.isprintable()
        if bad or len(model) > _LONGEST:
            legal = "the name of an artifact below the container's ModelDataUrl"
            raise InvalidInput("TargetModel", f"{model[:80]!r} is no such name", legal=legal)
        uri = join_uri(prefix, model.removeprefix("/"))
        try:
            return self._objects.stat(*split_uri(uri, field="TargetModel")).etag
        except NotFound:
            raise InvalidInput("TargetModel", f"there is no artifact at {uri}") from None
