"""What can go wrong, in the caller's words.

ClaryError
├── InvalidInput   the request itself must change
├── NotFound       the thing named does not exist
├── AlreadyExists  a thing of that name exists
├── Conflict       the thing is in a state that does not allow this, or somebody else was faster
├── Forbidden      the actor may not do this
├── LimitExceeded  a quota or size limit
├── NotSupported   a known request that clary does not offer
├── Unavailable    try again later
│   └── Throttled  asked for more often than is provided for
├── ModelFailed    a model answered a request with an error
└── JobFailed      a job ended without its result

Bugs stay plain Python exceptions. Each door has one table from these to its own words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clary.kernel.names import Ref


class ClaryError(Exception):
    """Something a caller can act on.

    Parameters
    ----------
    message
        One sentence: what was wrong, and with which value.
    hint
        What to do about it, which a traceback shows too; empty when the message says it all.
    """

    retryable = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(hint)


class InvalidInput(ClaryError):
    """The request itself must change."""

    def __init__(self, field: str, problem: str, *, legal: str = "", hint: str = "") -> None:
        message = f"{field}: {problem}" if field else problem
        super().__init__(f"{message}; legal: {legal}" if legal else message, hint=hint)
        self.field = field
        self.problem = problem
        self.legal = legal


class NotFound(ClaryError):
    """The thing named does not exist."""

    def __init__(self, ref: Ref | str, *, hint: str = "") -> None:
        super().__init__(f"{ref} does not exist", hint=hint)
        self.ref = ref


class AlreadyExists(ClaryError):
    """A thing of that name already exists."""

    def __init__(self, ref: Ref | str, *, hint: str = "") -> None:
        super().__init__(f"{ref} already exists", hint=hint)
        self.ref = ref


class Conflict(ClaryError):
    """The thing's present state does not allow this, or another writer was faster."""


class Forbidden(ClaryError):
    """The actor may not do this."""

    def __init__(self, actor: str, action: str, ref: Ref | str, *, hint: str = "") -> None:
        super().__init__(f"{actor} may not {action} {ref}", hint=hint)
        self.actor = actor
        self.action = action
        self.ref = ref


class LimitExceeded(ClaryError):
    """A quota or a size limit is exceeded."""


class NotSupported(ClaryError):
    """A known request that clary does not offer."""


class Unavailable(ClaryError):
    """Not now; the same request may succeed later."""

    retryable = True

    def __init__(self, message: str, *, retry_after_s: float = 1.0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class Throttled(Unavailable):
    """More was asked in a time than is provided for; the same request succeeds later."""


class ModelFailed(ClaryError):
    """A model answered a request with an error, or could not answer it.

    Parameters
    ----------
    status
        The HTTP status its container gave: 400, 415, 500, …
    answer
        What it said, at most 1,024 characters.
    log
        The log group of its endpoint, where more may stand.
    """

    def __init__(self, status: int, answer: str, *, log: str = "") -> None:
        super().__init__(
            f"Received error ({status}) from the model with message {answer!r}",
            hint=f"see the log group {log}" if log else "",
        )
        self.status = status
        self.answer = answer
        self.log = log


class JobFailed(ClaryError):
    """A job ended without its result."""

    def __init__(self, ref: Ref | str, reason: str, *, log_tail: str = "") -> None:
        super().__init__(f"{ref} failed: {reason}")
        self.ref = ref
        self.reason = reason
        self.log_tail = log_tail
