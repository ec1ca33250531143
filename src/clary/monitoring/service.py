"""Monitoring's services, together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.monitoring.alerts import Alerts
    from clary.monitoring.channels import Channels
    from clary.monitoring.definitions import Definitions
    from clary.monitoring.executions import Executions
    from clary.monitoring.schedules import MonitoringSchedules
    from clary.monitoring.steps import CheckStep


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What is monitored, when, what came of it, and the step kinds of pipelines."""

    definitions: Definitions
    schedules: MonitoringSchedules
    executions: Executions
    channels: Channels
    alerts: Alerts
    steps: Mapping[str, CheckStep]
