"""Models made live in one call: the models, the configuration and the endpoint of a name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clary.endpoints import body, options
from clary.endpoints.model import CONFIG
from clary.governance.model import DEFAULT_ROLE
from clary.kernel.clock import now
from clary.kernel.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from clary.kernel.names import arn
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clary.endpoints.options import Options, Rollout
    from clary.endpoints.service import Endpoints
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject, MetadataStore, Transaction
    from clary.kernel.resource import Resource
    from clary.models.service import Models

    Containers = Mapping[str, JsonObject]
    """What each variant consists of: a container, or ``Containers``, called in a row."""

TAG = "clary:endpoint"
"""Marks the models and configurations that belong to an endpoint made here."""
_MOST = 1000
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


@dataclass(frozen=True, slots=True)
class Deployments:
    """Makes, replaces and removes endpoints together with what only they need."""

    store: MetadataStore
    models: Models
    endpoints: Endpoints

    def create(self, ref: Ref, containers: Containers, wanted: Options, *, actor: str) -> Resource:
        """Accept an endpoint of models; what is refused leaves nothing behind.

        Raises
        ------
        AlreadyExists
            There is an endpoint of this name.
        InvalidInput
            The name or an option is not legal.
        """
        if not _NAME.fullmatch(ref.name):
            legal = "1 to 63 letters, digits and inner hyphens"
            raise InvalidInput("name", f"{ref.name!r} is no name", legal=legal)
        with self.store.begin() as change:
            if change.get(ref) is not None:
                raise AlreadyExists(ref, hint="update it to give it another model")
            document = self._configure(ref, containers, wanted, actor, change)
            config = self._keep(ref, document, wanted, actor, change)
            request = {"EndpointName": ref.name, "EndpointConfigName": config}
            return self.endpoints.create(ref, request, actor=actor, transaction=change)

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
        policy = options.policy(rollout)
        with self.store.begin() as change:
            document = self._configure(ref, containers, wanted, actor, change)
            document |= {"DataCaptureConfig": kept} if kept else {}
            config = self._keep(ref, document, wanted, actor, change)
            request: JsonObject = {"EndpointName": ref.name, "EndpointConfigName": config}
            request |= {"DeploymentConfig": policy} if policy else {}
            return self.endpoints.update(ref, request, actor=actor, transaction=change)

    def delete(self, ref: Ref, *, actor: str) -> None:
        """Take an endpoint out of service, with what was made here for it. Raises NotFound."""
        self.endpoints.delete(ref, actor=actor)
        for kind, remove in (
            (CONFIG, self.endpoints.delete_config),
            ("model", self.models.delete_model),
        ):
            query = Query(kind, ref.account, ref.region, name_prefix=_stem(ref), limit=_MOST)
            made = [one.ref for one in self.store.select(query).items]
            for one, tags in self.store.tags_of(made).items():
                if tags.get(TAG) == ref.name:
                    try:
                        remove(one, actor=actor)
                    except NotFound:
                        continue  # somebody else was faster

    def _configure(
        self,
        ref: Ref,
        containers: Containers,
        wanted: Options,
        actor: str,
        change: Transaction,
    ) -> JsonObject:
        """Make models, and write a configuration of them."""
        stem = f"{_stem(ref)}{now():%Y%m%d%H%M%S%f}"
        role = arn(ref.sibling("role", DEFAULT_ROLE))
        listed: list[JsonObject] = []
        for variant, container in containers.items():
            name = f"{stem}-{len(listed)}"
            listed.append(options.variant(variant or options.ALONE, name, wanted))
            parts = container if "Containers" in container else {"PrimaryContainer": container}
            model = {"ModelName": name, **parts, "ExecutionRoleArn": role}
            made = ref.sibling("model", name)
            self.models.create_model(
                made, model, actor=actor, tags={TAG: ref.name}, transaction=change
            )
        return {"EndpointConfigName": stem, "ProductionVariants": listed}

    def _keep(
        self, ref: Ref, document: JsonObject, wanted: Options, actor: str, change: Transaction
    ) -> str:
        """Keep a configuration; returns its name."""
        default = f"s3://sagemaker-{ref.region}-{ref.account}/{ref.name}/capture"
        if asked := options.capture(wanted.get("capture", False), default):
            document = {**document, "DataCaptureConfig": asked}
        name: str = document["EndpointConfigName"]
        made = ref.sibling(CONFIG, name)
        self.endpoints.create_config(
            made, document, actor=actor, tags={TAG: ref.name}, transaction=change
        )
        return name


def _stem(ref: Ref) -> str:
    """Begin the names of what belongs to an endpoint; they have 63 letters at most."""
    return f"{ref.name[:36]}-"
