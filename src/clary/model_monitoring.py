"""Monitoring's part of the composition root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.monitoring.definitions import Definitions
from clary.monitoring.executions import Executions, Tools
from clary.monitoring.reports import Reports
from clary.monitoring.schedules import MonitoringSchedules
from clary.monitoring.service import Monitoring
from clary.monitoring.steps import kinds

if TYPE_CHECKING:
    from clary.jobs.service import Jobs
    from clary.kernel.ports import MetadataStore, ObjectStore
    from clary.metrics.service import Metrics


def open_monitoring(
    store: MetadataStore, objects: ObjectStore, jobs: Jobs, metrics: Metrics
) -> Monitoring:
    """Put together what monitoring consists of."""
    definitions, reports = Definitions(store, jobs), Reports(objects, metrics)
    return Monitoring(
        definitions,
        MonitoringSchedules(store, definitions),
        Executions(Tools(store, objects, jobs), reports),
        kinds(jobs, store, reports),
    )
