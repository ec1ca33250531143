"""The step kind that queues offer to pipelines: Callback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.kernel.errors import InvalidInput, NotFound
from clary.kernel.outputs import declared, listed
from clary.kernel.steps import StepResult
from clary.queues.callbacks import WAITING
from clary.queues.model import from_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.kernel.names import Ref
    from clary.kernel.ports import Transaction
    from clary.kernel.steps import StepRun
    from clary.queues.callbacks import Callback, Callbacks

_FIELD = "SqsQueueUrl"


class CallbackStep:
    """Sends a message with a token to a queue, and waits until somebody sends it back."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks

    def check(self, step: Mapping[str, Any]) -> None:
        """Refuse a step without a queue, or with outputs that are not declared well."""
        url = step.get(_FIELD)
        if not isinstance(url, str):
            raise InvalidInput(_FIELD, "is missing or no text")
        account = url.rstrip("/").rpartition("/")[0].rpartition("/")[2]
        from_url(url, account=account, region="", field=_FIELD)
        declared(step)

    def key(self, run: StepRun) -> Mapping[str, Any] | None:
        """Name who is asked, for what and with which arguments."""
        return {
            "queue": run.step[_FIELD],
            "arguments": run.arguments,
            "outputs": run.step.get("OutputParameters") or [],
        }

    def made(self, job: Ref) -> Mapping[str, str]:  # noqa: ARG002 - port
        """Say that its result refers to nothing that could change."""
        return {}

    def start(self, run: StepRun, transaction: Transaction) -> StepResult:
        """Send the message, in the step's transaction."""
        url = run.step[_FIELD]
        outputs = declared(run.step)
        job = self._callbacks.ask(
            run.execution, url, run.arguments, outputs, actor=run.actor, transaction=transaction
        )
        return StepResult("Executing", job=job, metadata=_metadata(job, url))

    def poll(self, job: Ref) -> StepResult:
        """Say whether the answer has come."""
        try:
            status, callback = self._callbacks.get(job)
        except NotFound as error:
            return StepResult("Failed", job=job, reason=error.message)
        metadata = _metadata(job, callback.url, callback)
        if status in WAITING:
            return StepResult("Executing", job=job, metadata=metadata)
        return StepResult(
            "Succeeded" if status == "Succeeded" else "Failed",
            job=job,
            properties={"OutputParameters": callback.values},
            metadata=metadata,
            reason=callback.reason,
        )

    def stop(self, job: Ref) -> None:
        """Tell who was asked; the step ends when they have answered."""
        self._callbacks.stop(job)


def _metadata(job: Ref, url: str, callback: Callback | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"CallbackToken": job.name, "SqsQueueUrl": url}
    if callback is not None and callback.values:
        found["OutputParameters"] = listed(callback.values)
    return {"Callback": found}
