"""Invocations: one call of a function, in a process of its own, durable from start to end."""

from __future__ import annotations

import time
import uuid
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from clary.functions import model, packages
from clary.functions.model import ENDED, INVOCATION, MOST_LOSSES, Failure, Invocation, log_group
from clary.jobs.contract import Plan
from clary.jobs.images import Runtime
from clary.jobs.launch import specification
from clary.kernel.clock import now
from clary.kernel.codec import build, from_json, plain, to_json
from clary.kernel.errors import ClaryError, InvalidInput, NotFound, Unavailable
from clary.kernel.names import arn
from clary.kernel.resource import Event, Resource

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from clary.functions.model import Asked
    from clary.jobs.ports import JobRunner, LogStore, ProcessStatus
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, ObjectStore, Transaction, WorkQueue

    Environment = Callable[[Ref, str], Mapping[str, str]]

RETRIES = 2
"""How often an event that nobody waits for is tried again."""
INIT_S = 10.0
"""What a process may take beside its handler's own time."""
_RETRY_AFTER = timedelta(minutes=1)
_FORGET_AFTER = timedelta(minutes=1)
_LOOK_S = 0.25
_LARGEST_OUTCOME = 16 << 20
_TAIL_BYTES = 4096
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Tools:
    """What invocations work with: the ports, and what a process needs to reach the platform."""

    store: MetadataStore
    work: WorkQueue
    objects: ObjectStore
    runner: JobRunner
    logs: LogStore
    environment: Environment


