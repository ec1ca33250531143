"""How much the instances of a variant have to do, read from the platform's metrics."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from clary.endpoints.meters import INSTANCES, NAMESPACE
from clary.endpoints.scaling_requests import INVOCATIONS, Customized, Tracking
from clary.endpoints.target_tracking import Demand
from clary.metrics.model import FINEST_S, Metric
from clary.metrics.queries import ordered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from clary.kernel.names import Ref
    from clary.metrics.service import Metrics

LONG_S = 900
"""Instances are removed when none of so many seconds needed them."""
_MINUTE_S = 60
_RECENT_CONCURRENT = 3
_RECENT_CUSTOMIZED = 3
_LATE_S = 6
"""Seconds after which other processes have written what they measured."""


class Loads:
    """Reads what scaling policies track.

    Parameters
    ----------
    metrics
        The values of all processes.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def demand(
        self, name: str, policy: Tracking, capacity: int, where: tuple[Ref, str], at: datetime
    ) -> Demand:
        """Say what a policy measures at a moment.

        Parameters
        ----------
        name
            The policy's.
        capacity
            Instances that share the load of a customized metric.
        where
            The endpoint, and the variant.
        """
        known, own = policy.predefined_metric_specification, policy.customized_metric_specification
        if own is not None:
            recent, long = self._customized(own, where[0], capacity, at)
        elif known and known.predefined_metric_type == INVOCATIONS:
            recent, long = self._invocations(where, at)
        else:
            recent, long = self._concurrent(where, at)
        return Demand(
            name,
            policy.target_value,
            recent,
            long,
            policy.scale_out_cooldown,
            policy.scale_in_cooldown,
            is_exact=own is None,
            may_scale_in=not policy.disable_scale_in,
        )

    def _invocations(
        self, where: tuple[Ref, str], at: datetime
    ) -> tuple[Sequence[float], Sequence[float]]:
        """Count the requests of each minute; no request is a load of 0."""
        slots = self._slots(_metric(where, NAMESPACE, "Invocations"), "Sum", at)
        each = _MINUTE_S // FINEST_S
        minutes = [sum(slots[n : n + each]) for n in range(0, len(slots), each)]
        return minutes[-1:], minutes

    def _concurrent(
        self, where: tuple[Ref, str], at: datetime
    ) -> tuple[Sequence[float], Sequence[float]]:
        """Average the requests under way at a time, in each ten seconds."""
        slots = self._slots(_metric(where, INSTANCES, "ConcurrentRequestsPerModel"), "Average", at)
        return slots[-_RECENT_CONCURRENT:], slots

    def _slots(self, metric: Metric, stat: str, at: datetime) -> list[float]:
        end = int((at.timestamp() - _LATE_S) // FINEST_S) * FINEST_S
        begins = range(end - LONG_S, end, FINEST_S)
        start = at + timedelta(seconds=begins[0] - at.timestamp())
        found = self._metrics.values(
            metric, stat, start=start, end=start + timedelta(seconds=LONG_S), period_s=FINEST_S
        )
        return [found.get(begin, 0.0) for begin in begins]

    def _customized(
        self, own: Customized, near: Ref, capacity: int, at: datetime
    ) -> tuple[Sequence[float], Sequence[float]]:
        """Read a metric's minutes; one without a value decides nothing."""
        name = own.namespace, own.metric_name, ordered(own.dimensions)
        metric = Metric(near.account, near.region, *name, own.unit)
        end = int((at.timestamp() - _LATE_S) // _MINUTE_S) * _MINUTE_S
        begins = range(end - LONG_S, end, _MINUTE_S)
        start = at + timedelta(seconds=begins[0] - at.timestamp())
        found = self._metrics.values(
            metric,
            own.statistic,
            start=start,
            end=start + timedelta(seconds=LONG_S),
            period_s=_MINUTE_S,
        )
        share = max(1, capacity)  # where there is none yet, the value is for the first
        loads = [found[begin] * share for begin in begins if begin in found]
        last = [found[x] * share for x in begins[-_RECENT_CUSTOMIZED:] if x in found]
        is_known = len(last) == _RECENT_CUSTOMIZED
        return (last if is_known else []), (loads if len(loads) == len(begins) else [])


def _metric(where: tuple[Ref, str], namespace: str, name: str) -> Metric:
    endpoint, variant = where
    dimensions = (("EndpointName", endpoint.name), ("VariantName", variant))
    return Metric(endpoint.account, endpoint.region, namespace, name, dimensions, "")
