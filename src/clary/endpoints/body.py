"""An endpoint as it is stored: what it serves, and what it is to serve next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, convert
from msgspec.structs import replace

from clary.endpoints.model import (
    CaptureConfig,
    FleetSpec,
    Route,
    Serverless,
    Stage,
)
from clary.endpoints.rollouts import Deployment
from clary.kernel.codec import plain
from clary.kernel.names import Ref

if TYPE_CHECKING:
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource


class Variant(Struct, frozen=True):
    """One variant of a generation of an endpoint.

    Parameters
    ----------
    name, model, fleet
        Names.
    weight, count
        As they are wanted; ``count`` is 0 for serverless variants.
    shadow_of
        The production variant whose requests it gets copies of; empty: it is one itself.
    stages
        Its containers; none until its model was read.
    direct
        The containers are called one by one.
    compiled
        The key of the compiled model that answers for it; empty: workers.
    choice
        ``compiled: <how verified>``, or ``native: <why>``; empty until that is known.
    limits
        See ``FleetSpec``.
    """

    name: str
    model: str
    fleet: str
    weight: float = 1.0
    count: int = 1
    instance_type: str = ""
    serverless: Serverless | None = None
    shadow_of: str = ""
    startup_s: float = 300.0
    network: bool = True
    stages: tuple[Stage, ...] = ()
    direct: bool = False
    compiled: str = ""
    choice: str = ""
    limits: dict[str, float] = {}

    def spec(self, endpoint: str, count: int) -> FleetSpec:
        """Say what its fleet is made from."""
        return FleetSpec(
            endpoint,
            self.name,
            self.stages,
            count,
            self.instance_type,
            self.serverless,
            self.direct,
            self.compiled,
            self.startup_s,
            self.network,
            self.limits,
        )


class Generation(Struct, frozen=True):
    """What one endpoint configuration became of.

    Parameters
    ----------
    config
        Its name; it may have been deleted since, or made anew.
    document
        The CreateEndpointConfig document as it was.
    variants
        Production variants, then shadows.
    capture
        What is captured of the requests.
    """

    config: str
    document: dict[str, Any]
    variants: tuple[Variant, ...]
    capture: CaptureConfig | None = None

    def variant(self, name: str) -> Variant | None:
        """Find a variant by name."""
        return next((one for one in self.variants if one.name == name), None)

    @property
    def routes(self) -> tuple[Route, ...]:
        """The ways that requests take when it has all of the traffic."""
        weights = {one.name: one.weight for one in self.variants}
        return tuple(_route(one, weights.get(one.shadow_of, 0.0)) for one in self.variants)

    @property
    def counts(self) -> dict[str, int]:
        """Instances by fleet."""
        return {one.fleet: one.count for one in self.variants}


class Endpoint(Struct, frozen=True):
    """The body of an ``endpoint``.

    Parameters
    ----------
    request
        The CreateEndpoint document.
    config
        Name of the configuration that is served; while it is made, of the one that will be.
    uid
        Tells it from another endpoint of the same name before or after it.
    actor
        Who made it or asked for its last change.
    generation
        Counts the deployments; names their fleets.
    routes
        Where requests go now.
    capture
        What is captured of them.
    served, pending
        The generation in service, and the one that is being deployed.
    deployment
        How far that is.
    reason
        Why it failed, or why its last update was rolled back.
    policy
        The DeploymentConfig of the last deployment.
    waiter
        Woken when the deployment has ended.
    """

    request: dict[str, Any]
    config: str
    uid: str
    actor: str
    generation: int = 0
    routes: tuple[Route, ...] = ()
    capture: CaptureConfig | None = None
    served: Generation | None = None
    pending: Generation | None = None
    deployment: Deployment | None = None
    reason: str = ""
    policy: dict[str, Any] | None = None
    waiter: Ref | None = None

    @property
    def fleets(self) -> tuple[str, ...]:
        """Every fleet that it has, or will have."""
        both = (self.served, self.pending)
        return tuple(one.fleet for part in both if part for one in part.variants)


def read(resource: Resource) -> Endpoint:
    """Read the body of an endpoint."""
    return convert(resource.body, Endpoint, strict=False)


def write(endpoint: Endpoint) -> JsonObject:
    """Write the body of an endpoint."""
    document: JsonObject = plain(endpoint)
    return document


def changed(generation: Generation, variants: dict[str, Variant]) -> Generation:
    """Put other variants in the place of those of the same name."""
    return replace(
        generation, variants=tuple(variants.get(one.name, one) for one in generation.variants)
    )


def _route(variant: Variant, shadowed: float) -> Route:
    if not variant.shadow_of:
        return Route(variant.name, variant.fleet, variant.weight)
    percent = min(100.0, 100.0 * variant.weight / shadowed) if shadowed else 0.0
    return Route(variant.name, variant.fleet, 0.0, percent, variant.shadow_of)
