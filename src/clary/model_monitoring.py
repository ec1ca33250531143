"""Monitoring's part of the composition root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.adapters.notices import Notices
from clary.monitoring.alerts import Alerts
from clary.monitoring.channels import Channels
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
    store: MetadataStore, objects: ObjectStore, jobs: Jobs, metrics: Metrics, *, smtp: str
) -> Monitoring:
    """Put together what monitoring consists of. Raises InvalidInput for a wrong ``smtp``."""
    alerts = Alerts(store, Notices(smtp))
    definitions, reports = Definitions(store, jobs), Reports(objects, metrics)
    return Monitoring(
        definitions,
        MonitoringSchedules(store, definitions),
        Executions(Tools(store, objects, jobs), reports, alerts),
        Channels(store),
        alerts,
        kinds(jobs, store, reports),
    )
