"""An execution in the hands of one process: its steps, what they offer, what may start."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clary.kernel.codec import build, plain
from clary.kernel.names import Ref
from clary.pipelines.expressions import StepOutput
from clary.pipelines.planner import ENDED, Planner, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clary.kernel.resource import Resource
    from clary.kernel.steps import StepResult
    from clary.pipelines.model import Definition, Step
    from clary.pipelines.starts import Start

WAITING = "Starting"
"""The status of a step that has failed and is tried again at its ``due_at``."""
_REASON = 1024


@dataclass(slots=True)
class Run:
    """What is known of an execution, kept between its wakes.

    Parameters
    ----------
    execution
        As it was read or written last; another revision in the store means that somebody else
        has changed it, and that all of this has to be read again.
    steps
        The steps that it may run, or whose results it has.
    rows
        The resources of the steps that have begun.
    taken
        The steps that hands have, ready as they were given to them.
    looked_at
        When every running step was looked at last.
    seen
        The moments up to which changes of jobs are known, by kind; ``loaded_at`` of others.
    """

    execution: Resource
    steps: Mapping[str, Step]
    rows: dict[str, Resource] = field(default_factory=dict)
    running: dict[str, None] = field(default_factory=dict)
    outputs: dict[str, StepOutput] = field(default_factory=dict)
    planner: Planner = field(init=False)
    taken: dict[str, Start] = field(default_factory=dict)
    looked_at: datetime | None = None
    seen: dict[str, datetime] = field(default_factory=dict)
    loaded_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        """Begin with no step begun."""
        self.planner = Planner(self.steps)
        self.loaded_at = self.execution.modified_at

    @property
    def stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self.execution.status == "Stopping"

    @property
    def halted(self) -> bool:
        """Whether nothing starts any more."""
        return self.stopping or self.planner.failed

    def note(self, row: Resource) -> None:
        """Take in how far a step is."""
        name = name_of(row)
        self.rows[name] = row
        self.planner.note(name, State(row.status, row.body["branch"]))
        if row.status not in ENDED:
            self.running[name] = None
            return
        self.running.pop(name, None)
        if row.status == "Succeeded":
            self.outputs[name] = StepOutput(row.body["properties"], row.body["files"])

    def jobs(self) -> dict[Ref, str]:
        """Name the running steps by what they wait for."""
        found = ((name, self.rows[name].body.get("job")) for name in self.running)
        return {build(Ref, job): name for name, job in found if job}

    def waiting(self) -> dict[str, datetime]:
        """Say when the steps that have failed are tried again."""
        return {
            name: datetime.fromisoformat(self.rows[name].body["due_at"])
            for name in self.running
            if self.rows[name].status == WAITING
        }


def load(execution: Resource, definition: Definition, rows: Iterable[Resource]) -> Run:
    """Put together what is known of an execution."""
    begun = list(rows)
    steps = definition.steps
    selected = execution.body.get("selected")
    if selected is not None:
        names = {*selected["steps"], *map(name_of, begun)}
        steps = {name: step for name, step in steps.items() if name in names}
    run = Run(execution, steps)
    for row in begun:
        run.note(row)
    return run


def name_of(row: Resource) -> str:
    """Name a step by its resource."""
    return row.ref.name.rpartition("/")[2]


def row_ref(execution: Ref, name: str) -> Ref:
    """Name the resource of an execution's step."""
    return execution.sibling("pipeline-step", f"{execution.name}/{name}")


def outcome(result: StepResult) -> dict[str, Any]:
    """Write down what a step kind said."""
    return {
        "properties": plain(result.properties),
        "files": dict(result.files),
        "metadata": plain(result.metadata),
        "branch": result.branch,
        "reason": result.reason[:_REASON],
    }
