"""Endpoints as Python has them: deploy a model, ask it, replace it, look at it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, Unpack

from clary.doors.python import artifacts, bodies
from clary.doors.python.artifacts import FLOW
from clary.doors.python.views import FeatureView
from clary.endpoints import body
from clary.endpoints.invocations import Invocation
from clary.endpoints.model import ENDPOINT, LOG_GROUP
from clary.endpoints.options import ALONE, Options, Rollout, known
from clary.endpoints.skew import skew
from clary.endpoints.summaries import measures, variants
from clary.endpoints.viewed import VIEW_VARIABLE, asked_by, trained_on
from clary.features.fact_queries import Wanted, since
from clary.kernel.errors import InvalidInput, JobFailed
from clary.kernel.names import parse_arn
from clary.kernel.resource import Query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clary.doors.python.session import Session
    from clary.endpoints.model import Stage
    from clary.features.skew import Report
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource

_GOING_ON = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 0.1
_TAIL = 30
_PAGE = 100


class Endpoints:
    """The endpoints of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def deploy(self, model: Any, name: str, **options: Unpack[Options]) -> Endpoint:
        """Make a model live; see ``clary.endpoints.deploy``."""
        known(options, Options, "deploy")
        session = self._session
        ref = session.ref(ENDPOINT, name)
        containers = _each(model, ALONE, options, session)
        session.platform.deployments.create(ref, containers, options, actor=session.actor)
        session.work()
        made = Endpoint(session, ref)
        return made.wait() if options.get("wait", True) else made

    def get(self, name: str) -> Endpoint:
        """Find an endpoint. Raises NotFound."""
        ref = self._session.ref(ENDPOINT, name)
        self._session.platform.endpoints.get(ref)
        self._session.work()
        return Endpoint(self._session, ref)

    def list(self) -> list[Endpoint]:
        """Find all endpoints, the newest first."""
        region = self._session.platform.config.region
        query = Query(ENDPOINT, self._session.account, region, limit=_PAGE)
        found = self._session.platform.endpoints.list(query).items
        return [Endpoint(self._session, one.ref) for one in found]


