"""A home, opened in this process."""

from __future__ import annotations

import atexit
import contextlib
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Self

from clary.config import Config, default_home
from clary.doors.python.endpoint import Endpoint
from clary.doors.python.executions import Execution
from clary.doors.python.served import Endpoints
from clary.doors.python.uploads import Uploads
from clary.doors.python.views import Views
from clary.governance.model import DEFAULT_ROLE
from clary.kernel.clock import now
from clary.kernel.codec import to_json
from clary.kernel.errors import AlreadyExists, NotFound
from clary.kernel.names import Ref, arn, parse_arn
from clary.kernel.resource import Bucket, Query
from clary.platform import open_platform

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from clary.kernel.ports import JsonObject

_lock = threading.Lock()
_default: list[Session] = []


class Session:
    """A home and the work on it; made by ``clary.connect``.

    What is started goes on in this process, in a server of the home, or in the next session:
    whichever is there.
    """

    def __init__(self, config: Config) -> None:
        self.platform = open_platform(config)
        self._endpoint = Endpoint(self.platform)
        self._works = False
        self._closed = False
        _open.add(self)

    @property
    def home(self) -> Path:
        """Where everything is stored."""
        return self.platform.config.home

    @property
    def account(self) -> str:
        """The account that everything is made in."""
        return self.platform.governance.owner.account

    @property
    def actor(self) -> str:
        """Who this is, for the journal."""
        return self.platform.governance.owner.principal_arn

    @property
    def endpoints(self) -> Endpoints:
        """Models behind endpoints: ``deploy``, ``get`` and ``list``."""
        return Endpoints(self)

    @property
    def views(self) -> Views:
        """Feature views: ``define``, ``get`` and ``list``."""
        return Views(self)

    @property
    def role(self) -> str:
        """ARN of the role that jobs act in."""
        return arn(Ref(self.account, "", "role", DEFAULT_ROLE))

    @property
    def bucket(self) -> str:
        """The bucket of files and results: the one that the SageMaker SDK uses too."""
        return f"sagemaker-{self.platform.config.region}-{self.account}"

    def ref(self, kind: str, name: str) -> Ref:
        """Name a resource of this account and region."""
        return Ref(self.account, self.platform.config.region, kind, name)

    def work(self) -> None:
        """Begin to run what is due, here too."""
        with _lock:
            if self._works or self._closed:
                return
            self._works = True
        self._endpoint.start()
        self.platform.worker.start()
        self.platform.captures.start()

    def define(self, requirements: Sequence[str]) -> str:
        """Make the environment of some requirements; returns the image that stands for it."""
        return self.platform.environments.define(requirements, actor=self.actor)

    def uploads(self) -> Uploads:
        """Return a list of files to upload to the session's bucket."""
        return Uploads(self.bucket)

    def send(self, uploads: Uploads) -> None:
        """Upload files; makes the bucket when it is missing."""
        bucket = Bucket(self.bucket, self.account, self.platform.config.region, now())
        with contextlib.suppress(AlreadyExists):
            self.platform.objects.create_bucket(bucket)
        uploads.send(self.platform.objects)

    def upsert(self, name: str, definition: JsonObject) -> int:
        """Make a pipeline, or give it its next version if that differs; returns its version."""
        ref = self.ref("pipeline", name)
        text = to_json(definition).decode()
        request = {"PipelineName": name, "PipelineDefinition": text, "RoleArn": self.role}
        pipelines = self.platform.pipelines
        try:
            present = pipelines.describe(ref)
        except NotFound:
            return int(pipelines.create(ref, request, actor=self.actor).body["version"])
        if present["PipelineDefinition"] == text:
            [newest] = pipelines.list(Query("pipeline-version", parent=ref, limit=1)).items
            return newest.ref.version
        return int(pipelines.update(ref, request, actor=self.actor).body["version"])

    def start(self, name: str, version: int, parameters: Mapping[str, str]) -> Execution:
        """Start an execution of a version of a pipeline."""
        self.work()
        request = {
            "PipelineName": name,
            "PipelineVersionId": version,
            "PipelineParameters": [{"Name": k, "Value": v} for k, v in parameters.items()],
        }
        ref = self.ref("pipeline", name)
        made = self.platform.pipelines.start(ref, request, actor=self.actor)
        return Execution(self, made.ref)

    def execution(self, name: str) -> Execution:
        """Find an execution by its id, ``<pipeline>/<id>`` or ARN.

        Raises
        ------
        NotFound
            There is none.
        """
        if name.startswith("arn:"):
            name = parse_arn(name).name
        contains = name if "/" in name else f"/{name}"
        query = Query("pipeline-execution", self.account, name_contains=contains)
        for item in self.platform.pipelines.list(query).items:
            if item.ref.name == name or item.ref.name.endswith(f"/{name}"):
                return Execution(self, item.ref)
        raise NotFound(f"pipeline-execution {name}")

    def newest(self, pipeline: str) -> Execution:
        """Find the execution of a pipeline that was started last. Raises NotFound."""
        ref = self.ref("pipeline", pipeline)
        query = Query("pipeline-execution", parent=ref, limit=1)
        for item in self.platform.pipelines.list(query).items:
            return Execution(self, item.ref)
        raise NotFound(f"an execution of {ref.kind} {ref.name}")

    def close(self) -> None:
        """Give back what this process works on, so that others go on with it at once."""
        with _lock:
            if self._closed:
                return
            self._closed = True
            if self in _default:
                _default.remove(self)
        if self._works:
            self.platform.worker.stop()
            self._endpoint.stop()
        self.platform.shadows.close()
        self.platform.serving.close()
        self.platform.captures.close()
        self.platform.feature_store.close()
        self.platform.recorder.close()

    def __enter__(self) -> Self:
        """Be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Session({str(self.home)!r})"


_open: weakref.WeakSet[Session] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for session in list(_open):
        session.close()


def connect(home: str | os.PathLike[str] | None = None) -> Session:
    """Open a home in this process, beside a running server or without one, and work on it.

    Pipelines use the session that was connected last. A job that calls boto3 finds an endpoint,
    whether or not a server runs.

    Parameters
    ----------
    home
        The folder; by default ``$CLARY_HOME``, else ``./.clary`` if there is one, else
        ``~/.clary``.
    """
    session = _opened(home)
    session.work()
    return session


def session() -> Session:
    """Return the session that was connected last, or open the default home."""
    return _default[-1] if _default else _opened(None)


def _opened(home: str | os.PathLike[str] | None) -> Session:
    folder = default_home() if home is None else Path(home)
    config = Config(home=folder.expanduser().absolute())
    with _lock:
        for one in _default:
            if one.platform.config == config:
                _default.remove(one)
                _default.append(one)
                return one
        _default.append(made := Session(config))
    return made
