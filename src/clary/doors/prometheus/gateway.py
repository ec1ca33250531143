"""One scrape in, one page of metrics out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from clary.doors.mlflow.authentication import Authenticator
from clary.doors.mlflow.errors import MlflowError
from clary.doors.prometheus.exposition import CONTENT_TYPE, Family, expose, families
from clary.doors.wire.message import Response
from clary.jobs.model import KINDS
from clary.kernel.errors import ClaryError
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.doors.wire.message import Request
    from clary.kernel.resource import Resource
    from clary.platform import Platform

PATH = "/metrics"
_UNDER_WAY = {
    **dict.fromkeys(KINDS, ("InProgress", "Stopping")),
    "hyper-parameter-tuning-job": ("InProgress", "Stopping"),
    "pipeline-execution": ("Executing", "Stopping"),
}
_ENDPOINT = "endpoint"
_QUEUE = "queue"
_MOST = 1_000
_PLAIN = "text/plain; charset=utf-8"
_log = logging.getLogger(__name__)


def is_ours(request: Request) -> bool:
    """Say whether a request is a scrape, and not one of S3 on a bucket that is called so."""
    return (
        request.path == PATH
        and request.method in ("GET", "HEAD")
        and not request.query
        and not request.headers.get("authorization", "").upper().startswith("AWS")
        and "x-amz-date" not in request.headers
    )


class Gateway:
    """Answers scrapes from a platform: what this process measured, and what is under way."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        config = platform.config
        self._authenticator = Authenticator(
            platform.governance, region=config.region, required=config.authenticate
        )

    def handle(self, request: Request) -> Response:
        """Answer a request: the metrics of the caller's account."""
        try:
            identity, _ = self._authenticator.identify(request.headers)
            return Response(200, {"Content-Type": CONTENT_TYPE}, self._page(identity.account))
        except MlflowError:
            text = b"send a key and its secret as basic authentication, or a bearer token\n"
            headers = {"Content-Type": _PLAIN, "WWW-Authenticate": 'Basic realm="clary"'}
            return Response(401, headers, text)
        except ClaryError as error:
            _log.warning("metrics cannot be shown: %s", error)
            return Response(503, {"Content-Type": _PLAIN}, f"{error}\n".encode())

    def _page(self, account: str) -> bytes:
        totals = self._platform.recorder.totals()
        up = Family("clary_up", "gauge", "Whether this server answers.", [({}, 1)])
        return expose(
            [
                up,
                self._under_way(account),
                self._endpoints(account),
                self._queues(account),
                *families(one for one in totals if one.metric.account == account),
            ]
        )

    def _under_way(self, account: str) -> Family:
        family = Family("clary_jobs", "gauge", "Jobs and executions under way, by status.")
        for kind, statuses in _UNDER_WAY.items():
            for status in statuses:
                count = sum(1 for _ in self._each(account, kind, status))
                family.samples.append(({"kind": kind, "status": status}, count))
        return family

    def _endpoints(self, account: str) -> Family:
        counts: dict[str, int] = {}
        for one in self._each(account, _ENDPOINT):
            counts[one.status] = counts.get(one.status, 0) + 1
        family = Family("clary_endpoints", "gauge", "Endpoints, by status.")
        family.samples += [({"status": status}, counts[status]) for status in sorted(counts)]
        return family

    def _queues(self, account: str) -> Family:
        family = Family("clary_queue_messages", "gauge", "Messages in queues, by state.")
        for one in self._each(account, _QUEUE):
            labels = {"region": one.ref.region, "queue": one.ref.name}
            counts = self._platform.queues.counts(one.ref)
            family.samples += [
                ({**labels, "state": "visible"}, counts.visible),
                ({**labels, "state": "hidden"}, counts.hidden),
                ({**labels, "state": "delayed"}, counts.delayed),
            ]
        return family

    def _each(self, account: str, kind: str, *statuses: str) -> Iterator[Resource]:
        """Yield the first ``_MOST`` of a kind."""
        query = Query(
            kind, account, statuses=statuses, sort_by="name", descending=False, limit=_MOST
        )
        yield from self._platform.store.select(query).items
