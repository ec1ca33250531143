"""Executions as they begin: what is asked for, the pipeline and its definition, in one resource."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clary.kernel.clock import now
from clary.kernel.codec import digest, plain
from clary.kernel.resource import Resource
from clary.pipelines.expressions import Scope, resolve
from clary.pipelines.starts import date_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.pipelines.model import Definition
    from clary.pipelines.requests import StartRequest

_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Opening:
    """What an execution is made of.

    Parameters
    ----------
    pipeline
        Its pipeline.
    version, name, definition
        The version that it runs, the digest of its text, and what it says.
    request, view
        What was asked for, as it came and typed.
    actor
        Who asked.
    """

    pipeline: Resource
    version: int
    name: str
    definition: Definition
    request: JsonObject
    view: StartRequest
    actor: str

    def execution(self) -> Resource:
        """Write the execution. Raises InvalidInput for a parameter that does not fit."""
        view, pipeline = self.view, self.pipeline
        ref = pipeline.ref.sibling(
            "pipeline-execution", f"{pipeline.ref.name}/{_execution_id(pipeline.ref, view)}"
        )
        default = pipeline.body["request"].get("ParallelismConfiguration") or {}
        given = plain(view.parallelism_configuration) or default
        parameters = self.definition.values([(x.name, x.value) for x in view.pipeline_parameters])
        at = now()
        body = {
            "version": self.version,
            "definition": self.name,
            "parameters": parameters,
            "experiment": _experiment(self.definition, ref, parameters, at),
            "display_name": view.pipeline_execution_display_name
            or f"execution-{int(at.timestamp() * 1000)}",
            "description": view.pipeline_execution_description or "",
            "parallelism": given.get("MaxParallelExecutionSteps"),
            "role": view.role_arn or pipeline.body["request"].get("RoleArn", ""),
            "actor": self.actor,
            "modified_by": self.actor,
            "token": token_digest(view.client_request_token, self.request),
            "reason": "",
        }
        return Resource(ref, body, at, at, "Executing", pipeline.ref)


def token_digest(token: str, request: JsonObject) -> str:
    """Sum up a client token and what it asked for; empty without one."""
    return digest(request) if token else ""


def _execution_id(pipeline: Ref, view: StartRequest) -> str:
    """Make 12 letters and digits; of the client token, if there is one, so that it starts once."""
    token = view.client_request_token or secrets.token_hex()
    number = int.from_bytes(hashlib.sha256(f"{pipeline!r} {token}".encode()).digest())
    return "".join(_ID_LETTERS[number // 36**i % 36] for i in range(_ID_LENGTH))


def _experiment(
    definition: Definition, execution: Ref, parameters: Mapping[str, Any], at: datetime
) -> Any:
    pipeline, _, name = execution.name.partition("/")
    variables = {
        "PipelineName": pipeline,
        "PipelineExecutionId": name,
        "StartDateTime": date_time(at),
        "CurrentDateTime": date_time(at),
    }
    return resolve(definition.experiment, Scope(parameters, variables, {}, str))
