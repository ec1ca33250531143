"""Answers to callback steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.kernel.errors import InvalidInput
from clary.kernel.names import Ref, arn
from clary.queues.callbacks import CALLBACK

if TYPE_CHECKING:
    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject


def send_pipeline_execution_step_success(call: Call) -> JsonObject:
    """End a callback step well, with its outputs."""
    given: dict[str, str] = {}
    for one in call.params.get("OutputParameters", ()):
        if one["Name"] in given:
            raise InvalidInput("OutputParameters", f"{one['Name']!r} is given twice")
        given[one["Name"]] = one["Value"]
    execution = call.platform.callbacks.succeed(_callback(call), given, actor=call.actor)
    return {"PipelineExecutionArn": arn(execution)}


def send_pipeline_execution_step_failure(call: Call) -> JsonObject:
    """End a callback step badly, with a reason."""
    reason = call.params.get("FailureReason", "")
    execution = call.platform.callbacks.fail(_callback(call), reason, actor=call.actor)
    return {"PipelineExecutionArn": arn(execution)}


def _callback(call: Call) -> Ref:
    return Ref(call.account, call.region, CALLBACK, call.params["CallbackToken"])
