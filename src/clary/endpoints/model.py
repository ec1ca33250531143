"""The nouns of endpoints: fleets of workers, and the routes that lead to them."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

ENDPOINT = "endpoint"
CONFIG = "endpoint-config"
FLEET = "endpoint-fleet"
LOG_GROUP = "/aws/sagemaker/Endpoints/"
"""Followed by the endpoint's name; streams are ``<variant>/<process>``."""

FleetStatus = Literal["Starting", "InService", "Failed", "Draining"]


class Stage(Struct, frozen=True):
    """One container of a model, as its workers need it.

    Parameters
    ----------
    image
        The container's image; ``jobs.images.runtime`` says what it stands for.
    model_data
        ``s3://`` URI of the artifact; a prefix if ``multi_model`` or not ``packed``; or empty.
    packed
        The artifact is a ``.tar.gz``.
    environment
        The container's variables (``SAGEMAKER_PROGRAM``, ``SAGEMAKER_SUBMIT_DIRECTORY``, …).
    multi_model
        Models below the prefix are loaded when a request's ``TargetModel`` names them.
    hostname
        ``ContainerHostname``; names the container when containers are called directly.
    sha256
        Digest of the artifact's content when the fleet was made; empty for prefixes.
    role
        ARN of the role that its workers' own calls are made by.
    """

    image: str
    model_data: str = ""
    packed: bool = True
    environment: dict[str, str] = field(default_factory=dict)
    multi_model: bool = False
    hostname: str = ""
    sha256: str = ""
    role: str = ""


class Serverless(Struct, frozen=True):
    """A fleet that has workers only while it is used; ``memory_mib`` limits each."""

    max_concurrency: int
    memory_mib: int = 2048
    provisioned: int = 0


class FleetSpec(Struct, frozen=True):
    """The body of an ``endpoint-fleet``: one generation of one variant of an endpoint.

    Its name is ``<endpoint's uid>-<generation>-<variant>``, its parent the endpoint. It never
    changes but for ``count``, ``state`` and ``idle``; another model is another fleet.

    Parameters
    ----------
    endpoint, variant
        Names, for logs, captures and metrics.
    stages
        The containers: called in a row, or directly where ``direct``.
    count
        Instances that should be there; an instance is one worker process a stage.
    instance_type
        See ``jobs.instances``.
    serverless
        Set for serverless variants.
    direct
        ``InferenceExecutionConfig.Mode`` is Direct.
    compiled
        The key of the compiled model that answers inside the server instead of workers
        (``Compilations``); empty: workers.
    startup_s
        A worker that is not ready after so many seconds has failed.
    limits
        ``max_waiting``: requests that may wait for a worker; ``timeout_s`` of one request;
        ``body_bytes`` of it and of its answer.
    state
        The fleet handler's own notes: workers, restarts, the reason of a failure.
    """

    endpoint: str
    variant: str
    stages: tuple[Stage, ...]
    count: int = 1
    instance_type: str = ""
    serverless: Serverless | None = None
    direct: bool = False
    compiled: str = ""
    startup_s: float = 300.0
    network: bool = True
    limits: dict[str, float] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)


class Route(Struct, frozen=True):
    """One way a request can take: member of the list ``routes`` in the body of an ``endpoint``.

    A variant whose fleet is being replaced has two routes, which share its weight.

    Parameters
    ----------
    variant
        Its name.
    fleet
        Name of the ``endpoint-fleet``.
    weight
        Share of the requests, relative to the other routes; 0: only when named.
    shadow
        Not None: it gets copies of so many percent of the requests that ``shadow_of`` answers,
        and its answers go nowhere but into metrics, captures and the comparison.
    """

    variant: str
    fleet: str
    weight: float = 1.0
    shadow: float | None = None
    shadow_of: str = ""


class CaptureConfig(Struct, frozen=True):
    """``DataCaptureConfig``, read: member ``capture`` in the body of an ``endpoint``; or None."""

    destination: str
    percentage: float = 100.0
    input: bool = True
    output: bool = True
    csv_types: tuple[str, ...] = ()
    json_types: tuple[str, ...] = ()
