"""What an execution does next: pure, from the definition and how far each step is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.pipelines.model import Step

ENDED = frozenset({"Succeeded", "Failed", "Stopped"})


@dataclass(frozen=True, slots=True)
class State:
    """How far a started step is; ``branch`` is the one its condition chose."""

    status: str
    branch: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps to start now, those that never run, and whether the execution has ended."""

    ready: tuple[str, ...]
    skipped: frozenset[str]
    finished: bool


def plan(
    steps: Mapping[str, Step], states: Mapping[str, State], *, limit: int, halted: bool = False
) -> Plan:
    """Decide what to do next.

    A step is ready when all it depends on has succeeded and its branch was taken. It is skipped
    when its branch was not taken, or something it depends on is skipped. After a failure, and
    when ``halted``, nothing starts, and the execution ends when what runs has ended.

    Parameters
    ----------
    steps
        The definition's steps; their dependencies have no cycle.
    states
        Steps that were started.
    limit
        How many steps may run at once, at least 1.
    halted
        Whether a stop was asked for.
    """
    skipped = _skipped(steps, states)
    running = sum(state.status not in ENDED for state in states.values())
    halted = halted or any(state.status in {"Failed", "Stopped"} for state in states.values())
    waiting = [name for name in steps if name not in states and name not in skipped]
    if halted:
        return Plan((), skipped, finished=not running)
    succeeded = {name for name, state in states.items() if state.status == "Succeeded"}
    ready = [name for name in waiting if steps[name].dependencies <= succeeded]
    return Plan(
        tuple(ready[: max(0, limit - running)]), skipped, finished=not running and not waiting
    )


def _skipped(steps: Mapping[str, Step], states: Mapping[str, State]) -> frozenset[str]:
    skipped: set[str] = set()
    grown = True
    while grown:
        grown = False
        for name, step in steps.items():
            if name in skipped or name in states:
                continue
            chosen = states.get(step.condition, State("")).branch
            if (chosen and chosen != step.branch) or step.dependencies & skipped:
                skipped.add(name)
                grown = True
    return frozenset(skipped)
