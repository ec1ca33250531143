"""Models that are asked by keys: a view computes their features in the server.

A model says which version of a view it was trained on, in the environment of its first container.
A request in JSON then holds keys, and what the view takes from requests; the model gets the
features. What is not JSON goes to the model as it is.
"""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from msgspec import Struct

from clary.endpoints.invocations import CSV, JSON, LARGEST_BODY, Refused
from clary.features.views import VIEW
from clary.kernel.errors import Conflict, InvalidInput, NotFound, NotSupported, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clary.endpoints.invocations import Invocation, Reply
    from clary.endpoints.model import FleetSpec, Stage
    from clary.features.model import Feature, Value
    from clary.kernel.names import Ref
    from clary.kernel.ports import JsonObject
    from clary.kernel.resource import Resource
    from clary.lineage.model import Node

VIEW_VARIABLE = "CLARY_FEATURE_VIEW"
"""``NAME/VERSION`` of a feature view: the model is asked by keys."""
FORM_VARIABLE = "CLARY_FEATURE_FORM"
"""How the model gets the features: ``csv`` or ``frame``; by default what its interface takes."""
INTERFACE_VARIABLE = "CLARY_INTERFACE"
"""Says that a container serves a Python object, which takes frames."""
ENDPOINT_WORD, VARIANT_WORD = "endpoint", "variant"
"""Names in the context of what is logged."""
MOST_ENTITIES = 1_000
"""In one request."""
_FORMS = ("csv", "frame")


class Served(Protocol):
    """What computes features for requests, and logs them."""

    def vectors(
        self,
        ref: Ref,
        entities: Sequence[Mapping[str, object]],
        inputs: Sequence[Mapping[str, Any]],
        *,
        context: Mapping[str, str],
        request_id: str,
    ) -> Sequence[Mapping[str, Value]]:
        """Compute the features of entities now. Raises InvalidInput, NotFound, Unavailable."""

    def features(self, ref: Ref) -> Sequence[Feature]:
        """Name what a view gives, in order. Raises NotFound."""


class Client(Protocol):
    """Who answers by features; see ``live.Client``."""

    def ask(self, invocation: Invocation) -> Reply:
        """Have a worker answer."""

    def refresh(self, fleet: Resource) -> None:
        """Learn which workers there are now."""

    def close(self) -> None:
        """Let go of them."""


class _Asked(Struct, frozen=True, forbid_unknown_fields=True):
    """Of whom, and what the request brings for them."""

    keys: dict[str, str | int]
    request: dict[str, Any] = {}


def view_of(stages: Sequence[Stage], near: Ref) -> Ref | None:
    """Name the version of a view that a model is asked by; None: by its features.

    Raises
    ------
    InvalidInput
        A variable is malformed, or requests do not go to the first container.
    """
    variables = stages[0].environment if stages else {}
    said = variables.get(VIEW_VARIABLE, "")
    if not said:
        return None
    name, _, version = said.rpartition("/")
    if not name or not version.isascii() or not version.isdecimal() or not 0 < int(version) < 1e9:
        raise InvalidInput(VIEW_VARIABLE, f"{said[:100]!r}", legal="NAME/VERSION of a feature view")
    _form(variables)
    return near.sibling(VIEW, name, int(version))


def _form(variables: Mapping[str, str]) -> str:
    form = variables.get(FORM_VARIABLE) or _FORMS[INTERFACE_VARIABLE in variables]
    if form not in _FORMS:
        raise InvalidInput(FORM_VARIABLE, f"{form[:100]!r}", legal=" or ".join(_FORMS))
    return form


def asked_by(container: JsonObject, view: Ref) -> JsonObject:
    """Have a container be asked by keys, through a version of a view."""
    made = {VIEW_VARIABLE: f"{view.name}/{view.version}"}
    return {**container, "Environment": {**container.get("Environment", {}), **made}}


