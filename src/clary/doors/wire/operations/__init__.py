"""The operations offered, one module a slice.

An operation is a public function named as botocore names it in snake case; it takes a ``Call`` and
returns the members of its output shape.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import botocore

from clary.doors.wire import model
from clary.doors.wire.operations import (
    async_inference,
    athena,
    autoscaling,
    callbacks,
    cloudwatch,
    cloudwatch_alarms,
    endpoints,
    events,
    experiments,
    feature_records,
    features,
    iam,
    jobs,
    lambda_,
    lineage,
    lineage_graph,
    logs,
    metrics,
    models,
    monitoring,
    monitoring_alerts,
    monitoring_definitions,
    pipelines,
    runtime,
    s3,
    s3_buckets,
    s3_listing,
    s3_multipart,
    s3_tags,
    scheduler,
    search,
    shadow_tests,
    sqs,
    sts,
    tags,
    tuning,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from clary.doors.wire.call import Call
    from clary.kernel.ports import JsonObject

MODULES: Mapping[str, tuple[ModuleType, ...]] = {
    "application-autoscaling": (autoscaling,),
    "athena": (athena,),
    "iam": (iam,),
    "logs": (logs,),
    "s3": (s3, s3_buckets, s3_listing, s3_multipart, s3_tags),
    "sqs": (sqs,),
    "lambda": (lambda_,),
    "scheduler": (scheduler,),
    "events": (events,),
    "cloudwatch": (cloudwatch, cloudwatch_alarms),
    "sagemaker": (
        callbacks,
        endpoints,
        experiments,
        features,
        jobs,
        lineage,
        lineage_graph,
        models,
        monitoring,
        monitoring_alerts,
        monitoring_definitions,
        pipelines,
        search,
        shadow_tests,
        tags,
        tuning,
    ),
    "sagemaker-featurestore-runtime": (feature_records,),
    "sagemaker-metrics": (metrics,),
    "sagemaker-runtime": (async_inference, runtime),
    "sts": (sts,),
}


@functools.cache
def registry() -> dict[tuple[str, str], Callable[[Call], JsonObject | None]]:
    """Return the function of every operation offered, by service and operation."""
    return {
        (service, name): getattr(module, botocore.xform_name(name))
        for service, modules in MODULES.items()
        for name in model.service(service).operations
        for module in modules
        if hasattr(module, botocore.xform_name(name))
    }
