"""Processing, training and transform jobs: create, follow, stop, list, delete."""

from __future__ import annotations

import secrets
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clary.jobs import describe, keys, model, plans, transform
from clary.jobs.hands import JobCrew
from clary.jobs.runs import Run, Tools
from clary.kernel.clock import now
from clary.kernel.errors import ClaryError, Conflict, InvalidInput, NotFound
from clary.kernel.resource import Event, Query, Resource

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from datetime import datetime

    from clary.jobs.environments import Environments
    from clary.jobs.ports import GroupRows, JobRunner, LogStore
    from clary.jobs.runs import Environment
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, ObjectStore, Transaction
    from clary.kernel.resource import Page
    from clary.lineage.service import Lineage


class Jobs:
    """Processing, training and transform jobs.

    Parameters
    ----------
    store, objects, runner, logs
        The ports.
    lineage
        Where inputs, code and outputs are linked.
    environment
        Gives a job's process the variables it needs to reach the platform: credentials of the
        named role, endpoint, plugin. Directories on its PYTHONPATH become readable inside.
    environments
        Give a job the packages that it runs with.
    memory_bytes
        What one host of a job may use; None: no limit.
    groups
        Write rows that jobs leave for feature groups.
    """

    def __init__(  # noqa: PLR0913 - four ports and what the platform knows of its jobs
        self,
        store: MetadataStore,
        objects: ObjectStore,
        runner: JobRunner,
        logs: LogStore,
        lineage: Lineage,
        *,
        environment: Environment,
        environments: Environments,
        memory_bytes: int | None = None,
        groups: GroupRows | None = None,
    ) -> None:
        self._store = store
        self._runner = runner
        self._tools = Tools(
            store, objects, runner, logs, lineage, environment, environments, memory_bytes, groups
        )

    def create(  # noqa: PLR0913 - a job is a request and five things about it
        self,
        ref: Ref,
        request: JsonObject,
        *,
        actor: str,
        tags: Mapping[str, str] | None = None,
        transaction: Transaction | None = None,
        parent: Ref | None = None,
        kept: Mapping[str, tuple[str, str]] | None = None,
    ) -> Resource:
        """Accept a job; a worker starts it.

        Parameters
        ----------
        ref
            Its kind is ``processing-job``, ``training-job`` or ``transform-job``.
        request
            The public create document, kept as it is.
        transaction
            A change that this belongs to; else it is one of its own.
        parent
            A pipeline execution, which is woken when the job has ended.
        kept
            Files whose text the job keeps when it completes: name → (output name, path).

        Raises
        ------
        InvalidInput, NotSupported
            The request can never run; names the member.
        NotFound
            A transform job's model does not exist.
        AlreadyExists
            There is a job of that name.
        """
        self.check(ref, request)
        scope = nullcontext(transaction) if transaction is not None else self._store.begin()
        with scope as change:
            found = transform.containers(change.get, ref, request) if _transforms(ref) else ()
            job = model.Job(
                request=request,
                actor=actor,
                uid=secrets.token_hex(8),
                containers=found,
                keep=dict(kept or {}),
                transitions=(model.Transition("Starting", now()),),
            )
            plans.plan(ref, job)
            moment = now()
            resource = change.insert(
                Resource(ref, model.write(job), moment, moment, "InProgress", parent), due=True
            )
            if tags:
                change.tag(ref, tags)
            change.append(Event(moment, actor, f"{ref.kind}.created", ref))
        return resource

    @staticmethod
    def check(ref: Ref, request: JsonObject) -> None:
        """Refuse a request that can never run, as far as that shows without its model."""
        if ref.kind not in model.KINDS:
            raise InvalidInput("kind", f"{ref.kind!r} is no job", legal=", ".join(model.KINDS))
        plans.check(ref, request)

    def get(self, ref: Ref) -> Resource:
        """Read a job's resource. Raises NotFound."""
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found

    def describe(self, ref: Ref) -> JsonObject:
        """Return the public describe document; its times are datetimes. Raises NotFound."""
        return describe.describe(self.get(ref))

    def kept(self, ref: Ref) -> dict[str, str]:
        """Return the texts of the files that ``create`` was asked to keep. Raises NotFound."""
        return dict(model.read(self.get(ref)).kept)

    def key(self, ref: Ref, request: JsonObject) -> dict[str, Any] | None:
        """Name everything that the result of a job of this request depends on.

        None when that cannot be said, because an input is not there or the request is wrong.
        """
        try:
            found = transform.containers(self._store.get, ref, request) if _transforms(ref) else ()
            job = model.Job(request=request, actor="", uid="", containers=found)
            return keys.key(self._tools.objects, self._tools.environments, ref, job)
        except ClaryError:
            return None

    def made(self, ref: Ref) -> dict[str, str]:
        """Name the objects that hold a job's outputs: digests by URI, a tree's end with a slash.

        Raises
        ------
        NotFound
            There is no such job.
        """
        plan = plans.plan(ref, model.read(self.get(ref)))
        links = self._store.links(ref, incoming=False)
        names = {link.role: link.target for link in links if link.kind == "Produced"}
        lineage = self._tools.lineage
        whole = {one.name: names[one.name] for one in plan.targets if one.name in names}
        return keys.made(plan, {name: lineage.artifact(one) for name, one in whole.items()})

    def ran(self, ref: Ref) -> dict[str, str]:
        """Return the environment the job used: interpreter and packages. Raises NotFound."""
        return dict(model.read(self.get(ref)).ran)

    def streams(self, ref: Ref) -> model.Streams:
        """Say where the job's logs are, one stream a host. Raises NotFound."""
        resource = self.get(ref)
        hosts = plans.plan(ref, model.read(resource)).hosts
        names = [model.stream(resource, host) for host in hosts]
        return model.Streams(model.LOG_GROUPS[ref.kind], names)

    def list(self, query: Query) -> Page:
        """List jobs of one kind."""
        return self._store.select(query)

    def stop(self, ref: Ref, *, actor: str) -> None:
        """Ask a job to end; asking again changes nothing.

        Raises
        ------
        NotFound
            There is no such job.
        Conflict
            It has ended.
        """
        with self._store.begin() as change:
            resource = change.get(ref)
            if resource is None:
                raise NotFound(ref)
            if resource.status in model.ENDED:
                raise Conflict(f"{ref} cannot be stopped: it is {resource.status}")
            job = model.read(resource)
            if resource.status != "Stopping":
                moment = now()
                asked = model.changed(job, stop_asked=True).entering("Stopping", moment)
                body = model.write(asked)
                change.update(replace(resource, status="Stopping", body=body))
                change.append(Event(moment, actor, f"{ref.kind}.stopping", ref))
            change.wake(ref)
        if job.stage == "Running":
            for host in plans.plan(ref, job).hosts:
                self._runner.stop(job.process(host))

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Forget a job that has ended; its outputs, logs and lineage stay.

        Raises
        ------
        NotFound
            There is no such job.
        Conflict
            It has not ended.
        """
        with self._store.begin() as change:
            resource = change.get(ref)
            if resource is None:
                raise NotFound(ref)
            if resource.status not in model.ENDED:
                raise Conflict(f"{ref} cannot be deleted: it is {resource.status}")
            change.delete(ref)
            change.append(Event(now(), actor, f"{ref.kind}.deleted", ref))

    def crew(self, most: int) -> JobCrew:
        """Return who does quick steps in this process, in at most so many sandboxes at once."""
        return JobCrew(self._tools, most)

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:
        """Drive a job to its end: the worker's handler of the three kinds."""
        return Run(self._tools, resource, stopping).go()


def _transforms(ref: Ref) -> bool:
    return ref.kind == model.TRANSFORM
