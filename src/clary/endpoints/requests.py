"""Typed views of the public requests on endpoints; the documents themselves are kept verbatim.

A view names what clary acts on. What it cannot do is refused here, by the member's name; what only
says on which machine it runs (volumes, keys, subnets, accelerators) is kept and not acted on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from clary.endpoints import async_requests
from clary.endpoints.model import CaptureConfig
from clary.jobs.instances import instance
from clary.kernel.codec import build
from clary.kernel.errors import InvalidInput, LimitExceeded, NotSupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clary.kernel.ports import JsonObject

MOST_INSTANCES = 64
"""Instances of a variant; each is a process of this machine, or several."""
_VARIANTS, _SHADOWS = "ProductionVariants", "ShadowProductionVariants"
_ELSEWHERE = {
    "InstancePools": "clary has one kind of machine",
    "CoreDumpConfig": "clary keeps no core dumps",
    "CapacityReservationConfig": "clary reserves no machines",
    "AcceleratorPartitionLayouts": "clary divides no accelerators",
}
"""Members of a variant that ask for what is not here."""

Name = Annotated[str, Meta(pattern=r"\A[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}\Z", max_length=63)]
"""Becomes a part of the names of logs and processes."""
Weight = Annotated[float, Meta(ge=0, le=1e9)]
Percent = Annotated[int, Meta(ge=0, le=100)]


class View(msgspec.Struct, frozen=True, rename="pascal"):
    """Some members of a request document."""


class ServerlessConfig(View, frozen=True):
    """Workers only while there are requests."""

    max_concurrency: Annotated[int, Meta(ge=1, le=200)]
    memory_size_in_mb: Annotated[int, Meta(ge=1024, le=6144)] = field(name="MemorySizeInMB")
    provisioned_concurrency: Annotated[int, Meta(ge=1, le=200)] | None = None


class RoutingConfig(View, frozen=True):
    """Which of a variant's workers a request goes to."""

    routing_strategy: str


class Scaling(View, frozen=True):
    """Scaling by the platform itself, of endpoints that have inference components."""

    status: Literal["ENABLED", "DISABLED"] = "ENABLED"


class VariantRequest(View, frozen=True):
    """A production or shadow variant of an endpoint configuration."""

    variant_name: Name
    model_name: str = ""
    initial_instance_count: Annotated[int, Meta(ge=1)] | None = None
    instance_type: str = ""
    initial_variant_weight: Weight = 1.0
    serverless_config: ServerlessConfig | None = None
    container_startup_health_check_timeout_in_seconds: (
        Annotated[int, Meta(ge=60, le=3600)] | None
    ) = None
    routing_config: RoutingConfig | None = None
    managed_instance_scaling: Scaling | None = None


class CaptureOption(View, frozen=True):
    """What is captured."""

    capture_mode: Literal["Input", "Output", "InputAndOutput"]


class CaptureTypes(View, frozen=True):
    """Content types whose bodies are written as they are."""

    csv_content_types: tuple[str, ...] = ()
    json_content_types: tuple[str, ...] = ()


class DataCapture(View, frozen=True):
    """What is kept of requests and answers."""

    initial_sampling_percentage: Percent
    destination_s3_uri: str
    capture_options: tuple[CaptureOption, ...]
    enable_capture: bool = True
    capture_content_type_header: CaptureTypes = CaptureTypes()


class ConfigRequest(View, frozen=True):
    """What CreateEndpointConfig carries."""

    endpoint_config_name: Name
    production_variants: Annotated[tuple[VariantRequest, ...], Meta(min_length=1, max_length=10)]
    shadow_production_variants: tuple[VariantRequest, ...] = ()
    data_capture_config: DataCapture | None = None
    async_inference_config: dict[str, Any] | None = None
    enable_network_isolation: bool = False


class EndpointRequest(View, frozen=True):
    """What CreateEndpoint carries."""

    endpoint_name: Name
    endpoint_config_name: str
    deployment_config: dict[str, Any] | None = None


class Retained(View, frozen=True):
    """A property of the variants that is not kept."""

    variant_property_type: Literal["DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig"]


class UpdateRequest(EndpointRequest, frozen=True):
    """What UpdateEndpoint carries."""

    retain_all_variant_properties: bool = False
    exclude_retained_variant_properties: tuple[Retained, ...] = ()
    retain_deployment_config: bool = False


class ServerlessUpdate(View, frozen=True):
    """How much a serverless variant may do at once, from now on."""

    max_concurrency: Annotated[int, Meta(ge=1, le=200)] | None = None
    provisioned_concurrency: Annotated[int, Meta(ge=1, le=200)] | None = None


class Desired(View, frozen=True):
    """A variant's new weight and number of instances."""

    variant_name: str
    desired_weight: Weight | None = None
    desired_instance_count: Annotated[int, Meta(ge=0)] | None = None
    serverless_update_config: ServerlessUpdate | None = None


class WeightsRequest(View, frozen=True):
    """What UpdateEndpointWeightsAndCapacities carries."""

    endpoint_name: str
    desired_weights_and_capacities: tuple[Desired, ...]


