"""What a job of model quality is told in its environment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from clary.analysis.attributes import attribute
from clary.analysis.captures import Window
from clary.analysis.quality import Problem  # noqa: TC001 - msgspec reads it
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput
from clary.monitoring.programs import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.analysis.attributes import Attribute


class Settings(settings.Settings, frozen=True, kw_only=True):
    """The environment of a job of model quality, as the SDK and schedules write it.

    Parameters
    ----------
    inference_attribute, probability_attribute, ground_truth_attribute
        Where in a row the answer, its probability and the label stand.
    probability_threshold_attribute
        A row is positive whose probability is above it.
    ground_truth_source
        The folder of labels to merge with what was captured.
    monitoring_input_type
        Empty where the data is no live one.
    """

    problem_type: Problem
    inference_attribute: str = ""
    probability_attribute: str = ""
    ground_truth_attribute: str = ""
    probability_threshold_attribute: float = 0.5
    ground_truth_source: str = ""
    monitoring_input_type: str = ""

    @property
    def is_live(self) -> bool:
        """Whether answers were captured; else they are a data set that has its labels."""
        shape = self.format
        is_capture = shape is not None and shape.format == "capture"
        return is_capture or bool(self.monitoring_input_type or self.ground_truth_source)

    @property
    def window(self) -> Window | None:
        """The span of time whose answers are measured; None for all."""
        start, end = _moment(self.start_time), _moment(self.end_time)
        return Window(start, end) if start or end else None

    def place(self, which: str) -> Attribute | None:
        """Read one of the attributes; None where it is not given."""
        text: str = getattr(self, which)
        return attribute(text, field=which) if text else None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the environment; empty values as if they were not there.

    Raises
    ------
    InvalidInput
        A variable is missing or has no legal value.
    """
    known = {one.name for one in msgspec.structs.fields(Settings)}
    given = {name: value for name, value in environment.items() if name in known and value}
    return build(Settings, given, field="environment")


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput("environment", f"{text!r} is no time", legal="ISO 8601") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
