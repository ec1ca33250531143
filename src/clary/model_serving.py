"""The endpoints' part of the composition root: what makes models live, and asks them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clary.adapters.onnx_models import OnnxModels
from clary.adapters.otlp import OtlpSpans
from clary.endpoints.asynchronous import AsyncInvocations
from clary.endpoints.asynchronous import Tools as AsyncTools
from clary.endpoints.autoscaler import Autoscaler
from clary.endpoints.captures import Captures
from clary.endpoints.clients import FleetClient
from clary.endpoints.compilations import Compilations
from clary.endpoints.controller import Controller
from clary.endpoints.fleets import Fleets
from clary.endpoints.live import Tools as ServingTools
from clary.endpoints.loads import Loads
from clary.endpoints.meters import Meters
from clary.endpoints.service import Endpoints
from clary.endpoints.serving import Serving
from clary.endpoints.shadow_tests import ShadowTests
from clary.endpoints.shadows import Shadows
from clary.lineage.service import Lineage

if TYPE_CHECKING:
    from clary.config import Config
    from clary.endpoints.viewed import Served
    from clary.endpoints.workers import Tools as WorkerTools
    from clary.metrics.alarms import Alarms
    from clary.metrics.recorder import Recorder
    from clary.metrics.service import Metrics
    from clary.queues.messages import Messages


@dataclass(frozen=True, slots=True)
class Measures:
    """What endpoints are measured with, and watched by."""

    recorder: Recorder
    metrics: Metrics
    alarms: Alarms


@dataclass(frozen=True, slots=True)
class ModelServing:
    """What endpoints consist of."""

    captures: Captures
    fleets: Fleets
    endpoints: Endpoints
    shadows: Shadows
    serving: Serving
    compilations: Compilations
    async_invocations: AsyncInvocations
    controller: Controller
    autoscaler: Autoscaler
    shadow_tests: ShadowTests


def open_model_serving(
    tools: WorkerTools,
    config: Config,
    measures: Measures,
    messages: Messages,
    views: Served,
) -> ModelServing:
    """Put together what endpoints consist of; ``views`` serves models that are asked by keys."""
    recorder, alarms = measures.recorder, measures.alarms
    fleets = Fleets(tools, recorder)
    endpoints = Endpoints(tools.store, fleets, alarms)
    home = config.home
    compiled = OnnxModels(home / "compiled")
    compilations = Compilations(tools, compiled, Lineage(tools.store))
    captures, shadows = Captures(home / "captures", tools.objects, recorder), Shadows(tools.store)
    serving = Serving(
        tools.store,
        ServingTools(
            lambda fleet: FleetClient(fleet, fleets),
            compiled,
            captures,
            Meters(recorder),
            shadows,
            OtlpSpans(config.traces) if config.traces else None,
            views,
        ),
    )
    return ModelServing(
        captures=captures,
        fleets=fleets,
        endpoints=endpoints,
        shadows=shadows,
        serving=serving,
        compilations=compilations,
        async_invocations=AsyncInvocations(
            AsyncTools(tools.store, tools.objects, serving, messages, recorder)
        ),
        controller=Controller(tools.store, tools.objects, fleets, compilations, alarms),
        autoscaler=Autoscaler(tools.store, endpoints, Loads(measures.metrics)),
        shadow_tests=ShadowTests(tools.store, endpoints),
    )
