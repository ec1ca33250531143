"""What is behind the violations of an execution: columns, rows, and what changed upstream."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct

from clary.analysis import constraints, deviations, statistics
from clary.analysis.drift_page import described
from clary.analysis.violation_words import subject, words
from clary.endpoints.model import ENDPOINT
from clary.jobs.contract import split_uri
from clary.kernel.errors import ClaryError, NotFound
from clary.kernel.resource import Query
from clary.lineage.service import Lineage
from clary.monitoring.captured import captured, objects_of
from clary.monitoring.cause_page import sections
from clary.monitoring.model import EXECUTION, VIOLATED, execution
from clary.monitoring.outliers import Rows, outliers
from clary.monitoring.pages import Pages, violations_of
from clary.monitoring.upstream import Change, Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clary.analysis.constraints import Constraints
    from clary.analysis.deviations import Shift
    from clary.analysis.samples import Sample
    from clary.analysis.statistics import Statistics
    from clary.analysis.violations import Violation
    from clary.kernel.names import Ref
    from clary.kernel.ports import MetadataStore, ObjectStore
    from clary.kernel.resource import Resource
    from clary.monitoring.captured import Captured
    from clary.monitoring.model import Execution

_MOST_TRACED = 20
_DRIFT = "baseline_drift_check"


class Moved(Struct, frozen=True):
    """Values whose share has changed, from ``before`` to ``now``, 0 to 1."""

    what: str
    before: float
    now: float


class Cause(Struct, frozen=True):
    """What is behind the violations of one column or metric.

    Parameters
    ----------
    of
        Its name, as violations have it.
    checks, said
        The checks that found something, and what they found, in words.
    before, now
        A few numbers of the baseline and of the window, by name.
    moved
        Values that gained or lost the most share.
    rows
        Rows that are outside, by reason.
    """

    of: str
    checks: tuple[str, ...]
    said: tuple[str, ...]
    before: dict[str, str] = {}
    now: dict[str, str] = {}
    moved: tuple[Moved, ...] = ()
    rows: tuple[Rows, ...] = ()


class Explanation(Struct, frozen=True):
    """What is behind what an execution found.

    Parameters
    ----------
    schedule, execution, start, end
        Who looked, and at what.
    baseline_at
        When the baseline was made; None: that is not known.
    causes
        By column or metric.
    changes
        What changed upstream between the baseline and the end of the window.
    notes
        What could not be looked at, and why.
    """

    schedule: str
    execution: str
    start: datetime | None
    end: datetime | None
    baseline_at: datetime | None = None
    causes: tuple[Cause, ...] = ()
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Baseline:
    """What is left of a baseline, and when it was made."""

    constraints: Constraints | None = None
    statistics: Statistics | None = None
    at: datetime | None = None


class Causes:
    """Finds what is behind violations; reads what executions left, and the journal."""

    def __init__(self, store: MetadataStore, objects: ObjectStore) -> None:
        self._store = store
        self._objects = objects
        self._pages = Pages(store, objects)
        self._upstream = Upstream(store)
        self._lineage = Lineage(store)

    def explain(self, schedule: Resource, *, of: str = "", which: str = "") -> Explanation:
        """Explain what an execution found.

        Parameters
        ----------
        of
            Only the violations of this column or metric, as their list names it; empty: all.
        which
            The execution, by its name or the beginning of it, the time it was scheduled at
            (``202601310900``); empty: the last that found something.

        Raises
        ------
        NotFound
            There is no such execution with a report, or it found nothing of that name.
        InvalidInput
            Its report is damaged.
        """
        return self._explained(self._execution(schedule.ref, which), schedule, of)

    def page(self, schedule: Resource) -> str:
        """Write the report for people on a schedule's last report; see ``Pages.page``."""
        return self._pages.page(
            schedule, lambda last: list(sections(self._explained(last, schedule, "")))
        )

    def _explained(self, found: Resource, schedule: Resource, of: str) -> Explanation:
        value = execution(found)
        document = self._pages.document(value)
        by_name: dict[str, list[Violation]] = {}
        for one in violations_of(document):
            by_name.setdefault(subject(one), []).append(one)
        if of and of not in by_name:
            hint = f"it found {', '.join(by_name)}" if by_name else "it found nothing"
            raise NotFound(f"a violation of {of!r} in {found.ref}", hint=hint)
        chosen = {name: ones for name, ones in by_name.items() if not of or name == of}
        notes: list[str] = []
        baseline = self._baseline(found.ref, value, notes)
        return Explanation(
            schedule.ref.name,
            found.ref.name.partition("/")[2],
            value.start,
            value.end,
            baseline.at,
            tuple(self._causes(found.ref, value, chosen, baseline, notes)),
            tuple(self._changes(value, found.ref, baseline.at or schedule.created_at)),
            tuple(notes),
        )

    def _execution(self, schedule: Ref, which: str) -> Resource:
        """Choose the execution that is meant. Raises NotFound."""
        query = Query(EXECUTION, parent=schedule, limit=1)
        if which:
            query = replace(query, name_prefix=f"{schedule.name}/{which}")
        else:
            query = replace(query, statuses=[VIOLATED])
        found = list(self._store.select(query).items)
        if not found and which:
            hint = "`clary monitor executions` names them"
            raise NotFound(f"an execution {which} of {schedule}", hint=hint)
        found = found or self._pages.past(schedule)
        return self._pages.last(found, schedule)

    def _baseline(self, near: Ref, value: Execution, notes: list[str]) -> _Baseline:
        """Read what the execution was held against, as far as it is there."""
        try:
            places = self._pages.baseline(near, value)
            if not places[0]:
                notes.append("It was held against no baseline.")
                return _Baseline()
            required = constraints.read(self._pages.read(places[0])) if _is_data(value) else None
            bucket, key = split_uri(places[0], field="baseline")
            at = self._objects.stat(bucket, key).modified_at
            known = statistics.read(self._pages.read(places[1])) if places[1] else None
        except ClaryError as error:
            notes.append(f"The baseline cannot be read: {error.message}.")
            return _Baseline()
        return _Baseline(required, known if _is_data(value) else None, at)

    def _causes(
        self,
        near: Ref,
        value: Execution,
        chosen: Mapping[str, Sequence[Violation]],
        baseline: _Baseline,
        notes: list[str],
    ) -> Iterator[Cause]:
        """Say what is behind the violations of each column, as they are chosen by name."""
        try:
            before, now = self._pages.distributions(near, value)
        except ClaryError:  # noted with the baseline, which is what is missing
            before, now = {}, {}
        moved = {
            name: _shifts(before.get(name), now.get(name)) if _has_drifted(ones) else ()
            for name, ones in chosen.items()
        }
        rows = self._rows(near, value, moved, baseline, notes)
        for name, ones in chosen.items():
            yield Cause(
                name,
                tuple(one.constraint_check_type for one in ones),
                tuple(map(words, ones)),
                described(before.get(name)),
                described(now.get(name)),
                tuple(Moved(one.what, one.before, one.now) for one in moved[name]),
                rows.get(name, ()),
            )

    def _rows(
        self,
        near: Ref,
        value: Execution,
        moved: Mapping[str, Sequence[Shift]],
        baseline: _Baseline,
        notes: list[str],
    ) -> Mapping[str, tuple[Rows, ...]]:
        """Find the captured rows; where there are none to be found, a note says why."""
        if not moved:
            return {}
        try:
            if why := self._unread(near, value):
                notes.append(why)
                return {}
            if baseline.constraints is None:
                return {}
            with captured(self._objects, value) as read:
                notes += _left_out(read)
                return outliers(read, baseline.constraints, baseline.statistics, moved)
        except ClaryError as error:
            notes.append(f"The captured requests cannot be read: {error.message}.")
            return {}

    def _unread(self, near: Ref, value: Execution) -> str:
        """Say why rows cannot be shown; empty: they can."""
        if not _is_data(value):
            return f"{value.type} is measured over all rows together: none alone is outside."
        if not value.endpoint:
            return "It looked at batches, of which no rows are shown."
        app = self._pages.definition(near, value).app_specification
        if app.record_preprocessor_source_uri:
            return "Rows are made by a script of yours, which runs in the job alone."
        return ""

    def _changes(self, value: Execution, ref: Ref, since: datetime) -> Sequence[Change]:
        if value.endpoint:
            watched = [ref.sibling(ENDPOINT, value.endpoint)]
        else:
            watched = list(self._contents(ref, value))
        return self._upstream.changes(watched, since, value.end or value.scheduled_at)

    def _contents(self, near: Ref, value: Execution) -> Iterator[Ref]:
        """Name the contents of the first objects that were looked at."""
        try:
            listed = list(islice(objects_of(self._objects, value), _MOST_TRACED))
        except ClaryError:  # manifests that are gone lead nowhere
            return
        for uri in listed:
            try:
                yield self._lineage.newest(near, uri)
            except NotFound:
                continue  # nobody has recorded it


def _is_data(value: Execution) -> bool:
    return value.type == "DataQuality"


def _has_drifted(ones: Sequence[Violation]) -> bool:
    return any(one.constraint_check_type == _DRIFT for one in ones)


def _shifts(before: Sample | None, now: Sample | None) -> tuple[Shift, ...]:
    return deviations.shifts(before, now) if before and now else ()


def _left_out(read: Captured) -> Iterator[str]:
    if read.gone:
        yield f"{read.gone} of {read.objects} captured objects are gone."
    if read.left_out:
        yield f"{read.left_out} of {read.objects} captured objects were left out: they are large."
    if read.faults.count:
        yield f"{read.faults.count} captured requests cannot be read."
