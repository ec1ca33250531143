"""The one table from clary's errors to the words each AWS service and operation uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.kernel.errors import (
    AlreadyExists,
    ClaryError,
    Conflict,
    Forbidden,
    InvalidInput,
    JobFailed,
    LimitExceeded,
    ModelFailed,
    NotFound,
    NotSupported,
    Throttled,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.doors.wire.model import Operation


class WireError(Exception):
    """An error in the exact words of an AWS API.

    Parameters
    ----------
    code
        The error code: ``NoSuchKey``.
    message
        One sentence.
    status
        HTTP status; the operation's own, where its model gives that code one, goes before it.
    members
        More members of the error document.
    headers
        More headers of the answer.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        *,
        members: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = dict(members or {})
        self.headers = dict(headers or {})


# Best word first: the first that the operation declares is used, else the last.
_SAGEMAKER: dict[type[ClaryError], tuple[str, ...]] = {
    InvalidInput: ("ValidationException",),
    NotFound: ("ResourceNotFound", "ValidationException"),
    AlreadyExists: ("ResourceInUse", "ValidationException"),
    Conflict: ("ConflictException", "ValidationException"),
    Forbidden: ("AccessDeniedException",),
    LimitExceeded: ("ResourceLimitExceeded",),
    NotSupported: ("UnsupportedOperation",),
    Unavailable: ("ServiceUnavailable",),
    JobFailed: ("ValidationException",),
}
_RUNTIME: dict[type[ClaryError], tuple[str, ...]] = {
    InvalidInput: ("ValidationError",),
    NotFound: ("ResourceNotFound", "ValidationError"),
    AlreadyExists: ("ValidationError",),
    Conflict: ("ConflictException", "ValidationError"),
    Forbidden: ("AccessForbidden", "AccessDeniedException"),
    LimitExceeded: ("ValidationError",),
    NotSupported: ("UnsupportedOperation",),
    Throttled: ("ThrottlingException",),
    Unavailable: ("ServiceUnavailable",),
    ModelFailed: ("ModelError",),
    JobFailed: ("ModelError", "ValidationError"),
}
WORDS: dict[str, dict[type[ClaryError], tuple[str, ...]]] = {
    "sagemaker": _SAGEMAKER,
    "sagemaker-metrics": _SAGEMAKER,
    "sagemaker-runtime": {**_RUNTIME, LimitExceeded: ("ThrottlingException",)},
    "sagemaker-featurestore-runtime": _RUNTIME,
    "s3": {
        InvalidInput: ("InvalidArgument",),
        NotFound: ("NoSuchKey",),
        AlreadyExists: ("BucketAlreadyExists",),
        Conflict: ("OperationAborted",),
        Forbidden: ("AccessDenied",),
        LimitExceeded: ("EntityTooLarge",),
        NotSupported: ("NotImplemented",),
        Unavailable: ("SlowDown",),
        JobFailed: ("InvalidRequest",),
    },
    "sts": {
        InvalidInput: ("ValidationError",),
        NotFound: ("ValidationError",),
        AlreadyExists: ("ValidationError",),
        Conflict: ("ValidationError",),
        Forbidden: ("AccessDenied",),
        LimitExceeded: ("ValidationError",),
        NotSupported: ("UnsupportedOperation",),
        Unavailable: ("ServiceUnavailable",),
        JobFailed: ("ValidationError",),
    },
    "iam": {
        InvalidInput: ("ValidationError",),
        NotFound: ("NoSuchEntity",),
        AlreadyExists: ("EntityAlreadyExists",),
        Conflict: ("DeleteConflict", "ConcurrentModification"),
        Forbidden: ("AccessDenied",),
        LimitExceeded: ("LimitExceeded",),
        NotSupported: ("UnsupportedOperation",),
        Unavailable: ("ServiceUnavailable",),
        JobFailed: ("ValidationError",),
    },
    "logs": {
        InvalidInput: ("InvalidParameterException", "ValidationException"),
        NotFound: ("ResourceNotFoundException",),
        AlreadyExists: ("ResourceAlreadyExistsException",),
        Conflict: ("OperationAbortedException", "ConflictException"),
        Forbidden: ("AccessDeniedException",),
        LimitExceeded: ("LimitExceededException",),
        NotSupported: ("UnsupportedOperation",),
        Unavailable: ("ServiceUnavailableException",),
        JobFailed: ("InvalidParameterException",),
    },
    "sqs": {
        InvalidInput: (
            "InvalidAttributeValue",
            "InvalidMessageContents",
            "ReceiptHandleIsInvalid",
            "InvalidParameterValue",
        ),
        NotFound: ("QueueDoesNotExist",),
        AlreadyExists: ("QueueNameExists",),
        Conflict: ("MessageNotInflight", "RequestThrottled"),
        Forbidden: ("AccessDenied",),
        LimitExceeded: ("OverLimit",),
        NotSupported: ("UnsupportedOperation",),
        Unavailable: ("ServiceUnavailable",),
        JobFailed: ("InvalidParameterValue",),
    },
    "lambda": {
        InvalidInput: ("InvalidParameterValueException",),
        NotFound: ("ResourceNotFoundException",),
        AlreadyExists: ("ResourceConflictException",),
        Conflict: ("ResourceConflictException",),
        Forbidden: ("AccessDeniedException",),
        LimitExceeded: ("RequestTooLargeException", "CodeStorageExceededException"),
        NotSupported: ("UnsupportedOperation",),
        Unavailable: ("ServiceException",),
        JobFailed: ("ServiceException",),
    },
    "scheduler": {
        InvalidInput: ("ValidationException",),
        NotFound: ("ResourceNotFoundException",),
        AlreadyExists: ("ConflictException",),
        Conflict: ("ConflictException",),
        Forbidden: ("AccessDeniedException",),
        LimitExceeded: ("ServiceQuotaExceededException",),
        NotSupported: ("UnsupportedOperation",),
        Unavailable: ("ServiceUnavailable",),
        JobFailed: ("ValidationException",),
    },
    "athena": {
        InvalidInput: ("InvalidRequestException",),
        NotFound: ("ResourceNotFoundException", "InvalidRequestException"),
        AlreadyExists: ("InvalidRequestException",),
        Conflict: ("InvalidRequestException",),
        Forbidden: ("AccessDeniedException",),
        LimitExceeded: ("TooManyRequestsException", "InvalidRequestException"),
        NotSupported: ("InvalidRequestException",),
        Unavailable: ("InternalServerException",),
        JobFailed: ("InvalidRequestException",),
    },
    "application-autoscaling": {
        InvalidInput: ("ValidationException",),
        NotFound: ("ObjectNotFoundException", "ValidationException"),
        AlreadyExists: ("ValidationException",),
        Conflict: ("ConcurrentUpdateException",),
        Forbidden: ("FailedResourceAccessException", "ValidationException"),
        LimitExceeded: ("LimitExceededException", "ValidationException"),
        NotSupported: ("UnsupportedOperation",),
        Unavailable: ("InternalServiceException",),
        JobFailed: ("ValidationException",),
    },
    "events": {
        InvalidInput: ("ValidationException",),
        NotFound: ("ResourceNotFoundException",),
        AlreadyExists: ("ResourceAlreadyExistsException",),
        Conflict: ("ConcurrentModificationException", "ValidationException"),
        Forbidden: ("AccessDeniedException",),
        LimitExceeded: ("LimitExceededException",),
        NotSupported: ("UnsupportedOperation",),
        Unavailable: ("ServiceUnavailable",),
        JobFailed: ("ValidationException",),
    },
    "cloudwatch": {
        InvalidInput: ("InvalidParameterValue", "ValidationError"),
        NotFound: ("ResourceNotFound", "ResourceNotFoundException"),
        AlreadyExists: ("ResourceConflict",),
        Conflict: ("ConcurrentModificationException", "ResourceConflict"),
        Forbidden: ("AccessDenied",),
        LimitExceeded: ("LimitExceeded",),
        NotSupported: ("UnsupportedOperation",),
        Unavailable: ("ServiceUnavailable",),
        JobFailed: ("ValidationError",),
    },
}
QUERY_WORDS = {
    ("sqs", "QueueDoesNotExist"): "AWS.SimpleQueueService.NonExistentQueue",
    ("sqs", "QueueNameExists"): "QueueAlreadyExists",
    **{
        ("sqs", code): f"AWS.SimpleQueueService.{code}"
        for code in (
            "BatchEntryIdsNotDistinct",
            "EmptyBatchRequest",
            "MessageNotInflight",
            "TooManyEntriesInBatchRequest",
            "UnsupportedOperation",
        )
    },
}
"""By service and code: what a service that spoke the query protocol once called its errors then."""
# Where the model gives a code no status. The json protocol answers 400 to every client error.
_STATUS: dict[type[ClaryError], int] = {
    InvalidInput: 400,
    NotFound: 404,
    AlreadyExists: 409,
    Conflict: 409,
    Forbidden: 403,
    LimitExceeded: 400,
    NotSupported: 501,
    Throttled: 429,
    Unavailable: 503,
    ModelFailed: 424,
    JobFailed: 400,
}
_LIKE: dict[type[ClaryError], type[ClaryError]] = {Throttled: Unavailable}
"""What a service says of an error that it has no words for; of others, that a job failed."""
# The official SDK tells "make it" from "change it" by this code and "already exists" in the text.
_EXISTS_IS_VALIDATION = frozenset(
    {"CreatePipeline", "CreateExperiment", "CreateTrial", "CreateTrialComponent"}
)
# The official SDK goes by these words of the service.
_PHRASES: dict[tuple[str, type[ClaryError]], str] = {
    ("CreateModel", AlreadyExists): "Cannot create already existing model",
    ("CreateModelPackage", AlreadyExists): "ModelPackage already exists",
    ("CreateEndpointConfig", AlreadyExists): (
        "Cannot create already existing endpoint configuration"
    ),
    ("CreateEndpointConfig", NotFound): "Could not find model",
    ("CreateEndpoint", NotFound): "Could not find",
    ("CreateEndpoint", AlreadyExists): "Cannot create already existing endpoint",
    ("DescribeEndpoint", NotFound): "Could not find endpoint",
    ("DescribeEndpointConfig", NotFound): "Could not find endpoint configuration",
    ("UpdateEndpoint", NotFound): "Could not find",
    ("DeleteEndpoint", NotFound): "Could not find endpoint",
    ("DeleteEndpointConfig", NotFound): "Could not find endpoint configuration",
    ("DescribeModel", NotFound): "Could not find model",
    ("DescribeModelPackage", NotFound): "Could not find model package",
}
_JSON = frozenset({"sagemaker", "logs", "sqs", "events", "application-autoscaling"})


