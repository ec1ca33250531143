"""Runs executions: whichever process claims one takes it as far as it can go now.

A step is a resource below its execution, inserted in the transaction that starts it and updated in
the one that records its end, so that a process may die anywhere. Each such transaction also writes
the execution: so a process that has lost its lease changes nothing any more, and one that still
has it need not read again what it wrote itself.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from clary.kernel.clock import now
from clary.kernel.codec import build, plain
from clary.kernel.errors import Conflict, NotFound, Unavailable
from clary.kernel.names import Ref
from clary.kernel.resource import Query, Resource
from clary.kernel.steps import StepResult, StepRun
from clary.pipelines import records
from clary.pipelines.cache import Results
from clary.pipelines.model import MAX_STEPS
from clary.pipelines.planner import ENDED, State
from clary.pipelines.starts import Start, Starts, failure
from clary.pipelines.state import WAITING, Run, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clary.kernel.ports import MetadataStore, ObjectStore, Transaction
    from clary.kernel.steps import Crew, Done, Hands, StepKind
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
_GATHER = timedelta(milliseconds=10)
"""How long the end of a step may wait to be recorded with others."""
_LINGER_S = 0.05
"""How long the ends of other jobs may go unseen while hands are busy."""


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
    crew
        Does the steps that are done in this process.
    """

    def __init__(
        self,
        store: MetadataStore,
        objects: ObjectStore,
        kinds: Mapping[str, StepKind],
        definitions: Definitions,
        crew: Crew,
    ) -> None:
        self._crew = crew
        self._store = store
        self._kinds = kinds
        self._definitions = definitions
        self._starts = Starts(objects, kinds, Results(store, objects))
        self._lock = threading.Lock()
        self._runs: OrderedDict[Ref, Run] = OrderedDict()

    def run(self, execution: Resource, stopping: threading.Event) -> datetime | None:
        """Record what has ended, start what is ready; the worker's handler of executions."""
        left: Sequence[str] = execution.body.get("hosts", ())
        if execution.status not in ENDED:
            run = self._take(execution)
            self._crew.clear(left)
            hands = self._crew.hands(execution.ref, lambda names: self._keep_names(run, names))
            try:
                return self._advance(run, hands, stopping)
            finally:
                hands.close()
        self._crew.clear(left)
        return None

    def _advance(self, run: Run, hands: Hands, stopping: threading.Event) -> datetime | None:
        """Go on until nothing can be done now.

        What is ready goes into hands before the ends that made it ready are recorded.
        """
        changed = [*self._poll(run), *(self._halt(run) if run.halted else ())]
        looked = time.monotonic()
        ended: list[Start] = []
        while not stopping.is_set():
            plan = run.planner.plan(
                limit=run.execution.body["parallelism"] or MAX_STEPS, halted=run.stopping
            )
            fresh = {*changed, *(one.step.name for one in ended)}
            due = [name for name in _due(run) if name not in fresh]
            names = [*due, *plan.ready][:_MOST_AT_ONCE]
            starts = [one for name in names if (one := self._start(run, hands, name))]
            _note_names(run, hands.names)
            is_idle = not (names or ended or hands.is_busy or _due(run))
            if changed or starts or plan.finished or _is_time(run, hands, ended):
                self._commit(run, changed, [*ended, *starts], finished=plan.finished)
                changed, ended = [], []
            if plan.finished:
                return None
            if is_idle:
                self._keep(run)
                return min([now() + _LOOK_AGAIN, *run.waiting().values()])
            if not ended:  # what these look at has been recorded
                changed = list(self._halt(run)) if run.halted else []
                if run.running and time.monotonic() - looked > _LINGER_S:
                    changed += [name for name in self._poll(run) if name not in changed]
                    looked = time.monotonic()
            ended += [_ended(run, done) for done in hands.wait(_LINGER_S)]
        return now()

    def _start(self, run: Run, hands: Hands, name: str) -> Start | None:
        """Get a step ready; None when hands have begun it."""
        start = self._starts.prepare(run, name)
        try:
            if start.result is not None or not hands.take(start.run):
                return start
        except (Conflict, Unavailable):
            raise
        except Exception as error:
            return replace(start, result=failure(start.run, error))
        run.taken[name] = start
        run.planner.note(name, State("Executing"))
        return None

    def _keep_names(self, run: Run, names: Sequence[str]) -> None:
        """Write down what hands may leave behind."""
        _note_names(run, names)
        with self._store.begin(durable=False) as transaction:
            run.execution = transaction.update(run.execution)

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
                run.note(records.after(run, row, result))
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
        self, run: Run, changed: Sequence[str], starts: Sequence[Start], *, finished: bool
    ) -> None:
        """Record ends and starts in one transaction; a step that cannot start has failed."""
        begun = {start.step.name: start for start in starts}
        made = {name: self._made(run, name) for name in changed}
        made |= {name: self._taken(run, start) for name, start in begun.items()}
        while True:
            try:
                with self._store.begin() as transaction:
                    execution = transaction.update(run.execution)  # Conflict: somebody else has it
                    rows = [self._record(run, name, made[name], transaction) for name in changed]
                    for name, start in begun.items():
                        rows.append(self._begin(run, start, transaction))
                        records.keep(run, rows[-1], made[name], transaction)
                    if finished:
                        execution = records.finish(run, execution, transaction)
                break
            except _NotStarted as error:
                start = begun[error.name]
                begun[error.name] = replace(start, result=failure(start.run, error.cause))
        run.execution = execution
        for row in rows:
            run.note(row)

    def _record(
        self, run: Run, name: str, made: Mapping[str, str] | None, transaction: Transaction
    ) -> Resource:
        row = transaction.update(run.rows[name])
        records.keep(run, row, made, transaction)
        transaction.append(records.event(run, row))
        return row

    def _begin(self, run: Run, start: Start, transaction: Transaction) -> Resource:
        """Start one step, or record why it did not have to or could not, or how hands did it."""
        done = start.done
        if done is not None and done.result is not None:
            done.record(transaction)
            new = run.rows[start.step.name]
            if done.result.status != "Executing":
                began = replace(new, status="Executing", body={**new.body, "reason": ""})
                transaction.append(records.event(run, began, done.began_at))
        else:
            result = start.result or self._started(start, transaction)
            new = records.begun(run, start, result, now())
        transaction.append(records.event(run, new))
        return transaction.update(new) if start.before else transaction.insert(new)

    def _started(self, start: Start, transaction: Transaction) -> StepResult:
        try:
            return self._kinds[start.step.type].start(start.run, transaction)
        except (Conflict, Unavailable):
            raise
        except Exception as error:
            raise _NotStarted(start.step.name, error) from error

    def _made(self, run: Run, name: str) -> Mapping[str, str] | None:
        """Name what a step's result refers to, if it is to be kept."""
        row, step = run.rows[name], run.steps[name]
        body, execution = row.body, run.execution
        given = StepRun(
            execution.ref,
            body.get("settled", step.document),
            body["arguments"],
            execution.body["actor"],
            body["attempt"],
            execution.body["experiment"] or {},
        )
        if not self._is_kept(row, Start(step, given)):
            return None
        return self._kinds[step.type].made(build(Ref, body["job"]))

    def _taken(self, run: Run, start: Start) -> Mapping[str, str] | None:
        """Name what the result of a step that hands did refers to, if it is to be kept."""
        if start.done is None or start.done.result is None:
            return None
        return start.done.made if self._is_kept(run.rows[start.step.name], start) else None

    def _is_kept(self, row: Resource, start: Start) -> bool:
        """Whether a step's result is kept.

        It is not when its key is not the same any more: then it may have read something else than
        what the key says.
        """
        key = row.body.get("key")
        if row.status != "Succeeded" or key is None:
            return False
        return bool(plain(self._starts.key(start)) == key)


