"""Experiments, trials and trial components, and what their documents hold."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clary.kernel.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.experiments.ports import Summary
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

EXPERIMENT = "experiment"
TRIAL = "experiment-trial"
COMPONENT = "experiment-trial-component"
MEMBER = "experiment-member"
"""Says that a component is in a trial or an experiment, its parent; lists are read off these."""
LOGGED_MODEL = "logged-model"
"""A model that a run has logged, with files of its own."""
RUN_TAG = ("sagemaker:trial-component-source", "run")
"""The tag by which the official SDK knows components that are runs."""
MOST_PARAMETERS = 2_000
MOST_ARTIFACTS = 1_000
_LIMITS = {
    "Parameters": MOST_PARAMETERS,
    "InputArtifacts": MOST_ARTIFACTS,
    "OutputArtifacts": MOST_ARTIFACTS,
}

Value = str | int | float


@dataclass(frozen=True, slots=True)
class Run:
    """A trial component as people look at it.

    Parameters
    ----------
    ref
        The component's.
    name
        Its display name, else the name it was given.
    experiments, trials
        The names of those it belongs to.
    status
        ``InProgress``, ``Completed``, ``Failed``, ``Stopping``, ``Stopped``, or empty.
    parameters
        Numbers and texts by name.
    metrics
        Summaries by name.
    tags
        By key.
    inputs, outputs
        Artifacts: URIs (or any text) by name.
    source
        The ARN of the job it was made for; empty when somebody logged it.
    notes
        What a door keeps beside the public document, by a word of its own.
    """

    ref: Ref
    name: str
    created_at: datetime
    experiments: Sequence[str] = ()
    trials: Sequence[str] = ()
    status: str = ""
    message: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    parameters: Mapping[str, Value] = field(default_factory=dict)
    metrics: Mapping[str, Summary] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Write it as a row to compare: ``params.*``, last ``metrics.*`` and ``tags.*``."""
        begun, ended = self.started_at, self.ended_at
        return {
            "run": self.name,
            "status": self.status,
            "started_at": begun,
            "seconds": (ended - begun).total_seconds() if begun and ended else None,
            **{f"params.{name}": value for name, value in self.parameters.items()},
            **{f"metrics.{name}": metric.last for name, metric in self.metrics.items()},
            **{f"tags.{key}": text for key, text in self.tags.items() if key != RUN_TAG[0]},
        }


def read_run(
    found: Resource, metrics: Sequence[Summary] = (), tags: Mapping[str, str] | None = None
) -> Run:
    """Read a component."""
    request = found.body["request"]
    return Run(
        ref=found.ref,
        name=request.get("DisplayName") or request["TrialComponentName"],
        created_at=found.created_at,
        experiments=found.body["experiments"],
        trials=found.body["trials"],
        status=found.status,
        message=request.get("Status", {}).get("Message", ""),
        started_at=_moment(request.get("StartTime")),
        ended_at=_moment(request.get("EndTime")),
        parameters=values(request.get("Parameters", {})),
        metrics={one.name: one for one in metrics},
        tags=tags or {},
        inputs={name: one["Value"] for name, one in request.get("InputArtifacts", {}).items()},
        outputs={name: one["Value"] for name, one in request.get("OutputArtifacts", {}).items()},
        source=(found.body["source"] or {}).get("SourceArn", ""),
        notes=found.body.get("notes", {}),
    )


def _moment(stored: str | datetime | None) -> datetime | None:
    return datetime.fromisoformat(stored) if isinstance(stored, str) else stored


def named(near: Ref, kind: str, name: str) -> Ref:
    """Name an experiment, trial or component; case does not tell two of them apart.

    Examples
    --------
    >>> from clary.kernel.names import Ref
    >>> str(named(Ref("1", "us-east-1", "", ""), TRIAL, "Default-Run-Group-a"))
    'experiment-trial default-run-group-a'
    """
    return near.sibling(kind, name.lower())


def member(component: Ref, holder: Ref) -> Ref:
    """Name the membership of a component in a trial or an experiment."""
    return component.sibling(MEMBER, f"{component.name}/{holder.kind}/{holder.name}")


def source_ref(ref: Ref) -> Ref:
    """Name what a component was made for as its parent: the ARN's case does not matter."""
    return replace(ref, name=ref.name.lower())


def parameters(given: Mapping[str, Value]) -> JsonObject:
    """Write parameters as the public documents have them.

    Examples
    --------
    >>> parameters({"rate": 0.1, "objective": "mse"})
    {'rate': {'NumberValue': 0.1}, 'objective': {'StringValue': 'mse'}}
    """
    return {
        name: {"StringValue": value} if isinstance(value, str) else {"NumberValue": value}
        for name, value in given.items()
    }


def values(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Value]:
    """Read what ``parameters`` wrote."""
    return {
        name: one["NumberValue"] if "NumberValue" in one else one.get("StringValue", "")
        for name, one in documents.items()
    }


def changed(before: JsonObject, change: JsonObject) -> JsonObject:
    """Say what a component's document becomes: maps are added to, other members replaced.

    ``ParametersToRemove`` and its like name what leaves a map.

    Raises
    ------
    InvalidInput
        A parameter is not exactly one of a number and a text.
    LimitExceeded
        A map would become too large.
    """
    for name, one in change.get("Parameters", {}).items():
        number, text = one.get("NumberValue"), one.get("StringValue")
        if (number is None) == (text is None) or (number is not None and not math.isfinite(number)):
            legal = "either a finite NumberValue or a StringValue"
            raise InvalidInput(f"Parameters.{name}", f"{dict(one)!r:.100}", legal=legal)
    after = {**before, **{key: value for key, value in change.items() if key in _PLAIN}}
    for name, most in _LIMITS.items():
        gone = set(change.get(f"{name}ToRemove", ()))
        kept = {key: one for key, one in before.get(name, {}).items() if key not in gone}
        whole = {**kept, **change.get(name, {})}
        if len(whole) > most:
            raise LimitExceeded(f"{name}: {len(whole)} of them; legal: at most {most}")
        if whole or name in before:
            after[name] = whole
    return after


_PLAIN = frozenset(
    {
        *("TrialComponentName", "DisplayName", "Status", "StartTime", "EndTime"),
        "MetadataProperties",
    }
)
