"""``clary.endpoints``: models behind endpoints, of the session that was connected last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from clary.doors.python.served import Endpoint
from clary.doors.python.session import session

if TYPE_CHECKING:
    import builtins

    from clary.endpoints.options import Options

__all__ = ["Endpoint", "deploy", "get", "list"]


def deploy(model: Any, name: str, **options: Unpack[Options]) -> Endpoint:
    """Make a model live, and wait until it answers.

    It needs no server: the workers are processes of this machine that outlive this one. Another
    process, and the SDK at a server of the same home, find the endpoint too.

    Parameters
    ----------
    model
        A version in the registry (``"abalone/3"``), a group (its newest approved version), the
        name of a model; a file, a folder or ``s3://…``; an XGBoost booster, any fitted estimator,
        or any object or class with ``predict``. What is pickled is loaded in a sandbox only. A
        class is made there, with the folder of its ``files`` if it must be given something, and
        its ``load(folder)`` is called if it has one. A list of these is called in a row, as a
        fitted ``clary.Flow`` before the model that takes what it gives. A dictionary of these is
        an endpoint with several variants.
    name
        What the endpoint is called.
    instances
        How many workers each variant has: a number, or numbers by variant. 1 by default.
    weights
        Shares of the traffic by variant; equal by default.
    instance_type
        Limits each worker's memory and processors, as ``ml.m5.large`` does.
    serverless
        Workers come and go by use: True, or ``{"memory_mib": 2048, "max_concurrency": 10}``.
    capture
        Keep requests and answers: True, a percentage of them, or the ``s3://…`` they go to.
    requirements
        Packages of an environment of its own, as lines of a requirements.txt.
    files
        A file or folder that a class is given.
    environment
        Variables of the workers.
    view
        A feature view, its name or NAME/VERSION; True: the one that a version in the registry was
        trained on. Requests hold keys, the server computes the model's features by the view, and
        logs them. ``endpoint.predict({"keys": {"id": 7},
        "request": {"amount": 2.5}})``.
    wait
        False: return at once; ``endpoint.wait()`` waits.

    Raises
    ------
    AlreadyExists
        There is an endpoint of this name: ``clary.endpoints.get(name).update(model)``.
    JobFailed
        It did not come into service; says why, with the last lines of its log.
    InvalidInput
        The model is nothing that can be deployed, or an option is none.
    """
    return session().endpoints.deploy(model, name, **options)


def get(name: str) -> Endpoint:
    """Find an endpoint by name. Raises NotFound."""
    return session().endpoints.get(name)


def list() -> builtins.list[Endpoint]:  # noqa: A001 - clary.endpoints.list
    """Find all endpoints, the newest first."""
    return session().endpoints.list()