class _NotStarted(Exception):
    """A step's kind has raised; its transaction is undone."""

    def __init__(self, name: str, cause: Exception) -> None:
        super().__init__(name)
        self.name = name
        self.cause = cause


def _due(run: Run) -> list[str]:
    at = now()
    return [] if run.halted else [name for name, due in run.waiting().items() if due <= at]


def _is_time(run: Run, hands: Hands, ended: Sequence[Start]) -> bool:
    """Whether to record what hands have ended: several steps are recorded together.

    Those that take no time wait for each other a moment, but no step that runs for others.
    """
    if not ended:
        return False
    dones = [one.done for one in ended if one.done is not None]
    return (
        run.halted
        or not hands.is_busy
        or now() - dones[0].ended_at > _GATHER
        or any(one.result is None or one.result.status == "Executing" for one in dones)
    )


def _ended(run: Run, done: Done) -> Start:
    """Take in what became of a step in hands, before it is recorded."""
    start = replace(run.taken.pop(done.run.step["Name"]), done=done)
    if done.result is not None:
        run.note(records.begun(run, start, done.result, done.began_at))
    return start


def _note_names(run: Run, names: Sequence[str]) -> None:
    body = run.execution.body
    if list(names) != body.get("hosts", []):
        run.execution = replace(run.execution, body={**body, "hosts": list(names)})
