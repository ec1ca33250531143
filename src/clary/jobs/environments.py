"""Python environments for jobs: defined by what they need, locked once, built where they lack.

An environment's definition is a resource, whose id is the digest of what was asked for; the image
``clary-environment:<id>`` stands for it in any request. Its packages are pinned when a job needs it
first, and stay so. What lies on this machine is only a copy of that, and may go at any time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from clary.jobs import dependencies, images, overlay, recipes
from clary.jobs.model import KINDS
from clary.jobs.recipes import Definition
from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import ClaryError, Conflict, InvalidInput, NotFound
from clary.kernel.names import Ref
from clary.kernel.resource import Event, Query, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from clary.jobs.contract import Plan
    from clary.jobs.ports import EnvironmentBuilder, Interpreter
    from clary.jobs.recipes import Ran
    from clary.kernel.ports import MetadataStore

    Check = Callable[[], None]
    Say = Callable[[str], None]

KIND = "environment"
IMAGE = "clary-environment"
OLDEST = (3, 9)
"""The programs that run in environments need this Python."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One environment: its definition, and what lies of it on this machine."""

    id: str
    definition: Definition
    size_bytes: int | None
    defined_at: datetime

    @property
    def image(self) -> str:
        """What stands for it in requests."""
        return f"{IMAGE}:{self.id}"


