"""What inference experiments are asked for: a shadow beside a variant, for a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from clary.endpoints.requests import View
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.kernel.ports import JsonObject

_PRODUCTION, _SHADOW = "ProductionVariants", "ShadowProductionVariants"
_DAYS = 7
"""How long an experiment runs whose schedule has no end."""

Action = Literal["Retain", "Remove", "Promote"]


class RealTime(View, frozen=True):
    """The instances of a variant."""

    instance_type: str
    instance_count: Annotated[int, Meta(ge=1)]


class Infrastructure(View, frozen=True):
    """What a variant runs on."""

    infrastructure_type: Literal["RealTimeInference"]
    real_time_inference_config: RealTime


class ModelVariant(View, frozen=True):
    """A variant that takes part."""

    model_name: str
    variant_name: str
    infrastructure_config: Infrastructure

    def document(self, weight: float) -> JsonObject:
        """Write it as a variant of an endpoint configuration."""
        given = self.infrastructure_config.real_time_inference_config
        return {
            "VariantName": self.variant_name,
            "ModelName": self.model_name,
            "InitialInstanceCount": given.instance_count,
            "InstanceType": given.instance_type,
            "InitialVariantWeight": weight,
        }


class ShadowModel(View, frozen=True):
    """The shadow, and the percentage of requests that are copied to it."""

    shadow_model_variant_name: str
    sampling_percentage: Annotated[int, Meta(ge=1, le=100)]


class ShadowMode(View, frozen=True):
    """Which variant is shadowed."""

    source_model_variant_name: str
    shadow_model_variants: tuple[ShadowModel, ...]


class Storage(View, frozen=True):
    """Where requests and answers are captured."""

    destination: str


class Schedule(View, frozen=True):
    """When it begins and ends."""

    start_time: datetime | None = None
    end_time: datetime | None = None


class TestRequest(View, frozen=True):
    """What CreateInferenceExperiment carries."""

    name: str
    endpoint_name: str
    model_variants: tuple[ModelVariant, ...]
    shadow_mode_config: ShadowMode
    schedule: Schedule = Schedule()
    data_storage_config: Storage | None = None

    @property
    def source(self) -> str:
        """Name of the variant that answers."""
        return self.shadow_mode_config.source_model_variant_name

    @property
    def shadow(self) -> ShadowModel:
        """Who gets the copies."""
        return self.shadow_mode_config.shadow_model_variants[0]

    def variant(self, name: str) -> ModelVariant | None:
        """Find a variant by name."""
        return next((one for one in self.model_variants if one.variant_name == name), None)


class StopRequest(View, frozen=True):
    """What StopInferenceExperiment carries."""

    model_variant_actions: dict[str, Action]
    desired_model_variants: tuple[ModelVariant, ...] = ()
    desired_state: Literal["Completed", "Cancelled"] = "Completed"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Times:
    """When an experiment begins and ends."""

    start: datetime
    end: datetime


def experiment(request: Mapping[str, Any]) -> TestRequest:
    """Read a CreateInferenceExperiment document.

    Raises
    ------
    InvalidInput
        Its variants do not fit together; names the member.
    """
    view = build(TestRequest, request)
    where = "ShadowModeConfig"
    shadows = view.shadow_mode_config.shadow_model_variants
    if len(shadows) != 1:
        raise InvalidInput(f"{where}.ShadowModelVariants", f"{len(shadows)} given", legal="one")
    for name in (view.source, view.shadow.shadow_model_variant_name):
        if view.variant(name) is None:
            raise InvalidInput(where, f"{name!r} is none of ModelVariants")
    if view.source == view.shadow.shadow_model_variant_name or len(view.model_variants) != 2:
        legal = "the variant that is shadowed, and its shadow"
        raise InvalidInput("ModelVariants", f"{len(view.model_variants)} given", legal=legal)
    return view


def times(view: TestRequest, created: datetime) -> Times:
    """Say when an experiment that was created at a moment begins and ends.

    Raises InvalidInput when the end is not behind the start.
    """
    start = _utc(view.schedule.start_time) or created
    end = _utc(view.schedule.end_time) or start + timedelta(days=_DAYS)
    if end <= start:
        raise InvalidInput("Schedule.EndTime", "is not behind StartTime")
    return Times(start, end)


def with_shadow(config: JsonObject, view: TestRequest, name: str) -> JsonObject:
    """Write the configuration of an endpoint that is experimented with."""
    shadow = view.shadow
    asked, source = view.variant(shadow.shadow_model_variant_name), view.variant(view.source)
    if asked is None or source is None:
        raise InvalidInput("ModelVariants", "do not have the source and the shadow")
    kept = {key: value for key, value in config.items() if key != _SHADOW}
    made: JsonObject = {
        **kept,
        "EndpointConfigName": name,
        _PRODUCTION: [source.document(1.0)],
        _SHADOW: [asked.document(shadow.sampling_percentage / 100)],
    }
    if view.data_storage_config is not None:
        made["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": view.data_storage_config.destination,
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        }
    return made


def afterwards(
    config: JsonObject, view: TestRequest, stop: StopRequest, name: str
) -> JsonObject | None:
    """Write the configuration that an endpoint has when its experiment has ended.

    None leaves it as it is: both variants are retained.

    Raises
    ------
    InvalidInput
        The actions leave no variant, or two, to answer; or name another variant.
    """
    shadow = view.shadow.shadow_model_variant_name
    actions = stop.model_variant_actions
    if unknown := actions.keys() - {view.source, shadow}:
        raise InvalidInput("ModelVariantActions", f"{min(unknown)!r} takes no part in it")
    pair = actions.get(view.source, "Retain"), actions.get(shadow, "Remove")
    if pair == ("Retain", "Retain"):
        return None
    if pair not in (("Retain", "Remove"), ("Remove", "Promote")):
        legal = f"Retain {view.source} and Remove {shadow}, or Remove {view.source} and Promote"
        given = ", ".join(f"{one}: {action}" for one, action in actions.items())
        raise InvalidInput("ModelVariantActions", given, legal=f"{legal} {shadow}")
    stays = shadow if pair[1] == "Promote" else view.source
    wanted = {one.variant_name: one for one in (*view.model_variants, *stop.desired_model_variants)}
    kept = {key: value for key, value in config.items() if key != _SHADOW}
    return {**kept, "EndpointConfigName": name, _PRODUCTION: [wanted[stays].document(1.0)]}


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