def trained_on(model: Node) -> Ref:
    """Name the version of a view that a model was trained on, by what it was made from.

    Raises
    ------
    NotFound
        It goes back to no view.
    Conflict
        It goes back to several.
    """
    found, near = set(), [model]
    while near:
        node = near.pop()
        near += node.children
        if node.ref.kind == VIEW:
            found.add(node.ref)
    if not found:
        raise NotFound(f"the feature view of {model.ref}")
    if len(found) > 1:
        raise Conflict(f"{model.ref} goes back to {', '.join(map(str, sorted(found)))}")
    return found.pop()


def viewed(spec: FleetSpec, endpoint: Ref, client: Client, served: Served | None) -> Client:
    """Put a view before a client, where its model is asked by one.

    Raises
    ------
    NotSupported
        Nobody here computes features.
    """
    view = view_of(spec.stages, endpoint)
    if view is None:
        return client
    if served is None:
        raise NotSupported(f"{spec.endpoint} is asked by {view}, and no views are served here")
    is_frame = _form(spec.stages[0].environment) == "frame"
    context = {ENDPOINT_WORD: spec.endpoint, VARIANT_WORD: spec.variant}
    return _Viewed(client, served, view, context, is_frame=is_frame)


class _Viewed:
    """A client whose requests hold keys."""

    def __init__(
        self,
        client: Client,
        served: Served,
        view: Ref,
        context: Mapping[str, str],
        *,
        is_frame: bool,
    ) -> None:
        self._client = client
        self._served = served
        self._view = view
        self._context = context
        self._is_frame = is_frame
        self.refresh = client.refresh
        self.close = client.close

    def ask(self, invocation: Invocation) -> Reply:
        """Have the model answer by the features. Raises Refused, Unavailable, LimitExceeded."""
        if invocation.content_type.partition(";")[0].strip().lower() != JSON:
            return self._client.ask(invocation)
        try:
            body = self._features(_read(invocation.body), invocation.inference_id)
        except Unavailable:
            raise
        except InvalidInput as error:
            raise Refused(400, error.message) from None
        except NotFound as error:
            raise Refused(500, f"its features cannot be computed: {error.message}") from None
        if len(body) > LARGEST_BODY:
            raise Refused(400, f"the features take {len(body)} bytes, more than 6 MiB")
        kind = JSON if self._is_frame else CSV
        return self._client.ask(replace(invocation, body=body, content_type=kind))

    def _features(self, asked: Sequence[_Asked], request_id: str) -> bytes:
        rows = self._served.vectors(
            self._view,
            [one.keys for one in asked],
            [one.request for one in asked],
            context=self._context,
            request_id=request_id,
        )
        features = self._served.features(self._view)
        cells = [[_cell(row[one.name], one) for one in features] for row in rows]
        if self._is_frame:
            frame = {"columns": [one.name for one in features], "data": cells}
            return json.dumps({"dataframe_split": frame}).encode()
        return _csv(cells, features)


def _read(body: bytes) -> Sequence[_Asked]:
    """Read one entity, or a list of them. Raises InvalidInput."""
    try:
        found = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        problem = f"is not what a model with a feature view takes: {error}"
        raise InvalidInput("Body", problem, legal=_LEGAL) from None
    asked = found if isinstance(found, list) else [found]
    if not 1 <= len(asked) <= MOST_ENTITIES:
        raise InvalidInput("Body", f"{len(asked)} entities", legal=f"1 to {MOST_ENTITIES}")
    return asked


def _cell(value: Value, feature: Feature) -> Value:
    """Write what is missing of numbers as NaN, as frames have it."""
    is_number = feature.kind != "String" and feature.collection is None
    return math.nan if value is None and is_number else value


def _csv(rows: Sequence[Sequence[Value]], features: Sequence[Feature]) -> bytes:
    lists = [one.name for one in features if one.collection]
    if lists:
        raise InvalidInput(
            "Body", f"{', '.join(lists)} cannot be CSV", legal=f"{FORM_VARIABLE}=frame"
        )
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


_LEGAL = '{"keys": {…}, "request": {…}}, or a list of those'
_decoder = msgspec.json.Decoder(_Asked | list[_Asked])