class Environments:
    """The environments of a home.

    Parameters
    ----------
    store
        Where definitions are.
    builder
        Locks and builds them.
    strict
        Give every job the exact versions that its image's tag stands for.
    """

    def __init__(
        self, store: MetadataStore, builder: EnvironmentBuilder, *, strict: bool = False
    ) -> None:
        self._store = store
        self._builder = builder
        self._strict = strict

    def depends_on(self, plan: Plan) -> dict[str, str]:
        """Name what decides, beside the job's code, which packages it gets; builds nothing.

        The pins of an environment never change, so that its definition stands for them.
        """
        try:
            known = images.ran(plan.runtime, plan.beside)
        except ClaryError:  # not the server's own packages
            known = {"image": ", ".join(one.asked for one in (plan.runtime, *plan.beside))}
        return {**known, "strict": str(self._strict)}

    def own(self, plan: Plan) -> Ran | None:
        """Say what is recorded of a job that brings no requirements and needs nothing built.

        None when its image is an environment, or its exact versions are wanted. Raises ClaryError.
        """
        if plan.runtime.environment:
            return None
        wanted = recipes.wanted(plan, dependencies.Needs(), None, strict=self._strict)
        return images.ran(plan.runtime) if wanted is None else None

    def define(self, requirements: Sequence[str], *, python: str = "", actor: str = "clary") -> str:
        """Name an environment by what it needs, and return the image that stands for it.

        Nothing is installed yet: a job that names the image does that. cloudpickle is always
        part of it, in the server's own version unless a requirement names another.

        Parameters
        ----------
        requirements
            Lines as in requirements.txt: names, extras, versions and markers.
        python
            Minor version; empty: the server's own.

        Raises
        ------
        InvalidInput
            A line is no such requirement, or ``python`` no version.
        """
        lines = dependencies.requirements("\n".join(requirements), field="requirements")
        return f"{IMAGE}:{self._define(recipes.definition(lines, python), actor)}"

    def exact(self, image: str, *, actor: str = "clary") -> str:
        """Name the environment of the exact versions that an image's tag stands for.

        Raises
        ------
        InvalidInput
            They are not known; says of which images they are.
        """
        holds = images.exact(images.runtime(image, field="image"))
        return f"{IMAGE}:{self._define(recipes.of_contents(holds), actor)}"

    def build(self, image: str, *, check: Check = lambda: None) -> Listed:
        """Build an environment now, unless it is there.

        Raises
        ------
        InvalidInput, NotFound
            ``image`` is no environment; or nothing fulfils its requirements.
        ClaryError
            It cannot be built.
        """
        found = self.get(image)
        self._built(found.id, found.definition, check)
        return self.get(image)

    def get(self, image: str) -> Listed:
        """Describe one environment by its image or its id.

        Raises
        ------
        NotFound
            There is no such environment.
        """
        name = image.rpartition("/")[2].removeprefix(f"{IMAGE}:")
        resource = self._store.get(_ref(name))
        if resource is None:
            raise NotFound(f"environment {name}")
        return self._listed(resource, {one.id: one.size_bytes for one in self._builder.built()})

    def list(self) -> Sequence[Listed]:
        """Every environment, the newest first."""
        sizes = {one.id: one.size_bytes for one in self._builder.built()}
        page = self._store.select(Query(KIND, limit=10_000))
        return [self._listed(resource, sizes) for resource in page.items]

    def remove(self, image: str, *, actor: str) -> None:
        """Remove what lies of an environment on this machine.

        Its definition stays, with its pins, so that a job that names it builds the same again.

        Raises
        ------
        NotFound
            There is no such environment.
        Conflict
            A job runs in it.
        """
        found = self.get(image)
        environment = found.definition.built
        for kind in KINDS:
            where = {"ran.environment": environment}
            query = Query(kind, statuses=("InProgress", "Stopping"), where=where, limit=1)
            for job in self._store.select(query).items:
                raise Conflict(f"{job.ref} runs in the environment {found.id}")
        self._builder.remove(environment)
        with self._store.begin() as change:
            change.append(Event(now(), actor, "environment.removed", _ref(found.id)))

    def prepare(
        self, plan: Plan, workspaces: Sequence[Path], *, say: Say, check: Check
    ) -> tuple[Plan, Ran]:
        """Give a job its environment, built if it must be.

        Parameters
        ----------
        workspaces
            The ``/opt/ml`` directories of its hosts, where its inputs lie.
        say
            Writes a line of the job's log.
        check
            Called again and again; what it raises gives the building up.

        Returns
        -------
        tuple
            The plan in that environment, and what is recorded of it: image, Python, versions, and
            unless it is the server's own, its id and the digest of its lock.

        Raises
        ------
        ClaryError
            It cannot be had; says which package is missing, and why.
        """
        needs = dependencies.needs(plan, workspaces[0])
        named = plan.runtime.environment
        base = self._read(named) if named else None
        wanted = recipes.wanted(plan, needs, base, strict=self._strict)
        if wanted is None:
            return plan, images.ran(plan.runtime, plan.beside)
        name = self._define(wanted, "clary")
        known = self._read(name)
        if self._builder.folder(known.built) is None:
            say(f"Building the environment {IMAGE}:{name}: {', '.join(wanted.requirements)}")
        try:
            definition = self._built(name, known, check)
        except ClaryError as error:
            say(f"The environment cannot be had: {error}")
            raise
        folder = self._builder.folder(definition.built)
        if folder is None:
            raise ClaryError(f"the environment {name} was removed while the job started")
        if needs.online:
            for ml in workspaces:
                overlay.write(ml, folder)
        return recipes.within(plan, folder, needs), recipes.ran(plan, definition)

    def _define(self, definition: Definition, actor: str) -> str:
        ref = _ref(definition.id)
        if self._store.get(ref) is None:
            with self._store.begin() as change:
                if change.get(ref) is None:
                    moment = now()
                    body = plain(definition)
                    change.insert(Resource(ref, body, moment, moment))
                    change.append(Event(moment, actor, "environment.defined", ref))
        return definition.id

    def _read(self, name: str) -> Definition:
        resource = self._store.get(_ref(name))
        if resource is None:
            raise NotFound(f"environment {name}")
        return build(Definition, resource.body)

    def _built(self, name: str, definition: Definition, check: Check) -> Definition:
        """Lock and build a definition as far as that is still to do."""
        if self._builder.folder(definition.built) is not None:
            return definition
        if definition.lock:
            interpreter = self._interpreter(definition)
        else:
            interpreter, lock = self._lock(definition, check)
            definition = self._keep(name, lock=lock, interpreter=interpreter.version)
            if definition.interpreter != interpreter.version:  # somebody else was first
                interpreter = self._interpreter(definition)
        environment = self._builder.build(definition.lock, interpreter, check)
        return self._keep(name, built=environment)

    def _keep(self, name: str, **members: str) -> Definition:
        """Write down what was found out; who was first to pin the packages wins."""
        with self._store.begin() as change:
            resource = change.get(_ref(name))
            if resource is None:
                raise NotFound(f"environment {name}")
            definition = build(Definition, resource.body)
            if "lock" in members and definition.lock:
                return definition
            definition = msgspec.structs.replace(definition, **members)
            change.update(replace(resource, body=plain(definition)))
            if "lock" in members:
                event = Event(now(), "clary", "environment.locked", resource.ref)
                change.append(event)
        return definition

    def _lock(self, definition: Definition, check: Check) -> tuple[Interpreter, str]:
        """Pin the packages for the first of the Pythons that will do for which there are any."""
        refused: InvalidInput | None = None
        candidates = self._candidates(definition)
        for interpreter in candidates:
            try:
                return interpreter, self._builder.lock(definition.requirements, interpreter, check)
            except InvalidInput as error:
                refused = refused or error
        if refused is None:
            raise self._missing(definition.python)
        if len(candidates) > 1:
            others = ", ".join(one.version for one in candidates[1:])
            problem = f"{refused.problem}; nor do any for {others}"
            raise InvalidInput(refused.field, problem, legal=f"Python {definition.python}")
        raise refused

    def _interpreter(self, definition: Definition) -> Interpreter:
        """Find the Python that the lock is for: the same minor version, as its wheels are."""
        minor = ".".join(definition.interpreter.split(".")[:2])
        for one in self._builder.interpreters():
            if one.minor == _minor(minor):
                return one
        raise self._missing(minor)

    def _candidates(self, definition: Definition) -> Sequence[Interpreter]:
        asked = _minor(definition.python)
        able = [one for one in self._builder.interpreters() if one.minor >= OLDEST]
        if not definition.nearest:
            return [one for one in able if one.minor == asked]
        return sorted(able, key=lambda one: (abs(one.minor[1] - asked[1]), -one.minor[1]))

    def _missing(self, python: str) -> ClaryError:
        there = ", ".join(sorted(one.version for one in self._builder.interpreters()))
        oldest = ".".join(map(str, OLDEST))
        return ClaryError(
            f"the environment needs Python {python}, which is not on this machine; there is "
            f"{there}, and {oldest} is the oldest that is used; install it by the system, by "
            f"pyenv, or by `uv python install {python}`",
        )

    def _listed(self, resource: Resource, sizes: Mapping[str, int]) -> Listed:
        definition = build(Definition, resource.body)
        name = resource.ref.name
        return Listed(name, definition, sizes.get(definition.built), resource.created_at)


def _ref(name: str) -> Ref:
    return Ref("", "", KIND, name)


def _minor(text: str) -> tuple[int, int]:
    major, minor = text.split(".")[:2]
    return int(major), int(minor)