class Endpoint:
    """A live model: ``endpoint.predict(…)`` asks it.

    As a context manager it is deleted at the end of the block.
    """

    def __init__(self, session: Session, ref: Ref) -> None:
        self._session = session
        self.ref = ref

    @property
    def name(self) -> str:
        """What it is called."""
        return self.ref.name

    @property
    def status(self) -> str:
        """Creating, InService, Updating, RollingBack, Failed, Deleting; Deleted when it is gone."""
        found = self._session.platform.store.get(self.ref)
        return found.status if found else "Deleted"

    @property
    def variants(self) -> dict[str, JsonObject]:
        """Its variants by name: model, share of the traffic, instances, how it answers and why."""
        return variants(self._found(), self.describe())

    def predict(
        self, data: Any, *, variant: str = "", content_type: str = "", accept: str = ""
    ) -> Any:
        """Ask it.

        Parameters
        ----------
        data
            A data frame, an array, lists, a dictionary, text or bytes: whatever the model takes.
        variant
            The one that must answer; empty: drawn by weight.
        content_type, accept
            In the place of what follows from the data, and of what the model prefers. With a
            content type, text and bytes are sent as they are.

        Returns
        -------
        Any
            An array, a frame, or what JSON has, as the model has answered.

        Raises
        ------
        ModelFailed
            It refused the request, or failed; says what it said.
        Unavailable
            Nobody can answer now.
        InvalidInput
            There is no such variant, or the data cannot be sent.
        """
        payload, kind, wanted = self._encoded(data, content_type)
        invocation = Invocation(self.ref, payload, kind, accept or wanted, variant)
        _, reply = self._session.platform.serving.invoke(invocation)
        if isinstance(reply.body, bytes):
            return bodies.decode(reply.body, reply.content_type)
        return _texts(reply.body)

    def update(self, model: Any, **rollout: Unpack[Rollout]) -> Endpoint:
        """Put another model in the place of this one, without a pause.

        Parameters
        ----------
        model
            As for ``deploy``; with a dictionary of several, or other variants than now, those.
        canary
            Percent of the instances that get traffic first; the rest follows after ``bake_s``.
        linear, rolling
            Percent by which traffic moves, or instances are replaced, at every step.
        bake_s
            Seconds that each step is watched; 60 unless it says more.
        alarms
            Names of alarms: when one rings, all goes back to the old model.
        capture, requirements, files, environment, view, wait
            As for ``deploy``; ``capture`` and ``view`` stay as they are, an empty ``view`` is none.

        Raises
        ------
        JobFailed
            The new model did not come into service, or an alarm rang: the old one serves.
        Conflict
            It is being updated already.
        """
        known(rollout, Rollout, "update")
        session = self._session
        stage = self._stage()
        kept = stage.environment.get(VIEW_VARIABLE, "") if stage else ""
        containers = _each(model, "", {"view": kept, **rollout}, session)
        session.platform.deployments.update(self.ref, containers, rollout, actor=session.actor)
        session.work()
        return self.wait() if rollout.get("wait", True) else self

    def scale(self, count: int, *, variant: str = "", wait: bool = True) -> Endpoint:
        """Change how many instances of a variant there are; empty: of every variant."""
        return self._change({"DesiredInstanceCount": count}, variant, wait=wait)

    def shift(self, weights: Mapping[str, float], *, wait: bool = True) -> Endpoint:
        """Change the shares of the traffic, by variant."""
        request = [
            {"VariantName": name, "DesiredWeight": float(weight)}
            for name, weight in weights.items()
        ]
        return self._changed(request, wait=wait)

    def wait(self, timeout_s: float | None = None) -> Endpoint:
        """Wait until nothing of it is under way.

        Raises
        ------
        JobFailed
            It has failed, or its last update was undone; says why.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        pause_s = _PAUSE_S
        while (found := self._session.platform.store.get(self.ref)) is not None:
            if found.status not in _GOING_ON:
                self._session.platform.serving.refresh(self.ref)
                if reason := body.read(found).reason:
                    raise JobFailed(self.ref, reason, log_tail="\n".join(self.logs()[-_TAIL:]))
                return self
            if until is not None and time.monotonic() > until:
                return self
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
        return self

    def delete(self, *, wait: bool = True) -> None:
        """Take it out of service, with its configurations and the models made for it."""
        session = self._session
        session.platform.deployments.delete(self.ref, actor=session.actor)
        session.work()
        if wait:
            self.wait()

    def metrics(self, minutes: int = 60) -> dict[str, JsonObject]:
        """Count its requests and errors, and say how long they took, by variant."""
        metrics = self._session.platform.metrics
        return {name: measures(metrics, self.ref, name, minutes=minutes) for name in self.variants}

    def skew(self, *, hours: float = 0, request: str = "", logged_only: bool = False) -> Report:
        """Replay what it served by keys, through the views that its models name, and compare.

        Parameters
        ----------
        hours
            Only requests of the last hours; 0: all.
        request
            Only the request of this ``InferenceId``.
        logged_only
            Do not ask the groups' history what was true.

        Returns
        -------
        Report
            ``is_equal``, ``cells``, ``differences`` with their ``cause``, and counts of them.

        Raises
        ------
        InvalidInput
            No variant is asked by keys.
        NotFound
            It has served nothing that was logged.
        """
        store = self._session.platform.feature_store
        store.facts.flush()
        wanted = Wanted(start_us=since(hours), request_id=request)
        return skew(self._found(), store.view_log, wanted, with_source=not logged_only)

    def logs(self, variant: str = "") -> list[str]:
        """Return the lines that its workers printed."""
        logs, ref = self._session.platform.logs, self.ref
        group = LOG_GROUP + ref.name
        lines: list[str] = []
        for stream in logs.streams(ref.account, ref.region, group, variant and f"{variant}/"):
            page = logs.tail(ref.account, ref.region, group, stream.name, 1000)
            lines += [line.text for line in page.lines]
        return lines

    def describe(self) -> JsonObject:
        """Return the DescribeEndpoint document."""
        return self._session.platform.endpoints.describe(self.ref)

    def __enter__(self) -> Self:
        """Be deleted at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.delete()

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r})"

    def _found(self) -> Resource:
        return self._session.platform.endpoints.get(self.ref)

    def _encoded(self, data: Any, content_type: str) -> tuple[bytes, str, str]:
        """Write what is asked: the body, its content type, and the type of the answer."""
        stage = self._stage()
        variables = stage.environment if stage else {}
        any_python = artifacts.PYTHON in variables
        by_keys = VIEW_VARIABLE in variables and isinstance(data, Mapping | list)
        is_xgboost = stage is not None and not any_python and "xgboost" in stage.image
        rows_only = is_xgboost and not by_keys
        wanted = bodies.NATIVE if any_python else ""
        if FLOW in variables and hasattr(data, "to_parquet"):
            return *bodies.by_name(data), wanted
        if content_type and isinstance(data, str | bytes):
            return (data.encode() if isinstance(data, str) else data), content_type, wanted
        payload, kind = bodies.encode(data, any_python=any_python, rows_only=rows_only)
        return payload, content_type or kind, wanted

    def _stage(self) -> Stage | None:
        """Give the first container of the first variant."""
        served = body.read(self._found()).served
        return served.variants[0].stages[0] if served and served.variants[0].stages else None

    def _change(self, what: JsonObject, variant: str, *, wait: bool) -> Endpoint:
        names = [variant] if variant else list(self.variants)
        return self._changed([{"VariantName": name, **what} for name in names], wait=wait)

    def _changed(self, wanted: list[JsonObject], *, wait: bool) -> Endpoint:
        session = self._session
        request = {"EndpointName": self.name, "DesiredWeightsAndCapacities": wanted}
        session.work()
        session.platform.endpoints.set_weights_and_capacities(
            self.ref, request, actor=session.actor
        )
        return self.wait() if wait else self


