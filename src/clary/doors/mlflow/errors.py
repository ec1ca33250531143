"""Errors in MLflow's words."""

from __future__ import annotations

from clary.experiments.model import COMPONENT
from clary.kernel import errors

_WORDS: dict[type[errors.ClaryError], tuple[str, int]] = {
    errors.InvalidInput: ("INVALID_PARAMETER_VALUE", 400),
    errors.NotFound: ("RESOURCE_DOES_NOT_EXIST", 404),
    errors.AlreadyExists: ("RESOURCE_ALREADY_EXISTS", 400),
    errors.Conflict: ("RESOURCE_CONFLICT", 409),
    errors.Forbidden: ("PERMISSION_DENIED", 403),
    errors.LimitExceeded: ("RESOURCE_LIMIT_EXCEEDED", 400),
    errors.NotSupported: ("NOT_IMPLEMENTED", 501),
    errors.Unavailable: ("TEMPORARILY_UNAVAILABLE", 503),
}


class MlflowError(Exception):
    """An error as the client reads it: a code of the protocol, a message, an HTTP status."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def translate(error: errors.ClaryError) -> MlflowError:
    """Say an error of the platform in MLflow's words."""
    code, status = next(
        (words for kind, words in _WORDS.items() if isinstance(error, kind)),
        ("INTERNAL_ERROR", 500),
    )
    message = f"{error.message}; {error.hint}" if error.hint else error.message
    if isinstance(error, errors.NotFound):
        message = message.replace(COMPONENT, "run", 1)
    return MlflowError(code, message, status)