def config(request: JsonObject) -> ConfigRequest:
    """Read a CreateEndpointConfig document.

    Raises
    ------
    InvalidInput
        A member is malformed or contradicts another; names it.
    NotSupported
        It asks for what clary does not do; names the member.
    LimitExceeded
        A variant has more instances than this machine should be asked for.
    """
    view = build(ConfigRequest, request)
    if "ExplainerConfig" in request:
        raise NotSupported("ExplainerConfig: clary explains no answers online")
    if "CrossRegionTrafficConfig" in request:
        raise NotSupported("CrossRegionTrafficConfig: clary serves in one region")
    for member, variants in (
        (_VARIANTS, view.production_variants),
        (_SHADOWS, view.shadow_production_variants),
    ):
        for index, variant in enumerate(variants):
            place = f"{member}[{index}]"
            _refuse_elsewhere(request[member][index], place)
            _check(variant, place)
    _check_names(view)
    _check_shadows(view)
    _check_together(view)
    return view


def capture(given: DataCapture | None) -> CaptureConfig | None:
    """Say what is captured; None: nothing."""
    if given is None or not given.enable_capture or not given.initial_sampling_percentage:
        return None
    modes = {option.capture_mode for option in given.capture_options}
    types = given.capture_content_type_header
    return CaptureConfig(
        given.destination_s3_uri,
        float(given.initial_sampling_percentage),
        input=bool(modes & {"Input", "InputAndOutput"}),
        output=bool(modes & {"Output", "InputAndOutput"}),
        csv_types=types.csv_content_types,
        json_types=types.json_content_types,
    )


def check_count(count: int, place: str) -> None:
    """Refuse a number of instances that is too much for one machine."""
    if count > MOST_INSTANCES:
        raise LimitExceeded(f"{place}: {count} instances; at most {MOST_INSTANCES} a variant")


def _refuse_elsewhere(variant: JsonObject, place: str) -> None:
    for member, why in _ELSEWHERE.items():
        if variant.get(member):
            raise NotSupported(f"{place}.{member}: {why}")


def _check(variant: VariantRequest, place: str) -> None:
    if not variant.model_name:
        raise NotSupported(f"{place}.ModelName: missing; clary has no inference components")
    scaling, routing = variant.managed_instance_scaling, variant.routing_config
    if scaling and scaling.status == "ENABLED":
        raise NotSupported(
            f"{place}.ManagedInstanceScaling: of inference components, which clary does not have",
            hint="scale the variant by application-autoscaling",
        )
    if routing and routing.routing_strategy not in {"RANDOM", "LEAST_OUTSTANDING_REQUESTS"}:
        raise NotSupported(
            f"{place}.RoutingConfig.RoutingStrategy: clary has no {routing.routing_strategy}"
        )
    _check_capacity(variant, place)


def _check_capacity(variant: VariantRequest, place: str) -> None:
    serverless, count = variant.serverless_config, variant.initial_instance_count
    if serverless is None:
        if count is None:
            legal = "InitialInstanceCount with InstanceType, or ServerlessConfig"
            raise InvalidInput(f"{place}.InitialInstanceCount", "missing", legal=legal)
        if not variant.instance_type:
            raise InvalidInput(f"{place}.InstanceType", "missing")
        check_count(count, f"{place}.InitialInstanceCount")
        instance(variant.instance_type, field=f"{place}.InstanceType")
        return
    if count is not None or variant.instance_type:
        problem = "given beside InitialInstanceCount or InstanceType"
        raise InvalidInput(f"{place}.ServerlessConfig", problem, legal="one of both")
    provisioned = serverless.provisioned_concurrency or 0
    if provisioned > serverless.max_concurrency:
        legal = f"at most MaxConcurrency, {serverless.max_concurrency}"
        where = f"{place}.ServerlessConfig.ProvisionedConcurrency"
        raise InvalidInput(where, f"{provisioned}", legal=legal)


def _check_names(view: ConfigRequest) -> None:
    variants = (*view.production_variants, *view.shadow_production_variants)
    refuse_repeated(_VARIANTS, [one.variant_name for one in variants])


def refuse_repeated(place: str, names: Sequence[str]) -> None:
    """Refuse a name that is given twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(place, f"the variant {twice[0]!r} is given twice")


def _check_shadows(view: ConfigRequest) -> None:
    if not view.shadow_production_variants:
        return
    if len(view.shadow_production_variants) > 1:
        count = len(view.shadow_production_variants)
        raise InvalidInput(_SHADOWS, f"{count} are given", legal="one")
    if len(view.production_variants) > 1:
        count = len(view.production_variants)
        problem = f"given beside {count} production variants"
        raise InvalidInput(_SHADOWS, problem, legal="one production variant, which is shadowed")
    if any(
        one.serverless_config
        for one in (*view.production_variants, *view.shadow_production_variants)
    ):
        raise NotSupported(f"{_SHADOWS}: serverless variants have no shadows")


def _check_together(view: ConfigRequest) -> None:
    given = view.data_capture_config
    if given is not None and not given.destination_s3_uri.startswith("s3://"):
        where = "DataCaptureConfig.DestinationS3Uri"
        raise InvalidInput(where, f"{given.destination_s3_uri!r}", legal="s3://<bucket>/<prefix>")
    if view.async_inference_config is None:
        return
    if view.shadow_production_variants:
        raise NotSupported(f"AsyncInferenceConfig: given beside {_SHADOWS}")
    async_requests.config(view.async_inference_config)
    if any(one.serverless_config for one in view.production_variants):
        raise NotSupported("AsyncInferenceConfig: given beside a ServerlessConfig")
