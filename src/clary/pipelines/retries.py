"""RetryPolicies: whether a step that failed is tried again, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

ANY = "Clary.ANY"
"""Matches every failure of a step, its own exceptions too: clary's addition to the public words."""
SERVICE_FAULT = "Step.SERVICE_FAULT"
RESOURCE_LIMIT = "SageMaker.RESOURCE_LIMIT"

Word = Literal[
    "Step.SERVICE_FAULT",
    "Step.THROTTLING",
    "SageMaker.JOB_INTERNAL_ERROR",
    "SageMaker.CAPACITY_ERROR",
    "SageMaker.RESOURCE_LIMIT",
    "Clary.ANY",
]
_DEFAULT_ATTEMPTS = 5
_LONGEST_DELAY_S = 43_200
_MOST_DOUBLINGS = 50


class RetryPolicy(msgspec.Struct, frozen=True, rename="pascal"):
    """One member of a step's RetryPolicies.

    Parameters
    ----------
    exception_type
        The sorts of failure it is for.
    interval_seconds
        How long the first retry waits.
    backoff_rate
        What each further wait is multiplied by; no wait is longer than 12 hours.
    max_attempts
        How often at most; 5 when there is no ``expire_after_min`` either.
    expire_after_min
        Retries may begin for so many minutes after the step's first start.
    """

    exception_type: Annotated[list[Word], Meta(min_length=1)]
    interval_seconds: Annotated[int, Meta(ge=0, le=_LONGEST_DELAY_S)] = 1
    backoff_rate: Annotated[float, Meta(ge=0, le=100)] = 2.0
    max_attempts: Annotated[int, Meta(ge=0, le=20)] | None = None
    expire_after_min: Annotated[int, Meta(ge=0, le=14_400)] | None = None

    def __post_init__(self) -> None:
        """Refuse two limits."""
        if self.max_attempts is not None and self.expire_after_min is not None:
            raise ValueError("only one of MaxAttempts and ExpireAfterMin can be given")

    def delay(self, tried: int) -> timedelta:
        """Say how long the retry after ``tried`` earlier ones waits.

        Examples
        --------
        >>> RetryPolicy(["Step.THROTTLING"], interval_seconds=3).delay(2).total_seconds()
        12.0
        """
        delay_s = self.interval_seconds * self.backoff_rate ** min(tried, _MOST_DOUBLINGS)
        return timedelta(seconds=min(delay_s, _LONGEST_DELAY_S))


def next_try(
    policies: Sequence[RetryPolicy],
    error: str,
    *,
    tried: Mapping[str, int],
    started_at: datetime,
    at: datetime,
) -> tuple[str, datetime] | None:
    """Say by which policy, and when, a step that failed at ``at`` starts again; None: it does not.

    The first policy that names the failure decides.

    Parameters
    ----------
    error
        The sort of failure; empty when it has no public word, which only ``Clary.ANY`` matches.
    tried
        How many retries each policy has allowed so far, by its place (``"0"``) in ``policies``.
    started_at
        When the step was first started.
    """
    for place, policy in enumerate(policies):
        if error not in policy.exception_type and ANY not in policy.exception_type:
            continue
        so_far = tried.get(str(place), 0)
        due_at = at + policy.delay(so_far)
        if policy.expire_after_min is not None:
            allowed = due_at < started_at + timedelta(minutes=policy.expire_after_min)
        else:
            most = _DEFAULT_ATTEMPTS if policy.max_attempts is None else policy.max_attempts
            allowed = so_far < most
        return (str(place), due_at) if allowed else None
    return None
