"""UpdateEndpointWeightsAndCapacities: what the variants are to be from now on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from clary.endpoints import body
from clary.endpoints.requests import check_count, refuse_repeated
from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from clary.endpoints.body import Generation, Variant
    from clary.endpoints.model import Serverless
    from clary.endpoints.requests import Desired, ServerlessUpdate, WeightsRequest

_FIELD = "DesiredWeightsAndCapacities"


def scaled(served: Generation, asked: WeightsRequest) -> Generation:
    """Say what the variants of a generation become.

    Raises
    ------
    InvalidInput
        There is no such variant, or it cannot have that; names the member.
    LimitExceeded
        It is too much for one machine.
    """
    wanted = asked.desired_weights_and_capacities
    refuse_repeated(_FIELD, [one.variant_name for one in wanted])
    is_async = "AsyncInferenceConfig" in served.document
    variants = {}
    for index, one in enumerate(wanted):
        place = f"{_FIELD}[{index}]"
        variant = served.variant(one.variant_name)
        if variant is None:
            legal = ", ".join(each.name for each in served.variants)
            raise InvalidInput(
                f"{place}.VariantName", f"no variant {one.variant_name!r}", legal=legal
            )
        variants[variant.name] = _variant(variant, one, place, 0 if is_async else 1)
    return body.changed(served, variants)


def _variant(variant: Variant, asked: Desired, place: str, least: int) -> Variant:
    if asked.desired_weight is not None:
        variant = replace(variant, weight=asked.desired_weight)
    count, update = asked.desired_instance_count, asked.serverless_update_config
    if count is not None:
        where = f"{place}.DesiredInstanceCount"
        if variant.serverless:
            raise InvalidInput(where, f"given for {variant.name!r}, which is serverless")
        if count < least:
            raise InvalidInput(where, f"{count}", legal=f"at least {least}")
        check_count(count, where)
        variant = replace(variant, count=count)
    if update is not None:
        if variant.serverless is None:
            where = f"{place}.ServerlessUpdateConfig"
            raise InvalidInput(where, f"given for {variant.name!r}, which has instances")
        variant = replace(variant, serverless=_serverless(variant.serverless, update, place))
    return variant


def _serverless(now: Serverless, asked: ServerlessUpdate, place: str) -> Serverless:
    most = asked.max_concurrency or now.max_concurrency
    provisioned = asked.provisioned_concurrency
    if provisioned is None:
        provisioned = now.provisioned
    if provisioned > most:
        where = f"{place}.ServerlessUpdateConfig.ProvisionedConcurrency"
        raise InvalidInput(where, f"{provisioned}", legal=f"at most MaxConcurrency, {most}")
    return replace(now, max_concurrency=most, provisioned=provisioned)
