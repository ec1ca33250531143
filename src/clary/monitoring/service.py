"""Monitoring's services, together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clary.monitoring.definitions import Definitions
    from clary.monitoring.executions import Executions
    from clary.monitoring.schedules import MonitoringSchedules


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What is monitored, when, and what came of it."""

    definitions: Definitions
    schedules: MonitoringSchedules
    executions: Executions
