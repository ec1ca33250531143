"""Schedules that look at endpoints, as handles."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.analysis import violations
from clary.jobs.contract import split_uri
from clary.kernel.errors import AlreadyExists, InvalidInput, NotFound
from clary.kernel.resource import Query
from clary.monitoring.causes import Causes
from clary.monitoring.model import ENDED, EXECUTION, SCHEDULE, execution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.analysis.violations import Violation
    from clary.doors.python.session import Session
    from clary.kernel.names import Ref
    from clary.kernel.resource import Resource
    from clary.monitoring.causes import Explanation

_IMAGE = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
_SPAN = re.compile(r"([1-9]\d{0,3})([mh])")
_LOOK_S = 0.2


class Monitor:
    """A schedule.

    Attributes
    ----------
    name
        What it is called.
    """

    def __init__(self, opened: Session, name: str) -> None:
        self._session = opened
        self.name = name

    @classmethod
    def make(
        cls, opened: Session, name: str, endpoint: str, every: str, baseline: Mapping[str, str]
    ) -> Monitor:
        """Make a schedule of data quality, or change it; see ``clary.monitoring.schedule``."""
        monitoring, actor = opened.platform.monitoring, opened.actor
        place = "/opt/ml/processing"
        output = {"S3Uri": f"s3://{opened.bucket}/monitoring/{name}", "LocalPath": f"{place}/out"}
        definition = {
            "BaselineConfig": {
                "ConstraintsResource": {"S3Uri": baseline["constraints.json"]},
                "StatisticsResource": {"S3Uri": baseline["statistics.json"]},
            },
            "MonitoringInputs": [
                {"EndpointInput": {"EndpointName": endpoint, "LocalPath": f"{place}/in"}}
            ],
            "MonitoringOutputConfig": {"MonitoringOutputs": [{"S3Output": output}]},
            "MonitoringResources": {
                "ClusterConfig": {
                    "InstanceCount": 1,
                    "InstanceType": "ml.m5.xlarge",
                    "VolumeSizeInGB": 1,
                }
            },
            "MonitoringAppSpecification": {"ImageUri": _IMAGE},
            "RoleArn": opened.role,
        }
        config: dict[str, Any] = {
            "MonitoringType": "DataQuality",
            "MonitoringJobDefinition": definition,
            "ScheduleConfig": _times(every),
        }
        ref = opened.ref(SCHEDULE, name)
        request = {"MonitoringScheduleName": name, "MonitoringScheduleConfig": config}
        try:
            monitoring.schedules.create(ref, request, actor=actor)
        except AlreadyExists:
            monitoring.schedules.update(ref, request, actor=actor)
        opened.work()
        return cls(opened, name)

    @classmethod
    def find(cls, opened: Session, name: str) -> Monitor:
        """Find one by name. Raises NotFound."""
        opened.platform.monitoring.schedules.get(opened.ref(SCHEDULE, name))
        return cls(opened, name)

    @classmethod
    def every(cls, opened: Session) -> list[Monitor]:
        """Find all, the newest first."""
        near = opened.ref(SCHEDULE, "")
        query = Query(SCHEDULE, account=near.account, region=near.region, sort_by="created")
        found = opened.platform.monitoring.schedules.list(query).items
        return [cls(opened, one.ref.name) for one in found]

    @property
    def ref(self) -> Ref:
        """Its name in full."""
        return self._session.ref(SCHEDULE, self.name)

    @property
    def status(self) -> str:
        """Whether it is ``Scheduled`` or ``Stopped``."""
        return self._session.platform.monitoring.schedules.get(self.ref).status

    def executions(self) -> Sequence[Look]:
        """List what it has looked at, the newest first, at most 100."""
        query = Query(EXECUTION, parent=self.ref, sort_by="created", limit=100)
        found = self._session.platform.monitoring.schedules.list(query).items
        return [Look(self._session, one) for one in found]

    def run(self, timeout_s: float = 600.0) -> Look:
        """Look at the last hour now, and wait for what comes of it.

        Raises
        ------
        TimeoutError
            It takes longer.
        """
        platform = self._session.platform
        self._session.work()
        made = platform.monitoring.schedules.execute(self.ref, actor=self._session.actor)
        until = time.monotonic() + timeout_s
        while (found := platform.monitoring.executions.get(made)).status not in ENDED:
            if time.monotonic() > until:
                raise TimeoutError(f"{self.name} looks at it for over {timeout_s:g} s")
            time.sleep(_LOOK_S)
        return Look(self._session, found)

    def page(self, path: str | Path) -> Path:
        """Write the report for people on its last execution, one HTML file; returns where.

        Raises
        ------
        NotFound
            None of its executions has a report yet.
        """
        platform = self._session.platform
        found = platform.monitoring.schedules.get(self.ref)
        place = Path(path)
        text = Causes(platform.store, platform.objects).page(found)
        place.write_text(text, encoding="utf-8")
        return place

    def explain(self, of: str = "", *, execution: str = "") -> Explanation:
        """Say what is behind what it found; see ``clary.monitoring.explain``."""
        platform = self._session.platform
        found = platform.monitoring.schedules.get(self.ref)
        causes = Causes(platform.store, platform.objects)
        return causes.explain(found, of=of, which=execution.rpartition("/")[2])

    def stop(self) -> None:
        """Look no more until it is started."""
        self._session.platform.monitoring.schedules.stop(self.ref, actor=self._session.actor)

    def start(self) -> None:
        """Look again."""
        self._session.platform.monitoring.schedules.start(self.ref, actor=self._session.actor)

    def delete(self) -> None:
        """Remove it; what it found stays."""
        self._session.platform.monitoring.schedules.delete(self.ref, actor=self._session.actor)

    def __repr__(self) -> str:
        return f"<monitor {self.name}: {self.status}>"


class Look:
    """One execution of a schedule.

    Attributes
    ----------
    name, status, reason
        ``Completed``, ``CompletedWithViolations``, ``Failed``, …, and why.
    start, end
        The window it looked at.
    """

    def __init__(self, opened: Session, found: Resource) -> None:
        self._session = opened
        value = execution(found)
        self.name, self.status, self.reason = found.ref.name, found.status, value.reason
        self.start, self.end, self.output = value.start, value.end, value.output

    @property
    def violations(self) -> Sequence[Violation]:
        """What it found; empty where it found nothing or did not get so far."""
        if not self.output:
            return ()
        bucket, prefix = split_uri(self.output, field="output")
        key = f"{prefix.rstrip('/')}/constraint_violations.json"
        try:
            data = b"".join(self._session.platform.objects.read(bucket, key))
        except NotFound:
            return ()
        return violations.read(data).violations

    def __repr__(self) -> str:
        return f"<execution {self.name}: {self.status}{self.reason and ': '}{self.reason}>"


def _times(every: str) -> dict[str, str]:
    """Write a schedule: a span becomes a cron expression that divides the hour or the day."""
    match = _SPAN.fullmatch(every)
    if match is None:
        if every == "NOW":
            window = {"DataAnalysisStartTime": "-PT1H", "DataAnalysisEndTime": "-PT0H"}
            return {"ScheduleExpression": every, **window}
        if every.startswith("cron("):
            return {"ScheduleExpression": every}
        legal = '"1m" to "30m", "1h" to "24h", "cron(…)" or "NOW"'
        raise InvalidInput("every", repr(every), legal=legal)
    count, unit = int(match[1]), match[2]
    whole = 60 if unit == "m" else 24
    if whole % count:
        legal = f"what divides {whole}{unit}"
        raise InvalidInput("every", repr(every), legal=legal)
    if unit == "m":
        minutes = "*" if count == 1 else f"0/{count}"
        return {"ScheduleExpression": f"cron({minutes} * ? * * *)"} if count < 60 else _times("1h")
    hours = {1: "*", 24: "0"}.get(count, f"0/{count}")
    return {"ScheduleExpression": f"cron(0 {hours} ? * * *)"}
