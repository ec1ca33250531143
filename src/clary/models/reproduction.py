"""Running the record of a model version again, and comparing every digest."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clary.jobs import model as job_model
from clary.jobs import plans
from clary.jobs.contract import join_uri, split_uri
from clary.jobs.inputs import find
from clary.jobs.model import KINDS
from clary.kernel.clock import now
from clary.kernel.codec import build, plain, to_json
from clary.kernel.errors import ClaryError, Conflict, InvalidInput, NotFound
from clary.kernel.names import Ref, arn, parse_arn
from clary.kernel.resource import Event, Query, Resource
from clary.models.rewriting import Definition, Recorded, step_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clary.jobs.contract import Source
    from clary.jobs.service import Jobs
    from clary.kernel.ports import MetadataStore, ObjectStore
    from clary.lineage.model import Artifact, Node
    from clary.lineage.service import Lineage
    from clary.pipelines.service import Pipelines

REPRODUCTION = "reproduction"


@dataclass(frozen=True, slots=True)
class Compared:
    """One artifact of the record beside what was made this time; empty digests: not made."""

    step: str
    role: str
    uri: str
    recorded: str
    again: str

    @property
    def is_same(self) -> bool:
        """Whether it is the same content."""
        return self.recorded == self.again


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a reproduction.

    Parameters
    ----------
    execution
        The pipeline execution that ran the jobs again.
    status, reason
        That execution's.
    inputs, outputs
        Every artifact that jobs read from outside, and every one they made, in the order the jobs
        ran.
    environments
        By step, what its environment had then and has now, where that differs.
    arose
        The step whose outputs differ though everything it read is the same; empty if there is none.
    """

    execution: Ref
    status: str
    reason: str
    inputs: Sequence[Compared]
    outputs: Sequence[Compared]
    environments: Mapping[str, Mapping[str, tuple[str, str]]]
    arose: str

    @property
    def is_same(self) -> bool:
        """Whether it ran to its end and made the same content everywhere."""
        compared = [*self.inputs, *self.outputs]
        return self.status == "Succeeded" and all(one.is_same for one in compared)


