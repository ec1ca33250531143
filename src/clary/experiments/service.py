"""Experiments, their trials and the trial components in them."""

from __future__ import annotations

import secrets
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from clary.experiments import model
from clary.experiments.logged_models import LoggedModels
from clary.experiments.metrics import Metrics
from clary.experiments.model import COMPONENT, EXPERIMENT, MEMBER, TRIAL, member
from clary.experiments.runs import Runs
from clary.kernel.clock import now
from clary.kernel.codec import plain, to_json
from clary.kernel.errors import Conflict, LimitExceeded, NotFound
from clary.kernel.resource import Event, Page, Query, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from clary.experiments.ports import MetricStore
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, ObjectStore, Transaction

_LARGEST_NOTES = 1 << 20


class Experiments:
    """The verbs of experiments, trials and components.

    What takes a ``transaction`` becomes a part of it, or makes one of its own.

    Parameters
    ----------
    store, objects
        Where they are recorded, and where runs' artifacts lie.
    points
        Where metrics are.

    Attributes
    ----------
    metrics
        The metrics of components.
    runs
        Components as runs: begin, log, end, find.
    logged_models
        The models that runs have logged.
    """

    def __init__(self, store: MetadataStore, objects: ObjectStore, points: MetricStore) -> None:
        self._store = store
        self.metrics = Metrics(store, points)
        self.runs = Runs(self, store, objects)
        self.logged_models = LoggedModels(store)

    def get(self, ref: Ref) -> Resource:
        """Read an experiment, trial or component. Raises NotFound."""
        found = self._store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found

    def list(self, query: Query) -> Page:
        """List experiments; trials, by experiment as parent; or components, by job as parent."""
        return self._store.select(query)

    def components(self, holder: Ref, query: Query) -> Page:
        """List the components of a trial or an experiment.

        Parameters
        ----------
        holder
            Which of them.
        query
            Page, order and limits of time; its kind and parent are not looked at.

        Raises
        ------
        NotFound
            There is no such trial or experiment.
        """
        self.get(holder)
        page = self._store.select(replace(query, kind=MEMBER, parent=holder))
        names = [one.ref.name.partition("/")[0] for one in page.items]
        found = self._store.get_all(holder.sibling(COMPONENT, name) for name in names)
        return Page(list(found.values()), page.token)

    def trials_of(self, component: Ref) -> Sequence[Resource]:
        """List the trials that a component is in. Raises NotFound."""
        names = self.get(component).body["trials"]
        return list(self._store.get_all(component.sibling(TRIAL, name) for name in names).values())

    def create_experiment(
        self,
        ref: Ref,
        request: JsonObject,
        *,
        actor: str,
        tags: Mapping[str, str] | None = None,
        transaction: Transaction | None = None,
    ) -> Resource:
        """Make an experiment. Raises AlreadyExists."""
        with self._change(transaction) as change:
            return _made(change, ref, request, actor, tags or {})

    def create_trial(
        self,
        ref: Ref,
        request: JsonObject,
        *,
        actor: str,
        tags: Mapping[str, str] | None = None,
        transaction: Transaction | None = None,
    ) -> Resource:
        """Make a trial of the experiment that the request names.

        Raises
        ------
        NotFound
            There is no such experiment.
        AlreadyExists
            There is a trial of this name.
        """
        with self._change(transaction) as change:
            experiment = _existing(change, model.named(ref, EXPERIMENT, request["ExperimentName"]))
            request = {**request, "ExperimentName": experiment.body["request"]["ExperimentName"]}
            return _made(change, ref, request, actor, tags or {}, parent=experiment.ref)

    def create_component(  # noqa: PLR0913 - a component is a request and five things about it
        self,
        ref: Ref,
        request: JsonObject,
        *,
        actor: str,
        tags: Mapping[str, str] | None = None,
        source: Mapping[str, str] | None = None,
        parent: Ref | None = None,
        uid: str = "",
        transaction: Transaction | None = None,
    ) -> Resource:
        """Make a trial component.

        Parameters
        ----------
        ref, request, actor, tags
            The CreateTrialComponent document and who asks.
        source, parent
            ``SourceArn`` and ``SourceType`` of what it was made for, and ``model.source_ref`` of
            that.
        uid
            Under which its metrics lie; a new one unless given.

        Raises
        ------
        AlreadyExists
            There is a component of this name.
        InvalidInput
            A parameter is not exactly one of a number and a text.
        LimitExceeded
            It has too many parameters or artifacts.
        """
        document = model.changed({}, plain(request))
        with self._change(transaction) as change:
            extra: JsonObject = {
                "uid": uid or secrets.token_hex(8),
                "source": source and dict(source),
                "sources": [],
                "trials": [],
                "experiments": [],
                "parents": [],
            }
            return _made(change, ref, document, actor, tags or {}, parent=parent, **extra)

    def update(
        self, ref: Ref, request: JsonObject, *, actor: str, transaction: Transaction | None = None
    ) -> Resource:
        """Change the members given of an experiment, a trial or a component.

        Raises
        ------
        NotFound
            There is no such thing.
        InvalidInput
            A parameter of a component is not exactly one of a number and a text.
        LimitExceeded
            A component would have too many parameters or artifacts.
        """
        with self._change(transaction) as change:
            found = _existing(change, ref)
            before = found.body["request"]
            given = plain(request)
            after = model.changed(before, given) if ref.kind == COMPONENT else {**before, **given}
            if after == before:
                return found
            body = {**found.body, "request": after, "modified_by": actor}
            new = change.update(replace(found, body=body, status=_status(after)))
            change.append(Event(now(), actor, f"{ref.kind}.updated", ref))
        return new

    def note(self, ref: Ref, change: Callable[[JsonObject], JsonObject], *, actor: str) -> Resource:
        """Change what a door keeps beside the public document of something.

        Parameters
        ----------
        ref
            An experiment or a component.
        change
            Is given the notes and returns what they become, at most 1 MiB as JSON.
        actor
            Who asks.

        Raises
        ------
        NotFound
            There is no such thing.
        LimitExceeded
            The notes would be too long.
        """
        with self._store.begin() as transaction:
            found = _existing(transaction, ref)
            notes = change(dict(found.body.get("notes", {})))
            size = len(to_json(notes))
            if size > _LARGEST_NOTES:
                raise LimitExceeded(f"notes of {ref}: {size} bytes; legal: {_LARGEST_NOTES}")
            body = {**found.body, "notes": notes, "modified_by": actor}
            new = transaction.update(replace(found, body=body))
            transaction.append(Event(now(), actor, f"{ref.kind}.updated", ref))
        return new

    def associate(
        self, component: Ref, trial: Ref, *, actor: str, transaction: Transaction | None = None
    ) -> None:
        """Put a component into a trial; doing it again changes nothing. Raises NotFound."""
        with self._change(transaction) as change:
            held, holder = _existing(change, component), _existing(change, trial)
            if trial.name in held.body["trials"] or holder.parent is None:
                return
            for one in (trial, holder.parent):
                ref = member(component, one)
                if change.get(ref) is None:
                    at = held.created_at
                    change.insert(Resource(ref, {}, at, at, parent=one))
            _write_trials(change, held, [*held.body["trials"], trial.name], actor)

    def disassociate(self, component: Ref, trial: Ref, *, actor: str) -> None:
        """Take a component out of a trial. Raises NotFound when it is not in it."""
        with self._store.begin() as change:
            held, holder = _existing(change, component), _existing(change, trial)
            if trial.name not in held.body["trials"]:
                raise NotFound(f"{component} in {trial}")
            change.delete(member(component, trial))
            left = [name for name in held.body["trials"] if name != trial.name]
            experiments = _write_trials(change, held, left, actor)
            if holder.parent is not None and holder.parent.name not in experiments:
                change.delete(member(component, holder.parent))

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Remove an experiment without trials, a trial without components, or a component alone.

        Raises
        ------
        NotFound
            There is no such thing.
        Conflict
            Something still belongs to it, or it to something.
        """
        with self._store.begin() as change:
            found = _existing(change, ref)
            if ref.kind == COMPONENT:
                if trials := found.body["trials"]:
                    raise Conflict(f"{ref} is in {len(trials)} trials", hint="take it out first")
            else:
                self._require_empty(ref)
            change.delete(ref)
            change.append(Event(now(), actor, f"{ref.kind}.deleted", ref))
        if ref.kind == COMPONENT:
            self.metrics.forget(found)

    def _require_empty(self, ref: Ref) -> None:
        kind = TRIAL if ref.kind == EXPERIMENT else MEMBER
        query = Query(kind, ref.account, ref.region, parent=ref, limit=1)
        if held := self._store.select(query).items:
            what = held[0].ref.name.partition("/")[0]
            raise Conflict(f"{ref} is not empty: it has {what!r}", hint="take it out first")

    def _change(self, transaction: Transaction | None) -> AbstractContextManager[Transaction]:
        return nullcontext(transaction) if transaction is not None else self._store.begin()


def _made(
    change: Transaction,
    ref: Ref,
    request: JsonObject,
    actor: str,
    tags: Mapping[str, str],
    parent: Ref | None = None,
    **extra: object,
) -> Resource:
    at = now()
    kept = {key: value for key, value in request.items() if key != "Tags"}
    body = {"request": kept, **extra, "created_by": actor, "modified_by": actor}
    made = change.insert(Resource(ref, body, at, at, _status(kept), parent))
    if tags:
        change.tag(ref, tags)
    change.append(Event(at, actor, f"{ref.kind}.created", ref))
    return made


def _status(request: JsonObject) -> str:
    status: str = request.get("Status", {}).get("PrimaryStatus", "")
    return status


def _existing(change: Transaction, ref: Ref) -> Resource:
    found = change.get(ref)
    if found is None:
        raise NotFound(ref)
    return found


def _write_trials(change: Transaction, held: Resource, trials: list[str], actor: str) -> list[str]:
    """Write down which trials a component is in; returns the experiments that it then is in."""
    found = [_existing(change, held.ref.sibling(TRIAL, name)) for name in trials]
    experiments = sorted({one.parent.name for one in found if one.parent})
    names = ("TrialName", "ExperimentName")
    body = {
        **held.body,
        "trials": trials,
        "experiments": experiments,
        "parents": [{name: one.body["request"][name] for name in names} for one in found],
        "modified_by": actor,
    }
    change.update(replace(held, body=body))
    change.append(Event(now(), actor, f"{COMPONENT}.updated", held.ref, {"trials": trials}))
    return experiments
