"""The API models that botocore ships, as far as a server needs them."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import botocore.loaders

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICES = (
    "sagemaker",
    "sagemaker-runtime",
    "sagemaker-featurestore-runtime",
    "sagemaker-metrics",
    "s3",
    "sts",
    "iam",
    "logs",
    "sqs",
    "lambda",
    "scheduler",
    "events",
    "cloudwatch",
    "application-autoscaling",
    "athena",
)

CBOR = "smithy-rpc-v2-cbor"
_CORRECTED = {
    "sqs": {("ReceiveMessageRequest", "AttributeNames"): "MessageSystemAttributeList"},
}
"""Members that the service reads otherwise than its model says, with their right shapes."""

ShapeDocument = dict[str, Any]
"""A shape as the model writes it: ``type`` and, by type, members, limits, names on the wire."""


@dataclass(frozen=True)
class Operation:
    """One operation of a service.

    Parameters
    ----------
    service, name
        As botocore names them: ``sagemaker``, ``CreateTrainingJob``.
    method, uri, status
        HTTP method, path template with its literal query, and the status of success.
    input, output
        Names of its shapes; None when it has none.
    output_wrapper
        The element around a query protocol's result.
    errors
        The codes it declares, with the HTTP status of those that have one.
    deprecated
        Another operation at the same address is preferred.
    compressed
        Clients may compress its requests by gzip.
    """

    service: str
    name: str
    method: str
    uri: str
    status: int = 200
    input: str | None = None
    output: str | None = None
    output_wrapper: str = ""
    errors: Mapping[str, int | None] = field(default_factory=dict)
    deprecated: bool = False
    compressed: bool = False


class Service:
    """One AWS API."""

    def __init__(self, name: str) -> None:
        document = botocore.loaders.Loader().load_service_model(name, "service-2")
        metadata = document["metadata"]
        self.name = name
        self.protocol: str = metadata["protocol"]
        self.json_version: str = metadata.get("jsonVersion", "1.0")
        self.namespace: str = metadata.get("xmlNamespace", "")
        self.version: str = metadata["apiVersion"]
        self.query_compatible = "awsQueryCompatible" in metadata
        self.shapes: Mapping[str, ShapeDocument] = document["shapes"]
        for (shape, member), right in _CORRECTED.get(name, {}).items():
            self.shapes[shape]["members"][member] = {"shape": right}
        self.operations = {
            operation: self._operation(operation, spec)
            for operation, spec in document["operations"].items()
        }

    def streams(self, operation: Operation) -> bool:
        """Say whether an operation takes its body piece by piece."""
        shape = self.shapes.get(operation.input or "", {})
        payload = shape.get("payload")
        return bool(payload and shape["members"][payload].get("streaming"))

    def _operation(self, name: str, spec: Mapping[str, Any]) -> Operation:
        given, result = spec.get("input", {}), spec.get("output", {})
        return Operation(
            service=self.name,
            name=name,
            method=spec["http"]["method"],
            uri=spec["http"]["requestUri"],
            status=spec["http"].get("responseCode", 200),
            input=given.get("shape"),
            output=result.get("shape"),
            output_wrapper=result.get("resultWrapper", ""),
            errors=dict(map(self._error, spec.get("errors", ()))),
            deprecated=bool(spec.get("deprecated")),
            compressed="gzip" in spec.get("requestcompression", {}).get("encodings", ()),
        )

    def _error(self, reference: Mapping[str, Any]) -> tuple[str, int | None]:
        name = reference["shape"]
        error = self.shapes[name].get("error", {})
        return error.get("code", name), error.get("httpStatusCode")


@functools.cache
def service(name: str) -> Service:
    """Load a service's model once."""
    return Service(name)
