"""Runs: what a piece of work was given and what came of it, logged as it goes on."""

from __future__ import annotations

import csv
import io
import math
import mimetypes
import re
import secrets
import time
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from clary.doors.python.run_stores import find, store
from clary.experiments.metrics import check
from clary.experiments.ports import Point
from clary.kernel.clock import now
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from clary.experiments.model import Value

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,58}")
_LEGAL = "1 to 59 letters, digits and inner hyphens"
_FLUSHED_POINTS = 1_000
_FLUSHED_S = 1.0
_TOO_LARGE = 2**63


class ActiveRun:
    """A run that goes on; made by ``clary.run``.

    What is logged is written at the end of the block, and before that every second or thousand
    points.

    Attributes
    ----------
    experiment, name
        What it is called.
    tags
        Texts by key; what is set here is written with the rest.
    """

    def __init__(self, experiment: str, name: str, tags: Mapping[str, str]) -> None:
        self.experiment = experiment
        self.name = name
        self.tags = dict(tags)
        self._store = store(experiment)
        self._parameters: dict[str, Value] = {}
        self._outputs: dict[str, str] = {}
        self._points: list[Point] = []
        self._steps: dict[str, int] = {}
        self._sent_tags: dict[str, str] = {}
        self._flushed = time.monotonic()

    def __repr__(self) -> str:
        """Say which run it is."""
        return f"ActiveRun({self.experiment!r}, {self.name!r})"

    def log_parameter(self, name: str, value: Value) -> None:
        """Note what the work was given: a number, also one of NumPy, or a text.

        Anything else is noted as its text, as are NaN, infinities and integers beyond 64 bits.
        """
        self._parameters[name] = _noted(value)
        self._flush_sometimes()

    def log_parameters(self, values: Mapping[str, Value]) -> None:
        """Note several parameters."""
        for name, value in values.items():
            self.log_parameter(name, value)

    def log_metric(self, name: str, value: float, step: int | None = None) -> None:
        """Note what came of the work, once or again and again.

        Parameters
        ----------
        name, value
            The metric.
        step
            Where along the work this is; by default one more than last time, from 0 on.

        Raises
        ------
        InvalidInput
            The name or the step is not legal; what was logged before stays.
        """
        at = self._steps.get(name, -1) + 1 if step is None else int(step)
        point = Point(name, float(value), now(), at)
        check(point)
        self._steps[name] = at
        self._points.append(point)
        self._flush_sometimes()

    def log_metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Note several metrics of one step."""
        for name, value in values.items():
            self.log_metric(name, value, step)

    def log_file(self, path: str | os.PathLike[str], name: str = "") -> str:
        """Keep a file; returns its URI."""
        file = Path(path)
        return self._keep(name or file.name, file.read_bytes())

    def log_table(self, name: str, rows: Any) -> str:
        """Keep a table as CSV: a data frame, or dictionaries with the same keys."""
        name = name if name.endswith(".csv") else f"{name}.csv"
        return self._keep(name, _as_csv(rows).encode())

    def log_figure(self, name: str, figure: Any) -> str:
        """Keep a figure of Matplotlib as PNG, or one of Plotly as HTML."""
        if hasattr(figure, "savefig"):
            drawn = io.BytesIO()
            figure.savefig(drawn, format="png")
            return self._keep(name if name.endswith(".png") else f"{name}.png", drawn.getvalue())
        if hasattr(figure, "to_html"):
            name = name if name.endswith(".html") else f"{name}.html"
            return self._keep(name, figure.to_html().encode())
        legal = "a figure of Matplotlib or Plotly"
        raise InvalidInput("figure", f"a {type(figure).__name__} cannot be drawn", legal=legal)

    def flush(self) -> None:
        """Write what is logged so far; what cannot be written now is kept for the next time."""
        self._flushed = time.monotonic()
        tags = {key: text for key, text in self.tags.items() if self._sent_tags.get(key) != text}
        points, self._points = self._points, []
        given, self._parameters = self._parameters, {}
        made, self._outputs = self._outputs, {}
        try:
            if points or given or tags or made:
                self._store.log(given, points, tags, made)
        except BaseException:
            self._points = points + self._points
            self._parameters = given | self._parameters
            self._outputs = made | self._outputs
            raise
        self._sent_tags |= tags

    def __enter__(self) -> Self:
        self._store.begin(self.experiment, self.name)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> None:
        try:
            self.flush()
        except Exception as lost:
            kind, error = kind or type(lost), error or lost
            raise
        finally:
            if kind is None:
                self._store.end("Completed", "")
            elif issubclass(kind, KeyboardInterrupt):
                self._store.end("Stopped", "")
            else:
                self._store.end("Failed", f"{kind.__name__}: {error}")

    def _keep(self, name: str, data: bytes) -> str:
        if name.startswith("/") or ".." in name.split("/"):
            raise InvalidInput("name", f"{name!r} leaves the run", legal="a path below it")
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        uri = self._outputs[name] = self._store.upload(name, data, media_type)
        self._flush_sometimes()
        return uri

    def _flush_sometimes(self) -> None:
        late = time.monotonic() - self._flushed > _FLUSHED_S
        if late or len(self._points) >= _FLUSHED_POINTS:
            self.flush()


def run(
    experiment: str = "", name: str = "", *, tags: Mapping[str, str] | None = None
) -> ActiveRun:
    """Log a run of an experiment: ``with clary.run("abalone") as run: run.log_metric(...)``.

    It is written to the home of the session that was connected last, else the default home; in a
    job to the platform that runs the job. The official SDK's ``load_run`` finds it, and this
    finds what the SDK has begun.

    Parameters
    ----------
    experiment
        Made when it is missing. In a job it may be left out: then the run is the job's own.
    name
        Going on with a run that exists when it has this name; else made from the time.
    tags
        Its first tags.

    Raises
    ------
    InvalidInput
        A name is not legal, or the experiment is missing and this is no job.
    """
    name = name or f"{now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    for field, text in (("experiment", experiment), ("name", name)):
        if text and not _NAME.fullmatch(text):
            raise InvalidInput(field, f"{text!r} is not a name", legal=_LEGAL)
    return ActiveRun(experiment, name, tags or {})


def runs(experiment: str) -> Any:
    """Compare the runs of an experiment: a data frame, or dictionaries where pandas is missing.

    One row a run, the newest first, with its ``params.*``, the last values of its ``metrics.*``,
    and its ``tags.*``.

    Raises
    ------
    NotFound
        There is no such experiment.
    """
    rows = [one.row() for one in find(experiment)]
    try:
        import pandas as pd  # noqa: PLC0415 - not everybody has it
    except ModuleNotFoundError:
        return rows
    return pd.DataFrame(rows)


def _noted(value: object) -> Value:
    """Make a number or a text of a parameter's value, as JSON can have it."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value) if abs(int(value)) < _TOO_LARGE else str(value)
    if isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return str(value)


def _as_csv(rows: Any) -> str:
    if hasattr(rows, "to_csv"):
        return str(rows.to_csv(index=False))
    listed: list[Mapping[str, Any]] = list(_checked(rows))
    written = io.StringIO()
    writer = csv.DictWriter(written, list(listed[0]) if listed else [])
    writer.writeheader()
    writer.writerows(listed)
    return written.getvalue()


def _checked(rows: Iterable[Any]) -> Iterable[Mapping[str, Any]]:
    keys = None
    for place, one in enumerate(rows):
        if not isinstance(one, dict) or (keys is not None and one.keys() != keys):
            problem = (
                f"row {place} has other keys"
                if isinstance(one, dict)
                else f"row {place} is no dict"
            )
            raise InvalidInput("rows", problem, legal="dictionaries with the same keys")
        keys = one.keys()
        yield one
