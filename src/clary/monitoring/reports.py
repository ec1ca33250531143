"""What a monitoring job reports: its violations, and the metrics that it wants published."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from clary.jobs.contract import join_uri, split_uri
from clary.kernel.codec import from_json
from clary.kernel.errors import ClaryError, InvalidInput, NotFound
from clary.monitoring.plans import METRICS, VIOLATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clary.kernel.names import Ref
    from clary.kernel.ports import ObjectStore
    from clary.metrics.service import Metrics
    from clary.monitoring.model import Execution, Type

_MOST_BYTES = 16 << 20
_MOST_METRICS = 10_000
_BATCH = 500
_log = logging.getLogger(__name__)
_SPACES: Mapping[Type, str] = {
    "DataQuality": "data-metrics",
    "ModelQuality": "model-metrics",
    "ModelBias": "bias-metrics",
    "ModelExplainability": "explainability-metrics",
}


class Reports:
    """Reads what jobs left below their output."""

    def __init__(self, objects: ObjectStore, metrics: Metrics) -> None:
        self._objects = objects
        self._metrics = metrics

    def violations(self, output: str) -> list[dict[str, Any]] | None:
        """Read the violations that a report lists; None when there is none that can be read."""
        try:
            document = from_json(
                read_object(self._objects, join_uri(output, VIOLATIONS)), field=VIOLATIONS
            )
        except NotFound:
            return None
        except ClaryError as error:
            _log.warning("the violations below %s cannot be read: %s", output, error)
            return None
        found = document.get("violations") if isinstance(document, dict) else None
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else None

    def publish(self, ref: Ref, value: Execution) -> None:
        """Put the metrics of a job among those of its endpoint.

        What cannot be one is passed over. A server that is killed between this and its writing
        it down does it again: averages stay what they are, counts of samples do not.
        """
        found = list(self._data(value))
        for start in range(0, min(len(found), _MOST_METRICS), _BATCH):
            some = found[start : start + _BATCH]
            try:
                self._metrics.put(namespace(value), some, near=ref)
            except ClaryError:
                self._publish_each(ref, value, some)
        if len(found) > _MOST_METRICS:
            _log.warning("%s: only %d of %d metrics are published", ref, _MOST_METRICS, len(found))

    def _publish_each(self, ref: Ref, value: Execution, data: list[dict[str, Any]]) -> None:
        for one in data:
            try:
                self._metrics.put(namespace(value), [one], near=ref)
            except ClaryError as error:
                _log.warning("%s: a metric is not published: %s", ref, error)

    def _data(self, value: Execution) -> Iterator[dict[str, Any]]:
        """Yield what lies in the output for metrics, a document a line."""
        bucket, key = split_uri(join_uri(value.output, METRICS), field="output")
        own = [{"Name": "MonitoringSchedule", "Value": value.schedule}]
        if value.endpoint:
            own.insert(0, {"Name": "Endpoint", "Value": value.endpoint})
        for item in self._objects.list(bucket, prefix=f"{key}/").objects:
            uri = f"s3://{bucket}/{item.key}"
            try:
                lines = read_object(self._objects, uri).splitlines()
            except ClaryError as error:
                _log.warning("%s cannot be read: %s", uri, error)
                continue
            for number, line in enumerate(filter(None, lines), start=1):
                try:
                    yield _datum(from_json(line, field=f"{uri}:{number}"), own, uri)
                except InvalidInput as error:
                    _log.warning("a metric is not published: %s", error)


def read_object(objects: ObjectStore, uri: str, *, most_bytes: int = _MOST_BYTES) -> bytes:
    """Read an object whole, 16 MiB unless more are allowed. Raises NotFound, InvalidInput."""
    bucket, key = split_uri(uri, field="output")
    size = objects.stat(bucket, key).size_bytes
    if size > most_bytes:
        raise InvalidInput(uri, f"is {size} bytes", legal=f"at most {most_bytes}")
    return b"".join(objects.read(bucket, key))


def namespace(value: Execution) -> str:
    """Name where an execution's metrics are.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from clary.monitoring.model import Execution
    >>> at = datetime(2026, 1, 31, tzinfo=UTC)
    >>> namespace(Execution("hourly", "me", "DataQuality", at, endpoint="prices"))
    'aws/sagemaker/Endpoints/data-metrics'
    """
    of = "Endpoints" if value.endpoint else "ModelMonitoring"
    return f"aws/sagemaker/{of}/{_SPACES[value.type]}"


def _datum(document: Any, own: list[dict[str, str]], place: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise InvalidInput(place, "is no metric", legal="a JSON object a line")
    given = document.get("Dimensions")
    named = {one.get("Name") for one in given if isinstance(one, dict)} if given else set()
    rest = [one for one in own if one["Name"] not in named]
    return {**document, "Dimensions": [*(given or ()), *rest]}
