"""What people can ask of an endpoint in one call, as the documents that ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from clary.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clary.endpoints.body import Generation
    from clary.kernel.ports import JsonObject

DEFAULT_INSTANCE = "ml.m5.large"
ALONE = "main"
"""The variant of an endpoint with one model."""


class Options(TypedDict, total=False):
    """What ``deploy`` can be asked for beside the model; see there."""

    instances: int | Mapping[str, int]
    weights: Mapping[str, float]
    instance_type: str
    serverless: bool | Mapping[str, int]
    capture: bool | float | str
    requirements: Sequence[str]
    files: str | Path
    environment: Mapping[str, str]
    view: object
    wait: bool


class Rollout(TypedDict, total=False):
    """How ``update`` goes about it; see there."""

    canary: int
    linear: int
    rolling: int
    bake_s: int
    alarms: Sequence[str]
    capture: bool | float | str
    requirements: Sequence[str]
    files: str | Path
    environment: Mapping[str, str]
    view: object
    wait: bool


def known(given: Mapping[str, Any], kind: type, place: str) -> None:
    """Refuse words that are none of ``kind``'s."""
    legal = sorted(kind.__annotations__)
    for name in given:
        if name not in legal:
            raise InvalidInput(place, f"{name} is no option", legal=", ".join(legal))


def variant(name: str, model: str, options: Options) -> JsonObject:
    """Write a production variant."""
    weights = options.get("weights") or {}
    made: JsonObject = {
        "VariantName": name,
        "ModelName": model,
        "InitialVariantWeight": float(weights.get(name, 1.0)),
    }
    serverless = options.get("serverless")
    if serverless:
        wanted = serverless if isinstance(serverless, Mapping) else {}
        config = {
            "MemorySizeInMB": wanted.get("memory_mib", 2048),
            "MaxConcurrency": wanted.get("max_concurrency", 10),
        }
        return made | {"ServerlessConfig": config}
    count = options.get("instances", 1)
    return made | {
        "InitialInstanceCount": count.get(name, 1) if isinstance(count, Mapping) else count,
        "InstanceType": options.get("instance_type", DEFAULT_INSTANCE),
    }


def capture(wanted: bool | float | str, default: str) -> JsonObject:  # noqa: FBT001 - one of three ways to say it
    """Write DataCaptureConfig: of everything, of a share in percent, or to a URI."""
    if wanted is False:
        return {}
    percentage = 100 if isinstance(wanted, bool | str) else wanted
    if not 0 < percentage <= 100:
        raise InvalidInput(
            "capture", f"{wanted!r}", legal="True, a percentage up to 100, or s3://…"
        )
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": int(percentage),
        "DestinationS3Uri": wanted if isinstance(wanted, str) else default,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"],
            "JsonContentTypes": ["application/json"],
        },
    }


def kept(served: Generation, rollout: Rollout) -> Options:
    """Keep what the variants have, but for what an update changes."""
    first = served.variants[0]
    found: Options = {
        "instances": {one.name: one.count or 1 for one in served.variants},
        "weights": {one.name: one.weight for one in served.variants},
        "instance_type": first.instance_type or DEFAULT_INSTANCE,
    }
    if first.serverless:
        found["serverless"] = {
            "memory_mib": first.serverless.memory_mib,
            "max_concurrency": first.serverless.max_concurrency,
        }
    if "capture" in rollout:
        found["capture"] = rollout["capture"]
    return found


def policy(rollout: Rollout) -> JsonObject | None:
    """Write DeploymentConfig; None: at once, when the new version is there.

    Raises
    ------
    InvalidInput
        More than one of canary, linear and rolling is given.
    """
    ways = [way for way in ("canary", "linear", "rolling") if rollout.get(way)]
    if len(ways) > 1:
        raise InvalidInput("update", f"{' and '.join(ways)} are given", legal="one of them")
    alarms = [{"AlarmName": name} for name in rollout.get("alarms", ())]
    guarded: JsonObject = {"AutoRollbackConfiguration": {"Alarms": alarms}} if alarms else {}
    bake_s = rollout.get("bake_s", 60 if ways or alarms else 0)
    if ways == ["rolling"]:
        size = {"Type": "CAPACITY_PERCENT", "Value": rollout["rolling"]}
        rolling = {"MaximumBatchSize": size, "WaitIntervalInSeconds": bake_s}
        return {"RollingUpdatePolicy": rolling, **guarded}
    if not ways and not guarded and not bake_s:
        return None
    routing: JsonObject = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": bake_s}
    if ways:
        [way] = ways
        member = {"canary": "CanarySize", "linear": "LinearStepSize"}[way]
        share = {"Type": "CAPACITY_PERCENT", "Value": rollout.get(way)}
        routing |= {"Type": way.upper(), member: share}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}, **guarded}
