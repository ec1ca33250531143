"""Runs executions: whichever process claims one takes it as far as it can go now.

A step is a resource below its execution, inserted in the transaction that starts it and updated in
the one that records its end, so that a process may die anywhere. Each such transaction also writes
the execution: so a process that has lost its lease changes nothing any more, and one that still
has it need not read again what it wrote itself.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import Conflict, NotFound, Unavailable
from clary.kernel.names import Ref
from clary.kernel.resource import Event, Query, Resource
from clary.kernel.steps import StepResult, StepRun
from clary.pipelines.cache import Results
from clary.pipelines.model import MAX_STEPS
from clary.pipelines.planner import ENDED
from clary.pipelines.retries import next_try
from clary.pipelines.starts import Start, Starts, failure
from clary.pipelines.state import WAITING, Run, load, outcome, row_ref

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from clary.kernel.ports import MetadataStore, ObjectStore, Transaction
    from clary.kernel.steps import StepKind
    from clary.pipelines.definitions import Definitions

_LOOK_AGAIN = timedelta(seconds=15)
"""Jobs wake their execution when they end; this is how long one that vanished may hold it up."""
_AT_ONCE = timedelta(microseconds=1)
"""Two changes may have the same moment."""
_FEW = 4
"""So many running steps are looked at without asking which of them have changed."""
_MOST_AT_ONCE = 64
"""Steps started in one transaction."""
_MOST_RUNS = 32
"""Executions kept in memory between their wakes."""
_WHOLE_REASON = 1300


class Engine:
    """Drives pipeline executions; it knows no kinds of steps.

    Parameters
    ----------
    store, objects
        Where executions lie, and what Std:JsonGet with an S3 URI reads.
    kinds
        The step kind of each step type.
    definitions
        What executions run.
    """

    def __init__(
        self,
        store: MetadataStore,
        objects: ObjectStore,
        kinds: Mapping[str, StepKind],
        definitions: Definitions,
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._definitions = definitions
        self._starts = Starts(objects, kinds, Results(store, objects))
        self._lock = threading.Lock()
        self._runs: OrderedDict[Ref, Run] = OrderedDict()

    def run(self, execution: Resource, stopping: threading.Event) -> datetime | None:
        """Record what has ended, start what is ready; the worker's handler of executions."""
        if execution.status in ENDED:
            return None
        run = self._take(execution)
        changed = [*self._poll(run), *(self._halt(run) if run.halted else ())]
        while not stopping.is_set():
            plan = run.planner.plan(
                limit=run.execution.body["parallelism"] or MAX_STEPS, halted=run.stopping
            )
            due = [name for name in _due(run) if name not in changed]
            names = [*due, *plan.ready][:_MOST_AT_ONCE]
            if changed or names or plan.finished:
                self._commit(run, changed, names, finished=plan.finished)
            if plan.finished:
                return None
            if not names and not _due(run):
                self._keep(run)
                return min([now() + _LOOK_AGAIN, *run.waiting().values()])
            changed = list(self._halt(run)) if run.halted else []
        return now()

    def _take(self, execution: Resource) -> Run:
        with self._lock:
            run = self._runs.pop(execution.ref, None)
        mine = (execution.revision, execution.created_at)
        if run is not None and (run.execution.revision, run.execution.created_at) == mine:
            return run
        pipeline = execution.ref.name.partition("/")[0]
        version = execution.ref.sibling("pipeline-version", pipeline, execution.body["version"])
        digest = execution.body.get("definition", "")
        _, definition = self._definitions.of(version, digest, checked=False)
        return load(execution, definition, self._rows(execution.ref))

    def _keep(self, run: Run) -> None:
        with self._lock:
            self._runs[run.execution.ref] = run
            while len(self._runs) > _MOST_RUNS:
                self._runs.popitem(last=False)

    def _rows(self, execution: Ref) -> Iterator[Resource]:
        account, region = execution.account, execution.region
        return self._all(Query("pipeline-step", account, region, execution, descending=False))

    def _all(self, query: Query) -> Iterator[Resource]:
        query = replace(query, limit=1000)
        while True:
            page = self._store.select(query)
            yield from page.items
            if not page.token:
                return
            query = replace(query, token=page.token)

    def _poll(self, run: Run) -> Iterator[str]:
        """Look at the steps whose jobs have changed; yields those that have ended or failed."""
        jobs = run.jobs()
        for job in self._changed(run, jobs):
            name = jobs[job]
            row = run.rows[name]
            try:
                result = self._kinds[row.body["type"]].poll(job)
            except NotFound as error:
                result = StepResult("Failed", reason=error.message)
            if result.status != "Executing":
                run.note(self._after(run, row, result))
                yield name

    def _changed(self, run: Run, jobs: Mapping[Ref, str]) -> Sequence[Ref]:
        at = now()
        whole = run.looked_at is None or at - run.looked_at >= _LOOK_AGAIN
        if whole or len(jobs) <= _FEW:
            run.looked_at = at if whole else run.looked_at
            return list(jobs)
        return [
            found.ref
            for kind in sorted({job.kind for job in jobs})
            for found in self._changes(run, kind)
            if found.ref in jobs
        ]

    def _changes(self, run: Run, kind: str) -> Iterator[Resource]:
        """Yield the resources of a kind that have changed since they were asked for last.

        Changes become visible in the order of their moments, because the store makes one after
        the other; so what is later than the last one seen is new, whatever the clock says now.
        """
        ref = run.execution.ref
        since = run.seen.get(kind, run.loaded_at) - _AT_ONCE
        query = Query(
            kind,
            ref.account,
            ref.region,
            modified_after=since,
            sort_by="modified",
            descending=False,
        )
        for found in self._all(query):
            run.seen[kind] = found.modified_at
            yield found

    def _after(self, run: Run, row: Resource, result: StepResult) -> Resource:
        """Say what becomes of a step that has ended: it may wait to be tried again."""
        if result.status == "Stopped" and not run.stopping:
            reason = result.reason or "it was stopped, though the execution was not"
            result = replace(result, status="Failed", reason=reason)
        at = now()
        body = {
            **row.body,
            **outcome(result),
            "metadata": {**row.body.get("metadata", {}), **plain(result.metadata)},
            "ended_at": plain(at),
        }
        step = run.steps[row.ref.name.rpartition("/")[2]]
        if result.status == "Failed" and not run.halted:
            tried = row.body.get("tried", {})
            again = next_try(
                step.policies, result.error, tried=tried, started_at=row.created_at, at=at
            )
            if again is not None:
                policy, due_at = again
                body |= {"tried": {**tried, policy: tried.get(policy, 0) + 1}, "job": None}
                body |= {"due_at": plain(due_at), "ended_at": None}
                return replace(row, status=WAITING, body=body)
        return replace(row, status=result.status, body=body)

    def _halt(self, run: Run) -> Iterator[str]:
        """End the steps that wait to be tried again, and stop those that run if that was asked."""
        for name in list(run.running):
            row = run.rows[name]
            if row.status == WAITING:
                status = "Stopped" if run.stopping else "Failed"
                run.note(replace(row, status=status, body={**row.body, "ended_at": plain(now())}))
                yield name
            elif run.stopping and row.status != "Stopping":
                self._kinds[row.body["type"]].stop(build(Ref, row.body["job"]))
                run.note(replace(row, status="Stopping"))
                yield name

    def _commit(
        self, run: Run, changed: Sequence[str], names: Iterable[str], *, finished: bool
    ) -> None:
        """Record ends and starts in one transaction; a step that cannot start has failed."""
        starts = {name: self._starts.prepare(run, name) for name in names}
        made = {name: self._made(run, name) for name in changed}
        while True:
            try:
                with self._store.begin() as transaction:
                    execution = transaction.update(run.execution)  # Conflict: somebody else has it
                    rows = [_record(run, name, made[name], transaction) for name in changed]
                    begun = [self._begin(run, start, transaction) for start in starts.values()]
                    if finished:
                        execution = _finish(run, execution, transaction)
                break
            except _NotStarted as error:
                start = starts[error.name]
                starts[error.name] = replace(start, result=failure(start.run, error.cause))
        run.execution = execution
        for row in [*rows, *begun]:
            run.note(row)

    def _begin(self, run: Run, start: Start, transaction: Transaction) -> Resource:
        """Start one step, or record why it did not have to or could not."""
        step, at = start.step, now()
        row = run.rows.get(step.name) or Resource(
            row_ref(run.execution.ref, step.name), {}, at, at, "", run.execution.ref
        )
        result = start.result or self._started(start, transaction)
        body = {
            **{name: row.body[name] for name in ("tried",) if name in row.body},
            **start.kept,
            "type": step.type,
            "display_name": step.document.get("DisplayName") or "",
            "description": step.document.get("Description") or "",
            "arguments": start.run.arguments,
            "attempt": start.run.attempt,
            "job": plain(result.job),
            "ended_at": None,
            **outcome(result),
        }
        new = replace(row, status=result.status, body=body)
        if result.status != "Executing":
            new = self._after(run, new, result)
        transaction.append(_event(run, new))
        return transaction.update(new) if row.status else transaction.insert(new)

    def _started(self, start: Start, transaction: Transaction) -> StepResult:
        try:
            return self._kinds[start.step.type].start(start.run, transaction)
        except (Conflict, Unavailable):
            raise
        except Exception as error:
            raise _NotStarted(start.step.name, error) from error

    def _made(self, run: Run, name: str) -> Mapping[str, str] | None:
        """Name what a step's result refers to, if it is to be kept.

        None when its key is not the same any more: then it may have read something else than
        what the key says.
        """
        row, step = run.rows[name], run.steps[name]
        key = row.body.get("key")
        if row.status != "Succeeded" or key is None:
            return None
        body, execution = row.body, run.execution
        given = StepRun(
            execution.ref,
            step.document,
            body["arguments"],
            execution.body["actor"],
            body["attempt"],
            execution.body["experiment"] or {},
        )
        if plain(self._starts.key(Start(step, given))) != key:
            return None
        return self._kinds[step.type].made(build(Ref, body["job"]))