def _each(model: Any, alone: str, options: Any, session: Session) -> dict[str, JsonObject]:
    """Make a container for each variant."""
    models = model if isinstance(model, Mapping) else {alone: model}
    if not models:
        raise InvalidInput("model", "no variant is given", legal="a model, or models by variant")
    return {name: _container(one, options, session) for name, one in models.items()}


def _container(model: Any, options: Any, session: Session) -> JsonObject:
    if isinstance(model, list | tuple):
        if options.get("view"):
            raise InvalidInput("view", "a list of models has none", legal="a single model")
        return {"Containers": [_container(one, options, session) for one in model]}
    made = artifacts.container(
        model,
        session,
        requirements=options.get("requirements", ()),
        files=str(options.get("files", "")),
        environment=options.get("environment"),
    )
    view = _view(options.get("view"), made, session)
    return made if view is None else asked_by(made, view)


def _view(view: object, made: JsonObject, session: Session) -> Ref | None:
    """Name a version of a view, the latest unless it is said; None where none is."""
    if not view:
        return None
    if view is True:
        if "ModelPackageName" not in made:
            raise InvalidInput("view", "True, of a model that is not in the registry", legal="NAME")
        package = parse_arn(made["ModelPackageName"])
        return trained_on(session.platform.lineage.tree(package))
    if isinstance(view, FeatureView):
        return view.ref
    name, _, version = str(view).partition("/")
    if version and not (version.isascii() and version.isdecimal()):
        raise InvalidInput("view", f"{version!r} is no version", legal="NAME or NAME/VERSION")
    return session.views.get(name, int(version or 0)).ref


def _texts(pieces: Iterator[bytes]) -> Iterator[str]:
    for piece in pieces:
        yield piece.decode("utf-8", "replace")
