"""How many instances a fleet should have, of which models. Pure but for the machine's memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from clary.endpoints.instances import Wanted
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.endpoints.instances import State
    from clary.endpoints.model import FleetSpec

TIMEOUT_S = 60.0
"""How long a request may take, unless ``limits`` say otherwise."""
IDLE_S = 300.0
"""After how long without a request an instance that came by use leaves."""
MOST_MODELS = 32
"""How many models of a multi-model container are loaded at once, unless it says otherwise."""
MOST_MODELS_VARIABLE = "SAGEMAKER_MAX_LOADED_MODELS"
_SPARE_SHARE = 20


def is_multi_model(spec: FleetSpec) -> bool:
    """Say whether a container loads models when requests name them."""
    return any(stage.multi_model for stage in spec.stages)


def comes_by_use(spec: FleetSpec) -> bool:
    """Say whether instances are started when requests need them."""
    return spec.serverless is not None or is_multi_model(spec)


def needs_none(spec: FleetSpec) -> bool:
    """Say whether it is in service without any instance."""
    return bool(spec.compiled) or is_multi_model(spec)


def most_of_one_model(spec: FleetSpec) -> int:
    """How many instances of one model there may be, where they come by use."""
    return spec.serverless.max_concurrency if spec.serverless else max(1, spec.count)


def most_models(spec: FleetSpec) -> int:
    """How many models may be loaded at once.

    Raises
    ------
    InvalidInput
        The container's variable is no positive number.
    """
    for stage in spec.stages:
        if stage.multi_model and (text := stage.environment.get(MOST_MODELS_VARIABLE)):
            if not text.isdecimal() or not 0 < int(text) <= 10_000:
                raise InvalidInput(MOST_MODELS_VARIABLE, repr(text), legal="1 to 10000")
            return int(text)
    return MOST_MODELS


def targets(spec: FleetSpec, state: State, idle_s: Mapping[int, float]) -> dict[str, Wanted]:
    """Say how many instances of each model there should be.

    Models that were not used longest make room for those that are wanted and have none.

    Parameters
    ----------
    idle_s
        By an instance's number, for how long it has had no request.
    """
    if not comes_by_use(spec):
        return {"": Wanted(spec.count)}
    if spec.serverless is not None:
        known = state.wanted.get("", Wanted(0))
        least = max(known.count, spec.serverless.provisioned)
        return {"": msgspec.structs.replace(known, count=least)}
    wanted = {model: one for model, one in state.wanted.items() if one.count}
    loaded = {one.model for one in state.instances if one.phase != "leaving"}
    most = most_models(spec)
    if _memory_is_scarce():
        most = max(1, min(most, len(loaded)))
    surplus = len(wanted) - most
    if surplus <= 0:
        return wanted
    ready = [one for one in state.instances if one.phase == "ready"]
    spare = {one.model: idle_s.get(one.serial, 0.0) for one in ready}
    if not all(one.serial in idle_s for one in ready):
        spare = {}  # nobody knows yet which was not used longest
    unused = [model for model in spare if spare[model] > 0]
    out = set(sorted(unused, key=lambda model: -spare[model])[:surplus])
    kept = {model: one for model, one in wanted.items() if model not in out and model in loaded}
    new = [model for model in wanted if model not in loaded][: max(0, most - len(kept))]
    return kept | {model: wanted[model] for model in new}


def _memory_is_scarce() -> bool:
    """Say whether less than a twentieth of the machine's memory is available."""
    lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    facts = {name: int(value.split()[0]) for name, _, value in (x.partition(":") for x in lines)}
    return facts.get("MemAvailable", 1) * _SPARE_SHARE < facts.get("MemTotal", 1)
