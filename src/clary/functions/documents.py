"""What is told of functions, in Lambda's words."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from clary.functions.model import LATEST, log_group, read
from clary.kernel.names import arn

if TYPE_CHECKING:
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource


def configuration(found: Resource) -> JsonObject:
    """Write the FunctionConfiguration document."""
    function = read(found)
    view = function.configuration
    return {
        **function.request,
        "FunctionName": found.ref.name,
        "FunctionArn": arn(found.ref),
        "Timeout": view.timeout,
        "MemorySize": view.memory_size,
        "PackageType": view.package_type,
        "Layers": [],
        "Description": function.request.get("Description", ""),
        "Version": LATEST,
        "CodeSize": function.code.size_bytes,
        "CodeSha256": base64.b64encode(bytes.fromhex(function.code.sha256)).decode(),
        "LastModified": found.modified_at.isoformat(timespec="milliseconds"),
        "RevisionId": f"00000000-0000-0000-0000-{found.revision:012d}",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": log_group(found.ref.name)},
    }


def location(found: Resource) -> JsonObject:
    """Write where a function's code is."""
    code = read(found).code
    return {"RepositoryType": "S3", "Location": f"s3://{code.bucket}/{code.key}"}
