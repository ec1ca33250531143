"""Models made live in one call: the models, the configuration and the endpoint of a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clary.endpoints import body, options
from clary.endpoints.model import CONFIG
from clary.governance.model import DEFAULT_ROLE
from clary.kernel.clock import now
from clary.kernel.errors import AlreadyExists, Conflict, NotFound
from clary.kernel.names import arn
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.endpoints.options import Options, Rollout
    from clary.endpoints.service import Endpoints
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore
    from clary.kernel.resource import Resource
    from clary.models.service import Models

    Containers = Mapping[str, JsonObject]
    """What each variant consists of."""

TAG = "clary:endpoint"
"""Marks the models and configurations that belong to an endpoint made here."""
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Deployments:
    """Makes, replaces and removes endpoints together with what only they need."""

    store: MetadataStore
    models: Models
    endpoints: Endpoints

    def create(self, ref: Ref, containers: Containers, wanted: Options, *, actor: str) -> Resource:
        """Accept an endpoint of models. Raises AlreadyExists, and InvalidInput for options."""
        if self.store.get(ref) is not None:
            raise AlreadyExists(ref, hint="update it to give it another model")
        config = self._configured(ref, containers, wanted, None, actor)
        request = {"EndpointName": ref.name, "EndpointConfigName": config}
        return self.endpoints.create(ref, request, actor=actor)

    def update(self, ref: Ref, containers: Containers, rollout: Rollout, *, actor: str) -> Resource:
        """Put other models in the place of an endpoint's; what is not named stays.

        A single container, under the name of no variant, is for the only variant there is.

        Raises
        ------
        Conflict
            The endpoint is not in service.
        InvalidInput
            The rollout is not legal.
        """
        found = self.endpoints.get(ref)
        served = body.read(found).served
        if served is None:
            raise Conflict(f"{ref} cannot be updated: it is {found.status}, not InService")
        names = [one.name for one in served.variants if not one.shadow_of]
        if list(containers) == [""]:
            containers = {names[0] if len(names) == 1 else options.ALONE: containers[""]}
        kept = None if "capture" in rollout else served.document.get("DataCaptureConfig")
        wanted = options.kept(served, rollout)
        config = self._configured(ref, containers, wanted, kept, actor)
        request: JsonObject = {"EndpointName": ref.name, "EndpointConfigName": config}
        if policy := options.policy(rollout):
            request["DeploymentConfig"] = policy
        return self.endpoints.update(ref, request, actor=actor)

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Take an endpoint out of service, with what was made here for it. Raises NotFound."""
        self.endpoints.delete(ref, actor=actor)
        for kind, remove in (
            (CONFIG, self.endpoints.delete_config),
            ("model", self.models.delete_model),
        ):
            query = Query(kind, ref.account, ref.region, name_prefix=f"{ref.name}-", limit=_MOST)
            made = [one.ref for one in self.store.select(query).items]
            for one, tags in self.store.tags_of(made).items():
                if tags.get(TAG) == ref.name:
                    try:
                        remove(one, actor=actor)
                    except NotFound:
                        continue  # somebody else was faster

    def _configured(
        self,
        ref: Ref,
        containers: Containers,
        wanted: Options,
        capture: JsonObject | None,
        actor: str,
    ) -> str:
        """Make models and a configuration of them; returns its name."""
        tags = {TAG: ref.name}
        stem = f"{ref.name[:36]}-{now():%Y%m%d%H%M%S%f}"
        role = arn(ref.sibling("role", DEFAULT_ROLE))
        listed: list[JsonObject] = []
        bucket = f"sagemaker-{ref.region}-{ref.account}"
        default = f"s3://{bucket}/{ref.name}/capture"
        asked = capture or options.capture(wanted.get("capture", False), default)
        for variant, container in containers.items():
            name = f"{stem}-{len(listed)}"
            listed.append(options.variant(variant or options.ALONE, name, wanted))
            model = {
                "ModelName": name,
                "PrimaryContainer": container,
                "ExecutionRoleArn": role,
            }
            self.models.create_model(ref.sibling("model", name), model, actor=actor, tags=tags)
        document: JsonObject = {"EndpointConfigName": stem, "ProductionVariants": listed}
        if asked:
            document["DataCaptureConfig"] = asked
        self.endpoints.create_config(ref.sibling(CONFIG, stem), document, actor=actor, tags=tags)
        return stem
