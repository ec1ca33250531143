"""What an execution does next: pure, from the definition and how far each step is."""

from __future__ import annotations

import heapq
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
    """The steps to start now, and whether the execution has ended."""

    ready: tuple[str, ...]
    finished: bool


class Planner:
    """Keeps track of what may start, at the cost of what has changed.

    A step is ready when all it depends on has succeeded and its branch was taken. It is skipped
    when its branch was not taken, or something it depends on is skipped. After a failure nothing
    starts, and the execution ends when what runs has ended.

    Parameters
    ----------
    steps
        The steps; what they depend on beyond these counts as done. There is no cycle.
    """

    def __init__(self, steps: Mapping[str, Step]) -> None:
        self._steps = steps
        self._names = list(steps)
        self._place = {name: place for place, name in enumerate(self._names)}
        self._dependents: dict[str, list[str]] = {name: [] for name in steps}
        self._missing: dict[str, int] = {}
        self._ready: set[int] = set()
        self._started: set[str] = set()
        self._running: set[str] = set()
        self._skipped: set[str] = set()
        self.failed = False
        for place, (name, step) in enumerate(steps.items()):
            needed = step.dependencies & steps.keys()
            self._missing[name] = len(needed)
            for other in needed:
                self._dependents[other].append(name)
            if not needed:
                self._ready.add(place)

    @property
    def skipped(self) -> frozenset[str]:
        """The steps that never run."""
        return frozenset(self._skipped)

    def note(self, name: str, state: State) -> None:
        """Take down how far a step is; one that has ended stays as it is."""
        if name not in self._started:
            self._started.add(name)
            self._ready.discard(self._place[name])
        elif name not in self._running:
            return
        self._running.add(name)
        if state.status not in ENDED:
            return
        self._running.remove(name)
        if state.status == "Succeeded":
            self._succeeded(name, state.branch)
        else:
            self.failed = True

    def plan(self, *, limit: int, halted: bool = False) -> Plan:
        """Decide what to do next.

        Parameters
        ----------
        limit
            How many steps may run at once, at least 1.
        halted
            Whether a stop was asked for: then nothing starts, as after a failure.
        """
        if halted or self.failed:
            return Plan((), finished=not self._running)
        room = max(0, limit - len(self._running))
        ready = tuple(self._names[place] for place in heapq.nsmallest(room, self._ready))
        waiting = len(self._steps) - len(self._started) - len(self._skipped)
        return Plan(ready, finished=not self._running and not waiting)

    def _succeeded(self, name: str, branch: str) -> None:
        for other in self._dependents[name]:
            self._missing[other] -= 1
            step = self._steps[other]
            if branch and step.condition == name and step.branch != branch:
                self._skip(other)
            elif self._may_start(other):
                self._ready.add(self._place[other])

    def _skip(self, name: str) -> None:
        stack = [name]
        while stack:
            name = stack.pop()
            if name not in self._skipped and name not in self._started:
                self._skipped.add(name)
                stack += self._dependents[name]

    def _may_start(self, name: str) -> bool:
        return not (self._missing[name] or name in self._skipped or name in self._started)
