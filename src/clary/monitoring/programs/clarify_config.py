"""``analysis_config.json``: what a Clarify job is asked, as the SDK and its users write it."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from clary.analysis.bias_metrics import names
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput

Name = str | int
Scalar = int | float | str | bool
DATASETS = ("text/csv", "application/jsonlines", "application/json", "application/x-parquet")


class Facet(msgspec.Struct, frozen=True):
    """One sensitive attribute."""

    name_or_index: Name
    value_or_threshold: list[Scalar] | Scalar | None = None

    @property
    def values(self) -> tuple[Scalar, ...]:
        """The values or the threshold that were given, if any."""
        given = self.value_or_threshold
        if given is None:
            return ()
        return tuple(given) if isinstance(given, list) else (given,)


class Predictor(msgspec.Struct, frozen=True):
    """A model to ask, or an endpoint that is there, and how to read its answers."""

    model_name: str = ""
    endpoint_name: str = ""
    endpoint_name_prefix: str = ""
    target_model: str = ""
    instance_type: str = "ml.m5.large"
    initial_instance_count: int = 1
    content_type: str = ""
    accept_type: str = ""
    label: Name | None = None
    probability: Name | None = None
    label_headers: list[Name] | Name | None = None
    content_template: str = ""
    record_template: str = ""
    custom_attributes: str = ""
    time_series_predictor_config: dict[str, Any] | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the scores, in their order."""
        given = self.label_headers
        if given is None:
            return ()
        return tuple(map(str, given)) if isinstance(given, list) else (str(given),)


class BiasMethod(msgspec.Struct, frozen=True):
    """Which metrics of a stage are wanted: names, or ``all``."""

    methods: list[str] | str = "all"


class Report(msgspec.Struct, frozen=True):
    """The page for people: its file's name and its title."""

    name: str = "report"
    title: str = "Analysis Report"

    @property
    def file(self) -> str:
        """The name, of what a file's name may have."""
        return re.sub(r"[^A-Za-z0-9._-]", "_", self.name).lstrip(".")[:100] or "report"


class Methods(msgspec.Struct, frozen=True):
    """What is to be done; attribution's own settings are kept as they are."""

    pre_training_bias: BiasMethod | None = None
    post_training_bias: BiasMethod | None = None
    shap: dict[str, Any] | None = None
    pdp: dict[str, Any] | None = None
    asymmetric_shapley_value: dict[str, Any] | None = None
    report: Report | None = None


class AnalysisConfig(msgspec.Struct, frozen=True):
    """The whole document; members that are none of these are passed over."""

    dataset_type: str = "text/csv"
    methods: Methods = Methods()
    dataset_uri: str = ""
    headers: list[str] | None = None
    label: Name | None = None
    predicted_label: Name | None = None
    features: str = ""
    label_values_or_threshold: list[Scalar] = []
    probability_threshold: float | None = None
    facet: list[Facet] = []
    facet_dataset_uri: str = ""
    facet_headers: list[str] | None = None
    predicted_label_dataset_uri: str = ""
    predicted_label_headers: list[str] | None = None
    excluded_columns: list[Name] = []
    joinsource_name_or_index: Name | None = None
    group_variable: Name | None = None
    segment_config: list[dict[str, Any]] | None = None
    time_series_data_config: dict[str, Any] | None = None
    predictor: Predictor | None = None

    @property
    def threshold(self) -> float:
        """Above which score a prediction is positive."""
        return 0.5 if self.probability_threshold is None else self.probability_threshold

    def asking(self, model: str) -> AnalysisConfig:
        """Ask a model where the settings of the predictor name none."""
        predictor = self.predictor
        if not model or predictor is None or predictor.model_name or predictor.endpoint_name:
            return self
        named = msgspec.structs.replace(predictor, model_name=model)
        return msgspec.structs.replace(self, predictor=named)


def read(document: Any) -> AnalysisConfig:
    """Read the document.

    Raises
    ------
    InvalidInput
        A member is of the wrong type, or asks for what there is not; names it.
    """
    config = build(AnalysisConfig, document, field="analysis_config")
    if config.dataset_type.lower() not in DATASETS:
        raise InvalidInput(
            "dataset_type", f"{config.dataset_type!r} cannot be read", legal=", ".join(DATASETS)
        )
    unknown = {
        "segment_config": config.segment_config,
        "time_series_data_config": config.time_series_data_config,
        "methods.asymmetric_shapley_value": config.methods.asymmetric_shapley_value,
    }
    for member, value in unknown.items():
        if value is not None:
            raise InvalidInput(member, "clary does not offer it", legal="leave it out")
    return config


def metrics(
    method: BiasMethod | None, stage: Literal["pre_training", "post_training"]
) -> tuple[str, ...]:
    """Name the metrics of a stage that are wanted; none where the stage is not."""
    if method is None:
        return ()
    given = [method.methods] if isinstance(method.methods, str) else method.methods
    return tuple(names(stage)) if "all" in given else tuple(dict.fromkeys(given))
