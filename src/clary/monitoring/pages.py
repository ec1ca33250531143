"""The report for people on what a schedule found; for doors, as a server needs no numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clary.analysis import baselines, drift, drift_page, samples, statistics
from clary.analysis.drift_page import Findings, Past
from clary.analysis.violations import Violation
from clary.jobs.contract import join_uri
from clary.kernel.codec import from_json
from clary.kernel.errors import ClaryError, InvalidInput, NotFound
from clary.kernel.resource import Query
from clary.monitoring import requests
from clary.monitoring.baselines import STATISTICS, Baselines
from clary.monitoring.definitions import named
from clary.monitoring.model import ENDED, EXECUTION, definition_ref, execution
from clary.monitoring.plans import VIOLATIONS
from clary.monitoring.reports import read_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from clary.analysis.drift import ColumnDrift
    from clary.analysis.samples import Sample
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, ObjectStore
    from clary.kernel.resource import Resource
    from clary.monitoring.model import Execution

_MOST_BYTES = 256 << 20
_TREND = 30


class Pages:
    """Reads what executions left in the object store, and what they were held against."""

    def __init__(self, store: MetadataStore, objects: ObjectStore) -> None:
        self._store = store
        self._objects = objects

    def page(self, schedule: Resource, explained: Callable[[Resource], Sequence[str]]) -> str:
        """Write the page on the last execution that has a report, as one HTML text.

        Parameters
        ----------
        explained
            Writes what is behind what an execution found, as HTML.

        Raises
        ------
        NotFound
            There is none.
        InvalidInput
            Its files are damaged.
        """
        past = self.past(schedule.ref)
        last = self.last(past, schedule.ref)
        value = execution(last)
        before, now = self.distributions(schedule.ref, value)
        document = self.document(value)
        drifts = tuple(_drifts(document))
        found = Findings(
            _rows(document),
            violations_of(document),
            drifts,
            before,
            now,
            [self._looked(one) for one in reversed(past)],
        )
        return drift_page.page(
            found,
            title=f"Monitoring: {schedule.ref.name}",
            about=list(_about(value)),
            behind=explained(last),
        )

    def last(self, past: list[Resource], schedule: Ref) -> Resource:
        """Choose the newest execution that has a report. Raises NotFound."""
        for one in past:
            if execution(one).violations is not None:
                return one
        raise NotFound(f"a report of {schedule}", hint="`clary monitor run` makes one")

    def past(self, schedule: Ref) -> list[Resource]:
        """List the ends of executions, the newest first."""
        query = Query(
            EXECUTION, parent=schedule, statuses=sorted(ENDED), sort_by="created", limit=_TREND
        )
        return list(self._store.select(query).items)

    def _looked(self, one: Resource) -> Past:
        value = execution(one)
        try:
            drifts = tuple(_drifts(self.document(value))) if value.violations is not None else ()
        except ClaryError:  # an old report that is gone or damaged leaves a gap in the trend
            drifts = ()
        far = drift_page.distances(drifts)
        return Past(value.scheduled_at, one.status, value.violations, far)

    def document(self, value: Execution) -> dict[str, Any]:
        """Read the violations of an execution. Raises NotFound, InvalidInput."""
        document = from_json(self.read(join_uri(value.output, VIOLATIONS)), field=VIOLATIONS)
        if not isinstance(document, dict):
            raise InvalidInput(VIOLATIONS, "is no document", legal="a JSON object")
        return document

    def distributions(
        self, near: Ref, value: Execution
    ) -> tuple[Mapping[str, Sample], Mapping[str, Sample]]:
        """Give those of the baseline and of the window; none of what is no table or is gone."""
        if value.type != "DataQuality":
            return {}, {}
        before = self._samples(self.baseline(near, value)[1], {})
        return before, self._samples(join_uri(value.output, STATISTICS), before)

    def _samples(self, uri: str, like: Mapping[str, Sample]) -> Mapping[str, Sample]:
        try:
            data = self.read(uri) if uri else b""
        except NotFound:
            data = b""
        if not data:
            return {}
        document = statistics.read(data)
        profile = baselines.profile_of(document)
        if profile is None:
            return baselines.samples_of(document)
        return samples.of_profile(profile, like)

    def baseline(self, near: Ref, value: Execution) -> tuple[str, str]:
        """Say where the constraints and statistics of an execution's baseline lie, if anywhere."""
        given = self.definition(near, value).baseline_config
        return Baselines(self._store).uris(near, value.type, given)

    def definition(self, near: Ref, value: Execution) -> requests.Definition:
        """Read what an execution was made by. Raises NotFound."""
        if not value.definition:
            return requests.inline(value.config)
        return named(self._store.get, definition_ref(near, value.type, value.definition))

    def read(self, uri: str) -> bytes:
        """Read an object of at most 256 MiB. Raises NotFound, InvalidInput."""
        return read_object(self._objects, uri, most_bytes=_MOST_BYTES)


def violations_of(document: Mapping[str, Any]) -> tuple[Violation, ...]:
    """Read violations, also those that a program of one's own wrote less fully."""
    listed = document.get("violations")
    return tuple(
        violation_of(one)
        for one in listed or ()
        if isinstance(listed, list) and isinstance(one, dict)
    )


def violation_of(given: Mapping[str, Any]) -> Violation:
    """Read one violation; what it lacks is empty."""
    texts = {
        name: str(given[name])
        for name in ("feature_name", "facet", "facet_value", "metric_name")
        if given.get(name) is not None
    }
    block = given.get("clary")
    return Violation(
        **texts,
        constraint_check_type=str(given.get("constraint_check_type") or ""),
        description=str(given.get("description") or ""),
        clary=block if isinstance(block, dict) else None,
    )


def _block(document: Mapping[str, Any]) -> Mapping[str, Any]:
    block = document.get("clary")
    return block if isinstance(block, dict) else {}


def _rows(document: Mapping[str, Any]) -> int | None:
    rows = _block(document).get("rows")
    return rows if isinstance(rows, int) else None


def _drifts(document: Mapping[str, Any]) -> Iterator[ColumnDrift]:
    listed = _block(document).get("drift")
    if isinstance(listed, list):
        yield from map(drift.read, listed)


def _about(value: Execution) -> Iterator[str]:
    what = f"endpoint {value.endpoint}" if value.endpoint else "batches"
    yield f"{value.type} of {what}"
    if value.start and value.end:
        yield f"from {value.start:%Y-%m-%d %H:%M} to {value.end:%Y-%m-%d %H:%M} UTC"