def translate(error: ClaryError, service: str, operation: Operation | None) -> WireError:
    """Say a clary error in the words that ``operation`` of ``service`` uses."""
    kind = next(kind for kind in _STATUS if isinstance(error, kind))
    code = _code(kind, service, operation)
    status = _STATUS[kind]
    if service in _JSON and status < 500:
        status = 400
    headers = {}
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if code == "ThrottlingException" and service == "sagemaker-runtime":
        status = 429
        headers["Retry-After"] = "1"
    members: dict[str, str | int] = {}
    if isinstance(error, ModelFailed):
        members = {
            "OriginalStatusCode": error.status,
            "OriginalMessage": error.answer,
            "LogStreamArn": error.log,
        }
    message = f"{error.message}; {error.hint}" if error.hint else error.message
    if operation and (phrase := _PHRASES.get((operation.name, kind))):
        message = f"{phrase}: {message}"
    return WireError(code, message, status, members=members, headers=headers)


def _code(kind: type[ClaryError], service: str, operation: Operation | None) -> str:
    words = WORDS[service].get(kind) or WORDS[service][_LIKE.get(kind, JobFailed)]
    if operation is None:
        return words[-1]
    if kind is AlreadyExists and operation.name in _EXISTS_IS_VALIDATION:
        return "ValidationException"
    return next((word for word in words if word in operation.errors), words[-1])
