"""What application-autoscaling is asked for, read and checked."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct

from clary.endpoints.model import ENDPOINT
from clary.endpoints.requests import check_count
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, NotSupported
from clary.metrics.queries import Dimension, ordered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.kernel.names import Ref

NAMESPACE, DIMENSION = "sagemaker", "sagemaker:variant:DesiredInstanceCount"
TARGET, POLICY, ACTIVITY = "scalable-target", "scaling-policy", "scaling-activity"
INVOCATIONS = "SageMakerVariantInvocationsPerInstance"
CONCURRENT = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
_RESOURCE = re.compile(r"endpoint/([a-zA-Z0-9-]{1,63})/variant/([a-zA-Z0-9-]{1,63})")
_TRACKING = "TargetTrackingScalingPolicyConfiguration"


class Suspended(Struct, frozen=True, rename="pascal"):
    """What a target does not do for now."""

    dynamic_scaling_in_suspended: bool = False
    dynamic_scaling_out_suspended: bool = False
    scheduled_scaling_suspended: bool = False


class Target(Struct, frozen=True):
    """The body of a ``scalable-target``, which is named as its resource id.

    Parameters
    ----------
    least, most
        Bounds of the instances.
    suspended
        What it does not do for now.
    scaled_out_at, scaled_in_at
        When instances were added and removed last.
    activity
        Name of the ``scaling-activity`` that is under way; empty: none.
    """

    least: int
    most: int
    suspended: Suspended = Suspended()
    scaled_out_at: datetime | None = None
    scaled_in_at: datetime | None = None
    activity: str = ""


class Policy(Struct, frozen=True):
    """The body of a ``scaling-policy``, which is named ``<resource id>/<policy name>``.

    Parameters
    ----------
    request
        The PutScalingPolicy document.
    since
        When it was put.
    """

    request: dict[str, Any]
    since: datetime


class Activity(Struct, frozen=True):
    """The body of a ``scaling-activity``: one change of a target's instances.

    Parameters
    ----------
    count, before
        How many there are to be, and how many there were.
    cause
        What asked for it.
    message
        How it ended.
    ended_at
        When; None while the endpoint is changing.
    """

    count: int
    before: int
    cause: str
    message: str = ""
    ended_at: datetime | None = None


class Predefined(Struct, frozen=True, rename="pascal"):
    """A metric that clary knows the meaning of."""

    predefined_metric_type: str


class Customized(Struct, frozen=True, rename="pascal"):
    """Any metric whose value an instance more brings down."""

    metric_name: str = ""
    namespace: str = ""
    statistic: Literal["Average", "Minimum", "Maximum", "SampleCount", "Sum"] = "Average"
    dimensions: tuple[Dimension, ...] = ()
    unit: str = ""
    metrics: tuple[Any, ...] = ()


class Tracking(Struct, frozen=True, rename="pascal"):
    """What a target tracking policy holds on to."""

    target_value: Annotated[float, Meta(gt=0, le=1e12)]
    predefined_metric_specification: Predefined | None = None
    customized_metric_specification: Customized | None = None
    scale_out_cooldown: Annotated[int, Meta(ge=0, le=86_400)] = 300
    scale_in_cooldown: Annotated[int, Meta(ge=0, le=86_400)] = 300
    disable_scale_in: bool = False


class _Registration(Struct, frozen=True, rename="pascal"):
    min_capacity: Annotated[int, Meta(ge=0)] | None = None
    max_capacity: Annotated[int, Meta(ge=0)] | None = None
    suspended_state: Suspended | None = None


def variant(request: Mapping[str, Any]) -> tuple[str, str]:
    """Read the endpoint and the variant that a request is about.

    Raises
    ------
    NotSupported
        It is about something else that can be scaled elsewhere.
    InvalidInput
        The resource id does not fit.
    """
    namespace, dimension = request.get("ServiceNamespace"), request.get("ScalableDimension")
    if namespace != NAMESPACE:
        raise NotSupported(f"ServiceNamespace: clary scales nothing of {namespace}")
    if dimension != DIMENSION:
        raise NotSupported(
            f"ScalableDimension: clary does not scale {dimension}", hint=f"it scales {DIMENSION}"
        )
    found = _RESOURCE.fullmatch(request["ResourceId"])
    if found is None:
        legal = "endpoint/<name>/variant/<name>"
        raise InvalidInput("ResourceId", f"{request['ResourceId']!r}", legal=legal)
    return found[1], found[2]


def endpoint(target: Ref) -> tuple[Ref, str]:
    """Name the endpoint and the variant that a scalable target scales."""
    _, name, _, served = target.name.split("/")
    return target.sibling(ENDPOINT, name), served


def registered(request: Mapping[str, Any], present: Target | None, least: int) -> Target:
    """Say what a target becomes by a RegisterScalableTarget document.

    Parameters
    ----------
    present
        What it was; members that are not given stay.
    least
        Instances that the endpoint must have at least.
    """
    asked = build(_Registration, request)
    low, high = asked.min_capacity, asked.max_capacity
    if present is not None:
        low = present.least if low is None else low
        high = present.most if high is None else high
    if low is None or high is None:
        missing = "MinCapacity" if low is None else "MaxCapacity"
        raise InvalidInput(missing, "missing for a target that is not registered yet")
    if low < least:
        raise InvalidInput("MinCapacity", f"{low}", legal=f"at least {least}")
    if low > high:
        raise InvalidInput("MinCapacity", f"{low} is above MaxCapacity, {high}")
    check_count(high, "MaxCapacity")
    suspended = asked.suspended_state or (present.suspended if present else Suspended())
    if present is None:
        return Target(low, high, suspended)
    return Target(
        low, high, suspended, present.scaled_out_at, present.scaled_in_at, present.activity
    )


def tracking(request: Mapping[str, Any]) -> Tracking:
    """Read a PutScalingPolicy document.

    Raises
    ------
    NotSupported
        It scales in a way, or by a metric, that clary does not have; names it.
    InvalidInput
        It is malformed; names the member.
    """
    kind = request.get("PolicyType", "StepScaling")
    if kind != "TargetTrackingScaling":
        raise NotSupported(f"PolicyType: clary has no {kind}", hint="it has TargetTrackingScaling")
    if _TRACKING not in request:
        raise InvalidInput(_TRACKING, "missing")
    found = build(Tracking, request[_TRACKING], field=_TRACKING)
    known, own = found.predefined_metric_specification, found.customized_metric_specification
    if (known is None) == (own is None):
        legal = "one of PredefinedMetricSpecification and CustomizedMetricSpecification"
        raise InvalidInput(_TRACKING, "names no metric, or two", legal=legal)
    if known is not None and known.predefined_metric_type not in (INVOCATIONS, CONCURRENT):
        raise NotSupported(
            f"PredefinedMetricType: clary has no {known.predefined_metric_type}",
            hint=f"it has {INVOCATIONS} and {CONCURRENT}",
        )
    if own is not None:
        _check_own(own)
    return found


def _check_own(own: Customized) -> None:
    where = f"{_TRACKING}.CustomizedMetricSpecification"
    if own.metrics:
        raise NotSupported(f"{where}.Metrics: clary tracks one metric, without arithmetic")
    if not own.metric_name or not own.namespace:
        raise InvalidInput(where, "needs MetricName and Namespace")
    ordered(own.dimensions, field=f"{where}.Dimensions")
