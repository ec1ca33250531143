"""What a job of model quality is told in its environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.analysis.attributes import attribute
from clary.analysis.quality import Problem  # noqa: TC001 - msgspec reads it
from clary.monitoring.programs import settings

if TYPE_CHECKING:
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
        is_capture = bool(self.dataset_format) and self.is_capture
        return is_capture or bool(self.monitoring_input_type or self.ground_truth_source)

    def place(self, which: str) -> Attribute | None:
        """Read one of the attributes; None where it is not given."""
        text: str = getattr(self, which)
        return attribute(text, field=which) if text else None
