"""What the image ``sagemaker-model-monitor-analyzer`` is told in its environment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import msgspec

from clary.analysis.captures import Window
from clary.kernel.codec import build, from_json
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.analysis.sources import Format

_MOST_BYTES = 256 << 20
_CAPTURES = ("endpointInput", "endpointOutput")
_FORMATS: dict[str, Format] = {
    "csv": "csv",
    "json": "json",
    "parquet": "parquet",
    "delta": "delta",
    "sagemakercapturejson": "capture",
}


@dataclass(frozen=True, slots=True)
class DatasetFormat:
    """How the data set is written.

    Parameters
    ----------
    format
        What ``tables.open_table`` takes.
    header
        Whether the first line of a CSV file names the columns.
    captures
        Which parts of captured requests are columns: ``endpointInput``, ``endpointOutput``.
    """

    format: Format
    header: bool = True
    captures: tuple[str, ...] = _CAPTURES


class Settings(msgspec.Struct, frozen=True):
    """The environment; members that are empty were not given. See the package's docstring."""

    dataset_source: str
    output_path: str
    dataset_format: str = ""
    baseline_constraints: str = ""
    baseline_statistics: str = ""
    record_preprocessor_script: str = ""
    post_analytics_processor_script: str = ""
    publish_cloudwatch_metrics: str = "Disabled"
    categorical_drift_method: Literal["LInfinity", "ChiSquared"] = "LInfinity"
    exclude_features_attribute: str = ""
    start_time: str = ""
    end_time: str = ""
    metric_time: str = ""
    sagemaker_endpoint_name: str = ""
    sagemaker_monitoring_schedule_name: str = ""
    sketch_mode: Literal["fast", "deequ"] = "fast"

    @property
    def is_deequ(self) -> bool:
        """Whether to measure as Deequ does."""
        return self.sketch_mode == "deequ"

    @property
    def excluded(self) -> tuple[str, ...]:
        """Which columns are left out: names, or places as ``_c0`` or ``0``."""
        given = (one.strip() for one in self.exclude_features_attribute.split(","))
        return tuple(f"_c{one}" if one.isdecimal() else one for one in given if one)

    @property
    def publishes_metrics(self) -> bool:
        """Whether metrics are to be written."""
        return self.publish_cloudwatch_metrics.lower() in ("enabled", "true")

    @property
    def window(self) -> Window | None:
        """The span of time that is looked at; None for all.

        Raises
        ------
        InvalidInput
            One of its ends is no time.
        """
        if not self.start_time and not self.end_time:
            return None
        return Window(_moment("start_time", self.start_time), _moment("end_time", self.end_time))

    @property
    def is_capture(self) -> bool:
        """Whether the data set is captured requests, which it is where nothing is said."""
        shape = self.format
        return shape is None or shape.format == "capture"

    @property
    def format(self) -> DatasetFormat | None:
        """How the data set is written; None where the environment does not say.

        Raises
        ------
        InvalidInput
            It is none of the formats.
        """
        if not self.dataset_format:
            return None
        given = build(
            dict[str, dict[str, Any]], from_json(self.dataset_format, field="dataset_format")
        )
        name, options = next(iter(given.items()), ("", {}))
        found = _FORMATS.get(name.lower())
        if found is None or len(given) != 1:
            legal = "csv, json, parquet, delta, sagemakerCaptureJson"
            raise InvalidInput("dataset_format", f"{list(given)}", legal=legal)
        said = {option.lower(): value for option, value in options.items()}
        captures = cast("Sequence[str]", said.get("captureindexnames") or _CAPTURES)
        header = str(said.get("header", True)).lower() != "false"
        return DatasetFormat(found, header, tuple(captures))


S = TypeVar("S", bound=Settings)


def read(environment: Mapping[str, str], kind: type[S]) -> S:
    """Read the environment of a kind of job; empty values as if they were not there.

    Raises
    ------
    InvalidInput
        A variable is missing or has no legal value.
    """
    known = {one.name for one in msgspec.structs.fields(kind)}
    given = {name: value for name, value in environment.items() if name in known and value}
    return build(kind, given, field="environment")


def _moment(name: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(name, f"{text!r} is no time", legal="2026-01-31T09:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def placed(path: str, ml: Path) -> Path:
    """Find a path that the environment names, wherever ``/opt/ml`` lies here.

    Raises
    ------
    InvalidInput
        It is outside of ``/opt/ml``.
    """
    inside = Path(path)
    if ".." in inside.parts or not inside.is_relative_to("/opt/ml"):
        raise InvalidInput("environment", f"{path!r} is no place for data", legal="below /opt/ml/")
    return ml / inside.relative_to("/opt/ml")


def document(path: str, ml: Path, *, field: str) -> bytes:
    """Read a document that the environment names; ``field`` is the variable.

    Raises
    ------
    InvalidInput
        It is no file below ``/opt/ml``, or larger than 256 MiB.
    """
    file = placed(path, ml)
    if not file.is_file():
        raise InvalidInput(field, f"{path} is no file")
    if file.stat().st_size > _MOST_BYTES:
        problem = f"{path} has {file.stat().st_size} bytes"
        raise InvalidInput(field, problem, legal=f"at most {_MOST_BYTES >> 20} MiB")
    return file.read_bytes()
