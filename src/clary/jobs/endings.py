"""Ending a job: what its processes' end means, what is uploaded, what is quoted and counted."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clary.jobs.failures import LONGEST, reason
from clary.jobs.metrics import last_values
from clary.jobs.model import LOG_GROUPS, Ending, Job, Metric, stream
from clary.kernel.errors import ClaryError, LimitExceeded, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clary.jobs.contract import Outcome, Plan
    from clary.jobs.outputs import Uploads
    from clary.jobs.ports import LogLine, LogStore, ProcessStatus
    from clary.kernel.resource import Resource
    from clary.lineage.model import Artifact

KEPT_BYTES = 1 << 20
_PAGE = 2_000
_TAIL = 60
_FULL_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Result:
    """How a job ended and what is to be written down about it.

    ``secondary`` is the last secondary status when it is not the status itself.
    """

    status: Outcome
    failure: str = ""
    secondary: str = ""
    exit_message: str = ""
    metrics: tuple[Metric, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    outputs: Sequence[tuple[str, Artifact]] = ()


@dataclass(frozen=True, slots=True)
class JobLog:
    """The log of one job."""

    store: LogStore
    resource: Resource

    def tail(self, host: str) -> list[str]:
        """Return a host's last lines; none when it has no log."""
        try:
            page = self.store.tail(*self._name(host), _TAIL)
        except NotFound:
            return []
        return [line.text for line in page.lines]

    def lines(self, host: str) -> Iterator[LogLine]:
        """Yield a host's lines from the first on."""
        after = 0
        while True:
            try:
                page = self.store.read(*self._name(host), after=after, limit=_PAGE)
            except NotFound:
                return
            yield from page.lines
            if not page.lines:
                return
            after = page.end

    def _name(self, host: str) -> tuple[str, str, str, str]:
        ref = self.resource.ref
        return ref.account, ref.region, LOG_GROUPS[ref.kind], stream(self.resource, host)


def worst(hosts: Sequence[str], statuses: Sequence[ProcessStatus]) -> Ending:
    """Say how a job's hosts ended together.

    A host that failed by itself explains the others, which were stopped for it.
    """
    endings = [
        Ending(1 if one.exit_code is None else one.exit_code, one.ended_by, host)
        for host, one in zip(hosts, statuses, strict=True)
    ]
    order = {"memory": 0, "itself": 1, "timeout": 2, "stop": 3}
    bad = [one for one in endings if not one.succeeded]
    return min(bad, key=lambda one: order[one.by], default=endings[0])


def conclude(job: Job, plan: Plan, uploads: Uploads, log: JobLog, memory: int | None) -> Result:
    """Upload what the outcome calls for, and compose the job's last words.

    Doing it again gives the same result.
    """
    ending = job.ending or Ending(1)
    status: Outcome = "Completed" if ending.succeeded else "Failed"
    if job.stop_asked or ending.by in {"stop", "timeout"}:
        status = "Stopped"
    said = uploads.text(plan.exit_message, most_bytes=4 * LONGEST) or ""
    outputs: list[tuple[str, Artifact]] = []
    failure = ""
    if status == "Failed":
        failure = reason(
            ending,
            said,
            log.tail(ending.host),
            memory_bytes=memory,
            disk_is_full=uploads.free_bytes() < _FULL_BYTES,
        )
    elif _ran_out(job, ending):
        failure = f"stopped: it ran longer than MaxRuntimeInSeconds, {plan.limit_s:.0f} s"
    kept: Mapping[str, str] = {}
    try:
        for target in plan.targets:
            if status in target.when:
                outputs += uploads.upload(target)
        kept = _kept(job, plan, uploads) if status == "Completed" else {}
    except (ClaryError, OSError) as error:
        failure = failure or f"ClientError: {_upload_failure(error)}"[:LONGEST]
        status = "Failed"
    return Result(
        status,
        failure=failure,
        secondary="MaxRuntimeExceeded" if _ran_out(job, ending) else "",
        exit_message=said[:LONGEST] if plan.exit_message.endswith("message") else "",
        metrics=last_values(log.lines(plan.hosts[0]), plan.patterns) if plan.patterns else (),
        kept=kept,
        outputs=outputs,
    )


def _ran_out(job: Job, ending: Ending) -> bool:
    return ending.by == "timeout" and not job.stop_asked


def _kept(job: Job, plan: Plan, uploads: Uploads) -> dict[str, str]:
    folders = {target.name: target.path for target in plan.targets}
    texts = {}
    for name, (output, path) in job.keep.items():
        if output not in folders:
            continue
        text = uploads.text(f"{folders[output]}/{path}", most_bytes=KEPT_BYTES + 1)
        if text is None:
            continue
        if len(text.encode()) > KEPT_BYTES:
            raise LimitExceeded(f"{path} of the output {output} is over {KEPT_BYTES} bytes")
        texts[name] = text
    return texts


def _upload_failure(error: ClaryError | OSError) -> str:
    if isinstance(error, ClaryError):
        return f"the outputs cannot be stored: {error.message}"
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return f"the outputs cannot be stored: {'the disk is full' if full else error}"