class _NotStarted(Exception):
    """A step's kind has raised; its transaction is undone."""

    def __init__(self, name: str, cause: Exception) -> None:
        super().__init__(name)
        self.name = name
        self.cause = cause


def _due(run: Run) -> list[str]:
    at = now()
    return [] if run.halted else [name for name, due in run.waiting().items() if due <= at]


def _record(
    run: Run, name: str, made: Mapping[str, str] | None, transaction: Transaction
) -> Resource:
    row = transaction.update(run.rows[name])
    if made is not None:
        ref = Results.ref(run.execution.ref, name, row.body["key"])
        Results.keep(transaction, ref, row, made)
    transaction.append(_event(run, row))
    return row


def _finish(run: Run, execution: Resource, transaction: Transaction) -> Resource:
    failed = [(name, row) for name, row in run.rows.items() if row.status == "Failed"]
    reason = "; ".join(f"Step {name} failed: {row.body['reason']}" for name, row in failed)
    status = "Stopped" if run.stopping else "Failed" if failed else "Succeeded"
    body = {**execution.body, "reason": reason[:_WHOLE_REASON]}
    ended = transaction.update(replace(execution, status=status, body=body))
    transaction.append(_event(run, ended))
    return ended


def _event(run: Run, changed: Resource) -> Event:
    words = {"Executing": "started", "Stopping": "stop-requested", WAITING: "retried-later"}
    word = words.get(changed.status, changed.status.lower())
    detail: dict[str, Any] = {}
    if changed.body["reason"]:
        detail["reason"] = changed.body["reason"]
    if source := changed.body.get("cached_from"):
        detail["cached_from"] = source
    actor = run.execution.body["actor"]
    return Event(now(), actor, f"{changed.ref.kind}.{word}", changed.ref, detail)