class Reproductions:
    """Runs again what a model version was made by.

    Parameters
    ----------
    store, objects
        Where records are, and the content.
    lineage, jobs, pipelines
        What came from what, how each job was run, and what runs it again.
    """

    def __init__(
        self,
        store: MetadataStore,
        objects: ObjectStore,
        lineage: Lineage,
        jobs: Jobs,
        pipelines: Pipelines,
    ) -> None:
        self._store = store
        self._objects = objects
        self._lineage = lineage
        self._jobs = jobs
        self._pipelines = pipelines

    def start(self, package: Ref, *, actor: str) -> Ref:
        """Start the jobs behind a model version again, as an execution of a pipeline of its own.

        They read the recorded inputs, by digest, and write below a fresh prefix.

        Raises
        ------
        NotFound
            There is no such version.
        Conflict
            No job is on record for it, or an input is not what it was and its content is nowhere.
        """
        tree = self._lineage.tree(package)
        recorded = list(self._recorded(tree))
        if not recorded:
            raise Conflict(f"{package} cannot be reproduced: no job is on record that made it")
        definition = Definition(_prefix(package, recorded))
        for one in recorded:
            self._pin(one, definition)
            definition.add(one)
        execution = self._run(package, definition, actor)
        at = now()
        body = {
            "package": plain(package),
            "steps": {one.step: plain(one.ref) for one in recorded},
        }
        with self._store.begin() as change:
            name = execution.sibling(REPRODUCTION, execution.name)
            change.insert(Resource(name, body, at, at, parent=package))
            detail = {"execution": arn(execution)}
            change.append(Event(at, actor, "model-package.reproduced", package, detail))
        return execution

    def report(self, execution: Ref) -> Report:
        """Compare what an execution made with the record, as far as it has come.

        Raises
        ------
        NotFound
            The execution reproduces nothing.
        """
        found = self._store.get(execution.sibling(REPRODUCTION, execution.name))
        if found is None:
            raise NotFound(f"a reproduction by {execution}")
        described = self._pipelines.describe_execution(execution)
        again = self._jobs_of(execution)
        pairs = [
            (step, build(Ref, old), again.get(step)) for step, old in found.body["steps"].items()
        ]
        inputs = [row for pair in pairs for row in self._compared(*pair, made=False)]
        outputs = [row for pair in pairs for row in self._compared(*pair, made=True)]
        made = {(row.uri.rstrip("/"), row.recorded) for row in outputs}
        return Report(
            execution,
            described["PipelineExecutionStatus"],
            described.get("FailureReason", ""),
            [row for row in inputs if (row.uri.rstrip("/"), row.recorded) not in made],
            outputs,
            {step: changes for pair in pairs for step, changes in self._environment(*pair)},
            _arose(inputs, outputs),
        )

    def _recorded(self, tree: Node) -> Iterator[Recorded]:
        """Give the jobs of a record in the order they ran."""
        found: dict[Ref, None] = {}
        pending = [tree]
        while pending:
            node = pending.pop()
            pending += node.children
            if node.ref.kind in KINDS:
                found[node.ref] = None
        stored = self._store.get_all(found)
        taken: list[str] = []
        for ref, resource in sorted(stored.items(), key=lambda item: item[1].created_at):
            job = job_model.read(resource)
            taken.append(step_name(ref, taken))
            yield Recorded(ref, job, plans.plan(ref, job), taken[-1])

    def _pin(self, recorded: Recorded, definition: Definition) -> None:
        """Make sure that a job's inputs from outside are what they were, or say where they are."""
        sources = {one.name: one for one in recorded.plan.sources}
        code = [one for one in recorded.plan.sources if one.code]
        for role, artifact in self._lineage.used(recorded.ref):
            choices = code if role == "code" else [sources[role]] if role in sources else []
            if not choices or definition.is_made(artifact.uri.rstrip("/")):
                continue
            if any(self._content(source) == artifact.digest for source in choices):
                continue
            place = self._elsewhere(recorded, artifact, choices[0], definition)
            definition.move(artifact.uri, place)

    def _content(self, source: Source) -> str:
        """Give the digest of what an input is now; empty when there is nothing."""
        try:
            found = find(self._objects, source)
        except ClaryError:
            return ""
        return found.artifact.digest if found else ""

    def _elsewhere(
        self, recorded: Recorded, artifact: Artifact, source: Source, definition: Definition
    ) -> str:
        """Find a recorded content at another place, and copy an object to where its name fits."""
        for other in self._lineage.elsewhere(recorded.ref, artifact.digest):
            there = replace(source, uri=other.uri)
            if source.manifest or self._content(there) != artifact.digest:
                continue
            if artifact.type != "object":
                return other.uri
            name = artifact.uri.rpartition("/")[2]
            place = join_uri(definition.prefix, "inputs", artifact.digest[:16], name)
            self._copy(other.uri, place)
            return place
        raise Conflict(
            f"{recorded.step} read {artifact.uri} with the digest {artifact.digest}; it is not "
            "that any more, and no other place is known to hold it",
            hint="put the content back there",
        )

    def _copy(self, uri: str, place: str) -> None:
        old, new = (split_uri(one, field="uri") for one in (uri, place))
        self._objects.put(*new, self._objects.read(*old))

    def _run(self, package: Ref, definition: Definition, actor: str) -> Ref:
        name = f"reproduce-{package.name}" + (f"-{package.version}" if package.version else "")
        pipeline = package.sibling("pipeline", name[:250].rstrip("-"))
        request = {
            "PipelineName": pipeline.name,
            "PipelineDescription": f"Runs again what {package} was made by.",
            "PipelineDefinition": to_json(definition.document()).decode(),
        }
        if self._pipelines.list(Query("pipeline", package.account, name=pipeline.name)).items:
            self._pipelines.update(pipeline, request, actor=actor)
        else:
            self._pipelines.create(pipeline, request, actor=actor)
        return self._pipelines.start(pipeline, {}, actor=actor).ref

    def _jobs_of(self, execution: Ref) -> Mapping[str, Ref]:
        """Name the job of each step that has one."""
        found = {}
        for step in self._pipelines.steps(execution):
            for made in step.get("Metadata", {}).values():
                ref = parse_arn(made["Arn"]) if "Arn" in made else None
                if ref is not None and ref.kind in KINDS:
                    found[step["StepName"]] = ref
        return found

    def _compared(self, step: str, old: Ref, new: Ref | None, *, made: bool) -> Iterator[Compared]:
        """Compare what a job made, or read, with what its second run did, by role."""
        look = self._lineage.made if made else self._lineage.used
        again = {role: artifact.digest for role, artifact in look(new)} if new else {}
        for role, artifact in look(old):
            if artifact.type != "environment":
                yield Compared(step, role, artifact.uri, artifact.digest, again.get(role, ""))

    def _environment(
        self, step: str, old: Ref, new: Ref | None
    ) -> Iterator[tuple[str, Mapping[str, tuple[str, str]]]]:
        """Give what differs between the environments of a job's two runs."""
        before, after = self._jobs.ran(old), self._jobs.ran(new) if new else {}
        changes = {
            name: (before.get(name, ""), after.get(name, ""))
            for name in {**before, **after}
            if before.get(name) != after.get(name)
        }
        if changes and after:
            yield step, changes


def _prefix(package: Ref, recorded: Sequence[Recorded]) -> str:
    """Choose where everything is written this time: the bucket of the last job's first output."""
    targets = [target.uri for one in recorded for target in one.plan.targets]
    if not targets:
        raise InvalidInput("version", f"{package} was made by jobs without outputs")
    bucket, _ = split_uri(targets[-1], field="S3Uri")
    version = f"{package.name}-{package.version}" if package.version else package.name
    return f"s3://{bucket}/reproductions/{version}/{secrets.token_hex(4)}"


def _arose(inputs: Sequence[Compared], outputs: Sequence[Compared]) -> str:
    changed = {row.step for row in inputs if not row.is_same}
    return next((x.step for x in outputs if not x.is_same and x.step not in changed), "")
