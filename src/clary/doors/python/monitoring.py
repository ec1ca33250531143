"""``clary.monitoring``: baselines and checks of data, and schedules that look at endpoints.

``baseline`` and ``check`` need no session: they compute here.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.analysis import comparison, drift_page, frames, violations
from clary.analysis.comparison import CONSTRAINTS, STATISTICS
from clary.analysis.profiling import profile
from clary.analysis.tables import open_table
from clary.doors.python.features import FeatureGroup
from clary.doors.python.monitors import Monitor
from clary.doors.python.session import session
from clary.kernel.errors import InvalidInput
from clary.monitoring.causes import Explanation

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from clary.analysis.comparison import Comparison
    from clary.analysis.correlations import Changes
    from clary.analysis.drift import ColumnDrift
    from clary.analysis.profiles import Profile
    from clary.analysis.violations import Violation

__all__ = [
    "Baseline",
    "Explanation",
    "Monitor",
    "Report",
    "baseline",
    "check",
    "explain",
    "get",
    "list",
    "schedule",
]


class Baseline:
    """How data usually is, as ``statistics.json`` and ``constraints.json`` have it.

    Attributes
    ----------
    statistics, constraints
        The documents.
    """

    def __init__(self, documents: comparison.Baseline) -> None:
        self._documents = documents
        self.statistics = documents.statistics
        self.constraints = documents.constraints

    @classmethod
    def load(cls, folder: str | Path) -> Baseline:
        """Read the two files of a folder, whoever wrote them. Raises InvalidInput."""
        return cls(comparison.read(Path(folder)))

    def save(self, folder: str | Path) -> Path:
        """Write the two files into a folder, which is made; returns it."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        for name, data in self._documents.files().items():
            (place / name).write_bytes(data)
        return place

    def __repr__(self) -> str:
        columns, rows = len(self.statistics.features), self.statistics.dataset.item_count
        return f"<baseline of {columns} columns from {rows} rows>"


class Report:
    """What a check found.

    Attributes
    ----------
    rows
        How many rows were looked at.
    violations
        What does not fulfil the constraints.
    drifts
        By column, how far its distribution moved, and how likely chance moves it as far.
    correlations
        The pairs of columns whose rank correlation changed; None where it is not known.
    """

    def __init__(self, found: Comparison) -> None:
        self.rows = found.rows
        self.violations: Sequence[Violation] = found.violations
        self.drifts: Sequence[ColumnDrift] = found.drifts
        self.correlations: Changes | None = found.correlations
        self._found = found

    @property
    def is_ok(self) -> bool:
        """Whether every constraint is fulfilled."""
        return not self.violations

    def save(self, path: str | Path) -> Path:
        """Write ``constraint_violations.json``; returns where."""
        document = violations.Violations(
            violations=tuple(self.violations), clary=self._found.block()
        )
        place = Path(path)
        place.write_bytes(violations.write(document))
        return place

    def page(self, path: str | Path, *, title: str = "Data quality") -> Path:
        """Write the report for people, one HTML file that needs nothing else; returns where."""
        place = Path(path)
        text = drift_page.page(drift_page.of_comparison(self._found), title=title)
        place.write_text(text, encoding="utf-8")
        return place

    def __repr__(self) -> str:
        said = [f"<report on {self.rows} rows: {len(self.violations)} violations>"]
        said += [
            f"  {one.feature_name}: {one.constraint_check_type}: {one.description}"
            for one in self.violations
        ]
        return "\n".join(said)


def baseline(data: Any, *, header: bool = True) -> Baseline:
    """Take a baseline of data.

    Parameters
    ----------
    data
        A pandas, Polars or Arrow table; a feature group: its entities as they are now; or the path
        of a file or folder of CSV, JSON lines, Parquet, a Delta table, or captured requests.
    header
        Whether the first line of CSV files names the columns; else they are ``_c0``, ``_c1``, ….

    Raises
    ------
    InvalidInput
        It cannot be read, or has no row; names file and place.
    """
    return Baseline(comparison.of_profile(_profile(data, header=header)))


def check(data: Any, baseline: Baseline | str | Path, *, header: bool = True) -> Report:
    """Hold data against a baseline: types, completeness, domains, columns, drift.

    Parameters
    ----------
    data
        As for ``baseline``.
    baseline
        One, or the folder of its files.

    Raises
    ------
    InvalidInput
        Data or baseline cannot be read; names file and place.
    """
    held = baseline if isinstance(baseline, Baseline) else Baseline.load(baseline)
    documents = comparison.Baseline(held.statistics, held.constraints)
    return Report(comparison.compare(_profile(data, header=header), documents))


def _profile(data: Any, *, header: bool) -> Profile:
    if isinstance(data, FeatureGroup):
        return frames.profile(data.frame(form="arrow"))
    if not isinstance(data, (str, os.PathLike)):
        return frames.profile(data)
    path = Path(data)
    if not path.exists():
        raise InvalidInput("data", f"there is nothing at {path}")
    with open_table(path, header=header) as table:
        return profile(table)


def schedule(
    endpoint: Any,
    baseline: Baseline | str | Path,
    *,
    every: str = "1h",
    name: str = "",
) -> Monitor:
    """Have captured requests of an endpoint checked again and again.

    Parameters
    ----------
    endpoint
        Its name, or what ``clary.endpoints.deploy`` gave; it captures requests and answers.
    baseline
        One, or the folder of its files; its columns are the answer's, then the request's.
    every
        ``1m`` to ``24h``, a schedule expression such as ``cron(0 * ? * * *)``, or ``NOW``: once.
    name
        What the schedule is called; ``<endpoint>-data-quality`` by default. One that is there is
        changed.

    Raises
    ------
    InvalidInput
        ``every`` is none of these, or the endpoint captures nothing.
    NotFound
        There is no such endpoint.
    """
    held = baseline if isinstance(baseline, Baseline) else Baseline.load(baseline)
    opened = session()
    uploads = opened.uploads()
    files = comparison.Baseline(held.statistics, held.constraints).files()
    folder = uploads.files("baselines", _digest(files), files)
    opened.send(uploads)
    uris = {one: f"{folder}/{one}" for one in (CONSTRAINTS, STATISTICS)}
    watched = str(getattr(endpoint, "name", endpoint))
    return Monitor.make(opened, name or f"{watched}-data-quality", watched, every, uris)


def explain(monitor: Monitor | str, of: str = "", *, execution: str = "") -> Explanation:
    """Say what is behind the violations that a schedule found.

    Parameters
    ----------
    monitor
        The schedule, or its name.
    of
        Only the violations of this column or metric; empty: all.
    execution
        Which of its executions, by name; empty: the last that found something.

    Returns
    -------
    Explanation
        ``causes`` by column, with the baseline's numbers beside the present ones, the values that
        gained or lost share, and the ``rows`` that are outside with a few requests each;
        ``changes`` upstream since the baseline was made; ``notes`` on what is gone.

    Raises
    ------
    NotFound
        There is no such schedule or report, or it found nothing of that name.
    """
    found = monitor if isinstance(monitor, Monitor) else get(monitor)
    return found.explain(of, execution=execution)


def _digest(files: Any) -> str:
    whole = hashlib.sha256()
    for name, data in sorted(files.items()):
        whole.update(f"{name} {hashlib.sha256(data).hexdigest()}\n".encode())
    return whole.hexdigest()


def get(name: str) -> Monitor:
    """Find a schedule by name. Raises NotFound."""
    return Monitor.find(session(), name)


def list() -> builtins.list[Monitor]:  # noqa: A001 - clary.monitoring.list
    """Find all schedules, the newest first."""
    return Monitor.every(session())
