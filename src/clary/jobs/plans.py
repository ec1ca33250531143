"""The plan of any job: one function a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.jobs import processing, requests, training, transform
from clary.jobs.model import PROCESSING, TRAINING, TRANSFORM, Job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clary.jobs.contract import Plan
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject

_PLANS: Mapping[str, Callable[[Ref, Job], Plan]] = {
    PROCESSING: processing.plan,
    TRAINING: training.plan,
    TRANSFORM: transform.plan,
}


def plan(ref: Ref, job: Job) -> Plan:
    """Say what the containers of ``job`` find and leave behind; InvalidInput, NotSupported."""
    return _PLANS[ref.kind](ref, job)


def check(ref: Ref, request: JsonObject) -> None:
    """Refuse a request that can never run, without looking at the model it may name."""
    if ref.kind == TRANSFORM:
        requests.transform(request)
    else:
        plan(ref, Job(request=request, actor="", uid=""))
