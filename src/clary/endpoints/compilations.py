"""Compilations: built-in models made ready to answer inside the server, each content once.

A model's own files are loaded in a sandbox alone, which gives away its trees and its answers as
plain data. What is made of that is used if it answers the same; otherwise workers serve the model
natively, and the reason is kept.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, structs

from clary.endpoints import containers, exports
from clary.endpoints.model import Stage
from clary.endpoints.training_rows import training_rows
from clary.endpoints.trees import Evidence
from clary.jobs.images import runtime
from clary.jobs.inputs import find
from clary.jobs.launch import specification
from clary.jobs.trees import Tree
from clary.kernel.clock import now
from clary.kernel.codec import build, digest, plain
from clary.kernel.errors import ClaryError, InvalidInput, NotSupported, Unavailable
from clary.kernel.names import Ref
from clary.kernel.resource import Event, Resource

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from datetime import datetime

    from clary.endpoints.ports import CompiledModels
    from clary.endpoints.workers import Tools
    from clary.jobs.ports import ProcessStatus
    from clary.kernel.ports import Transaction
    from clary.lineage.service import Lineage

COMPILATION = "compilation"
Status = Literal["Pending", "Compiled", "Native"]

_COMPILER = 1
"""Counts changes by which the same model would be compiled to something else."""
_MEMORY_BYTES = 4 << 30
_MOST_LOSSES = 3
_AGAIN_AFTER = timedelta(minutes=1)
_LOOK_S = 0.5
_RECENT = timedelta(hours=1)
_LONGEST = 1024
_OWN_CODE = ("SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY")

_log = logging.getLogger(__name__)


class Compilation(Struct, frozen=True):
    """How far a model is.

    Parameters
    ----------
    status
        ``Pending``, ``Compiled``, or ``Native``: its container's own program answers.
    key
        What ``CompiledModels.load`` takes; empty where nothing was tried.
    reason
        Why it is native.
    evidence
        How what was compiled was verified.
    """

    status: Status
    key: str = ""
    reason: str = ""
    evidence: Evidence | None = None

    @property
    def choice(self) -> str:
        """Who answers for the model, and why, in words; empty while that is not known.

        Examples
        --------
        >>> Compilation("Native", reason="splits on categories are not compiled").choice
        'native: splits on categories are not compiled'
        """
        if self.evidence is None:
            return f"native: {self.reason}" if self.status == "Native" else ""
        found = self.evidence
        own = f", {found.real} of them of its training data" if found.real else ""
        versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
        return (
            f"compiled: verified on {found.rows} rows{own}; "
            f"largest difference {found.difference:.2g}; {versions}"
        )


class _Body(Struct, frozen=True):
    """The body of a ``compilation``.

    ``is_final`` says that trying again would come to the same. ``waiters`` are woken at the end.
    """

    stage: Stage
    sha256: str
    attempt: int = 1
    losses: int = 0
    waiters: tuple[Ref, ...] = ()
    is_final: bool = False
    reason: str = ""
    evidence: Evidence | None = None


class _Interrupted(Exception):
    """The worker stops; somebody goes on later."""


class Compilations:
    """Compiles models: each content once in an account, whoever uses it.

    Parameters
    ----------
    tools
        See ``workers.Tools``: what runs a model loads it here too.
    models
        Compiles and keeps.
    lineage
        Knows what models were trained on.
    """

    name = "compilations"

    def __init__(self, tools: Tools, models: CompiledModels, lineage: Lineage) -> None:
        self._tools = tools
        self._store = tools.store
        self._runner = tools.runner
        self._models = models
        self._lineage = lineage

    def ensure(
        self, stage: Stage, near: Ref, *, transaction: Transaction, waiter: Ref | None = None
    ) -> Compilation:
        """Say how far a model is, and have it compiled if nobody has yet.

        Parameters
        ----------
        stage
            Its only container.
        near
            Any name in the account and region it belongs to.
        waiter
            What is woken when a pending compilation has ended.
        """
        if reason := self._unfit(stage):
            return Compilation("Native", reason=reason)
        try:
            sha256 = stage.sha256 or self._content(stage)
        except ClaryError as error:
            return Compilation("Native", reason=error.message)
        ref = near.sibling(COMPILATION, self._key(stage, sha256))
        found = transaction.get(ref)
        if found is None:
            waiters = (waiter,) if waiter else ()
            body = _Body(stage, sha256, waiters=waiters)
            at = now()
            transaction.insert(Resource(ref, plain(body), at, at, "Pending"), due=True)
            return Compilation("Pending", ref.name)
        return self._joined(found, stage, waiter, transaction)

    def get(self, ref: Ref) -> Compilation | None:
        """Read a compilation by its name, which is its key; None when there is none."""
        found = self._store.get(ref)
        return None if found is None else _view(found, build(_Body, found.body))

    def follow(self, events: Sequence[Event], transaction: Transaction) -> None:
        """Have models compiled that were made just now, so that endpoints find them ready."""
        for event in events:
            if event.action != "model.created" or event.at < now() - _RECENT:
                continue
            try:
                found = containers.contents(transaction.get, event.ref)
                stages = containers.stages(self._tools.objects, found.containers)
            except ClaryError as error:
                _log.info("%s is not compiled: %s", event.ref, error)
                continue
            if len(stages) == 1:
                self.ensure(stages[0], event.ref, transaction=transaction)

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:
        """Bring a compilation to its end; the worker's handler of its kind."""
        body = build(_Body, resource.body)
        process = _process(resource.ref, body)
        if resource.status == "Pending":
            try:
                if self._runner.status(process) is None:
                    self._start(process, resource.ref, body, stopping)
                status = self._watch(process, stopping)
                if status is None:
                    return now()
                if status.state == "lost":
                    return self._lose(resource, body)
                ending = self._result(resource.ref.name, process, status)
            except _Interrupted:
                return now()
            except Unavailable:
                raise
            except (ClaryError, OSError) as error:
                ending = Compilation("Native", reason=str(error)), False
            self._end(resource.ref, *ending)
        self._runner.discard(process)
        return None

    def _unfit(self, stage: Stage) -> str:
        """Say why a model is not even tried; empty when it is."""
        asked = runtime(stage.image, field="Image")
        if asked.framework != "xgboost":
            return f"the image {asked.asked} is not the built-in XGBoost's"
        if not stage.model_data or stage.multi_model:
            return "it is not one artifact"
        if any(stage.environment.get(name) for name in _OWN_CODE):
            return "it has an inference script of its own"
        return "" if self._models.versions() else "clary[serving] is not installed"

    def _content(self, stage: Stage) -> str:
        found = find(self._tools.objects, exports.source(stage))
        return found.artifact.digest if found else ""

    def _key(self, stage: Stage, sha256: str) -> str:
        """Name the model's content and all that the result depends on beside it."""
        ran = self._tools.environments.depends_on(exports.plan(stage))
        strict = ran["image"] if ran.get("strict") == "True" else ""
        framework = {name: ran.get(name, "") for name in ("xgboost", "python")}
        return digest([_COMPILER, sha256, strict, framework, dict(self._models.versions())])

    def _joined(
        self, found: Resource, stage: Stage, waiter: Ref | None, transaction: Transaction
    ) -> Compilation:
        """Wait for a compilation that is there; try again what failed long enough ago."""
        body = build(_Body, found.body)
        status = found.status
        if status == "Native" and not body.is_final and found.modified_at < now() - _AGAIN_AFTER:
            status = "Pending"
            body = _Body(stage, body.sha256, attempt=body.attempt + 1)
        if status == "Pending" and waiter and waiter not in body.waiters:
            body = structs.replace(body, waiters=(*body.waiters, waiter))
        if (status, plain(body)) != (found.status, found.body):
            found = transaction.update(replace(found, status=status, body=plain(body)))
            transaction.wake(found.ref)
        return _view(found, body)

    def _start(self, process: str, ref: Ref, body: _Body, stopping: threading.Event) -> None:
        def check() -> None:
            if stopping.is_set():
                raise _Interrupted

        self._runner.discard(process)
        ml = self._runner.workspace(process)
        exports.lay(self._tools.objects, body.stage, body.sha256, ml, check)
        rows = training_rows(self._store, self._tools.objects, self._lineage, ref, body.sha256)
        (ml / "input" / "rows").write_bytes(rows)
        plan, _ = self._tools.environments.prepare(
            exports.plan(body.stage), [ml], say=_log.info, check=check
        )
        spec = specification(
            plan,
            plan.hosts[0],
            {},
            process=process,
            ml=ml,
            log=ml / "log",
            memory_bytes=min(self._tools.memory_bytes or _MEMORY_BYTES, _MEMORY_BYTES),
        )
        try:
            self._runner.start(spec)
        except NotSupported:  # no namespaces here, so that models are served with a network as well
            self._runner.start(replace(spec, network=True))

    def _watch(self, process: str, stopping: threading.Event) -> ProcessStatus | None:
        """Wait for the program; None when the worker stops first."""
        while not stopping.is_set():
            status = self._runner.wait(process, _LOOK_S)
            if status is not None and status.state != "running":
                return status
        return None

    def _result(self, key: str, process: str, status: ProcessStatus) -> tuple[Compilation, bool]:
        """Make something of what the program left; says whether another try would be in vain."""
        ml = self._runner.workspace(process)
        if status.exit_code:
            said = Tree(ml, "output").text("failure", most_bytes=_LONGEST)
            reason = said or f"its export ended with exit code {status.exit_code}"
            return Compilation("Native", key, reason), status.ended_by == "itself"
        try:
            ensembles, sample = exports.exported(ml)
            evidence = self._models.compile(key, ensembles, sample)
        except (InvalidInput, NotSupported) as error:
            return Compilation("Native", key, error.message), True
        return Compilation("Compiled", key, evidence=evidence), True

    def _lose(self, resource: Resource, body: _Body) -> datetime | None:
        """Begin again after the process vanished, but not for ever."""
        if body.losses + 1 >= _MOST_LOSSES:
            reason = f"its export vanished, {_MOST_LOSSES} times"
            self._end(resource.ref, Compilation("Native", reason=reason), is_final=False)
            return None
        with self._store.begin() as change:
            current = change.get(resource.ref)
            if current is not None:
                kept = build(_Body, current.body)
                again = structs.replace(kept, attempt=body.attempt + 1, losses=body.losses + 1)
                change.update(replace(current, body=plain(again)))
        self._runner.discard(_process(resource.ref, body))
        return now()

    def _end(self, ref: Ref, ending: Compilation, is_final: bool) -> None:  # noqa: FBT001 - half of a pair
        with self._store.begin() as change:
            current = change.get(ref)
            if current is None or current.status != "Pending":
                return
            body = build(_Body, current.body)
            ended = structs.replace(
                body,
                waiters=(),
                is_final=is_final,
                reason=ending.reason[:_LONGEST],
                evidence=ending.evidence,
            )
            change.update(replace(current, status=ending.status, body=plain(ended)))
            detail = {"reason": ended.reason} if ended.reason else plain(ended.evidence)
            change.append(
                Event(now(), "clary", f"{COMPILATION}.{ending.status.lower()}", ref, detail)
            )
            for waiter in body.waiters:
                change.wake(waiter)


def _process(ref: Ref, body: _Body) -> str:
    return f"compile-{ref.account}-{ref.region}-{ref.name[:32]}-{body.attempt}"


def _view(found: Resource, body: _Body) -> Compilation:
    members = {"status": found.status, "key": found.ref.name, "reason": body.reason}
    return build(Compilation, {**members, "evidence": body.evidence})