class Invocations:
    """The calls of functions; ``run`` is the worker's handler of them."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def start(
        self,
        ref: Ref,
        asked: Asked,
        *,
        transaction: Transaction | None = None,
        parent: Ref | None = None,
    ) -> Ref:
        """Call a function; a worker runs it.

        Parameters
        ----------
        transaction
            A change that this belongs to; else it is one of its own.
        parent
            A pipeline execution, which is woken when the call has ended; what it returned stays.

        Raises
        ------
        NotFound
            There is no such function.
        InvalidInput
            The payload is no JSON, or too large.
        """
        largest = model.LARGEST_EVENT if asked.again else model.LARGEST_PAYLOAD
        payload = asked.payload or b"null"
        if len(payload) > largest:
            raise InvalidInput("Payload", f"{len(payload)} bytes", legal=f"at most {largest}")
        from_json(payload, field="Payload")
        scope = nullcontext(transaction) if transaction is not None else self._tools.store.begin()
        with scope as change:
            function = change.get(ref)
            if function is None:
                raise NotFound(ref)
            uid, at = str(uuid.uuid4()), now()
            call = Invocation(
                function=model.read(function),
                payload=payload.decode(),
                actor=asked.actor,
                uid=uid,
                stream=f"{at:%Y/%m/%d}/[{model.LATEST}]{uid.replace('-', '')}",
                context=dict(asked.context),
                again=asked.again,
                kept=parent is not None,
                outputs=list(asked.outputs),
            )
            made = ref.sibling(INVOCATION, f"{ref.name}/{uid}")
            change.insert(Resource(made, plain(call), at, at, "Executing", parent), due=True)
            change.append(Event(at, asked.actor, "function.invoked", ref, {"request_id": uid}))
        return made

    def get(self, ref: Ref) -> tuple[str, Invocation]:
        """Read how far a call is, and the call. Raises NotFound."""
        found = self._tools.store.get(ref)
        if found is None:
            raise NotFound(ref)
        return found.status, build(Invocation, found.body)

    def finish(self, ref: Ref) -> Invocation:
        """Wait until a call has ended; it is forgotten a minute later.

        Raises
        ------
        Unavailable
            Nobody has run it in the time that it may take.
        """
        _, call = self.get(ref)
        until = time.monotonic() + call.function.configuration.timeout + 60.0
        while True:
            status, call = self.get(ref)
            if status in ENDED:
                return call
            if time.monotonic() > until:
                raise Unavailable(f"{ref} has not been run in time")
            self._tools.work.wait(_LOOK_S)

    def tail(self, ref: Ref, call: Invocation) -> bytes:
        """Read the last 4 KiB that a call has written to its log."""
        function = ref.name.partition("/")[0]
        try:
            page = self._tools.logs.tail(
                ref.account, ref.region, log_group(function), call.stream, 1000
            )
        except NotFound:
            return b""
        return "".join(f"{line.text}\n" for line in page.lines).encode()[-_TAIL_BYTES:]

    def run(self, resource: Resource, stopping: threading.Event) -> datetime | None:
        """Run a call to its end, from wherever somebody left it; returns when to look again."""
        call = build(Invocation, resource.body)
        runner = self._tools.runner
        if resource.status in ENDED:
            runner.discard(call.process)
            return self._forget(resource, call)
        if runner.status(call.process) is None:
            try:
                self._begin(resource.ref, call)
            except Unavailable:
                raise
            except (ClaryError, OSError) as error:
                told = Failure(str(error), "Runtime.StartError", call.uid)
                return self._end(resource, call, failure=told)
        status = self._watch(call, stopping)
        if status is None:
            return now()
        if status.state == "lost":
            return self._lose(resource, call)
        return self._end(resource, call, **self._outcome(call, status))

    def _begin(self, ref: Ref, call: Invocation) -> None:
        tools = self._tools
        tools.runner.discard(call.process)
        ml = tools.runner.workspace(call.process)
        code, how = call.function.code, call.function.configuration
        packages.unpack(b"".join(tools.objects.read(code.bucket, code.key)), ml / "function")
        for folder in ("function", "input", "output"):
            (ml / folder).mkdir(exist_ok=True)
        name = ref.name.partition("/")[0]
        (ml / "input/event.json").write_text(call.payload, encoding="utf-8")
        facts = {
            "request_id": call.uid,
            "function_name": name,
            "function_arn": arn(ref.sibling(model.FUNCTION, name)),
            "handler": how.handler,
            "timeout_s": how.timeout,
            "memory_mb": how.memory_size,
            "log_group": log_group(name),
            "log_stream": call.stream,
            "client": call.context,
        }
        (ml / "input/context.json").write_bytes(to_json(facts))
        given = tools.environment(ref, how.role.rpartition("/")[2])
        log = tools.logs.path(ref.account, ref.region, log_group(name), call.stream)
        tools.runner.start(
            specification(
                _plan(call, facts),
                "localhost",
                given,
                process=call.process,
                ml=ml,
                log=log,
                memory_bytes=how.memory_size * _MIB,
            )
        )

    def _watch(self, call: Invocation, stopping: threading.Event) -> ProcessStatus | None:
        """Wait for the process; None when the worker stops first."""
        runner = self._tools.runner
        limit = timedelta(seconds=call.function.configuration.timeout + INIT_S)
        while not stopping.is_set():
            status = runner.wait(call.process, _LOOK_S)
            if status is None or status.state != "running":
                return status
            if status.started_at is not None and now() - status.started_at > limit:
                runner.stop(call.process, grace_s=0.0)
        return None

    def _outcome(self, call: Invocation, status: ProcessStatus) -> dict[str, Any]:
        """Read what the process left, or say how it died."""
        found = _read_outcome(self._tools.runner.workspace(call.process) / "output/result.json")
        if "result" in found:
            return {"result": found["result"]}
        if "failure" in found:
            return {"failure": build(Failure, found["failure"])}
        how = call.function.configuration
        if status.ended_by in ("timeout", "stop"):
            said = f"{call.uid} Task timed out after {how.timeout:.2f} seconds"
            return {"failure": Failure(said, "Sandbox.Timedout")}
        if status.ended_by == "memory" or status.exit_code == 137:
            said = f"Runtime exited with error: signal: killed ({how.memory_size} MB of memory)"
            kind = "Runtime.OutOfMemory" if status.ended_by == "memory" else "Runtime.ExitError"
        else:
            said = f"Runtime exited with error: exit status {status.exit_code}"
            kind = "Runtime.ExitError"
        return {"failure": Failure(f"RequestId: {call.uid} Error: {said}", kind)}

    def _lose(self, resource: Resource, call: Invocation) -> datetime | None:
        """Begin again after the process vanished, but not for ever."""
        if call.losses + 1 >= MOST_LOSSES:
            said = f"its process vanished, {MOST_LOSSES} times"
            return self._end(resource, call, failure=Failure(said, "Runtime.Lost", call.uid))
        again = msgspec.structs.replace(call, attempt=call.attempt + 1, losses=call.losses + 1)
        return self._try_again(resource, call, again, timedelta())

    def _try_again(
        self, resource: Resource, call: Invocation, again: Invocation, wait: timedelta
    ) -> datetime:
        with self._tools.store.begin() as transaction:
            transaction.update(replace(resource, body=plain(again)))
        self._tools.runner.discard(call.process)
        return now() + wait

    def _end(
        self,
        resource: Resource,
        call: Invocation,
        *,
        result: str = "",
        failure: Failure | None = None,
    ) -> datetime | None:
        if failure is not None and call.again:
            tries = RETRIES - call.again + 1
            again = msgspec.structs.replace(call, attempt=call.attempt + 1, again=call.again - 1)
            return self._try_again(resource, call, again, _RETRY_AFTER * tries)
        ended = msgspec.structs.replace(call, result=result, failure=failure)
        status = "Failed" if failure else "Succeeded"
        function = resource.ref.sibling(model.FUNCTION, resource.ref.name.partition("/")[0])
        detail = {"request_id": call.uid, **({"error": failure.error_type} if failure else {})}
        with self._tools.store.begin() as transaction:
            kept = transaction.update(replace(resource, status=status, body=plain(ended)))
            action = f"function.{status.lower()}"
            transaction.append(Event(now(), call.actor, action, function, detail))
            if resource.parent is not None:
                transaction.wake(resource.parent)
        self._tools.runner.discard(call.process)
        return None if call.kept else kept.modified_at + _FORGET_AFTER

    def _forget(self, resource: Resource, call: Invocation) -> datetime | None:
        """Remove what has been read, or what nobody came to read."""
        if call.kept:
            return None
        until = resource.modified_at + _FORGET_AFTER
        if now() < until:
            return until
        with self._tools.store.begin() as transaction:
            if transaction.get(resource.ref) is not None:
                transaction.delete(resource.ref)
        return None


def _plan(call: Invocation, facts: Mapping[str, Any]) -> Plan:
    how = call.function.configuration
    return Plan(
        runtime=Runtime("python", how.runtime),
        hosts=("localhost",),
        sources=(),
        targets=(),
        resources=("", {}),
        program=("function.py",),
        cwd="/opt/ml/function",
        environment={
            **how.environment.variables,
            "LAMBDA_TASK_ROOT": "/opt/ml/function",
            "AWS_LAMBDA_FUNCTION_NAME": facts["function_name"],
            "AWS_LAMBDA_FUNCTION_VERSION": model.LATEST,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(how.memory_size),
            "AWS_LAMBDA_LOG_GROUP_NAME": facts["log_group"],
            "AWS_LAMBDA_LOG_STREAM_NAME": facts["log_stream"],
            "_HANDLER": how.handler,
            "TZ": ":UTC",
        },
        limit_s=how.timeout + INIT_S,
        role=how.role,
    )


def _read_outcome(file: Path) -> dict[str, Any]:
    """Read what a process wrote down; whatever else a handler put there counts as nothing."""
    try:
        if file.is_symlink() or file.stat().st_size > _LARGEST_OUTCOME:
            return {}
        found = from_json(file.read_bytes())
        if isinstance(found["result"] if "result" in found else found["failure"], str | dict):
            return dict(found)
    except (OSError, InvalidInput, TypeError, KeyError):
        return {}
    return {}
